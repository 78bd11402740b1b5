package event

import (
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

func TestArrays(t *testing.T) {
	number := func(size int, signed bool) *fetchargs.Type {
		return &fetchargs.Type{Kind: fetchargs.Int, Name: "int", Size: size, Signed: signed}
	}
	pointer := func(t *fetchargs.Type) *fetchargs.Type {
		return fetchargs.PointerTo(func() *fetchargs.Type { return t })
	}
	for _, c := range []struct {
		kind  string
		t     *fetchargs.Type
		bytes string
		size  int
		want  string
	}{
		{"bytes[3]", pointer(number(1, false)), "\x01\xab\x00", 3, "01ab00"},
		{"text[4]", pointer(number(1, false)), "a\\\x1b\n", 4, `a\\\x1b\n`},
		{"uint[2]", pointer(number(2, true)), "\x01\x00\xff\xff", 4, "1,65535"},
		{"int[2]", pointer(number(2, true)), "\x01\x00\xff\xff", 4, "1,-1"},
		{"hex[1]", number(8, false), "\x10\x00\x00\x00\x00\x00\x00\x00", 8, "0x10"},
	} {
		k, err := kindNamed(c.kind, c.t, nil)
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
			continue
		}
		if got := string(k.Append(nil, &Value{Set: true, Text: []byte(c.bytes)})); got != c.want || k.Reads[0].Size != c.size {
			t.Errorf("%s of %q: %q, %d bytes", c.kind, c.bytes, got, k.Reads[0].Size)
		}
	}
	for _, bad := range []string{"bytes[0]", "bytes[", "bytes[x]", "bytes[99999]", "port[2]", "nosuch[2]", "[3]"} {
		if err := CheckKind(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if k, err := kindOf(fetchargs.ArrayOf(number(4, false), 3), nil); err != nil || k.Name != "uint[3]" {
		t.Errorf("%v, %v", k, err)
	}
}

func TestFlags(t *testing.T) {
	enum := func(values ...int64) *fetchargs.Type {
		e := &fetchargs.Type{Kind: fetchargs.Enum, Name: "enum f", Size: 4}
		for i, v := range values {
			e.Values = append(e.Values, fetchargs.Enumerator{Name: string(rune('A' + i)), Value: v})
		}
		return e
	}
	for _, c := range []struct {
		kind string
		t    *fetchargs.Type
		n    uint64
		want string
	}{
		{"flags", enum(1, 2, 4, 3), 5, "A|C"},
		{"flags", enum(1, 2, 4), 0, "0"},
		{"flags", enum(1, 2, 4), 0x30, "48"},
		{"flags", enum(1, 2, 4), 0x32, "B|0x30"},
		{"bits", enum(0, 1, 5), 0x21, "A|C"},
	} {
		k, err := kindNamed(c.kind, c.t, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := string(k.Append(nil, &Value{Set: true, Num: c.n}))
		if got != c.want {
			t.Errorf("%s of %#x: %s, want %s", c.kind, c.n, got, c.want)
		}
		if n, ok := k.Lookup(got); !ok || n != c.n {
			t.Errorf("%s is read as %#x", got, n)
		}
	}
}
