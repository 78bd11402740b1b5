package fetchargs

import "strings"

// A typedParam is what a variable such as $skb stands for: a parameter by its
// type instead of its name, or what tracepoints call such a value.
type typedParam struct {
	typ      string
	recorded []string
}

var typedParams = map[string]typedParam{
	"skb": {"struct sk_buff", []string{"skbaddr", "skb"}},
	"sk":  {"struct sock", []string{"skaddr", "sk"}},
	"dev": {"struct net_device", nil},
}

// typed finds the first parameter that is a pointer to the type, or a pointer
// to such a pointer, which is then followed.
func (r *resolver) typed(n baseNode) (Ref, error) {
	t, want := r.t, typedParams[n.base.Name]
	if t.Record != nil {
		return r.typedRecord(n, want)
	}
	if t.Locals != nil {
		return r.typedLocal(n, want)
	}
	var all []string
	if t.Func != nil {
		for i, p := range t.Func.Members {
			all = append(all, Declare(p.Type, p.Name))
			var x node = nameNode{n.pos, p.Name}
			if p.Name == "" {
				x = castNode{n.pos, want.typ, 1, baseNode{n.pos, Base{Kind: ArgNum, Num: int64(i + 1)}}}
			}
			switch {
			case p.Type.Kind != Pointer:
			case isStruct(p.Type.Elem(), want.typ):
				return r.eval(x)
			case p.Type.Elem().Kind == Pointer && isStruct(p.Type.Elem().Elem(), want.typ) && p.Name != "":
				return r.eval(unaryNode{n.pos, '*', x})
			}
		}
	}
	switch {
	case t.NoParams != "" || t.User || t.Func == nil:
		return r.parameter(nameNode{n.pos, "$" + n.base.Name}) // which says why there are none
	case len(all) == 0:
		return Ref{}, r.fail(n, ErrNoMember, "%s has no parameters", t.Func.Name)
	}
	return Ref{}, r.fail(n, ErrNoMember, "no parameter of %s is a %s *; it has %s", t.Func.Name, want.typ, strings.Join(all, ", "))
}

// typedRecord finds such a pointer among what a tracepoint records.
func (r *resolver) typedRecord(n baseNode, want typedParam) (Ref, error) {
	for _, name := range want.recorded {
		for _, f := range r.t.Record {
			if f.Name == name && f.Type.Size == 8 {
				return r.eval(castNode{n.pos, want.typ, 1, nameNode{n.pos, name}})
			}
		}
	}
	return Ref{}, r.fail(n, ErrNoMember, "the tracepoint records no %s *", want.typ)
}

func isStruct(t *Type, name string) bool { return t.Kind == Struct && t.Name == name }
