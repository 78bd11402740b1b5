package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
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
	if c.keys != nil && !slices.Contains(c.keys, field) {
		return "", false, false
	}
	return c.compare(field, op, operand)
}

// compare does it for any field.
func (c *Compiled) compare(field string, op Op, operand Operand) (text string, exact, ok bool) {
	switch field {
	case "comm":
		// In an interrupt the kernel compares the name of a bystander, and the
		// event has none: it is only sure of what does not have that name.
		if c.Softirq || !c.dialect.CommFilter || operand.Text == "" || op != Eq || strings.ContainsFunc(operand.Text, notInFilter) {
			return "", false, false
		}
		return fmt.Sprintf("comm %s \"%s\"", op, operand.Text), false, true
	case "cpu":
		if !c.dialect.CommFilter || operand.Num < 0 || operand.Num > math.MaxInt32 {
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

// notInFilter tells the characters that a text in a kernel filter cannot have,
// or that would mean something else there.
func notInFilter(r rune) bool {
	return r < ' ' || r > '~' || strings.ContainsRune("\"\\*?", r)
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
	switch kind.Class {
	case Text:
		if kind.Lookup == nil || op > Ne {
			return "", false, false // names are not ordered
		}
		n, known := kind.Lookup(operand.Text)
		if !known {
			return "", false, false
		}
		operand = Operand{Num: int64(n)}
	case Address:
		if !operand.Prefix.IsValid() {
			return "", false, false
		}
	}
	expr, when := to.expr()
	if expr == "" || to.field.addend != 0 {
		return "", false, false
	}
	if when != nil && c.isAssured(when) {
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
	constant, size, signed := "", 0, false
	whole := true // the kernel compares all that the constant has
	switch kind.Compare {
	case CompareNumber:
		size, signed = ref.Size(), kind.signed(ref.Type)
		if constant, ok = numberFor(kind, ref, op, operand.Num, signed); !ok {
			return "", false, false
		}
	case CompareBE16:
		if op > Ne || operand.Num < 0 || operand.Num > 0xffff {
			return "", false, false
		}
		ref, size = ref.Target(), 2
		constant = strconv.Itoa(int(bits.ReverseBytes16(uint16(operand.Num))))
	case CompareIPv4:
		var num int64
		size, num, whole = prefixBytes(operand.Prefix)
		if size == 0 || op > Ne || op == Ne && !whole {
			return "", false, false
		}
		ref, constant = ref.Target(), strconv.FormatInt(num, 10)
	default:
		return "", false, false
	}
	arg, err := c.first().planner.Scalar(name, ref, size, signed)
	if err != nil {
		return "", false, false
	}
	// What a fault leaves in the record may pass, though the value is absent:
	// user space must look again. Only what is read from no memory is sure.
	return arg + " " + op.String() + " " + constant, whole && ref.IsPlain(), true
}

// numberFor writes the constant with which the kernel compares a number.
func numberFor(kind *Kind, ref fetchargs.Ref, op Op, n int64, signed bool) (string, bool) {
	_, width := ref.Bits()
	switch {
	case width == 0 && ref.Size() == 8 && !signed && kind.Lookup != nil:
		return strconv.FormatUint(uint64(n), 10), true // an address: all 64 bits are used
	case width == 0:
		return strconv.FormatInt(n, 10), fits(n, 8*ref.Size(), signed)
	case signed:
		// The kernel takes the bits for an unsigned number.
		return strconv.FormatUint(uint64(n)&(1<<width-1), 10), op <= Ne && fits(n, width, true)
	}
	return strconv.FormatInt(n, 10), fits(n, width, false)
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
// can compare with a prefix, as the number that they are in little-endian, and
// whether they are all of the prefix.
func prefixBytes(p netip.Prefix) (size int, num int64, whole bool) {
	if !p.IsValid() || !p.Addr().Is4() {
		return 0, 0, false
	}
	a := p.Masked().Addr().As4()
	switch bits := p.Bits(); {
	case bits == 32:
		return 4, int64(binary.LittleEndian.Uint32(a[:])), true
	case bits >= 16:
		return 2, int64(binary.LittleEndian.Uint16(a[:])), bits == 16
	case bits >= 8:
		return 1, int64(a[0]), bits == 8
	}
	return 0, 0, false
}

// compareCases compares a value that is made from others: for each case, that
// it is the one, and the comparison of what it takes.
func (c *Compiled) compareCases(f *boundField, op Op, operand Operand) (text string, exact, ok bool) {
	var alternatives, before []string
	exact = true
	for _, k := range f.field.Cases {
		is, not, certain, ok := c.conditions(k.If)
		if !ok {
			return "", false, false
		}
		exact = exact && certain
		terms := append(slices.Clone(before), is...)
		switch {
		case k.Text != "":
			if op > Ne {
				return "", false, false
			}
			if (k.Text == operand.Text) == (op == Eq) {
				alternatives = append(alternatives, strings.Join(terms, " && "))
			}
		default:
			text, ex, ok := c.compare(k.From, op, operand)
			if ok {
				terms = append(terms, text)
			}
			exact = exact && ok && ex
			alternatives = append(alternatives, strings.Join(terms, " && "))
		}
		if len(k.If) == 0 {
			break // no later case is ever tried
		}
		if certain {
			before = append(before, not)
		}
	}
	if len(alternatives) == 0 || slices.Contains(alternatives, "") {
		return "", false, false
	}
	return "((" + strings.Join(alternatives, ") || (") + "))", exact, true
}

// conditions writes conditions for the kernel, each by itself, and the opposite
// of all together. certain tells that the values are there in any case: where
// one is absent the condition does not hold, but the kernel has something else
// in its place, for which it might, so that the opposite is of no use.
func (c *Compiled) conditions(conds []Cond) (is []string, not string, certain, ok bool) {
	var opposite []string
	certain = true
	for _, cond := range conds {
		to, known := c.byName[cond.Field]
		if !known {
			return nil, "", false, false
		}
		expr, when := to.expr()
		if expr == "" || when != nil || to.field.half != c.first() || to.field.addend != 0 {
			return nil, "", false, false
		}
		ref, err := c.first().resolve(expr)
		if err != nil {
			return nil, "", false, false
		}
		yes, no, exact, ok := c.condition(cond, to.kind(), ref)
		if !ok {
			return nil, "", false, false
		}
		certain = certain && exact
		is, opposite = append(is, yes), append(opposite, no)
	}
	not = strings.Join(opposite, " || ")
	if len(opposite) > 1 {
		not = "(" + not + ")"
	}
	return is, not, certain, true
}

// rarely writes a probe's rare conditions for the kernel, "" where it cannot
// check them.
func (c *Compiled) rarely(conds []Cond) string {
	var all []string
	for _, cond := range conds {
		var text string
		var ok bool
		if to := c.byName[cond.Field]; to.field.cases == nil {
			var is []string
			is, _, _, ok = c.conditions([]Cond{cond})
			text = strings.Join(is, "")
		} else if op, simple := operators[cond.Op]; simple {
			text, _, ok = c.compareCases(to.field, op, Operand{Num: cond.Num})
		}
		if !ok {
			return ""
		}
		all = append(all, text)
	}
	return strings.Join(all, " && ")
}

// operators are those of conditions that are one comparison.
var operators = map[CondOp]Op{Equals: Eq, NotEquals: Ne, AtLeast: Ge, Less: Lt}

// condition writes one condition for the kernel, and its opposite.
func (c *Compiled) condition(cond Cond, kind *Kind, ref fetchargs.Ref) (is, not string, exact, ok bool) {
	op := [...]Op{Equals: Eq, NotEquals: Ne, AtLeast: Ge, Less: Lt, AnyOf: Eq}[cond.Op]
	inverse := [...]Op{Equals: Ne, NotEquals: Eq, AtLeast: Lt, Less: Ge, AnyOf: Ne}[cond.Op]
	numbers := []int64{cond.Num}
	if cond.Op == AnyOf {
		numbers = nil
		for n := range int64(64) {
			if cond.Num>>n&1 != 0 {
				numbers = append(numbers, n)
			}
		}
	}
	var yes, no []string
	exact = true
	for _, n := range numbers {
		y, x, ok1 := c.compareRef(cond.Field, kind, ref, op, Operand{Num: n})
		o, _, ok2 := c.compareRef(cond.Field, kind, ref, inverse, Operand{Num: n})
		if !ok1 || !ok2 {
			return "", "", false, false
		}
		exact = exact && x
		yes, no = append(yes, y), append(no, o)
	}
	if len(yes) == 1 {
		return yes[0], no[0], exact, true
	}
	return "(" + strings.Join(yes, " || ") + ")", "(" + strings.Join(no, " && ") + ")", exact, len(yes) > 0
}
