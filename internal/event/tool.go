// Package event is what a tool is made of: which functions it looks at, which
// values it takes there, of which kind they are, and how that becomes a
// definition for one kernel and a decoder for its records.
//
// A Tool is a declaration and nothing more. Probe line, decoder, table
// columns, JSON keys, --where names and help all come from it, and the probe
// command makes the same declaration from its arguments.
package event

import (
	"cmp"
	"slices"
	"strings"
)

// A Tool shows one sort of events.
type Tool struct {
	Name    string
	Short   string // one line
	Long    string // what it shows, how to read it
	Example string // a command line with its use
	Cost    string // what it costs the traced system, in words
	Events  []Source
	// Options are flags of this tool alone.
	Options []Option
	// Letters are short names that flags of all tools have for this one, by
	// their long name: "rport" is -P where people know it so.
	Letters map[string]string
	// Aliases are other names under which people look for it.
	Aliases []Alias
	// Reduce, where it is not nil, makes what is shown of the events that
	// happen: see [Reducer].
	Reduce func(*Schema, Settings) Reducer
	// Counting, where it is not nil, is how events are counted if the flags do
	// not say otherwise. A column that this kernel cannot give is left out.
	Counting *Counting
	// Ports are what --port is where none of the flags about ports is given.
	Ports []uint16
	// Keys are columns that are the same in all events of what Reduce puts
	// together. Only they are filtered in the kernel: Reduce must see the
	// other events of what is shown.
	Keys []string
	// Exact: every field was asked for by name, so one that this kernel cannot
	// give is an error. Otherwise only its columns are absent.
	Exact bool
	// Columns gives the order of the columns. A column that an event has
	// and that is not named here comes last.
	Columns []string
}

// A Source is one sort of event of a tool and the places in the kernel where
// it happens.
type Source struct {
	Name string // "udp.sendmsg", as SystemTap calls it where it has a name
	// Of is the pattern that this is one of, "" for none. Sources of one
	// pattern may share a definition in the kernel.
	Of string
	// Flag is the option that selects this event alone: "send". "" where
	// the tool has only one.
	Flag  string
	Short string
	// Softirq: the current task is a bystander, so the event shows none; with
	// Socket, it shows the socket's owner where that is known. Without Softirq,
	// an event shows the task unless its record says that it is of an interrupt.
	Softirq bool
	// Socket is the field with the address of the socket that the event is
	// about: see [Owners].
	Socket string
	// Ends: the socket does not exist any more after the event.
	Ends bool
	// IfUnknown: the current thread is taken for the socket's owner only where
	// none is known.
	IfUnknown bool
	// Hidden: its events are for Owners and Reduce, and not shown. They are
	// probed whichever of the others are selected.
	Hidden bool
	// Probes is empty for events that only Reduce makes.
	Probes []Probe
}

// A Probe is one place in the kernel, and what is taken there.
type Probe struct {
	// Funcs are names of the function over kernels: the first that this
	// kernel has is probed. "module:function" for one in a module.
	Funcs []string
	// Tracepoint, in place of Funcs, is a static event of the kernel:
	// "sock:inet_sock_set_state". Expressions then start at the names of the
	// fields that it records. Where one follows a pointer that was recorded,
	// all are fetched by an event probe, which a kernel may not have (5.15).
	Tracepoint string
	// File is the program or library whose function Funcs names, "" for the
	// kernel.
	File string
	// Glob: Funcs or Tracepoint is a pattern. It must be expanded before it
	// is compiled.
	Glob bool
	// All: all that the tracepoint records become fields.
	All bool
	// Source, in place of Funcs, is a place in the source code. It must be
	// looked up before it is compiled, and Spot is what was found.
	Source *SourcePlace
	Spot   *Spot
	// Else are probes for kernels that cannot have this one.
	Else []Probe
	// Offset in bytes from the start of the function. Parameters cannot be
	// named at another than 0.
	Offset uint64
	// Return: the event happens when the function returns. Fields that start
	// at a parameter or a global variable keep the values that they had when
	// it was entered; $retval, registers and the stack are those at the return.
	Return bool
	// Inner, of a return probe, has fields from a function that the probed
	// one calls meanwhile.
	Inner *Inner
	// Params are the function's parameters in C, where they are the same on all
	// kernels: "struct sk_buff *skb, struct net_device *dev". They are for
	// layouts that know no prototypes, and for modules without BTF.
	Params string
	// Optional: a kernel without any of the functions does not need it.
	Optional bool
	// Needs are types, and functions, as "kfree_skb()", without which the
	// kernel does not have what the probe is for, though it may have Funcs.
	Needs []string
	// Without are those of kernels that do not need the probe, though they may
	// have what it is for.
	Without []string
	// NonNull are parameters that are never NULL, so that they need not be
	// fetched to know whether what they point to could be.
	NonNull []string
	// Only are conditions without which there is no event. They are checked
	// in user space: one that is nearly always true is not worth an argument
	// of its own and a filter in the kernel.
	Only []Cond
	// Rare are further ones that most hits do not fulfil, so that the kernel
	// checks them too.
	Rare   []Cond
	Fields []Field
}

