package ktype

import (
	"errors"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
)

func TestTypeNames(t *testing.T) {
	for name, want := range map[string]string{
		"unsigned": "unsigned int", "long unsigned int": "long unsigned int", "unsigned long": "long unsigned int", "unsigned long long int": "long long unsigned int",
		"short": "short int", "signed": "int", "char": "char", "unsigned char": "unsigned char", "const unsigned int": "unsigned int", "u32": "u32",
	} {
		if q, err := parseTypeName(name); err != nil || q.name != want {
			t.Errorf("%s: %q, %v, want %q", name, q.name, err, want)
		}
	}
	for _, bad := range []string{"", "struct sock *", "char[4]", "const"} {
		if _, err := parseTypeName(bad); !errors.Is(err, fetchargs.ErrNoType) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
