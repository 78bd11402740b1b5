package calibrate_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/calibrate"
	"github.com/skprobe/skprobe/internal/ktype"
	"github.com/skprobe/skprobe/internal/session"
	"github.com/skprobe/skprobe/internal/testkernel"
)

func TestMain(m *testing.M) { testkernel.Main(m) }

// TestTruth holds what calibration claims against the kernel's own type
// information, in the language of each old kernel.
func TestTruth(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF, testkernel.Module("dummy"))
	t.Setenv("SKPROBE_CACHE", t.TempDir())
	btf, err := ktype.OpenBTF("")
	if err != nil {
		t.Fatal(err)
	}
	runs, _ := strconv.Atoi(os.Getenv("SKPROBE_RUNS"))
	for _, dialect := range []string{"", "3.10", "4.4", "4.19"} {
		t.Run("dialect "+dialect, func(t *testing.T) {
			t.Setenv("SKPROBE_DIALECT", dialect)
			for range max(1, runs) {
				start := time.Now()
				result, _, err := session.Calibrate(testWriter{t})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s in %v: %v; notes: %q", result.Summary(), time.Since(start).Round(time.Millisecond), result.Times, result.Notes)
				check(t, result, btf)
				record(t, result)
			}
		})
	}
}

// record writes what was seen to the file of $SKPROBE_RECORD, for the test of
// recordings.
func record(t *testing.T, result *calibrate.Result) {
	file := os.Getenv("SKPROBE_RECORD")
	if file == "" {
		return
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if err := errors.Join(json.NewEncoder(z).Encode(result.Recording), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, result *calibrate.Result, btf fetchargs.Types) {
	t.Helper()
	for _, f := range result.Members {
		off, size, err := locate(btf, f.Struct, f.Member)
		switch {
		case f.OK && err != nil:
			t.Errorf("found %s.%s at %d, but %v", f.Struct, f.Member, f.Offset, err)
		case f.OK && (f.Offset != off || f.Size != size):
			t.Errorf("found %s.%s at %d, size %d; it is at %d, size %d", f.Struct, f.Member, f.Offset, f.Size, off, size)
		case !f.OK && err == nil && f.Needed:
			t.Errorf("did not find %s.%s, which is at %d: %s %v", f.Struct, f.Member, off, f.Why, f.Candidates)
		}
	}
	for _, f := range result.Functions {
		truth, err := btf.FuncNamed(f.Name)
		if err != nil {
			continue
		}
		if !f.OK {
			t.Errorf("did not find the parameters of %s: %s", f.Name, f.Why)
			continue
		}
		for _, name := range f.Names() {
			i := slices.IndexFunc(truth.Members, func(m fetchargs.Member) bool { return m.Name == name })
			if i >= 0 && i != slices.Index(f.Names(), name) {
				t.Errorf("%s: %s is parameter %d, not %d", f.Name, name, i, slices.Index(f.Names(), name))
			}
		}
	}
}

// locate is where a member is by the kernel's own account.
func locate(types fetchargs.Types, owner, path string) (off, size int, err error) {
	t, err := types.TypeNamed(owner)
	if err != nil {
		return 0, 0, err
	}
	for name := range strings.SplitSeq(path, ".") {
		m, ok := t.Member(name)
		if !ok {
			return 0, 0, fmt.Errorf("%s has no %s", t, name)
		}
		off += m.Offset
		t = m.Type
	}
	return off, t.Size, nil
}

type testWriter struct{ t *testing.T }

var _ io.Writer = testWriter{}

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}
