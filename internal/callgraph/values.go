package callgraph

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
)

// Values are arguments and results of calls: registers, of which the function's
// prototype tells what is in them. Probes fetch them, the same for all functions, so that
// these can share a definition; the tracer has some of them in its records.
type Values struct {
	Args, Retval bool
	Arch         fetchargs.Arch
	// Prototype returns the type of a function by its source name, nil where it is
	// not known.
	Prototype func(name string) *fetchargs.Type
}

const (
	argsColumn   = "args"
	retvalColumn = "retval"
	rawRetval    = "raw_retval"
	rawArgs      = "raw_args"
)

// most is how many arguments are fetched.
const most = 6

// minErrno is the smallest error that a pointer can be (MAX_ERRNO of include/linux/err.h).
const minErrno = -4095

// retval is a number, an error by its name, or an address.
var retval = &event.Kind{Name: "retval", Help: "result, by the function's type: errors by name, addresses in hexadecimal (JSON: a number)", Class: event.Signed, Width: 18, Right: true,
	Append: func(dst []byte, v *event.Value) []byte {
		if int64(v.Num) < minErrno {
			return strconv.AppendUint(append(dst, "0x"...), v.Num, 16)
		}
		return event.Errno.Append(dst, v)
	}}

// resultRegister is where a function leaves its result: what $retval is of a
// function whose type does not matter.
var resultRegister = map[fetchargs.Arch]string{fetchargs.AMD64: "%ax", fetchargs.ARM64: "%x0"}

func (v *Values) columns() (fields []event.Field) {
	if v == nil {
		return nil
	}
	if v.Args {
		fields = append(fields, event.Field{Name: argsColumn, Computed: true, Kind: event.Char, Help: "arguments, with the names that the function has for them"})
	}
	if v.Retval {
		fields = append(fields, event.Field{Name: retvalColumn, Computed: true, Kind: retval, Help: "result; absent where the function has none"})
	}
	return fields
}

// before and behind are columns of a table beside the function.
func (v *Values) before() []string {
	if v == nil || !v.Retval {
		return nil
	}
	return []string{retvalColumn}
}

func (v *Values) behind() []string {
	if v == nil || !v.Args {
		return nil
	}
	return []string{argsColumn}
}

func rawArg(i int) string { return "raw_arg" + strconv.Itoa(i+1) }

// atEntry and atReturn are what is fetched.
func (v *Values) atEntry() (fields []event.Field) {
	if v == nil || !v.Args {
		return nil
	}
	for i := range most {
		if at, err := v.Arch.Param(i); err == nil && at.Kind == fetchargs.Register {
			fields = append(fields, event.Field{Name: rawArg(i), Expr: "%" + at.Name, Kind: event.Hex, Hidden: true})
		}
	}
	return fields
}

func (v *Values) atReturn() []event.Field {
	if v == nil || !v.Retval {
		return nil
	}
	return []event.Field{{Name: rawRetval, Expr: resultRegister[v.Arch], Kind: event.Hex, Hidden: true}}
}

// What the tracer records: with its option funcgraph-args (6.15) the registers of arguments at
// the end of an entry, and where the kernel is built with CONFIG_FUNCTION_GRAPH_RETVAL
// (6.5) the result (kernel/trace/trace_entries.h).
const (
	TracedArgs   = "args"
	TracedRetval = "retval"
)

// atTracedEntry and atTracedReturn are what is taken from the tracer's records.
func (v *Values) atTracedEntry() []event.Field {
	if v == nil || !v.Args {
		return nil
	}
	return []event.Field{{Name: rawArgs, Expr: TracedArgs, Kind: event.Bytes, Hidden: true}}
}

func (v *Values) atTracedReturn() []event.Field {
	if v == nil || !v.Retval {
		return nil
	}
	return []event.Field{{Name: rawRetval, Expr: TracedRetval, Kind: event.Hex, Hidden: true}}
}

