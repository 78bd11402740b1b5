package event

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
)

// bindAll binds fields, in half h or, where it is nil, where they can be had.
func (p *Program) bindAll(c *Compiled, h *Half, fields []Field, k Kernel) error {
	symbol := c.Symbol
	if h != nil {
		symbol = h.Symbol
	}
	for i := range fields {
		f := &fields[i]
		if !p.wants(f) {
			continue
		}
		err := p.bind(c, h, f, k)
		if err == nil {
			continue
		}
		err = &FieldError{symbol, cmp.Or(f.Expr, f.Name), f.lost(""), err}
		switch {
		case !isMissing(err) || p.exact && !f.Optional:
			return err
		case !f.Optional:
			p.Missing = append(p.Missing, err)
		}
	}
	return nil
}

func (p *Program) bind(c *Compiled, half *Half, f *Field, k Kernel) error {
	switch {
	case f.Computed:
		if _, has := c.byName[f.Of]; f.Of != "" && !has {
			return c.noField(f, f.Of)
		}
		b := &boundField{field: f, kind: f.Kind}
		c.computed = append(c.computed, b)
		return p.column(c, b, 0, Column{Name: f.Name, Help: f.Help, Kind: f.Kind, Wide: p.isWide(f.Wide, f.Name)}, false)
	case len(f.Cases) > 0:
		return p.bindCases(c, f)
	case f.Expr == elapsedExpr:
		return p.bindElapsed(c, f)
	}
	var ref fetchargs.Ref
	var err error
	switch {
	case half != nil:
		ref, err = half.resolve(f.Expr)
	case f.AtReturn:
		half, ref, err = c.atReturn(f.Expr)
	default:
		half, ref, err = c.half(f.Expr)
	}
	if err != nil {
		return err
	}
	kind, err := f.kindFor(ref, &k)
	if err != nil {
		return err
	}
	if err := kind.fits(ref); err != nil {
		return err
	}
	b := &boundField{field: f, kind: kind, half: half, in: make([][]byte, len(kind.Reads))}
	for i := range kind.Reads {
		slot, err := b.fetch(&kind.Reads[i], ref)
		if err != nil && !p.exact && isMissing(err) && kind.loses(&kind.Reads[i]) {
			p.Missing = append(p.Missing, &FieldError{c.Symbol, f.Expr, f.lost(kind.Reads[i].Expr), err})
			b.lost = append(b.lost, kind.Reads[i].Expr)
			slot, err = -1, nil
		}
		if err != nil {
			return err
		}
		b.slots = append(b.slots, slot)
	}
	if len(kind.Parts) == 0 {
		if kind.isNumber() { // others are read at the place that the sum is
			b.addend = ref.Addend()
		}
		b.bitOff, b.bitWidth = ref.Bits()
		b.signed = ref.Type.Signed
		if b.bitWidth != 0 {
			b.signed = kind.signed(ref.Type)
		}
	}
	c.fields = append(c.fields, b)
	return p.columns(c, b)
}

// fetch asks for one read of the field's kind.
func (b *boundField) fetch(r *Read, ref fetchargs.Ref) (fetchargs.Slot, error) {
	if r.Expr != "$" {
		var err error
		ref, err = b.half.resolve(substitute(r.Expr, b.field.Expr))
		if err != nil && r.Optional && isMissing(err) {
			return -1, nil
		}
		if err != nil {
			return 0, fmt.Errorf("as a %s: %w", b.kind.Name, err)
		}
	}
	if r.String {
		return b.half.planner.Text(ref, r.User)
	}
	switch {
	case r.Word:
		ref = ref.Address()
	case r.Follow:
		ref = ref.Target()
	}
	if r.User {
		return b.half.planner.ProgramValue(ref, r.Size)
	}
	return b.half.planner.Value(ref, r.Size)
}

// columns gives the values of a field their names.
func (p *Program) columns(c *Compiled, b *boundField) error {
	f := b.field
	if len(b.kind.Parts) == 0 {
		name := cmp.Or(f.Name, columnName(f.Expr))
		return p.column(c, b, 0, Column{Name: name, Help: cmp.Or(f.Help, f.Expr), Kind: b.kind, Wide: p.isWide(f.Wide, name)}, f.Hidden)
	}
	prefix := f.Name
	for i := range b.kind.Parts {
		if name := f.pick(&b.kind.Parts[i]).Name; prefix == "" && c.byName[name].field != nil {
			prefix = columnName(f.Expr) // for all of them, so that they stay together
		}
	}
	for i := range b.kind.Parts {
		part := &b.kind.Parts[i]
		pick := f.pick(part)
		name := pick.Name
		if name == "" || part.OnRequest && !slices.Contains(p.requested, part.Name) || slices.Contains(b.lost, part.Expr) {
			b.out = append(b.out, -1)
			continue
		}
		if prefix != "" {
			name = prefix + "_" + name
		}
		if err := p.column(c, b, i, Column{Name: name, Help: pick.Help, Kind: part.Kind, Wide: part.OnRequest || p.isWide(pick.Wide, name), Packet: b.kind.Snap != nil}, f.Hidden || pick.Hidden); err != nil {
			return err
		}
	}
	return nil
}

// isWide tells whether a wide column is left out of the table: not one that is
// asked for.
func (p *Program) isWide(wide bool, name string) bool {
	return wide && !slices.Contains(p.requested, name)
}

// commonNames are the columns that every event has.
var commonNames = []string{"time", "event", "cpu", "pid", "tid", "comm", "stack", "ustack"}

func (p *Program) column(c *Compiled, b *boundField, part int, col Column, hidden bool) error {
	for _, name := range commonNames {
		if col.Name == name {
			return fmt.Errorf("the column %s is every event's own; give the field a name: NAME=…", name)
		}
	}
	if _, taken := c.byName[col.Name]; taken {
		return fmt.Errorf("two fields are called %s; give one of them a name: NAME=…", col.Name)
	}
	i, err := p.index(col, hidden)
	if err != nil {
		return err
	}
	b.out = append(b.out, i)
	c.byName[col.Name] = target{b, part}
	return nil
}
