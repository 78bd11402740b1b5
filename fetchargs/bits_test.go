package fetchargs

import (
	"errors"
	"strings"
	"testing"
)

func TestBits(t *testing.T) {
	f := table()
	target := f.at("f", AMD64, Dialect420)
	for _, c := range []struct {
		expr, fetch string
		off, width  int
	}{
		{"sk->dport & 0xfff", "+12(%di)", 0, 12},
		{"(sk->dport >> 12) & 1", "+12(%di)", 12, 1},
		{"sk->dport >> 12 & 1", "+12(%di)", 12, 1},
		{"sk->dport >> 4", "+12(%di)", 4, 12},
		{"len&1", "%si", 0, 1},
		{"(len) & 0xff", "%si", 0, 8},
		{"(u16)len & 0xff", "%si", 0, 8},
		{"(len + 0) & 1", "%si", 0, 1},
		{"sk->nope & 1 ?? sk->dport & 3", "+12(%di)", 0, 2},
		{"(sk->word >> 30) & 0xffff", "+32(%di)", 30, 16},
	} {
		ref, err := resolve(&target, c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if off, width := ref.Bits(); ref.String() != c.fetch || off != c.off || width != c.width || ref.Type.Signed {
			t.Errorf("%s = %s, bits %d at %d", c.expr, ref, width, off)
		}
	}
	for _, c := range []struct{ expr, msg string }{
		{"sk->dport & 0", "lowest bits"},
		{"sk->dport & 0x1000", "shift the value before"},
		{"sk->dport & len", "mask of bits"},
		{"sk->dport >> len", "number of bits"},
		{"sk->dport >> 16", "has 16 bits"},
		{"sk->dport & 0x1ffff", "has 16 bits"},
		{"sk & 1", "no number"},
		{"sk->err >> 3", "signed"},
		{"(len + 1) & 1", "sum"},
		{"$comm & 1", "no number"},
		{"sk->dport & 1 & 1", "unexpected text"},
	} {
		_, err := resolve(&target, c.expr)
		if err == nil || !strings.Contains(err.Error(), c.msg) {
			t.Errorf("%s: %v, want %s", c.expr, err, c.msg)
		}
	}
}

func TestCaller(t *testing.T) {
	f := table()
	for arch, want := range map[Arch]string{AMD64: "$stack0", ARM64: "%x30"} {
		target := f.at("f", arch, Dialect310)
		if ref, err := resolve(&target, "$caller"); err != nil || ref.String() != want {
			t.Errorf("%s: %s, %v", arch, ref, err)
		}
		target.NoParams = "they moved"
		if _, err := resolve(&target, "$caller"); err != nil {
			t.Errorf("where parameters moved: %v", err)
		}
	}
	for what, spoil := range map[string]func(*Target){
		"returns":    func(t *Target) { t.Return = true },
		"start":      func(t *Target) { t.Inside = true },
		"tracepoint": func(t *Target) { t.Record = []RecordField{} },
		"not known":  func(t *Target) { t.Arch = "mips" },
	} {
		target := f.at("f", AMD64, Dialect310)
		spoil(&target)
		if _, err := resolve(&target, "$caller"); !errors.Is(err, ErrNotFetchable) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