// A reader takes values from events. The zero one finds none.
type reader struct {
	of           *Values
	args, retval int // columns
	rawArgs      [most]int
	together     int // all arguments, one register after the other
	rawRetval    int
	prototypes   map[string]*fetchargs.Type
}

func (v *Values) reader(s *event.Schema) reader {
	if v == nil {
		return reader{}
	}
	r := reader{of: v, args: s.Index(argsColumn), retval: s.Index(retvalColumn), rawRetval: s.Index(rawRetval), together: s.Index(rawArgs), prototypes: map[string]*fetchargs.Type{}}
	for i := range r.rawArgs {
		r.rawArgs[i] = s.Index(rawArg(i))
	}
	return r
}

// prototype is that of a function, nil where it is not known: also for what the
// compiler made of one (name.isra.0).
func (r *reader) prototype(function string) *fetchargs.Type {
	t, known := r.prototypes[function]
	if !known {
		_, name, in := strings.Cut(function, ":")
		if !in {
			name = function
		}
		if t = r.of.Prototype(name); t != nil && t.Incomplete {
			t = nil
		}
		r.prototypes[function] = t
	}
	return t
}

// register is what was in the one of an argument.
func (r *reader) register(i int, ev *event.Event) (uint64, bool) {
	if i >= most {
		return 0, false
	}
	if all := ev.Value(r.together); all != nil {
		if len(all.Text) < 8*(i+1) {
			return 0, false
		}
		return binary.LittleEndian.Uint64(all.Text[8*i:]), true
	}
	v := ev.Value(r.rawArgs[i])
	if v == nil {
		return 0, false
	}
	return v.Num, true
}

// arguments are those of a call, as C would name them.
func (r *reader) arguments(function string, ev *event.Event) string {
	if r.of == nil || !r.of.Args {
		return ""
	}
	t := r.prototype(function)
	if t == nil {
		return ""
	}
	var b strings.Builder
	for i, m := range t.Members {
		if i > 0 {
			b.WriteByte(' ')
		}
		n, known := r.register(i, ev)
		if kind := m.Type.Kind; !known || kind == fetchargs.Struct || kind == fetchargs.Union || kind == fetchargs.Float {
			b.WriteString("…") // on the stack, or by value: it and what follows is not certain
			break
		}
		name := m.Name
		if name == "" {
			name = "arg" + strconv.Itoa(i+1)
		}
		b.WriteString(name + "=" + spell(m.Type, n))
	}
	return b.String()
}

// spell writes what is in a register as its type has it.
func spell(t *fetchargs.Type, n uint64) string {
	number := cut(t, n)
	switch {
	case t.Kind == fetchargs.Pointer:
		return fmt.Sprintf("0x%x", n)
	case t.Kind == fetchargs.Enum:
		for _, v := range t.Values {
			if uint64(v.Value) == number {
				return v.Name
			}
		}
	}
	if t.Signed {
		return strconv.FormatInt(int64(number), 10)
	}
	return strconv.FormatUint(number, 10)
}

// cut leaves those bits of a register that a type has.
func cut(t *fetchargs.Type, n uint64) uint64 {
	if t.Size <= 0 || t.Size >= 8 {
		return n
	}
	shift := uint(64 - 8*t.Size)
	if t.Signed {
		return uint64(int64(n<<shift) >> shift)
	}
	return n << shift >> shift
}

// result is that of a call, if it has one.
func (r *reader) result(function string, ev *event.Event) (uint64, bool) {
	if r.of == nil || !r.of.Retval {
		return 0, false
	}
	v := ev.Value(r.rawRetval)
	if v == nil {
		return 0, false
	}
	t := r.prototype(function)
	if t == nil {
		return v.Num, true
	}
	of := t.Elem()
	if of.Kind == fetchargs.Void {
		return 0, false
	}
	return cut(of, v.Num), true
}
