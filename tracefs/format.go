package tracefs

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Format is the layout of an event's records, as events/GROUP/EVENT/format tells it.
type Format struct {
	Name string
	// ID is the event's number: the first field of each record (common_type), and attr.config of perf_event_open.
	ID uint16
	// Fields are in the file's order: the common_ fields first.
	Fields []Field
	// PrintFmt is the text after "print fmt:", for people; its expressions are the kernel's C.
	PrintFmt string
}

// Field is one field of a record.
type Field struct {
	Name string
	// Type is the C type as the kernel writes it, without name, array length, __data_loc and __rel_loc: "unsigned short",
	// "char", "const struct sock *", and "char[]" becomes "char".
	Type string
	// Offset and Size are in bytes, from the record's start (the start of perf's raw data). The Size of a DataLoc or RelLoc field
	// is 4: that of the word that says where the data is.
	Offset, Size int
	Signed       bool
	// DataLoc says that the field holds a word: the data's offset from the record's start in the low 16 bits, its length in
	// bytes in the high 16. RelLoc is the same with an offset from the end of the word itself (5.16 and later).
	DataLoc, RelLoc bool
	// Array is the number of elements: 0 if the field is no array, -1 if that cannot be told (a data_loc; a type whose size is not known).
	Array int
}

// Field returns the field of this name, or nil.
func (f *Format) Field(name string) *Field {
	for i := range f.Fields {
		if f.Fields[i].Name == name {
			return &f.Fields[i]
		}
	}
	return nil
}

// RecordSize returns the number of bytes of the record's fixed part.
func (f *Format) RecordSize() int {
	size := 0
	for i := range f.Fields {
		size = max(size, f.Fields[i].Offset+f.Fields[i].Size)
	}
	return size
}

// maxFormat is the longest format file that is read, and maxRecord the largest offset and size that are believed: a record
// is at most 64 KiB, because its size is told in 16 bits.
const (
	maxFormat = 1 << 20
	maxRecord = 1 << 16
)

// ParseFormat parses the text of a format file of any kernel from 3.10. It refuses a text without name, ID or fields.
// See f_show in kernel/trace/trace_events.c.
func ParseFormat(r io.Reader) (*Format, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFormat))
	if err != nil {
		return nil, err
	}
	format := &Format{}
	haveID := false
	rest := string(text)
	for n := 1; rest != ""; n++ {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "name":
			format.Name = value
		case "ID":
			id, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return nil, fmt.Errorf("line %d: ID: %w", n, err)
			}
			format.ID, haveID = uint16(id), true
		case "field", "field special":
			field, err := parseField(value)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			format.Fields = append(format.Fields, field)
		case "print fmt":
			format.PrintFmt = strings.TrimSpace(value + "\n" + rest)
			rest = ""
		}
	}
	switch {
	case format.Name == "":
		return nil, errors.New("no name")
	case !haveID:
		return nil, errors.New("no ID")
	case len(format.Fields) == 0:
		return nil, errors.New("no fields")
	}
	return format, nil
}

// parseField parses what follows "field:", for example
//
//	unsigned short common_type;	offset:0;	size:2;	signed:0;
func parseField(s string) (Field, error) {
	declaration, attributes, ok := strings.Cut(s, ";")
	if !ok {
		return Field{}, fmt.Errorf("field without an end: %q", s)
	}
	field, err := parseDeclaration(declaration)
	if err != nil {
		return Field{}, err
	}
	field.Offset, field.Size = -1, -1
	for attribute := range strings.SplitSeq(attributes, ";") {
		key, value, ok := strings.Cut(strings.TrimSpace(attribute), ":")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n > maxRecord {
			return Field{}, fmt.Errorf("field %s: %s: not a sensible number: %q", field.Name, key, value)
		}
		switch key {
		case "offset":
			field.Offset = int(n)
		case "size":
			field.Size = int(n)
		case "signed":
			field.Signed = n != 0
		}
	}
	if field.Offset < 0 || field.Size < 0 {
		return Field{}, fmt.Errorf("field %s: no offset or no size", field.Name)
	}
	if n := scalarSize(field.Type); field.Array < 0 && n > 0 && !field.DataLoc && !field.RelLoc {
		// "u64 win[]" of a kprobe from 6.12, "__u8 saddr[sizeof(struct sockaddr_in6)]" of a tracepoint.
		field.Array = field.Size / n
	}
	return field, nil
}

// scalarSize is the size of an element of an array, or 0 if it is not known.
func scalarSize(kind string) int {
	switch kind {
	case "char", "u8", "s8", "__u8", "__s8", "unsigned char", "uint8_t":
		return 1
	case "u16", "s16", "__u16", "__s16", "__be16", "unsigned short":
		return 2
	case "u32", "s32", "__u32", "__s32", "__be32", "int", "unsigned int":
		return 4
	case "u64", "s64", "__u64", "__s64", "__be64":
		return 8
	}
	return 0
}

// parseDeclaration takes a C declaration apart: "char comm[16]", "__data_loc char[] name", "struct sock * sk".
func parseDeclaration(s string) (Field, error) {
	var field Field
	whole := s
	s = strings.TrimSpace(s)
	if t, ok := strings.CutPrefix(s, "__data_loc "); ok {
		s, field.DataLoc = t, true
	} else if t, ok := strings.CutPrefix(s, "__rel_loc "); ok {
		s, field.RelLoc = t, true
	}
	// The array is behind the name ("char comm[16]") or, with a data_loc, behind the type ("char[] name").
	if i := strings.LastIndexByte(s, ']'); i == len(s)-1 && i >= 0 {
		open := strings.LastIndexByte(s, '[')
		if open < 0 {
			return Field{}, fmt.Errorf("field with a lone bracket: %q", whole)
		}
		field.Array = arrayLength(s[open+1 : i])
		s = strings.TrimSpace(s[:open])
	}
	start := len(s)
	for start > 0 && isNameByte(s[start-1]) {
		start--
	}
	field.Name = s[start:]
	kind := strings.TrimSpace(s[:start])
	if t, ok := strings.CutSuffix(kind, "]"); ok {
		if open := strings.LastIndexByte(t, '['); open >= 0 {
			field.Array = arrayLength(t[open+1:])
			kind = strings.TrimSpace(t[:open])
		}
	}
	field.Type = kind
	if field.Name == "" || field.Type == "" {
		return Field{}, fmt.Errorf("field without type or name: %q", whole)
	}
	return field, nil
}

func arrayLength(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 31)
	if err != nil || n > maxRecord {
		return -1
	}
	return int(n)
}

func isNameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
