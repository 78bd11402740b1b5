package event

import "fmt"

// A place inside of a function can be hit any number of times in one call, or not
// at all. What the function was called with, where nothing has it any more at the
// place, is carried to each hit: from the entry of the innermost call of the
// thread, until that returns.

// carry keeps what the function was called with, and loads it for a hit inside of
// it. It reports whether there is an event: one of a call that began before
// tracing did is one too, in which the fields of the entry are absent.
func (c *Compiled) carry(h *Half, tid uint32, record []byte, time uint64) (bool, error) {
	switch h {
	case c.Called:
		c.pairs.enter(tid, -1, time, record)
		return false, nil
	case c.Left:
		if c.pairs.innermost(tid) != nil {
			c.pairs.leave(tid, -1)
		}
		return false, nil
	}
	entry := c.pairs.innermost(tid)
	if entry == nil {
		c.pairs.orphans++
	}
	if err := c.load(c.Called, entry); err != nil {
		return false, fmt.Errorf("%s: %w", c.Symbol, err)
	}
	return true, nil
}

// innermost returns the record of how tid entered last what it has not left, nil
// where there is none.
func (p *pairs) innermost(tid uint32) []byte {
	if stack := p.byThread[tid]; len(stack) > 0 {
		return stack[len(stack)-1].entry
	}
	return nil
}

// FromEntry lists the fields of a place inside of a function that are read where
// the function is entered, as they are written; nil where there is none.
func (c *Compiled) FromEntry() (exprs []string) {
	for _, f := range c.fields {
		if c.Called != nil && f.half == c.Called {
			exprs = append(exprs, f.field.Expr)
		}
	}
	return exprs
}