// An Inner is a function that the probed one calls, on the same thread and
// before it returns: it has at hand what that is neither given nor returns. Of
// several calls the last one counts; without one its fields are absent.
type Inner struct {
	Funcs   []string // as Probe.Funcs
	Params  string   // as Probe.Params
	NonNull []string // as Probe.NonNull
	Fields  []Field
}

// A Field is a value, or with a compound kind several.
type Field struct {
	// Name is the column. A compound kind's parts take their own names, with
	// this and "_" before them if it is set.
	Name string
	Help string
	// Expr says where the value is: see package fetchargs.
	Expr string
	// Kind of the value. Without it, KindName, one of those of [Kinds]; and
	// without that, by the C type of the expression.
	Kind     *Kind
	KindName string
	// Parts selects parts of a compound kind and gives them names. nil takes
	// all under their own.
	Parts []Pick
	// Cases make the value from other fields, instead of Expr: the first
	// whose conditions hold decides; where none does, the value is absent.
	Cases []Case
	// AtReturn fields of a return probe are read when the function returns,
	// though they start at a parameter. A kernel before 6.9 does not have
	// them: make them Optional.
	AtReturn bool
	// Computed fields are set by the tool's Reduce.
	Computed bool
	// Of is a field before it without which a computed one cannot be told: the
	// column is absent then too.
	Of string
	// Hidden fields are fetched for Cases and conditions, not shown.
	Hidden bool
	// Wide fields are not in the default table.
	Wide bool
	// OnRequest fields are fetched only where their column is asked for, or
	// that of another field, For, which is made from them.
	OnRequest bool
	For       string
	// Optional: where this kernel has no such member or parameter, the
	// column is absent instead of an error. One with Cases does without
	// those whose fields this kernel does not have.
	Optional bool

	pos int // of Expr in the text of a probe, for errors
}

// A Pick takes one part of a compound kind.
type Pick struct {
	Part string
	Name string // of the column; "" for that of the part
	Help string // "" for that of the part
	Wide bool   // not in the default table
	// Hidden: not shown; for Cases, conditions and Reduce.
	Hidden bool
}

// pick tells how the field takes a part: with all names set, and with none
// where it does not.
func (f *Field) pick(p *Part) Pick {
	if f.Parts == nil || p.OnRequest {
		return Pick{Name: p.Name, Help: p.Help, Wide: p.Wide || f.Wide}
	}
	for _, k := range f.Parts {
		if k.Part == p.Name {
			return Pick{Name: cmp.Or(k.Name, p.Name), Help: cmp.Or(k.Help, p.Help), Wide: k.Wide || f.Wide, Hidden: k.Hidden}
		}
	}
	return Pick{}
}

