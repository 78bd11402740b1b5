package ktype

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// maxProfile bounds the size of a profile, in bytes. What all tools touch is
// some hundred kilobytes.
const maxProfile = 16 << 20

// LoadProfile reads what [Profile.WriteTo] wrote. All of it is checked, so the
// types it gives later are whole. The error says where the fault is.
func LoadProfile(r io.Reader) (*Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if len(data) > maxProfile {
		return nil, fmt.Errorf("profile: larger than %d MB", maxProfile>>20)
	}
	var f struct {
		Format string
		Kernel struct {
			Release string
			BuildID string `json:"build_id"`
			Arch    string
		}
		Source    string
		Program   string
		Loaded    string
		Sources   map[string]string
		Modules   map[string]string
		Absent    []string
		Names     map[string]string
		Functions map[string][]string
		Types     map[string]any
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("profile: %w", located(data, err))
	}
	if f.Format != profileFormat {
		return nil, fmt.Errorf("profile: format %q, expected %q (not a profile, or one of another version of skprobe)", f.Format, profileFormat)
	}
	p := newProfile()
	p.Kernel, p.From = Kernel(f.Kernel), f.Source
	p.Program, p.Loaded = f.Program, f.Loaded
	add(p.Sources, f.Sources)
	add(p.Modules, f.Modules)
	for _, a := range f.Absent {
		p.absent[a] = true
	}
	for name, v := range f.Types {
		if name == "" || name == "void" || name == "func" {
			return nil, fmt.Errorf("profile: types: %q cannot be described", name)
		}
		if p.types[name], err = readDef(v, 0); err != nil {
			return nil, fmt.Errorf("profile: types: %s: %w", name, err)
		}
		p.asked[name] = true
	}
	for name, parts := range f.Functions {
		if p.funcs[name], err = readFunc(parts); err != nil {
			return nil, fmt.Errorf("profile: functions: %s: %w", name, err)
		}
	}
	for name, text := range f.Names {
		if p.names[name], err = readRef(text, nil); err != nil {
			return nil, fmt.Errorf("profile: names: %s: %w", name, err)
		}
	}
	return p, p.check()
}

// check builds everything once.
func (p *Profile) check() error {
	for name := range p.types {
		if _, err := p.buildNamed(name); err != nil {
			return fmt.Errorf("profile: types: %s: %w", name, err)
		}
	}
	for name, d := range p.funcs {
		if _, err := p.build(d.result); err != nil {
			return fmt.Errorf("profile: functions: %s: result: %w", name, err)
		}
		for _, m := range d.params {
			if _, err := p.build(m.typ); err != nil {
				return fmt.Errorf("profile: functions: %s: parameter %s: %w", name, m.name, err)
			}
		}
	}
	for name, ref := range p.names {
		if _, err := p.build(ref); err != nil {
			return fmt.Errorf("profile: names: %s: %w", name, err)
		}
	}
	return nil
}

// readDef reads a type: its head, or an array of its head and what is inside.
func readDef(v any, depth int) (*typeDef, error) {
	if depth > maxDepth {
		return nil, errors.New("too deep")
	}
	text, inside, err := readNode(v)
	if err != nil {
		return nil, err
	}
	return readBody(text, inside, depth)
}

// readNode takes "text" or ["text", inside…] apart; inside is nil for the
// first.
func readNode(v any) (text string, inside []any, err error) {
	switch v := v.(type) {
	case string:
		return v, nil, nil
	case []any:
		if len(v) > 0 {
			if s, ok := v[0].(string); ok {
				return s, v[1:len(v):len(v)], nil
			}
		}
	}
	return "", nil, errors.New(`expected "kind size", alone or at the start of an array`)
}

func readBody(head string, inside []any, depth int) (*typeDef, error) {
	words := strings.Fields(head)
	d := &typeDef{}
	if len(words) < 2 || len(words) > 3 {
		return nil, fmt.Errorf("%q: expected a kind and a size, as in \"struct 64\"", head)
	}
	kind, ok := heads[words[0]]
	size, err := strconv.ParseUint(words[1], 10, 31)
	if !ok || err != nil || len(words) == 3 && (words[2] != "signed" || kind != fetchargs.Enum) {
		return nil, fmt.Errorf("%q: expected a kind and a size, as in \"struct 64\"", head)
	}
	d.kind, d.size = kind, int(size)
	d.signed = words[0] == "int" || len(words) == 3
	switch kind {
	case fetchargs.Struct, fetchargs.Union, fetchargs.Enum:
		d.incomplete = inside == nil
	default:
		if inside != nil {
			return nil, fmt.Errorf("%q has nothing inside", head)
		}
	}
	for i, v := range inside {
		if kind == fetchargs.Enum {
			e, err := readEnumerator(v)
			if err != nil {
				return nil, fmt.Errorf("value %d: %w", i+1, err)
			}
			d.values = append(d.values, e)
			continue
		}
		m, err := readMember(v, depth+1)
		if err != nil {
			return nil, fmt.Errorf("member %d: %w", i+1, err)
		}
		d.members = append(d.members, m)
	}
	return d, nil
}

