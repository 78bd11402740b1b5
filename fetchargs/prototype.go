package fetchargs

import (
	"fmt"
	"strings"
)

// Prototype makes a function's type of its name and its parameters in C:
// "struct sk_buff *skb, int len". It is for functions of which types tells
// nothing, but whose parameters are the same on all kernels. Structs that types
// does not know either are incomplete. The result is not known: it is the whole
// register.
func Prototype(name, params string, types Types) (*Type, error) {
	var all []Member
	for text := range strings.SplitSeq(params, ",") {
		text = strings.TrimSpace(text)
		at := strings.LastIndexAny(text, " *") + 1
		member := text[at:]
		text = strings.TrimSpace(text[:at])
		words := strings.TrimRight(text, "* ")
		if words == "" || !isIdent(member) {
			return nil, fmt.Errorf("fetchargs: %q is no parameter in C", strings.TrimSpace(text+" "+member))
		}
		typ := parameterType(words, types)
		for range strings.Count(text, "*") {
			elem := typ
			typ = PointerTo(func() *Type { return elem })
		}
		if typ.Size == 0 {
			return nil, fmt.Errorf("fetchargs: parameter %s has a type of unknown size: %s", member, words)
		}
		all = append(all, Member{Name: member, Type: typ})
	}
	return FuncOf(name, all, unsignedLong), nil
}

func parameterType(name string, types Types) *Type {
	if t := builtinType(name); t != nil {
		return t
	}
	if types != nil {
		if t, err := types.TypeNamed(name); err == nil {
			return t
		}
	}
	return &Type{Kind: Struct, Name: name, Incomplete: true}
}
