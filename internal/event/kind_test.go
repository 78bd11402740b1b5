package event

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/packet"
)

// write shows what a kind makes of the bytes of its reads.
func write(k *Kind, in ...[]byte) string {
	values := make([]Value, max(1, len(k.Parts)))
	var out []*Value
	for i := range values {
		out = append(out, &values[i])
	}
	k.Decode.decode(in, out)
	var all []string
	for i, v := range values {
		kind := k
		if len(k.Parts) > 0 {
			kind = k.Parts[i].Kind
		}
		s := "-"
		switch {
		case !v.Set:
		case kind.Append != nil:
			s = string(kind.Append(nil, &v))
		case kind.Class == Text:
			s = string(v.Text)
		case kind.Class == Address:
			s = v.Addr.String()
		case kind.Class == Signed:
			s = fmt.Sprint(int64(v.Num))
		default:
			s = fmt.Sprint(v.Num)
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func le(size int, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, n)[:size]
}

func TestKinds(t *testing.T) {
	enum, err := enumKind(&fetchargs.Type{Kind: fetchargs.Enum, Name: "enum e", Size: 4, Signed: true,
		Values: []fetchargs.Enumerator{{Name: "BAD", Value: -1}, {Name: "GOOD", Value: 2}, {Name: "ALSO_GOOD", Value: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	sym := symbolKind(func(dst []byte, addr uint64) []byte { return fmt.Appendf(dst, "f+%d", addr&15) })
	const minus1 = ^uint64(0)
	for _, c := range []struct {
		kind *Kind
		in   []byte
		want string
	}{
		{Uint, le(1, 255), "255"}, {Uint, le(8, minus1), "18446744073709551615"}, {Uint, le(3, 0x030201), "197121"},
		{Int, le(1, 255), "-1"}, {Int, le(2, 0x8000), "-32768"}, {Int, le(4, minus1), "-1"}, {Int, le(8, minus1), "-1"}, {Int, le(4, 7), "7"},
		{Size, le(8, 1500), "1500"}, {Hex, le(4, 0xbeef), "0xbeef"}, {BoolKind, le(1, 8), "1"}, {BoolKind, le(1, 0), "0"},
		{Pointer, le(8, 0xffff888000000000), "0xffff888000000000"}, {Pointer, le(8, 0), "0x0"},
		{Errno, le(4, ^uint64(110)), "-ECONNREFUSED"}, {Errno, le(8, ^uint64(511)), "-ERESTARTSYS"}, {Errno, le(4, 12), "12"}, {Errno, le(4, ^uint64(40)), "-41"},
		{Errno, le(4, 0), "0"}, {Errno, le(8, 1<<63), "-9223372036854775808"},
		{Duration, le(8, 1500000), "1.5ms"}, {Duration, le(8, 0), "0s"},
		{Port, []byte{0, 53}, "53"}, {Uint16, le(2, 53), "53"},
		{EtherType, []byte{8, 0}, "0x0800"}, {EtherType, []byte{0x86, 0xdd}, "0x86dd"},
		{IPv4, []byte{192, 0, 2, 1}, "192.0.2.1"},
		{IPv6, []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), "2001:db8::1"},
		{IPv6, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"), "192.0.2.1"},
		{MAC, []byte{0, 0, 0x5e, 0, 0x53, 0xff}, "00:00:5e:00:53:ff"},
		{Char, []byte("eth0\x00xx"), "eth0"}, {Char, []byte("full"), "full"}, {Char, []byte("\x00"), ""},
		{String, []byte("lo"), "lo"}, {String, []byte{}, ""}, {Bytes, []byte{0, 0xab}, "00ab"},
		{Family, le(2, 2), "inet"}, {Family, le(2, 10), "inet6"}, {Family, le(2, 1), "unix"}, {Family, le(2, 38), "38"},
		{State, le(1, 1), "ESTABLISHED"}, {State, le(1, 10), "LISTEN"}, {State, le(1, 13), "BOUND_INACTIVE"}, {State, le(1, 0), "0"}, {State, le(1, 14), "14"},
		{enum, le(4, minus1), "BAD"}, {enum, le(4, 2), "GOOD"}, {enum, le(4, ^uint64(4)), "-5"},
		{sym, le(8, 0xffffffff81000003), "f+3"}, {symbolKind(nil), le(8, 16), "0x10"},
	} {
		if got := write(c.kind, c.in); got != c.want {
			t.Errorf("%s of %x = %q, want %q", c.kind.Name, c.in, got, c.want)
		}
	}
}

// What a kind writes, its Lookup reads.
func TestLookup(t *testing.T) {
	gaps := Named("gaps", "numbers with and without a name", 3, "three", "", "five")
	for _, k := range []*Kind{Family, State, EtherType, Pointer, gaps} {
		for n := range uint64(300) {
			text := string(k.Append(nil, &Value{Set: true, Num: n}))
			if got, ok := k.Lookup(text); !ok || got != n {
				t.Errorf("%s %q = %d %t, want %d", k.Name, text, got, ok, n)
			}
		}
		for _, name := range k.Names {
			if _, ok := k.Lookup(name); !ok {
				t.Errorf("%s does not know its own %s", k.Name, name)
			}
		}
		if _, ok := k.Lookup("nonsense"); ok {
			t.Errorf("%s knows nonsense", k.Name)
		}
	}
}

func TestNormalize(t *testing.T) {
	kinds := map[string]*Kind{"mac": MAC}
	for _, p := range Packet().Parts {
		kinds[p.Name] = p.Kind
	}
	for _, c := range []struct{ kind, text, want string }{
		{"mac", "00:00:5E:00:53:Ff", "00:00:5e:00:53:ff"}, {"smac", "00-00-5E-00-53-FF", "00:00:5e:00:53:ff"},
		{"mac", "00:00:5e:00:53", ""}, {"mac", "00:00:5e:00:53:fg", ""}, {"mac", "0:0:5e:0:53:ff:1:2", ""}, {"mac", "", ""},
		{"proto", "TCP", "tcp"}, {"proto", "17", "udp"}, {"proto", "200", "200"}, {"proto", "256", ""}, {"proto", "tpc", ""},
		{"ar_op", "Request", "request"}, {"ar_op", "1", "request"}, {"ar_op", "ask", ""},
	} {
		got, ok := kinds[c.kind].Normalize(c.text)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s %q = %q %t, want %q", c.kind, c.text, got, ok, c.want)
		}
	}
}

func TestSockDecode(t *testing.T) {
	v6 := []byte("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
	mapped := []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01")
	reads := func(family uint64, more ...[]byte) [][]byte {
		return append([][]byte{le(2, family), {1}, le(2, 4242), {0, 53}, {127, 0, 0, 1}, {10, 0, 0, 5}}, more...)
	}
	for _, c := range []struct {
		kind *Kind
		in   [][]byte
		want string
	}{
		{Sock4, reads(2), "inet 127.0.0.1 4242 10.0.0.5 53 ESTABLISHED"},
		{Sock, reads(2, v6, v6), "inet 127.0.0.1 4242 10.0.0.5 53 ESTABLISHED"},
		{Sock, reads(10, v6, mapped), "inet6 2001:db8::1 4242 192.0.2.1 53 ESTABLISHED"},
		{Sock, reads(10, nil, nil), "inet6 - 4242 - 53 ESTABLISHED"}, // no CONFIG_IPV6
		{Sock4, reads(10), "inet6 - 4242 - 53 ESTABLISHED"},
		{Sock, reads(1, v6, v6), "unix - - - - -"},
		{Sock, reads(16, v6, v6), "netlink - - - - -"},
		{Sock, make([][]byte, 8), "- - - - - -"},
	} {
		if got := write(c.kind, c.in...); got != c.want {
			t.Errorf("%s of %x = %s, want %s", c.kind.Name, c.in, got, c.want)
		}
	}
	in4 := []byte("\x02\x00\x00\x35\x0a\x00\x00\x05")
	in6 := append([]byte("\x0a\x00\x14\xe9\x00\x00\x00\x00"), mapped...)
	for _, c := range []struct {
		in   []byte
		want string
	}{
		{in4, "inet 10.0.0.5 53"}, {append(in4, make([]byte, 16)...), "inet 10.0.0.5 53"}, {in6, "inet6 192.0.2.1 5353"},
		{in6[:8], "inet6 - -"}, {append(make([]byte, 2), in4[2:]...), "0 10.0.0.5 53"}, {make([]byte, 24), "0 - -"},
		{[]byte("\x01\x00/run/sock\x00..............."), "unix - -"}, {in4[:7], "- - -"}, {nil, "- - -"},
	} {
		if got := write(Sockaddr, c.in); got != c.want {
			t.Errorf("sockaddr %x = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestHeaderOffset(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want uint32
	}{{le(2, 78), 78}, {le(2, 0xffff), packet.NotSet}, {le(4, 78), 78}, {le(4, 0xffff), 0xffff}, {le(4, 0xffffffff), packet.NotSet}, {nil, packet.NotSet}} {
		if got := headerOffset(c.b); got != c.want {
			t.Errorf("%x = %d, want %d", c.b, got, c.want)
		}
	}
}

func TestKindNames(t *testing.T) {
	for _, k := range Kinds() {
		if k.Name == "" || k.Help == "" {
			t.Errorf("a kind without name or help: %+v", k)
		}
		if err := CheckKind(k.Name); err != nil {
			t.Error(err)
		}
	}
	for n, name := range errnoNames {
		if n <= 0 || !strings.HasPrefix(name, "E") {
			t.Errorf("errno %d is %s", n, name)
		}
	}
}
