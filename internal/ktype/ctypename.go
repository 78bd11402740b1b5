package ktype

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// A typeQuery is a C type name taken apart: what BTF calls it and the kinds
// (a bit for each) it may have there.
type typeQuery struct {
	name    string
	clang   string // another name that it may have, "" for none
	kinds   uint32
	forward uint32 // kinds that only declare it
	void    bool
}

func parseTypeName(name string) (typeQuery, error) {
	words := strings.Fields(name)
	words = slices.DeleteFunc(words, func(w string) bool { return w == "const" || w == "volatile" })
	if len(words) == 2 {
		switch words[0] {
		case "struct":
			return typeQuery{name: words[1], kinds: 1 << kindStruct, forward: 1 << kindFwd}, nil
		case "union":
			return typeQuery{name: words[1], kinds: 1 << kindUnion, forward: 1 << kindFwd}, nil
		case "enum":
			return typeQuery{name: words[1], kinds: 1<<kindEnum | 1<<kindEnum64, forward: 1 << kindEnum}, nil
		}
	}
	switch {
	case len(words) == 0 || strings.ContainsAny(name, "*[]("):
		return typeQuery{}, fmt.Errorf("%q is not the name of a type: %w", name, fetchargs.ErrNoType)
	case len(words) == 1 && words[0] == "void":
		return typeQuery{void: true}, nil
	}
	bare := strings.Join(words, " ")
	if w := btfInt(words); w != "" {
		return typeQuery{name: w, clang: plainInt(words), kinds: 1 << kindInt}, nil
	}
	return typeQuery{name: bare, kinds: 1<<kindTypedef | 1<<kindInt | 1<<kindFloat}, nil
}

// look asks for the type, and where there is none by the other name that it may
// have.
func (q typeQuery) look(find func(typeQuery) (*fetchargs.Type, error)) (*fetchargs.Type, error) {
	t, err := find(q)
	if q.clang == "" || !errors.Is(err, fetchargs.ErrNoType) {
		return t, err
	}
	q.name = q.clang
	if other, oerr := find(q); oerr == nil {
		return other, nil
	}
	return t, err
}

// integer is a C integer type that has more than one spelling.
type integer struct{ c, btf string }

// GCC writes the second spelling into debug information, clang and people the
// first.
var integers = []integer{
	{"char", "char"}, {"signed char", "signed char"}, {"unsigned char", "unsigned char"},
	{"short", "short int"}, {"unsigned short", "short unsigned int"},
	{"int", "int"}, {"unsigned int", "unsigned int"},
	{"long", "long int"}, {"unsigned long", "long unsigned int"},
	{"long long", "long long int"}, {"unsigned long long", "long long unsigned int"},
	{"_Bool", "_Bool"},
}

// canonicalInt returns the short C spelling of an integer's name in debug
// information: "unsigned long" for "long unsigned int".
func canonicalInt(name string) string {
	if c := plainInt(strings.Fields(name)); c != "" {
		return c
	}
	return name
}

// btfInt returns the spelling of debug information for a C integer type in any
// of its spellings, or "" for another name.
func btfInt(words []string) string {
	c := plainInt(words)
	for _, i := range integers {
		if i.c == c {
			return i.btf
		}
	}
	return ""
}

func plainInt(words []string) string {
	count := map[string]int{}
	for _, w := range words {
		switch w {
		case "signed", "unsigned", "short", "long", "int", "char", "_Bool":
			count[w]++
		default:
			return ""
		}
	}
	prefix := ""
	if count["unsigned"] > 0 {
		prefix = "unsigned "
	}
	switch {
	case len(words) == 0:
		return ""
	case count["_Bool"] > 0:
		return "_Bool"
	case count["char"] > 0 && count["signed"] > 0:
		return "signed char"
	case count["char"] > 0:
		return prefix + "char"
	case count["short"] > 0:
		return prefix + "short"
	case count["long"] > 1:
		return prefix + "long long"
	case count["long"] > 0:
		return prefix + "long"
	}
	return prefix + "int"
}
