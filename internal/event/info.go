package event

import (
	"cmp"

	"github.com/skprobe/skprobe/fetchargs"
)

// A FetchInfo is one fetch that a field needs, for people.
type FetchInfo struct {
	Column string // the column that the fetch is for, or the field that needs it
	Hidden bool   // not a column of its own: needed to make others
	Expr   string
	Half   *Half
	Slot   fetchargs.SlotInfo
}

// Fetches describes all fetches of the probe, in the order of its fields. Build
// must have been called.
func (c *Compiled) Fetches() []FetchInfo {
	var all []FetchInfo
	for _, b := range c.fields {
		for i, s := range b.slots {
			if s < 0 {
				continue
			}
			name, shown := b.readName(i)
			all = append(all, FetchInfo{Column: name, Hidden: !shown || b.field.Hidden,
				Expr: substitute(b.kind.Reads[i].Expr, b.field.Expr), Half: b.half, Slot: b.half.Plan.Info(s)})
		}
	}
	return all
}

// readName is the column that a read alone holds, or otherwise the field.
func (b *boundField) readName(read int) (name string, shown bool) {
	own := cmp.Or(b.field.Name, columnName(b.field.Expr))
	if len(b.kind.Parts) == 0 {
		return own, true
	}
	for i := range b.kind.Parts {
		part := &b.kind.Parts[i]
		if part.Expr == b.kind.Reads[read].Expr {
			if name := b.field.pick(part).Name; name != "" {
				return name, true
			}
		}
	}
	return own, false
}
