package event

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

var _ Comparer = (*Compiled)(nil)

// Compare implements [Comparer] for the half that begins the event. It asks
// for arguments of their own for what the kernel has to compare, so it must be
// called before Build.
func (c *Compiled) Compare(field string, op Op, operand Operand) (text string, exact, ok bool) {
	switch field {
	case "comm":
		if c.Softirq || !c.dialect.CommFilter || operand.Text == "" || op > Ne || strings.ContainsAny(operand.Text, "\"\\*?\n") {
			return "", false, false
		}
		return fmt.Sprintf("comm %s %q", op, operand.Text), true, true
	case "cpu":
		if !c.dialect.CommFilter || operand.Text != "" || operand.Num < 0 {
			return "", false, false
		}
		return fmt.Sprintf("cpu %s %d", op, operand.Num), true, true
	}
	to, known := c.byName[field]
	if !known {
		return "", false, false
	}
	if to.field.cases != nil {
		return c.compareCases(to.field, op, operand)
	}
	if to.field.half != c.first() {
		return "", false, false
	}
	return c.compareValue(field, to, op, operand)
}

// expr is where the value of a target lies alone, with the condition for that.
func (t target) expr() (string, *When) {
	f := t.field
	if f.cases != nil || f.field.Expr == "" {
		return "", nil
	}
	if len(f.kind.Parts) == 0 {
		return f.field.Expr, nil
	}
	part := f.kind.Parts[t.part]
	if part.Expr == "" {
		return "", nil
	}
	when := part.When
	if when != nil {
		when = &When{substitute(when.Expr, f.field.Expr), when.Value}
	}
	return substitute(part.Expr, f.field.Expr), when
}

func (c *Compiled) compareValue(field string, to target, op Op, operand Operand) (text string, exact, ok bool) {
	kind := to.kind()
	if operand.Text != "" {
		if kind.Lookup == nil || op > Ne {
			return "", false, false
		}
		n, known := kind.Lookup(operand.Text)
		if !known {
			return "", false, false
		}
		operand = Operand{Num: int64(n)}
	} else if kind.Lookup != nil && kind.Class == Text {
		return "", false, false // names are not ordered
	}
	expr, when := to.expr()
	if expr == "" || to.field.addend != 0 {
		return "", false, false
	}
	if when != nil && c.assured[when.Expr] == when.Value {
		when = nil
	}
	if kind.Compare == CompareIPv4 && !operand.Prefix.Addr().Is4() {
		// Only an IPv6 socket can have such an address.
		if when == nil || op != Eq {
			return "", false, false
		}
		text, ok = c.number(field+"_is", when.Expr, Ne, when.Value)
		return text, false, ok
	}
	ref, err := c.first().resolve(expr)
	if err != nil {
		return "", false, false
	}
	text, exact, ok = c.compareRef(field, kind, ref, op, operand)
	if !ok || when == nil {
		return text, exact, ok
	}
	is, ok1 := c.number(field+"_is", when.Expr, Eq, when.Value)
	not, ok2 := c.number(field+"_is", when.Expr, Ne, when.Value)
	return fmt.Sprintf("((%s && %s) || %s)", is, text, not), false, ok1 && ok2
}

// number compares the number at expr.
func (c *Compiled) number(name, expr string, op Op, n int64) (string, bool) {
	ref, err := c.first().resolve(expr)
	if err != nil {
		return "", false
	}
	text, _, ok := c.compareRef(name, Uint, ref, op, Operand{Num: n})
	return text, ok
}

