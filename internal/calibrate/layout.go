package calibrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/ktype"
)

// Profile is what was found in the form of every other source of layouts: the
// same names of types and members, so that expressions mean the same. What was
// not found is not there.
//
// Of a struct within a struct, such as inet_sock.cork, only what was found in
// it is known: it starts with the first of that.
func (r *Result) Profile(k ktype.Kernel) *ktype.Profile {
	t := newTypes(r)
	rec := ktype.NewRecorder(t)
	for name := range t.named {
		_, _ = rec.TypeNamed(name) // it is there
	}
	for name := range t.funcs {
		_, _ = rec.FuncNamed(name)
	}
	return rec.Profile(k)
}

// types are what was found, as a source of types.
type types struct {
	named, funcs map[string]*fetchargs.Type
}

// Source says where the layouts come from.
func (t *types) Source() string { return ktype.Calibration }

// TypeNamed implements fetchargs.Types.
func (t *types) TypeNamed(name string) (*fetchargs.Type, error) {
	if n := t.named[name]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%s: %w", name, fetchargs.ErrNoType)
}

// FuncNamed implements fetchargs.Types.
func (t *types) FuncNamed(name string) (*fetchargs.Type, error) {
	if f := t.funcs[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("function %s: %w", name, fetchargs.ErrNoType)
}

func newTypes(r *Result) *types {
	t := &types{named: map[string]*fetchargs.Type{}, funcs: map[string]*fetchargs.Type{}}
	t.named["struct in6_addr"] = in6Addr()
	trees := map[string]*tree{}
	for _, f := range r.Members {
		if !f.OK {
			continue
		}
		if trees[f.Struct] == nil {
			trees[f.Struct] = &tree{}
		}
		trees[f.Struct].add(strings.Split(f.Member, "."), f.Offset, t.typeOf(f.Type))
	}
	for name, root := range trees {
		root.name = name
		t.named[name] = root.build(0)
	}
	t.embed()
	for _, f := range r.Functions {
		if !f.OK {
			continue
		}
		var params []fetchargs.Member
		for _, p := range f.Params {
			params = append(params, fetchargs.Member{Name: p.name, Type: t.typeOf(p.typ)})
		}
		t.funcs[f.Name] = fetchargs.FuncOf(f.Name, params, t.typeOf(f.Result))
	}
	return t
}

// embed puts struct sock_common at the start of struct sock, where it has
// always been (include/net/sock.h: "sock_common" must be first).
func (t *types) embed() {
	common := t.named["struct sock_common"]
	if common == nil {
		return
	}
	sock := t.named["struct sock"]
	if sock == nil {
		sock = &fetchargs.Type{Kind: fetchargs.Struct, Name: "struct sock"}
		t.named["struct sock"] = sock
	}
	sock.Members = append([]fetchargs.Member{{Name: "__sk_common", Type: common}}, sock.Members...)
	sock.Size = max(sock.Size, common.Size)
}

// integers are the types of members by name: size in bytes, negative for signed
// ones.
var integers = map[string]int{"u8": 1, "u16": 2, "u32": 4, "u64": 8, "__u16": 2, "__be16": 2, "__be32": 4, "int": -4, "char": -1,
	"unsigned char": 1, "unsigned short": 2, "unsigned int": 4, "unsigned long": 8}

// typeOf is the type of that C name, with * and [n] in front.
func (t *types) typeOf(name string) *fetchargs.Type {
	if to, ok := strings.CutPrefix(name, "*"); ok {
		return fetchargs.PointerTo(func() *fetchargs.Type { return t.typeOf(to) })
	}
	var n int
	if _, err := fmt.Sscanf(name, "[%d]", &n); err == nil {
		return fetchargs.ArrayOf(t.typeOf(name[strings.IndexByte(name, ']')+1:]), n)
	}
	if have := t.named[name]; have != nil {
		return have
	}
	if size := integers[name]; size != 0 {
		t.named[name] = &fetchargs.Type{Kind: fetchargs.Int, Name: name, Size: max(size, -size), Signed: size < 0}
		return t.named[name]
	}
	if strings.HasPrefix(name, "struct ") {
		return &fetchargs.Type{Kind: fetchargs.Struct, Name: name, Incomplete: true}
	}
	return &fetchargs.Type{Kind: fetchargs.Void, Name: "void"}
}

// in6Addr is struct in6_addr of include/uapi/linux/in6.h, which cannot change.
func in6Addr() *fetchargs.Type {
	u8 := &fetchargs.Type{Kind: fetchargs.Int, Name: "__u8", Size: 1}
	u := &fetchargs.Type{Kind: fetchargs.Union, Size: 16, Members: []fetchargs.Member{{Name: "u6_addr8", Type: fetchargs.ArrayOf(u8, 16)}}}
	return &fetchargs.Type{Kind: fetchargs.Struct, Name: "struct in6_addr", Size: 16, Members: []fetchargs.Member{{Name: "in6_u", Type: u}}}
}

// A tree is a struct of members that were found by their paths.
type tree struct {
	name string
	typ  *fetchargs.Type // of a leaf
	off  int             // of a leaf, in the outermost struct
	in   []*tree
}

func (n *tree) add(path []string, off int, typ *fetchargs.Type) {
	i := slices.IndexFunc(n.in, func(c *tree) bool { return c.name == path[0] })
	if i < 0 {
		n.in = append(n.in, &tree{name: path[0]})
		i = len(n.in) - 1
	}
	if len(path) == 1 {
		n.in[i].off, n.in[i].typ = off, typ
		return
	}
	n.in[i].add(path[1:], off, typ)
}

// start is where the tree starts.
func (n *tree) start() int {
	if n.typ != nil {
		return n.off
	}
	return slices.MinFunc(n.in, func(a, b *tree) int { return cmp.Compare(a.start(), b.start()) }).start()
}

// build makes the type, of which base is the place in the outermost struct.
func (n *tree) build(base int) *fetchargs.Type {
	if n.typ != nil {
		return n.typ
	}
	t := &fetchargs.Type{Kind: fetchargs.Struct}
	if strings.HasPrefix(n.name, "struct ") {
		t.Name = n.name
	}
	for _, c := range n.in {
		at := c.start()
		m := fetchargs.Member{Name: c.name, Type: c.build(at), Offset: at - base}
		t.Members = append(t.Members, m)
		t.Size = max(t.Size, m.Offset+m.Type.Size)
	}
	slices.SortStableFunc(t.Members, func(a, b fetchargs.Member) int { return cmp.Compare(a.Offset, b.Offset) })
	return t
}
