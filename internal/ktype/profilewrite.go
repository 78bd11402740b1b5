package ktype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// profileFormat is the first line of a profile; its number changes when an
// older program would read a newer file wrongly.
const profileFormat = "skprobe layout 1"

// WriteTo writes the profile as JSON that a person can read and compare: one
// member per line, sorted by the names of types.
//
// A member is "offset name type", a bit field "offset.bit:width name type";
// "-" stands for no name. Types are read from left to right: "*struct sock",
// "[16]char". A type that has no name of its own follows in place, as an array
// that starts with its kind and size in bytes. "struct 64" without an array
// is one whose members were not recorded.
func (p *Profile) WriteTo(w io.Writer) (int64, error) {
	b := &profileWriter{}
	b.line(0, `{`)
	b.line(1, `"format": `+quote(profileFormat)+`,`)
	b.line(1, fmt.Sprintf(`"kernel": {"release": %s, "build_id": %s, "arch": %s},`,
		quote(p.Kernel.Release), quote(p.Kernel.BuildID), quote(p.Kernel.Arch)))
	b.line(1, `"source": `+quote(p.From)+`,`)
	if p.Program != "" || p.Loaded != "" {
		b.line(1, fmt.Sprintf(`"program": %s, "loaded": %s,`, quote(p.Program), quote(p.Loaded)))
	}
	b.strings("sources", p.Sources)
	b.strings("modules", p.Modules)
	if len(p.absent) > 0 {
		b.list(1, `"absent": `, slices.Sorted(maps.Keys(p.absent)))
		b.buf.WriteString(",\n")
	}
	if len(p.names) > 0 {
		names := map[string]string{}
		for n, ref := range p.names {
			names[n] = ref.text()
		}
		b.strings("names", names)
	}
	b.object("functions", slices.Sorted(maps.Keys(p.funcs)), func(name string) {
		d := p.funcs[name]
		parts := []string{d.result.text()}
		for _, m := range d.params {
			parts = append(parts, dash(m.name)+" "+m.typ.text())
		}
		b.list(0, "", parts)
	})
	b.buf.WriteString(",\n")
	b.object("types", slices.Sorted(maps.Keys(p.types)), func(name string) {
		b.def(2, p.types[name].head(), p.types[name])
	})
	b.buf.WriteString("\n}\n")
	return b.buf.WriteTo(w)
}

type profileWriter struct{ buf bytes.Buffer }

func (b *profileWriter) line(depth int, s string) {
	b.indent(depth)
	b.buf.WriteString(s)
	b.buf.WriteByte('\n')
}

func (b *profileWriter) indent(depth int) { b.buf.WriteString(strings.Repeat(" ", depth)) }

func (b *profileWriter) list(depth int, head string, parts []string) {
	b.indent(depth)
	b.buf.WriteString(head)
	b.buf.WriteByte('[')
	for i, s := range parts {
		if i > 0 {
			b.buf.WriteString(", ")
		}
		b.buf.WriteString(quote(s))
	}
	b.buf.WriteByte(']')
}

func (b *profileWriter) strings(key string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	b.object(key, slices.Sorted(maps.Keys(m)), func(name string) { b.buf.WriteString(quote(m[name])) })
	b.buf.WriteString(",\n")
}

func (b *profileWriter) object(key string, names []string, value func(string)) {
	b.indent(1)
	b.buf.WriteString(quote(key) + ": {")
	for i, n := range names {
		if i > 0 {
			b.buf.WriteByte(',')
		}
		b.buf.WriteByte('\n')
		b.indent(2)
		b.buf.WriteString(quote(n) + ": ")
		value(n)
	}
	b.buf.WriteString("}")
}

// def writes a type with the text at its head, and its inside when known.
func (b *profileWriter) def(depth int, head string, d *typeDef) {
	if d == nil || !d.hasInside() {
		b.buf.WriteString(quote(head))
		return
	}
	b.buf.WriteString("[" + quote(head))
	for _, m := range d.members {
		b.buf.WriteString(",\n")
		b.indent(depth + 1)
		text := fmt.Sprintf("%d %s %s", m.off, dash(m.name), m.typ.text())
		if m.width != 0 {
			text = fmt.Sprintf("%d.%d:%d %s %s", m.off, m.bit, m.width, dash(m.name), m.typ.text())
		}
		b.def(depth+1, text, m.typ.anon)
	}
	for _, v := range d.values {
		b.buf.WriteString(",\n")
		b.indent(depth + 1)
		b.buf.WriteString(quote(fmt.Sprintf("%s %d", v.Name, v.Value)))
	}
	b.buf.WriteString("]")
}

// hasInside tells whether more than the head is known of a type.
func (d *typeDef) hasInside() bool {
	switch d.kind {
	case fetchargs.Struct, fetchargs.Union, fetchargs.Enum:
		return !d.incomplete
	}
	return false
}

// heads are the words for kinds in a profile; int is a signed one.
var heads = map[string]fetchargs.TypeKind{
	"struct": fetchargs.Struct, "union": fetchargs.Union, "enum": fetchargs.Enum,
	"bool": fetchargs.Bool, "float": fetchargs.Float, "int": fetchargs.Int, "uint": fetchargs.Int,
}

func (d *typeDef) head() string {
	word := "int"
	for w, k := range heads {
		if k == d.kind && k != fetchargs.Int {
			word = w
		}
	}
	switch {
	case d.kind == fetchargs.Int && !d.signed:
		word = "uint"
	case d.kind == fetchargs.Enum && d.signed:
		return fmt.Sprintf("enum %d signed", d.size)
	}
	return fmt.Sprintf("%s %d", word, d.size)
}

func (r typeRef) text() string {
	if r.anon != nil {
		return r.prefix + r.anon.head()
	}
	return r.prefix + r.name
}

func dash(name string) string {
	if name == "" {
		return "-"
	}
	return name
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return string(b)
}