func (c *Compiled) compareRef(name string, kind *Kind, ref fetchargs.Ref, op Op, operand Operand) (text string, exact, ok bool) {
	// A fault leaves what the last event had, which may pass: user space
	// must look again where a pointer in memory was followed.
	exact = ref.Follows() == 0
	size, num := 0, operand.Num
	switch kind.Compare {
	case CompareNumber:
		if operand.Prefix.IsValid() || ref.Type.Kind == fetchargs.Pointer && !ref.InMemory() && ref.Addend() != 0 {
			return "", false, false
		}
		size = ref.Size()
		_, bits := ref.Bits()
		if bits == 0 {
			bits = size * 8
		}
		if !fits(num, bits, ref.Type.Signed) {
			return "", false, false
		}
	case CompareBE16:
		if op > Ne || num < 0 || num > 0xffff {
			return "", false, false
		}
		size, num = 2, num&0xff<<8|num>>8
	case CompareIPv4:
		size, num, exact = prefixBytes(operand.Prefix, exact)
		if size == 0 || op > Ne || op == Ne && (!exact || size < 4) {
			return "", false, false
		}
	default:
		return "", false, false
	}
	if kind.Compare != CompareNumber {
		ref = ref.Target()
	}
	arg, err := c.first().planner.Scalar(name, ref, size)
	if err != nil {
		return "", false, false
	}
	return arg + " " + op.String() + " " + strconv.FormatInt(num, 10), exact, true
}

// fits reports whether n is in the range of an integer of so many bits: the
// kernel would cut it.
func fits(n int64, bits int, signed bool) bool {
	if bits >= 64 {
		return signed || n >= 0
	}
	if signed {
		return n >= -1<<(bits-1) && n < 1<<(bits-1)
	}
	return n >= 0 && n < 1<<bits
}

// prefixBytes returns how many leading bytes of an IPv4 address a kernel filter
// can compare with a prefix, as the number that they are in little-endian.
func prefixBytes(p netip.Prefix, exact bool) (size int, num int64, _ bool) {
	if !p.IsValid() || !p.Addr().Is4() {
		return 0, 0, false
	}
	a := p.Masked().Addr().As4()
	switch bits := p.Bits(); {
	case bits == 32:
		return 4, int64(binary.LittleEndian.Uint32(a[:])), exact
	case bits >= 16:
		return 2, int64(binary.LittleEndian.Uint16(a[:])), exact && bits == 16
	case bits >= 8:
		return 1, int64(a[0]), exact && bits == 8
	}
	return 0, 0, false
}

// compareCases compares a value that is made from others: for each case, that
// it is the one, and the comparison of what it takes.
func (c *Compiled) compareCases(f *boundField, op Op, operand Operand) (text string, exact, ok bool) {
	var alternatives, before []string
	exact = true
	for _, k := range f.field.Cases {
		is, not, ok := c.conditions(k.If)
		if !ok {
			return "", false, false
		}
		terms := append(slices.Clone(before), is...)
		switch {
		case k.Text != "":
			if operand.Text == "" || op > Ne {
				return "", false, false
			}
			if (k.Text == operand.Text) == (op == Eq) {
				alternatives = append(alternatives, strings.Join(terms, " && "))
			}
		default:
			text, ex, ok := c.Compare(k.From, op, operand)
			if ok {
				terms = append(terms, text)
			}
			exact = exact && ok && ex
			alternatives = append(alternatives, strings.Join(terms, " && "))
		}
		before = append(before, not)
	}
	if len(alternatives) == 0 || slices.Contains(alternatives, "") {
		return "", false, false
	}
	return "((" + strings.Join(alternatives, ") || (") + "))", exact, true
}

// conditions writes conditions for the kernel, each by itself, and the opposite
// of all together.
func (c *Compiled) conditions(conds []Cond) (is []string, not string, ok bool) {
	var opposite []string
	for _, cond := range conds {
		to, known := c.byName[cond.Field]
		if !known {
			return nil, "", false
		}
		op := [...]Op{Equals: Eq, NotEquals: Ne, AtLeast: Ge}[cond.Op]
		inverse := [...]Op{Equals: Ne, NotEquals: Eq, AtLeast: Lt}[cond.Op]
		expr, when := to.expr()
		if expr == "" || when != nil || to.field.half != c.first() {
			return nil, "", false
		}
		yes, ok1 := c.number(cond.Field, expr, op, cond.Num)
		no, ok2 := c.number(cond.Field, expr, inverse, cond.Num)
		if !ok1 || !ok2 {
			return nil, "", false
		}
		is, opposite = append(is, yes), append(opposite, no)
	}
	not = strings.Join(opposite, " || ")
	if len(opposite) > 1 {
		not = "(" + not + ")"
	}
	return is, not, true
}
