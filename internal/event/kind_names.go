package event

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Symbolizer writes a kernel address as symbol+offset.
type Symbolizer func(dst []byte, addr uint64) []byte

// kindMakers are the kinds that can be written after a colon. Those that carry
// buffers, or depend on the kernel, are made anew for each field.
var kindMakers = []struct {
	kind *Kind // for its name and help
	make func(t *fetchargs.Type, k *Kernel) (*Kind, error)
}{
	{Uint, nil}, {Int, nil}, {Hex, nil}, {BoolKind, nil}, {Size, nil}, {Pointer, nil},
	{Char, nil}, {String, nil}, {UString, nil}, {Escaped, nil}, {Bytes, nil},
	{IPv4, nil}, {IPv6, nil}, {Port, nil}, {MAC, nil}, {EtherType, nil},
	{Errno, nil}, {Duration, nil}, {Family, nil}, {State, nil},
	{Sock, nil}, {Sock4, nil}, {Sockaddr, nil}, {Sockaddr4, nil},
	{Packet(), func(*fetchargs.Type, *Kernel) (*Kind, error) { return Packet(), nil }},
	{&Kind{Name: "symbol", Help: "kernel address as symbol+offset"}, func(_ *fetchargs.Type, k *Kernel) (*Kind, error) { return symbolKind(k.Symbol), nil }},
	{&Kind{Name: "dropreason", Help: "why a packet was dropped, by the kernel's name for it"}, dropReasonKind},
	{Device, nil},
	{&Kind{Name: "enum", Help: "name of an enum's value"}, func(t *fetchargs.Type, _ *Kernel) (*Kind, error) { return enumKind(t) }},
	{&Kind{Name: "flags", Help: "names of the bits that are set, which an enum has as masks"}, func(t *fetchargs.Type, _ *Kernel) (*Kind, error) { return flagsKind(t) }},
	{&Kind{Name: "bits", Help: "the same for an enum that has the numbers of bits"}, func(t *fetchargs.Type, _ *Kernel) (*Kind, error) { return bitsKind(t) }},
}

// Kinds returns the kinds that can be named, with their help, in order of
// their use.
func Kinds() []*Kind {
	var all []*Kind
	for _, m := range kindMakers {
		all = append(all, m.kind)
	}
	return all
}

// declared is the kind of this name, as far as it does not depend on the kernel;
// nil for none.
func declared(name string) *Kind {
	for _, m := range kindMakers {
		if m.kind.Name == name {
			return m.kind
		}
	}
	return nil
}

// A KindError is a kind that does not exist.
type KindError struct {
	Name  string
	Known []string
}

func (e *KindError) Error() string {
	return fmt.Sprintf("unknown kind %q; kinds are %s", e.Name, strings.Join(e.Known, ", "))
}

// CheckKind reports whether there is a kind of this name, as a [*KindError].
func CheckKind(name string) error {
	name, n, err := splitCount(name)
	if err != nil {
		return err
	}
	if n > 0 {
		_, err := arrayKind(name, 1, &fetchargs.Type{})
		return err
	}
	var known []string
	for _, m := range kindMakers {
		if m.kind.Name == name {
			return nil
		}
		known = append(known, m.kind.Name)
	}
	return &KindError{name, known}
}

// kindNamed returns a kind for a field whose expression has the type t.
func kindNamed(name string, t *fetchargs.Type, k *Kernel) (*Kind, error) {
	if name, n, err := splitCount(name); err != nil || n > 0 {
		if err != nil {
			return nil, err
		}
		return arrayKind(name, n, t)
	}
	for _, m := range kindMakers {
		switch {
		case m.kind.Name != name:
		case m.make != nil:
			return m.make(t, k)
		default:
			return m.kind, nil
		}
	}
	return nil, CheckKind(name)
}

// kindOf is the kind of a field that names none, by its C type.
func kindOf(t *fetchargs.Type, sym Symbolizer) (*Kind, error) {
	switch t.Kind {
	case fetchargs.Bool:
		return BoolKind, nil
	case fetchargs.Enum:
		if t.Flags {
			return flagsKind(t)
		}
		return enumKind(t)
	case fetchargs.Int:
		if t.Signed {
			return Int, nil
		}
		return Uint, nil
	case fetchargs.Array:
		if k := kindOfArray(t); k != nil {
			return k, nil
		}
	case fetchargs.Pointer:
		switch e := t.Elem(); {
		case e.Kind == fetchargs.Int && e.Name == "char":
			return String, nil
		case e.Kind == fetchargs.Func:
			return symbolKind(sym), nil
		}
		return Pointer, nil
	case fetchargs.Struct:
		switch {
		case t.Name == "struct in6_addr":
			return IPv6, nil
		case t.Name == "struct in_addr":
			return IPv4, nil
		case t.Size > 0 && t.Size <= 8:
			return Hex, nil // atomic_t, kuid_t and their like
		}
	}
	return nil, fmt.Errorf("%s has no kind of its own; add one, for example :bytes, or name a member", t)
}

// enumKind shows the names of t's values; a value without one is a number.
func enumKind(t *fetchargs.Type) (*Kind, error) {
	if t.Kind != fetchargs.Enum {
		return nil, fmt.Errorf("%s is no enum", t)
	}
	var all []string
	names := make(map[uint64]string, len(t.Values))
	values := make(map[string]uint64, len(t.Values))
	width := 0
	for _, e := range t.Values {
		if _, ok := names[uint64(e.Value)]; !ok {
			names[uint64(e.Value)] = e.Name
		}
		values[e.Name] = uint64(e.Value)
		all = append(all, e.Name)
		width = max(width, len(e.Name))
	}
	decode := decodeUnsigned
	if t.Signed {
		decode = decodeSigned
	}
	return &Kind{Name: "enum", of: enumID(t), Class: Text, Width: min(width, 24), Reads: value1, Decode: decode, Compare: CompareNumber,
		Append: func(dst []byte, v *Value) []byte {
			if name, ok := names[v.Num]; ok {
				return append(dst, name...)
			}
			if t.Signed {
				return appendSigned(dst, v)
			}
			return appendUnsigned(dst, v)
		},
		Lookup: func(s string) (uint64, bool) {
			if n, ok := values[s]; ok {
				return n, true
			}
			if t.Signed {
				n, err := strconv.ParseInt(s, 0, 64)
				return uint64(n), err == nil
			}
			return lookupUnsigned(s)
		},
		Names: all,
	}, nil
}

// enumID tells apart enums that have other names, or the same for other values.
func enumID(t *fetchargs.Type) string {
	var b strings.Builder
	for _, e := range t.Values {
		fmt.Fprintf(&b, "%s=%d,", e.Name, e.Value)
	}
	return b.String()
}

// symbolKind shows a kernel address as symbol+offset.
func symbolKind(sym Symbolizer) *Kind {
	return &Kind{Name: "symbol", Class: Text, Width: 28, Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber,
		Append: func(dst []byte, v *Value) []byte {
			if sym == nil {
				return appendHex(dst, v)
			}
			return sym(dst, v.Num)
		}}
}
