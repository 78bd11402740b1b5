package fetchargs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Planner collects the values that one probe needs and turns them into as
// cheap fetch-args as it can: values that are neighbours in one struct are
// fetched as one word or one array and taken apart in user space.
//
// A fetch that faults leaves the bytes of the previous event in the record
// (4.20 to 7.1), so every pointer that is followed is fetched too: what hangs
// on a pointer that is no kernel address is absent.
type Planner struct {
	dialect Dialect
	reads   []read
	chains  []chain // chains[0] needs no pointer
	scalars []scalar
}

// A read is a value that was asked for.
type read struct {
	chain int // index into Planner.chains: the pointers it hangs on
	ref   Ref
	size  int
	str   bool
	ustr  bool
}

// A chain is a base and the loads that lead to a pointer which is followed.
type chain struct {
	parent int // the chain without the last load; -1 for a base that needs none
	key    string
	user   bool // the pointer is a program's
	read   int  // the read that fetches the pointer itself
}

type scalar struct {
	name string
	ref  Ref
	typ  ArgType
}

// NewPlanner starts a plan for a kernel that accepts d.
func NewPlanner(d Dialect) *Planner {
	return &Planner{dialect: d, chains: []chain{{parent: -1}}}
}

// A Slot is the index of a value in a [Plan] and its [Layout].
type Slot int

// Value asks for size bytes of ref; size 0 is that of its C type. A value
// that is no lvalue (a parameter, a return value, an address) has at most 8.
func (p *Planner) Value(ref Ref, size int) (Slot, error) {
	if size == 0 {
		size = ref.Size()
	}
	switch {
	case ref.recordedRest:
		size = 0
	case size <= 0:
		return 0, fmt.Errorf("%w: %q is %s, whose size is not known", ErrNoType, ref.Expr, ref.Type)
	case !ref.lvalue && size > min(8, ref.Size()):
		return 0, fmt.Errorf("%w: %q is a %s of %d bytes, %d are needed", ErrNotFetchable, ref.Expr, ref.Type, ref.Size(), size)
	case !ref.lvalue && ref.base.Kind == Comm:
		return 0, fmt.Errorf("%w: $comm is text: give it the kind string", ErrNotFetchable)
	case size > MaxArray*8:
		return 0, fmt.Errorf("%w: %q has %d bytes, at most %d", ErrLimit, ref.Expr, size, MaxArray*8)
	}
	return p.add(read{ref: ref, size: size})
}

// ProgramValue is [Planner.Value] for size bytes in the memory of the current
// process, to which the last pointer that ref follows leads. Where that is no
// address of a program they are absent.
//
// They are read as the kernel's own are, because +uOFF() cannot read arrays
// (parse_probe_arg in kernel/trace/trace_probe.c, 6.1). That reads a program's
// memory too: from 5.8 on where the address is one of those
// (probe_mem_read in kernel/trace/trace_probe_kernel.h), before in any case.
func (p *Planner) ProgramValue(ref Ref, size int) (Slot, error) {
	if !ref.lvalue {
		return 0, fmt.Errorf("%w: %q is %s, nothing in memory", ErrNotFetchable, ref.Expr, ref.Type)
	}
	ref.inProgram = true
	return p.Value(ref, size)
}

// MayFault reports whether fetches can fault: those that follow a pointer, which
// may be nil, or read a program's memory, which may not be there.
func (plan *Plan) MayFault() bool { return len(plan.chains) > 1 }

// Size returns the bytes that hold the value.
func (ref Ref) Size() int {
	if ref.bitSize != 0 {
		return (ref.bitOff + ref.bitSize + 7) / 8
	}
	return ref.Type.Size
}

// Bits returns the place of a bit field within the value's bytes, as a
// little-endian number; width is 0 for a value that is none.
func (ref Ref) Bits() (offset, width int) { return ref.bitOff, ref.bitSize }

// Addend returns the constant that user space must add to the value: the sum
// of a fetched value and a constant cannot be fetched.
func (ref Ref) Addend() int64 {
	if ref.lvalue {
		return 0
	}
	return ref.off
}

// Target returns what ref points to, where it is a pointer, and otherwise ref
// itself. It is how a kind that lies in memory (a MAC, a string) is read
// through an expression that is a pointer to it.
func (ref Ref) Target() Ref {
	if ref.Type.Kind != Pointer {
		return ref
	}
	ref = ref.rvalue()
	ref.Type, ref.lvalue = ref.Type.Elem(), true
	return ref
}

// Address is [Ref.Target] for which a word without a type, such as a register
// or a parameter of which only the number is known, is a pointer too.
func (ref Ref) Address() Ref {
	if ref.Type == unsignedLong && ref.base.Kind != Symbol && ref.base.Kind != Memory {
		ref.Type = PointerTo(nil)
	}
	return ref.Target()
}

// InMemory reports whether the value lies in memory, so that more bytes than
// its type has can be read there.
func (ref Ref) InMemory() bool { return ref.lvalue }

