package fetchargs

import (
	"errors"
	"testing"
)

func TestPrototype(t *testing.T) {
	f := table()
	proto, err := Prototype("g", "struct sock *sk, struct nope **p, unsigned int len", &f)
	if err != nil {
		t.Fatal(err)
	}
	target := f.at("f", AMD64, Dialect420)
	target.Func = proto
	for expr, want := range map[string]string{"sk->dport": "+12(%di)", "len": "%dx", "*p": "+0(%si)", "((struct sock *)*p)->dport": "+12(+0(%si))"} {
		if ref, err := resolve(&target, expr); err != nil || ref.String() != want {
			t.Errorf("%s is %s, want %s (%v)", expr, ref, want, err)
		}
	}
	if _, err := resolve(&target, "(*p)->x"); !errors.Is(err, ErrNoType) {
		t.Errorf("a member of a struct that is not known: %v", err)
	}
	for _, bad := range []string{"", "sk", "struct sock *", "struct nope p", "int a, *b"} {
		if proto, err := Prototype("g", bad, &f); err == nil {
			t.Errorf("%q is %v", bad, proto)
		}
	}
}
