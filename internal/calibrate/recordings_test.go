package calibrate

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/testkernel"
	"github.com/skprobe/skprobe/testdata/kernels"
)

// recordings are what calibrations saw on real kernels, by the names of those.
// They are made with
//
//	SKPROBE_RECORD=/r.gz VMFLAGS='-out /r.gz=NAME.json.gz' make vm KERNEL=… PKGS=./internal/calibrate
func recordings(t *testing.T) map[string]func() *Recording {
	t.Helper()
	testkernel.Outside(t)
	files, err := filepath.Glob("testdata/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	list := map[string]func() *Recording{}
	for _, file := range files {
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		list[strings.TrimSuffix(filepath.Base(file), ".json.gz")] = func() *Recording {
			r := &Recording{}
			if err := json.Unmarshal(text, r); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			return r
		}
	}
	return list
}

// claims are the places that were found, by key.
func claims(r *Result) map[string]Found {
	m := map[string]Found{}
	for _, f := range r.Members {
		if f.OK {
			m[f.member.key] = f
		}
	}
	return m
}

// TestRecordings holds what is found in recordings against the type information
// of the same kernels.
func TestRecordings(t *testing.T) {
	for name, load := range recordings(t) {
		t.Run(name, func(t *testing.T) {
			kernel, _, _ := strings.Cut(name, "-dialect")
			types := kernels.Named(t, kernel).Types
			r := Solve(load())
			compared := 0
			for _, f := range r.Members {
				off, size, ok := locate(types, f.Struct, f.Member)
				switch {
				case !f.OK && f.Needed:
					t.Errorf("%s.%s is not found: %s %v", f.Struct, f.Member, f.Why, f.Candidates)
				case f.OK && ok:
					compared++
					if f.Offset != off || f.Size != size {
						t.Errorf("%s.%s: found at %d, size %d; it is at %d, size %d", f.Struct, f.Member, f.Offset, f.Size, off, size)
					}
				}
			}
			if compared < 30 {
				t.Errorf("only %d members are in the recorded layout", compared)
			}
			for _, f := range r.Functions {
				if !f.OK {
					t.Errorf("%s: %s", f.Name, f.Why)
				}
			}
		})
	}
}

func locate(types fetchargs.Types, owner, path string) (off, size int, ok bool) {
	t, err := types.TypeNamed(owner)
	if err != nil {
		return 0, 0, false
	}
	for name := range strings.SplitSeq(path, ".") {
		m, ok := t.Member(name)
		if !ok {
			return 0, 0, false
		}
		off += m.Offset
		t = m.Type
	}
	return off, t.Size, true
}

// memory calls f for each dump of the kind of memory that a key names.
func (r *Recording) memory(kind string, f func(mem []byte)) {
	for i := range r.Hits {
		h := &r.Hits[i]
		for n, m := range h.Mem {
			if kindOf(h.Func, n) == kind {
				f(m)
			}
		}
	}
}

func kindOf(fn string, window int) string {
	switch fn {
	case fnMark:
		return "sock"
	case fnDevFlags:
		return "dev"
	case fnRoute:
		return "net"
	case fnXmit, fnIPRcv, fnUDPRcv, fnConsume, fnFree:
		return "skb"
	case fnListen:
		return "socket"
	case fnNeigh:
		return "neigh"
	case fnSend4, fnSend6:
		if window == 0 {
			return "msg"
		}
	}
	return ""
}

// agree fails the test if something is claimed that is not the truth.
func agree(t *testing.T, what string, got, truth map[string]Found) {
	t.Helper()
	for key, f := range got {
		if want, ok := truth[key]; !ok || f.Offset != want.Offset || f.Size != want.Size {
			t.Errorf("%s: %s is claimed at %d, size %d; the truth is %d, size %d", what, key, f.Offset, f.Size, want.Offset, want.Size)
		}
	}
}

// TestMissing takes each member away in turn: what is not there is not found
// elsewhere.
func TestMissing(t *testing.T) {
	for name, load := range recordings(t) {
		truth := claims(Solve(load()))
		for key, f := range truth {
			r := load()
			kind, _, _ := strings.Cut(key, ".")
			r.memory(kind, func(mem []byte) {
				for i := f.Offset; i < f.Offset+f.Size && i < len(mem); i++ {
					mem[i] = byte(rand.N(256))
				}
			})
			without := claims(Solve(r))
			if _, ok := without[key]; ok && kind != "pinfo" {
				t.Errorf("%s: %s is claimed at %d, where nothing is", name, key, without[key].Offset)
			}
			delete(without, key)
			agree(t, name+" without "+key, without, truth)
		}
	}
}

// TestStale has some dumps hold what the one before them held, as a fetch that
// faults leaves it from 4.20 on.
func TestStale(t *testing.T) {
	for name, load := range recordings(t) {
		truth := claims(Solve(load()))
		for range 20 {
			r := load()
			last := map[string][]byte{}
			for i := range r.Hits {
				for n, mem := range r.Hits[i].Mem {
					id := r.Hits[i].Func + string(rune('0'+n))
					if before := last[id]; before != nil && rand.N(40) == 0 {
						at := 8 * rand.N(len(mem)/8)
						copy(mem[at:min(len(mem), at+512)], before[at:])
					}
					last[id] = mem
				}
			}
			agree(t, name+", stale", claims(Solve(r)), truth)
		}
	}
}

// TestLost has some calls not seen.
func TestLost(t *testing.T) {
	for name, load := range recordings(t) {
		truth := claims(Solve(load()))
		for _, share := range []int{2, 5, 20, 60} {
			r := load()
			var hits []Hit
			for _, h := range r.Hits {
				if rand.N(100) >= share {
					hits = append(hits, h)
				}
			}
			r.Hits = hits
			agree(t, name+", lost", claims(Solve(r)), truth)
		}
	}
}
