package ktype

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/skprobe/skprobe/fetchargs"
)

// A Kernel names the build of a kernel that a layout belongs to.
type Kernel struct {
	Release string // uname -r
	BuildID string // of the linker, in hex; "" when not known
	Arch    string // as in GOARCH
}

func (k Kernel) String() string {
	s := k.Release + " " + k.Arch
	if k.BuildID != "" {
		s += ", build id " + k.BuildID
	}
	return s
}

// A Profile is a layout that was saved: some types and functions of one
// kernel. It implements [fetchargs.Types]. What a recorded type points to and
// was not recorded itself is a struct of that name, Incomplete and of size 0;
// what it points to through a function pointer has no prototype.
//
// A Profile and its types are not for use by several goroutines at once.
type Profile struct {
	Kernel Kernel
	// From says where the layout came from: "BTF /sys/kernel/btf/vmlinux".
	From string
	// Sources has those types and functions that came from elsewhere, with
	// from where: "calibration".
	Sources map[string]string
	// Modules has the build id of each module whose type information was
	// used.
	Modules map[string]string
	// Program is the version of the program that wrote a cache, and Loaded
	// stands for the set of modules that were loaded then.
	Program, Loaded string

	funcs  map[string]funcDef
	names  map[string]typeRef // other names by which types were asked for
	types  map[string]*typeDef
	absent map[string]bool // names that were looked for in vain
	asked  map[string]bool // names of types that were looked into

	built    map[string]*fetchargs.Type
	busy     map[string]bool
	fallback func(name string) *fetchargs.Type // for types that are not here
}

// A typeDef is what a profile has of a type: its size and, unless that is all
// that is known, its inside.
type typeDef struct {
	kind       fetchargs.TypeKind
	size       int
	signed     bool
	incomplete bool
	members    []memberDef
	values     []fetchargs.Enumerator
}

// A memberDef is a member of a struct or a parameter of a function.
type memberDef struct {
	name            string
	off, bit, width int
	typ             typeRef
}

// A typeRef is how members refer to types: pointers and arrays in front, as in
// "*[4]", of a name or of a type without one.
type typeRef struct {
	prefix string
	name   string
	anon   *typeDef
}

type funcDef struct {
	result typeRef
	params []memberDef
}

// A KernelError says that a profile was made for another kernel.
type KernelError struct {
	Profile, Running Kernel
}

func (e *KernelError) Error() string {
	return fmt.Sprintf("the profile is of kernel %s; this is %s (offsets may differ: make a profile here, or force its use)", e.Profile, e.Running)
}

// CheckKernel returns a [KernelError] unless the profile was made for that
// kernel. Build ids decide where both are known, else the releases do.
func (p *Profile) CheckKernel(running Kernel) error {
	same := p.Kernel.Release == running.Release
	if p.Kernel.BuildID != "" && running.BuildID != "" {
		same = p.Kernel.BuildID == running.BuildID
	}
	if !same || p.Kernel.Arch != running.Arch {
		return &KernelError{p.Kernel, running}
	}
	return nil
}

// Source says where the layouts come from.
func (p *Profile) Source() string {
	if p.From == Calibration {
		return p.From + " on " + p.Kernel.Release
	}
	return "profile of " + p.Kernel.Release + " (" + p.From + ")"
}

// SourceOf says where the layout of a type or function came from.
func (p *Profile) SourceOf(name string) string {
	if s, ok := p.Sources[name]; ok {
		return s
	}
	return p.From
}