// Follows returns how many pointers in memory are followed to reach the value:
// 0 for a parameter and for a member of what a parameter points to.
func (ref Ref) Follows() int {
	n := len(ref.loads)
	if !ref.lvalue && n > 0 {
		n--
	}
	return n
}

// IsPlain reports whether the value is a register, parameter or return value
// itself, with no memory read for it, so that it is always there.
func (ref Ref) IsPlain() bool { return !ref.lvalue && len(ref.loads) == 0 }

// AtReturn reports whether the expression starts at something that has another
// meaning when the function returns: $retval, a register, the stack.
func (ref Ref) AtReturn() bool {
	switch ref.base.Kind {
	case Retval, Register, StackAddr, StackWord:
		return true
	}
	return false
}

// Text asks for the NUL-terminated text that lies at ref, or to which ref, a
// pointer, points; user tells that it is in user memory.
func (p *Planner) Text(ref Ref, user bool) (Slot, error) {
	if user && !p.dialect.UserMemory || ref.user {
		user = false // before 5.3, and in a program, the plain string reads it
	}
	if ref.base.Kind == Comm {
		return p.add(read{ref: ref, str: true})
	}
	if ref.recordedText {
		return p.add(read{ref: ref, str: true})
	}
	ref = ref.Address()
	if !ref.lvalue {
		return 0, fmt.Errorf("%w: %q is %s, no text in memory", ErrNotFetchable, ref.Expr, ref.Type)
	}
	return p.add(read{ref: ref, str: true, ustr: user})
}

// pointer returns the last pointer that was followed to reach ref.
func (ref Ref) pointer() Ref {
	ref.off, ref.lvalue = 0, false
	return ref
}

// Scalar asks that ref be an argument of its own called name, so that the
// kernel's event filter can compare it, as a signed number or as an unsigned
// one, which bits are always. It has 1, 2, 4 or 8 bytes. What is returned is
// the argument's name, which may differ from the one wanted.
//
// Nothing tells whether a pointer on the way was one: the value is for the
// kernel alone.
func (p *Planner) Scalar(name string, ref Ref, size int, signed bool) (string, error) {
	if size == 0 {
		size = ref.Size()
	}
	if size != 1 && size != 2 && size != 4 && size != 8 && ref.bitSize == 0 || ref.off != 0 && !ref.lvalue ||
		!ref.lvalue && size > ref.Size() || ref.base.Kind == Comm || ref.isFixed() {
		return "", fmt.Errorf("%w: %q cannot be compared by the kernel", ErrNotFetchable, ref.Expr)
	}
	if err := ref.check(); err != nil {
		return "", err
	}
	if ref.isRecorded() {
		if size != ref.Type.Size || ref.off != 0 || ref.recordedPart {
			return "", fmt.Errorf("%w: the kernel compares %q only as a whole", ErrNotFetchable, ref.Expr)
		}
		return ref.base.Name, ref.checkRecorded()
	}
	typ := p.number(size, signed)
	if ref.bitSize != 0 {
		typ = bitField(ref)
	}
	for _, s := range p.scalars {
		if s.ref.key() == ref.key() && s.typ == typ {
			return s.name, nil
		}
	}
	name = filterName(name)
	taken := func(name string) bool {
		return slices.ContainsFunc(p.scalars, func(s scalar) bool { return s.name == name })
	}
	for base, n := name, 2; taken(name); n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	p.scalars = append(p.scalars, scalar{name: name, ref: ref, typ: typ})
	return name, nil
}

// Retain drops the scalars that turned out not to be needed: those for whose
// names keep is false.
func (p *Planner) Retain(keep func(name string) bool) {
	p.scalars = slices.DeleteFunc(p.scalars, func(s scalar) bool { return !keep(s.name) })
}

// check refuses what is a value in C and nothing that can be fetched.
func (ref Ref) check() error {
	n := len(ref.loads)
	if ref.lvalue {
		n++
	}
	switch {
	case ref.atEntry:
		return fmt.Errorf("%w: %q starts at what %s was when the function was entered", ErrNotFetchable, ref.Expr, ref.base)
	case ref.base.Kind == Immediate && !ref.isFixed():
		return fmt.Errorf("%w: %q follows a pointer that is %d here", ErrNotFetchable, ref.Expr, ref.base.Num)
	case !ref.lvalue && len(ref.loads) == 0 && (ref.base.Kind == Symbol || ref.base.Kind == Memory):
		return fmt.Errorf("%w: %q is an address, and only what lies there can be fetched", ErrNotFetchable, ref.Expr)
	case ref.bitOff+ref.bitSize > 64:
		return fmt.Errorf("%w: the bit field %q lies over more than 8 bytes", ErrNotFetchable, ref.Expr)
	case n > MaxLoads:
		return fmt.Errorf("%w: %q reads memory %d times, at most %d", ErrLimit, ref.Expr, n, MaxLoads)
	}
	return nil
}

