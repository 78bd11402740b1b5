package tracering

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostLayout is the layout of pages on amd64 and arm64 with pages of 4 KiB.
var hostLayout = layout{commit: 8, commitSize: 8, data: 16, size: 4096}

// Pages of real kernels say what the kernel's own text says of them. testdata/pages has, for each kernel, a page of a ring in which records
// were seconds apart and some were filtered, and the first page of a ring that had overflowed; the text is time, thread,
// event and new name of each record, from per_cpu/cpu0/trace.
func TestRecordedPages(t *testing.T) {
	names, err := filepath.Glob("testdata/pages/*.page")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			kernel, part, _ := strings.Cut(strings.TrimSuffix(name, ".page"), "-")
			header, err := os.Open(kernel + "-header_page.txt")
			if err != nil {
				t.Fatal(err)
			}
			defer header.Close()
			l, err := parseLayout(header)
			if err != nil || l != hostLayout {
				t.Fatalf("%+v, %v", l, err)
			}
			page, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(strings.TrimSuffix(name, ".page") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			c, lost, err := l.open(page)
			// What was lost was counted by the ring's stats as well: some 1,700 records.
			if err != nil || (part == "lost") != (lost > 1000 && lost < 3000) || part == "plain" && lost != 0 {
				t.Errorf("%d lost, %v", lost, err)
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				e, ok, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok && part == "lost" && n > 50 {
					return // the text goes on with the next page
				}
				words := append(strings.Fields(line), "")
				record := page[e.pos:e.end]
				us := (e.time + 500) / 1000
				if got := fmt.Sprintf("%d.%06d %d", us/1e6, us%1e6, order.Uint32(record[commonPID:])); got != words[0]+" "+words[1] {
					t.Fatalf("record %d: %s, not %s", n, got, line)
				}
				if words[2] == "task_rename" && !bytes.HasPrefix(record[28:], []byte(words[3]+"\x00")) {
					t.Errorf("record %d: name %q, not %q", n, record[28:44], words[3])
				}
				n++
			}
			if _, ok, err := c.next(); ok || err != nil {
				t.Errorf("more than the %d records of the text: %v", n, err)
			}
		})
	}
}

// A writer makes pages as the kernel does.
type writer struct{ b []byte }

func (w *writer) word(kind uint32, delta uint64) {
	w.b = order.AppendUint32(w.b, kind|uint32(delta)<<5)
}

func (w *writer) data(delta uint64, record []byte) {
	if n := len(record) / 4; len(record)%4 == 0 && n > 0 && n <= 28 {
		w.word(uint32(n), delta)
	} else {
		w.word(0, delta)
		padded := (len(record) + 4 + 3) &^ 3
		w.b = order.AppendUint32(w.b, uint32(padded))
		record = append(record, make([]byte, padded-4-len(record))...)
	}
	w.b = append(w.b, record...)
}

func (w *writer) extended(kind uint32, value uint64) {
	w.word(kind, value&(1<<27-1))
	w.b = order.AppendUint32(w.b, uint32(value>>27))
}

func (w *writer) page(stamp, flags uint64) []byte {
	page := order.AppendUint64(nil, stamp)
	page = order.AppendUint64(page, uint64(len(w.b))|flags)
	page = append(page, w.b...)
	return append(page, make([]byte, 4096-len(page))...)
}

