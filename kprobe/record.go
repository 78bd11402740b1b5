package kprobe

import (
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/tracefs"
)

// RecordFields are what a static event records by itself, without the fields that all events have, with their C types: those
// of structs and enums as types has them. An enum that it does not have is known by the names of the event's print format.
func RecordFields(format *tracefs.Format, types fetchargs.Types) []fetchargs.RecordField {
	var fields []fetchargs.RecordField
	for i, f := range format.Fields {
		if strings.HasPrefix(f.Name, "common_") {
			continue
		}
		field := fetchargs.RecordField{Name: f.Name, Offset: f.Offset, Text: f.DataLoc, Chars: f.Type == "char *" || f.Type == "const char *",
			Rest: i == len(format.Fields)-1 && f.Array < 0 && f.Size == 0 && !f.DataLoc && !f.RelLoc}
		t := &fetchargs.Type{Kind: fetchargs.Int, Name: f.Type, Size: f.Size, Signed: f.Signed}
		switch {
		case f.DataLoc:
			t = fetchargs.PointerTo(func() *fetchargs.Type { return &fetchargs.Type{Kind: fetchargs.Int, Name: "char", Size: 1} })
		case f.Array > 0:
			t = fetchargs.ArrayOf(&fetchargs.Type{Kind: fetchargs.Int, Name: f.Type, Size: f.Size / f.Array, Signed: f.Signed}, f.Array)
		case strings.HasSuffix(f.Type, "*"):
			t = pointerType(f.Type, types)
		case strings.HasPrefix(f.Type, "enum "):
			t = enumType(format, &f, types)
		case f.Type == "bool":
			t.Kind = fetchargs.Bool
		case f.RelLoc:
			t.Size = 0 // its bytes are elsewhere
		case f.Size == 8 && (f.Type == "int" || f.Type == "unsigned int"):
			t.Size, t.Signed, field.Narrow = 4, f.Type == "int", true // of a system call
			t = namedType(t, format, &f)
		default:
			t = namedType(t, format, &f)
		}
		field.Type = t
		fields = append(fields, field)
	}
	return fields
}

// pointerType is the type that is written "const struct sock *".
func pointerType(name string, types fetchargs.Types) *fetchargs.Type {
	to, _ := strings.CutSuffix(name, "*")
	to = strings.TrimSpace(to)
	for _, word := range []string{"const ", "volatile "} {
		to = strings.TrimPrefix(to, word)
	}
	return fetchargs.PointerTo(func() *fetchargs.Type {
		if types == nil || strings.HasSuffix(to, "*") {
			return nil
		}
		t, err := types.TypeNamed(to)
		if err != nil {
			return nil // to something of which nothing is known
		}
		return t
	})
}

// enumType is the type of a field that is an enum.
func enumType(format *tracefs.Format, f *tracefs.Field, types fetchargs.Types) *fetchargs.Type {
	if types != nil {
		if t, err := types.TypeNamed(f.Type); err == nil && t.Kind == fetchargs.Enum && t.Size == f.Size {
			return t
		}
	}
	t := &fetchargs.Type{Kind: fetchargs.Enum, Name: f.Type, Size: f.Size, Signed: f.Signed}
	for _, s := range format.Symbols(f.Name) {
		t.Values = append(t.Values, fetchargs.Enumerator{Name: s.Name, Value: s.Value})
	}
	return t
}

// namedType makes an enum of a number for which the event's print format has names, of values or of bits.
func namedType(t *fetchargs.Type, format *tracefs.Format, f *tracefs.Field) *fetchargs.Type {
	names, flags := format.Names(f.Name)
	if len(names) == 0 {
		return t
	}
	t.Kind, t.Flags = fetchargs.Enum, flags
	for _, n := range names {
		t.Values = append(t.Values, fetchargs.Enumerator{Name: n.Name, Value: n.Value})
	}
	return t
}