// number is the type of an integer of size bytes.
func (p *Planner) number(size int, signed bool) ArgType {
	class := "u"
	if signed {
		class = "s"
	} else if p.dialect.Hex && size == 8 {
		class = "x"
	}
	return ArgType{Name: class + strconv.Itoa(size*8)}
}

// bitField is the type that reads ref's bits, in the smallest container.
func bitField(ref Ref) ArgType {
	size := 8
	for size < ref.bitOff+ref.bitSize {
		size *= 2
	}
	return ArgType{Name: fmt.Sprintf("b%d@%d/%d", ref.bitSize, ref.bitOff, size)}
}

// filterName makes a name that the kernel accepts and that its filters do not
// take for something else: comm, cpu and common_* are theirs (trace_probe.c,
// trace_events.c).
func filterName(name string) string {
	switch l := strings.ToLower(name); {
	case l == "comm" || l == "cpu" || l == "stacktrace", strings.HasPrefix(l, "common_"), strings.HasPrefix(l, "__probe_"), l == "ip":
		name += "_"
	}
	return name[:min(len(name), MaxArgName-4)] // with space for a number
}

func (p *Planner) add(r read) (Slot, error) {
	if err := r.ref.check(); err != nil {
		return 0, err
	}
	if r.ref.isRecorded() {
		if err := r.ref.checkRecorded(); err != nil {
			return 0, err
		}
		p.reads = append(p.reads, r)
		return Slot(len(p.reads) - 1), nil
	}
	hangs := r.ref
	if r.str && r.ref.lvalue {
		// The kernel tells by itself when a text cannot be read, and reads
		// user memory too: the text's own address need not be checked.
		hangs = r.ref.pointer()
	}
	c, err := p.chain(hangs)
	if err != nil {
		return 0, err
	}
	r.chain = c
	p.reads = append(p.reads, r)
	return Slot(len(p.reads) - 1), nil
}

// chain returns the index of the chain of pointers that ref hangs on, having
// asked for each of them.
func (p *Planner) chain(ref Ref) (int, error) {
	loads := ref.loads
	direct := ref.nonNull || ref.base.Kind == Symbol || ref.base.Kind == Memory // memory that is always there
	if !ref.lvalue {
		// The last load, or the base, is the value itself: it is followed
		// by nobody.
		if len(loads) == 0 {
			return 0, nil
		}
		loads = loads[:len(loads)-1]
	}
	parent := 0
	for i := 0; i <= len(loads); i++ {
		if i == 0 && direct {
			continue
		}
		ptr := Ref{Expr: ref.Expr, Type: unsignedLong, base: ref.base, loads: loads[:i:i]}
		user := ref.user || ref.inProgram && i == len(loads)
		key := ptr.key()
		if user {
			key += "|user" // the same word may be an address of the kernel for others
		}
		at := slices.IndexFunc(p.chains, func(c chain) bool { return c.key == key })
		if at < 0 {
			p.reads = append(p.reads, read{chain: parent, ref: ptr, size: 8})
			at = len(p.chains)
			p.chains = append(p.chains, chain{parent: parent, key: key, user: user, read: len(p.reads) - 1})
			if at >= maxChains {
				return 0, fmt.Errorf("%w: more than %d pointers are followed", ErrLimit, maxChains-1)
			}
		}
		parent = at
	}
	return parent, nil
}

// key identifies what is fetched; two refs with one key are the same bytes.
func (ref Ref) key() string {
	a := ref.arg(ArgType{})
	return fmt.Sprintf("%s|%t|%d|%d|%d", a.Fetch(), ref.lvalue, ref.off, ref.bitOff, ref.bitSize)
}

// arg writes the fetch of the value of ref.
func (ref Ref) arg(typ ArgType) Arg {
	loads := slices.Clone(ref.loads)
	if ref.lvalue {
		loads = append(loads, Load{Offset: ref.off})
	}
	base := ref.base
	if base.Kind == Symbol && len(loads) > 0 {
		// @symbol is itself a read of memory.
		base.Num, loads = base.Num+loads[0].Offset, loads[1:]
	} else if base.Kind == Memory && len(loads) > 0 {
		base.Num, loads = base.Num+loads[0].Offset, loads[1:]
	}
	return Arg{Base: base, Loads: loads, Type: typ}
}

// at returns ref moved to another offset in the same object.
func (ref Ref) at(off int64) Ref {
	ref.off = off
	return ref
}

// group returns what reads that can share an argument have in common.
func (r read) group() string {
	return r.ref.at(0).arg(ArgType{}).Fetch()
}

// byPlace orders reads by object and offset.
func byPlace(a, b read) int {
	return cmp.Or(strings.Compare(a.group(), b.group()), cmp.Compare(a.ref.off, b.ref.off))
}

// String returns how the value is reached, in the kernel's words: "%di",
// "+12(%di)".
func (ref Ref) String() string { return ref.arg(ArgType{}).Fetch() }
