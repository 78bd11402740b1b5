package event

import "net/netip"

// An Op is a comparison.
type Op uint8

// The comparisons that a kernel event filter knows.
const (
	Eq Op = iota + 1
	Ne
	Lt
	Le
	Gt
	Ge
)

func (op Op) String() string {
	return [...]string{"", "==", "!=", "<", "<=", ">", ">="}[op]
}

// An Operand is the constant side of a comparison. The class of the field says
// which of these it is.
type Operand struct {
	Prefix netip.Prefix // Address: a network, or an address with all its bits
	Text   string       // Text
	Num    int64        // Unsigned, Signed; Bool: 0 and 1
}

// A Comparer turns one comparison of a field with a constant into the text of
// a kernel event filter. ok tells whether the kernel can do it at all; exact,
// whether the text is true for just the events for which the comparison is
// true. Where it is not exact it is true for more events, never for fewer, so
// user space must look again.
//
// A field that is absent compares as false with every operator; the text says
// so too.
type Comparer interface {
	Compare(field string, op Op, operand Operand) (text string, exact, ok bool)
}
