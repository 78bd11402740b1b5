package event

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// elapsedExpr is the time between a function's entry and its return. It is no
// fetch-arg: the two records' times tell it.
const elapsedExpr = "$elapsed"

func (p *Program) bindElapsed(c *Compiled, f *Field) error {
	if c.Return == nil || c.Entry == nil {
		return errors.New("$elapsed is the time until a function returns: write FUNCTION%return")
	}
	kind := Duration
	if f.KindName != "" {
		var err error
		if kind, err = kindNamed(f.KindName, &fetchargs.Type{Kind: fetchargs.Int, Size: 8}, nil); err != nil {
			return err
		}
	}
	if kind.Class != Unsigned || !kind.isNumber() {
		return fmt.Errorf("$elapsed is a number of nanoseconds, and no %s", kind.Name)
	}
	b := &boundField{field: &Field{Name: cmp.Or(f.Name, "elapsed"), Wide: f.Wide}, kind: kind}
	c.elapsed = append(c.elapsed, b)
	return p.column(c, b, 0, Column{Name: b.field.Name, Help: "time in the function, in nanoseconds", Kind: kind, Wide: f.Wide}, f.Hidden)
}