// Names lists the types whose members are known, sorted.
func (p *Profile) Names() []string {
	var list []string
	for n, d := range p.types {
		if !d.incomplete && (d.kind == fetchargs.Struct || d.kind == fetchargs.Union || d.kind == fetchargs.Enum) {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list
}

// Functions lists the functions whose prototypes are known, sorted.
func (p *Profile) Functions() []string { return slices.Sorted(maps.Keys(p.funcs)) }

var errNotRecorded = errors.New("not recorded in this profile")

// TypeNamed returns a recorded type. The error wraps [fetchargs.ErrNoType].
func (p *Profile) TypeNamed(name string) (*fetchargs.Type, error) {
	if t := p.typeNamed(name); t != nil {
		return t, nil
	}
	return nil, p.missing(name, name)
}

func (p *Profile) missing(what, key string) error {
	why := errNotRecorded
	if p.absent[key] {
		why = errors.New("this kernel does not have it")
	}
	return fmt.Errorf("%s in %s: %w: %v", what, p.Source(), fetchargs.ErrNoType, why)
}

// typeNamed returns a type that was recorded with its inside, or nil.
func (p *Profile) typeNamed(name string) *fetchargs.Type {
	if ref, ok := p.names[name]; ok {
		if t, err := p.build(ref); err == nil {
			return t
		}
	}
	if name == "void" {
		return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}
	}
	if d := p.types[name]; d == nil || d.incomplete {
		q, err := parseTypeName(name)
		if err != nil || q.kinds != 1<<kindInt {
			return nil
		}
		name = canonicalInt(name) // "long unsigned int"
		if d := p.types[name]; d == nil || d.incomplete {
			return nil
		}
	}
	t, err := p.buildNamed(name)
	if err != nil {
		return nil
	}
	return t
}

// FuncNamed returns a recorded prototype. A module in front of the name is not
// looked at. The error wraps [fetchargs.ErrNoType].
func (p *Profile) FuncNamed(name string) (*fetchargs.Type, error) {
	if t := p.funcNamed(name); t != nil {
		return t, nil
	}
	return nil, p.missing("function "+name, absentFunc(name))
}

func (p *Profile) funcNamed(name string) *fetchargs.Type {
	name = plainFunc(name)
	key := absentFunc(name)
	if t := p.built[key]; t != nil {
		return t
	}
	d, ok := p.funcs[name]
	if !ok {
		return nil
	}
	result, err := p.build(d.result)
	if err != nil {
		return nil
	}
	params := make([]fetchargs.Member, len(d.params))
	for i, m := range d.params {
		t, err := p.build(m.typ)
		if err != nil {
			return nil
		}
		params[i] = fetchargs.Member{Name: m.name, Type: t}
	}
	f := fetchargs.FuncOf(name, params, result)
	p.built[key] = f
	return f
}

// Omit forgets the inside of types, and keeps their sizes where others contain
// them.
func (p *Profile) Omit(names ...string) {
	for _, n := range names {
		if d := p.types[n]; d != nil {
			p.types[n] = &typeDef{kind: d.kind, size: d.size, signed: d.signed, incomplete: true}
		}
	}
	clear(p.built)
	p.sweep()
}

// sweep removes types that only omitted ones contained.
func (p *Profile) sweep() {
	used := map[string]bool{}
	var use func(r typeRef)
	inside := func(d *typeDef) {
		for _, m := range d.members {
			use(m.typ)
		}
	}
	use = func(r typeRef) {
		if r.anon != nil {
			inside(r.anon)
		} else if d := p.types[r.name]; d != nil && !used[r.name] {
			used[r.name] = true
			inside(d)
		}
	}
	for _, f := range p.funcs {
		use(f.result)
		for _, m := range f.params {
			use(m.typ)
		}
	}
	for _, r := range p.names {
		use(r)
	}
	for n := range p.asked {
		use(typeRef{name: n})
	}
	maps.DeleteFunc(p.types, func(n string, _ *typeDef) bool { return !used[n] })
}

// merge adds what o has and p has not.
func (p *Profile) merge(o *Profile) {
	for n, d := range o.types {
		if have := p.types[n]; have == nil || have.incomplete {
			p.types[n] = d
		}
	}
	add(p.funcs, o.funcs)
	add(p.names, o.names)
	add(p.absent, o.absent)
	add(p.Sources, o.Sources)
	add(p.Modules, o.Modules)
}

func add[V any](to, from map[string]V) {
	for k, v := range from {
		if _, ok := to[k]; !ok {
			to[k] = v
		}
	}
}

func newProfile() *Profile {
	return &Profile{
		Sources: map[string]string{}, Modules: map[string]string{},
		funcs: map[string]funcDef{}, names: map[string]typeRef{}, types: map[string]*typeDef{},
		absent: map[string]bool{}, asked: map[string]bool{},
		built: map[string]*fetchargs.Type{}, busy: map[string]bool{},
	}
}