func readEnumerator(v any) (fetchargs.Enumerator, error) {
	s, _ := v.(string)
	name, num, ok := strings.Cut(s, " ")
	value, err := strconv.ParseInt(num, 10, 64)
	if !ok || err != nil || name == "" {
		return fetchargs.Enumerator{}, fmt.Errorf("%v: expected \"NAME value\"", v)
	}
	return fetchargs.Enumerator{Name: name, Value: value}, nil
}

func readMember(v any, depth int) (memberDef, error) {
	if depth > maxDepth {
		return memberDef{}, errors.New("too deep")
	}
	text, inside, err := readNode(v)
	if err != nil {
		return memberDef{}, err
	}
	at, rest, _ := strings.Cut(text, " ")
	name, typ, ok := strings.Cut(rest, " ")
	if !ok || name == "" {
		return memberDef{}, fmt.Errorf("%q: expected \"offset name type\"", text)
	}
	m := memberDef{name: name}
	if name == "-" {
		m.name = ""
	}
	off, bits, isBits := strings.Cut(at, ".")
	if m.off, err = readNumber(off, math.MaxInt32); err == nil && isBits {
		bit, width, _ := strings.Cut(bits, ":")
		if m.bit, err = readNumber(bit, 256); err == nil {
			m.width, err = readNumber(width, 129)
		}
		if err == nil && m.width == 0 {
			err = errors.New("a bit field of 0 bits")
		}
	}
	if err != nil {
		return memberDef{}, fmt.Errorf("%q: %w", text, err)
	}
	if m.typ, err = readRefDepth(typ, inside, depth); err != nil {
		return memberDef{}, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func readNumber(s string, below int) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n >= uint64(below) {
		return 0, fmt.Errorf("%q is not a place in a struct", s)
	}
	return int(n), nil
}

func readRef(text string, inside []any) (typeRef, error) { return readRefDepth(text, inside, 0) }

func readRefDepth(text string, inside []any, depth int) (typeRef, error) {
	end := 0
	for end < len(text) && (text[end] == '*' || text[end] == '[') {
		if text[end] == '[' {
			close := strings.IndexByte(text[end:], ']')
			if close < 0 {
				return typeRef{}, fmt.Errorf("%q: [ without ]", text)
			}
			end += close
		}
		end++
	}
	r := typeRef{prefix: text[:end], name: text[end:]}
	if strings.Count(r.prefix, "*")+strings.Count(r.prefix, "[") > maxDepth {
		return typeRef{}, fmt.Errorf("%q: too many pointers or arrays", text)
	}
	// A type without a name has its size where others have the name.
	if words := strings.Fields(r.name); len(words) > 1 && words[1][0] >= '0' && words[1][0] <= '9' {
		d, err := readBody(r.name, inside, depth)
		if err != nil {
			return typeRef{}, err
		}
		r.name, r.anon = "", d
		return r, nil
	}
	if inside != nil || r.name == "" {
		return typeRef{}, fmt.Errorf("%q: expected a type", text)
	}
	return r, nil
}

func readFunc(parts []string) (funcDef, error) {
	var d funcDef
	var err error
	if len(parts) == 0 {
		return d, errors.New("expected its result and parameters")
	}
	if d.result, err = readRef(parts[0], nil); err != nil {
		return d, fmt.Errorf("result: %w", err)
	}
	for i, s := range parts[1:] {
		name, typ, ok := strings.Cut(s, " ")
		m := memberDef{name: name}
		if name == "-" {
			m.name = ""
		}
		if m.typ, err = readRef(typ, nil); err != nil || !ok {
			return d, fmt.Errorf("parameter %d: %q: expected \"name type\"", i+1, s)
		}
		d.params = append(d.params, m)
	}
	return d, nil
}

// located adds the line to an error of the JSON parser.
func located(data []byte, err error) error {
	var off int64
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		off = e.Offset
	} else if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		off = e.Offset
	}
	line := 1 + bytes.Count(data[:min(max(off, 0), int64(len(data)))], []byte("\n"))
	return fmt.Errorf("line %d: %w", line, err)
}