// What is written in all the ways that a kernel has is read back with the right times.
func TestWrittenPages(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		now := random.Uint64N(1 << 60)
		stamp := now
		var w writer
		type record struct {
			time uint64
			data string
		}
		var want []record
		for len(w.b) < 3000 {
			data := make([]byte, 8+random.IntN(200))
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			delta := random.Uint64N(1 << 27)
			switch random.IntN(6) {
			case 0: // discarded
				w.word(entryPadding, max(delta, 2))
				now += max(delta, 2)
				n := (len(data) + 3) &^ 3
				w.b = append(order.AppendUint32(w.b, uint32(n)), make([]byte, n-4)...)
			case 1:
				extend := random.Uint64N(1 << 40)
				w.extended(entryTimeExtend, extend)
				now += extend
			case 2:
				now += random.Uint64N(1 << 40)
				w.extended(entryTimeStamp, now&(1<<59-1))
			default:
				now += delta
				w.data(delta, data)
				want = append(want, record{now, string(data)})
			}
		}
		if random.IntN(2) == 0 {
			w.word(entryPadding, 0)
			w.b = append(w.b, 0xff, 0xff, 0xff, 0xff)
		}
		page := w.page(stamp, missedEvents|missedStored)
		order.PutUint64(page[16+len(w.b):], 77)
		c, lost, err := hostLayout.open(page)
		if err != nil || lost != 77 {
			t.Fatal(lost, err)
		}
		for i, r := range want {
			e, ok, err := c.next()
			if err != nil || !ok || e.time != r.time || !strings.HasPrefix(string(page[e.pos:e.end]), r.data) || e.end-e.pos-len(r.data) > 3 {
				t.Fatalf("record %d: %+v, %v, %v, not at %d with %d bytes", i, e, ok, err, r.time, len(r.data))
			}
		}
		if _, ok, err := c.next(); ok || err != nil {
			t.Fatal(ok, err)
		}
	}
}

// Bits above the 59 of a time stamp come from the time before.
func TestAbsolute(t *testing.T) {
	const top = uint64(1) << 59
	for _, c := range [][3]uint64{{5, 3, 5}, {3, 5, 3}, {5, 2*top + 3, 2*top + 5}, {3, 2*top + 5, 3*top + 3}} {
		if got := absolute(c[0], c[1]); got != c[2] {
			t.Errorf("absolute(%d, %d) = %d, not %d", c[0], c[1], got, c[2])
		}
	}
}

func TestParseLayoutRefuses(t *testing.T) {
	const good = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;\n"
	if l, err := parseLayout(strings.NewReader(good)); err != nil || l != hostLayout {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, bad := range []string{"", "x", strings.Replace(good, "offset:8", "offset:-8", 1), strings.Replace(good, "4080", "99999999", 1),
		strings.Replace(good, "commit", "other", 1), strings.Replace(good, "size:8;\tsigned:1", "size:2;\tsigned:1", 1), ";", " ; offset:1"} {
		if l, err := parseLayout(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestParseLost(t *testing.T) {
	const stats = "entries: 210\noverrun: 1794\ncommit overrun: 3\nbytes: 10968\noldest event ts:  6192.939145\nnow ts:  6192.955833\ndropped events: 20\nread events: 7\n"
	if got := parseLost(stats); got != 1817 {
		t.Errorf("%d lost", got)
	}
}

// Whatever a page holds, reading it ends, and stays in it.
func FuzzPage(f *testing.F) {
	names, _ := filepath.Glob("testdata/pages/*.page")
	for _, name := range names {
		if page, err := os.ReadFile(name); err == nil {
			f.Add(page)
		}
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		c, _, err := hostLayout.open(page)
		if err != nil {
			return
		}
		pos := c.pos
		for {
			e, ok, err := c.next()
			if err != nil || !ok {
				return
			}
			if e.pos < pos || e.end < e.pos || e.end > len(page) || c.pos < e.end || c.pos == pos {
				t.Fatalf("%+v after %d, in a page of %d", e, pos, len(page))
			}
			pos = c.pos
		}
	})
}

func BenchmarkPage(b *testing.B) {
	page, err := os.ReadFile("testdata/pages/6.12-lost.page")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for n < b.N {
		c, _, err := hostLayout.open(page)
		if err != nil {
			b.Fatal(err)
		}
		for n < b.N {
			if _, ok, _ := c.next(); !ok {
				break
			}
			n++
		}
	}
}