// columns calls fn for each column that the field has, with its help and, of a
// kind's part, where its value lies alone.
func (f *Field) columns(fn func(name, help, expr string)) {
	kind := f.Kind
	if kind == nil {
		kind = declared(f.KindName)
	}
	switch {
	case f.Hidden:
		return
	case kind == nil || len(kind.Parts) == 0:
		fn(cmp.Or(f.Name, columnName(f.Expr)), f.Help, "")
		return
	}
	for i := range kind.Parts {
		part := &kind.Parts[i]
		pick := f.pick(part)
		name := pick.Name
		if name != "" && f.Name != "" {
			name = f.Name + "_" + name
		}
		if name != "" && !part.OnRequest && !pick.Hidden {
			fn(name, pick.Help, part.Expr)
		}
	}
}

// lost are the field's columns that go with a missing read of its kind, or with
// "" all.
func (f *Field) lost(read string) (names []string) {
	f.columns(func(name, _, expr string) {
		if read == "" || expr == read {
			names = append(names, name)
		}
	})
	return names
}

// A Case is one way to come by a value.
type Case struct {
	If   []Cond
	From string // the field whose value is taken…
	Text string // …or the text that it is; a field has cases of one sort only
}

// A Cond compares a field with a number. An absent field fulfils none.
type Cond struct {
	Field string
	Op    CondOp
	Num   int64
}

// A CondOp is a condition's operator.
type CondOp uint8

// The operators of conditions.
const (
	Equals    CondOp = iota + 1 // the number is Num
	NotEquals                   // the number is another than Num
	AtLeast                     // the number is Num or more
	Less                        // the number is less than Num
	AnyOf                       // the number is one of those whose bits are set in Num
)

// Fields returns the columns that the tool can have, without a kernel: those
// that its declaration names, for help and documents.
func (t *Tool) Fields() []Column {
	var all []Column
	add := func(name, help string) {
		if slices.ContainsFunc(all, func(c Column) bool { return c.Name == name }) {
			return
		}
		all = append(all, Column{Name: name, Help: help})
	}
	for _, src := range t.Events {
		for _, p := range src.Probes {
			for _, f := range p.Fields {
				f.columns(func(name, help, _ string) { add(name, help) })
			}
			if p.Inner != nil {
				for _, f := range p.Inner.Fields {
					f.columns(func(name, help, _ string) { add(name, help) })
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Column) int { return cmp.Compare(t.rank(a.Name), t.rank(b.Name)) })
	return all
}

// Cgroup is the column with the cgroup of an event's process, which every tool
// has on request. No probe fetches it: who reads the events sets it.
const Cgroup = "cgroup"

var cgroup = Field{Name: Cgroup, Kind: Char, Computed: true, Help: "cgroup of the process, as /proc/PID/cgroup has it"}

// Functions are those of the kernel that the tool may probe or ask for, under
// all names.
func (t *Tool) Functions() (names []string) {
	var add func(p *Probe)
	add = func(p *Probe) {
		if p.File == "" && !p.Glob {
			names = append(names, p.Funcs...)
		}
		if p.Inner != nil {
			names = append(names, p.Inner.Funcs...)
		}
		for _, need := range p.Needs {
			if f, ok := strings.CutSuffix(need, "()"); ok {
				names = append(names, f)
			}
		}
		for i := range p.Else {
			add(&p.Else[i])
		}
	}
	for i := range t.Events {
		for j := range t.Events[i].Probes {
			add(&t.Events[i].Probes[j])
		}
	}
	return names
}

// OnRequest lists the columns that are fetched only where they are asked for.
func (t *Tool) OnRequest() []string {
	names := []string{Cgroup}
	for _, src := range t.Events {
		for _, p := range src.Probes {
			for _, f := range p.Fields {
				if f.OnRequest && f.For == "" && !slices.Contains(names, f.Name) {
					names = append(names, f.Name)
				}
			}
		}
	}
	return names
}

// rank is the place of a column in the tool's order.
func (t *Tool) rank(name string) int {
	if i := slices.Index(t.Columns, name); i >= 0 {
		return i
	}
	return len(t.Columns)
}
