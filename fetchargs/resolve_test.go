package fetchargs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	f := table()
	for _, c := range []struct {
		expr, amd64, arm64 string
		typ                string
	}{
		{"sk", "%di", "%x0", "struct sock *"},
		{"len", "%si", "%x1", "unsigned long"},
		{"g", "%r9", "%x5", "u16"},
		{"seventh", "$stack1", "%x6", "struct sock *"},
		{"eighth", "$stack2", "%x7", "int"},
		{"ninth", "$stack3", "$stack0", "u8"},
		{"seventh->dport", "+12($stack1)", "+12(%x6)", "u16"},
		{"sk->dport", "+12(%di)", "+12(%x0)", "u16"},
		{"(sk)->dport", "+12(%di)", "+12(%x0)", "u16"},
		{" sk -> dport ", "+12(%di)", "+12(%x0)", "u16"},
		{"sk->pair.hi", "+28(%di)", "+28(%x0)", "u32"},
		{"(&sk->pair)->hi", "+28(%di)", "+28(%x0)", "u32"},
		{"(*sk).dport", "+12(%di)", "+12(%x0)", "u16"},
		{"sk->word", "+32(%di)", "+32(%x0)", "u64"},
		{"sk->right", "+36(%di)", "+36(%x0)", "u32"},
		{"sk->next->next->dport", "+12(+40(+40(%di)))", "+12(+40(+40(%x0)))", "u16"},
		{"sk[1].dport", "+812(%di)", "+812(%x0)", "u16"},
		{"(sk + 1)->dport", "+812(%di)", "+812(%x0)", "u16"},
		{"(sk - 1)->dport", "-788(%di)", "-788(%x0)", "u16"},
		{"sk->name", "+48(%di)", "+48(%x0)", "char[16]"},
		{"sk->name[3]", "+51(%di)", "+51(%x0)", "char"},
		{"*sk->name", "+48(%di)", "+48(%x0)", "char"},
		{"*(sk->name + 2)", "+50(%di)", "+50(%x0)", "char"},
		{"sk->text[2]", "+2(+64(%di))", "+2(+64(%x0))", "char"},
		{"sk->tbl[2]->dport", "+12(+96(%di))", "+12(+96(%x0))", "u16"},
		{"sk->rest[9]", "+137(%di)", "+137(%x0)", "u8"},
		{"*(u8 *)(sk->text - 64)", "-64(+64(%di))", "-64(+64(%x0))", "u8"},
		{"((struct inet *)sk)->tos", "+850(%di)", "+850(%x0)", "u8"},
		{"((struct inet*)sk->any)->sk.dport", "+12(+112(%di))", "+12(+112(%x0))", "u16"},
		{"container_of(sk, struct inet, sk)->tos", "+850(%di)", "+850(%x0)", "u8"},
		{"container_of(sk, struct sock, pair.hi)->dport", "-16(%di)", "-16(%x0)", "u16"},
		{"container_of( sk->next , struct sock , pair ).x ?? container_of(len, struct sock, name)->next", "-8(%si)", "-8(%x1)", "struct sock *"},
		{"(u32)len", "%si", "%x1", "u32"},
		{"(u16)sk->daddr", "+0(%di)", "+0(%x0)", "u16"},
		{"(enum state)sk->err", "+76(%di)", "+76(%x0)", "enum state"},
		{"(unsigned char)len", "%si", "%x1", "unsigned char"},
		{"*(struct sock **)sk->any", "+0(+112(%di))", "+0(+112(%x0))", "struct sock *"},
		{"@jiffies", "@jiffies", "@jiffies", "unsigned long"},
		{"(int)@panic_timeout", "@panic_timeout", "@panic_timeout", "int"},
		{"((struct sock *)@global)->dport", "+12(@global)", "+12(@global)", "u16"},
		{"((struct sock *)&@global)->dport", "@global+12", "@global+12", "u16"},
		{"*(u32 *)&@0xffffffff81000000", "@0xffffffff81000000", "@0xffffffff81000000", "u32"},
		{"$stack", "$stack", "$stack", "unsigned long *"},
		{"$stack[2]", "+16($stack)", "+16($stack)", "unsigned long"},
		{"$stack2", "$stack2", "$stack2", "unsigned long"},
		{"$arg1->dport", "+12(%di)", "+12(%x0)", "u16"},
		{"$arg7", "$stack1", "%x6", "struct sock *"},
		{"%ax", "%ax", "%ax", "unsigned long"},
		{"sk->nope ?? sk->dport", "+12(%di)", "+12(%x0)", "u16"},
		{"((struct nope *)sk)->x ?? ((struct inet *)sk)->tos", "+850(%di)", "+850(%x0)", "u8"},
		{"(sk->nope ?? sk->next)->dport", "+12(+40(%di))", "+12(+40(%x0))", "u16"},
	} {
		for arch, want := range map[Arch]string{AMD64: c.amd64, ARM64: c.arm64} {
			target := f.at("f", arch, Dialect420)
			ref, err := resolve(&target, c.expr)
			if err != nil {
				t.Errorf("%s: %v", c.expr, err)
				continue
			}
			if ref.String() != want || ref.Type.String() != c.typ {
				t.Errorf("%s on %s = %s %s, want %s %s", c.expr, arch, ref.Type, ref, c.typ, want)
			}
		}
	}
}

func resolve(t *Target, expr string) (Ref, error) {
	e, err := Parse(expr)
	if err != nil {
		return Ref{}, err
	}
	return t.Resolve(e)
}

// A cast reads no byte more than the value has, so it cannot make it wider.
func TestCastSize(t *testing.T) {
	f := table()
	target := f.at("f", AMD64, Dialect420)
	for expr, want := range map[string]string{
		"(u64)sk->dport": "2 false", "(s64)sk->err": "4 true", "(u64)d": "4 true", "(u8)len": "1 false",
		"(enum state)on": "1 false", "(bool)sk->daddr": "4 false", "(u64)sk->pair": "8 false", "(u32)(u64)g": "2 false",
	} {
		ref, err := resolve(&target, expr)
		if got := fmt.Sprintf("%d %t", ref.Size(), ref.Type != nil && ref.Type.Signed); err != nil || got != want {
			t.Errorf("%s has %s, want %s (%v)", expr, got, want, err)
		}
	}
}

func TestReturnProbe(t *testing.T) {
	f := table()
	old, now := f.at("f", AMD64, Dialect53), f.at("f", AMD64, Dialect69)
	arm := f.at("f", ARM64, Dialect69)
	void := f.at("by_value", AMD64, Dialect69)
	for _, target := range []*Target{&old, &now, &arm, &void} {
		target.Return = true
	}
	for _, c := range []struct {
		target     *Target
		expr, want string
	}{
		{&old, "$retval", "$retval"},
		{&old, "sk", "gone when f returns"},
		{&old, "$arg1", "gone when the function returns"},
		{&now, "sk", "$arg1"},
		{&now, "$arg1->dport", "+12($arg1)"},
		{&now, "ninth", "$arg9"},
		{&arm, "eighth", "$arg8"},
		{&arm, "ninth", "the first 8 parameters"},
		{&arm, "$arg9", "the first 8 parameters"},
		{&void, "$retval", "returns nothing"},
		{&void, "a", "$arg1"},
		{&void, "c", "passed by value"},
	} {
		ref, err := resolve(c.target, c.expr)
		got := ref.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.expr, got, c.want)
		}
	}
}

func TestResolveFaults(t *testing.T) {
	f := table()
	moved := f.at("f", AMD64, Dialect420)
	moved.NoParams = "they moved"
	for _, c := range []struct {
		fn, expr string
		offset   int
		msg      string
		class    error
	}{
		{"f", "skb->len", 0, `no parameter "skb"; it has sk, len`, ErrNoMember},
		{"f", "sk->dprt", 4, `struct sock has no member "dprt"`, ErrNoMember},
		{"f", "sk.dport", 3, "write ->", ErrNoMember},
		{"f", "sk->pair->hi", 10, "write .", ErrNoMember},
		{"f", "sk->next.dport", 9, "write ->", ErrNoMember},
		{"f", "len->x", 5, "is no pointer", ErrNoMember},
		{"f", "sk->any->x", 9, "cast it", ErrNoMember},
		{"f", "*sk->any", 0, "unknown size", ErrNoType},
		{"f", "sk->hidden->x", 12, "are not in a table", ErrNoType},
		{"f", "sk->tbl[4]", 7, "past the end", ErrNoMember},
		{"f", "sk->err[1]", 7, "is no pointer", ErrNoMember},
		{"f", "&sk", 0, "has no address", ErrNotFetchable},
		{"f", "&sk->flag", 0, "has no address", ErrNotFetchable},
		{"f", "sk->flag + 1", 9, "bit field", ErrNotFetchable},
		{"f", "(u32)sk->flag", 0, "bit field", ErrNotFetchable},
		{"f", "(struct pair)len", 0, "cast to a pointer", ErrNotFetchable},
		{"f", "(struct nope *)sk", 0, `no type "struct nope"`, ErrNoType},
		{"f", "((u8 *)sk->pair)[0]", 1, "cast its address", ErrNotFetchable},
		{"f", "(u64)sk->big", 0, "name a member", ErrNotFetchable},
		{"f", "((u8 *)sk->err)[0]", 1, "can be no pointer", ErrNotFetchable},
		{"f", "(u8)(len + 1)", 0, "cast first", ErrNotFetchable},
		{"f", "sk->pair + 1", 9, "nothing can be added", ErrNotFetchable},
		{"f", "(sk + 1099511627776)->dport", 4, "cannot reach so far", ErrLimit},
		{"f", "sk[2684355]", 2, "cannot reach so far", ErrLimit},
		{"f", "$comm[2]", 5, "$comm", ErrNotFetchable},
		{"f", "$comm + 2", 6, "$comm", ErrNotFetchable},
		{"f", "$retval", 0, "return probe", ErrNotFetchable},
		{"by_value", "a", 0, "", nil},
		{"by_value", "b", 0, "passed by value", ErrNotFetchable},
		{"by_value", "c", 0, "struct pair b is passed by value", ErrNotFetchable},
		{"by_value", "$arg3", 0, "struct pair b is passed by value", ErrNotFetchable},
		{"unknown", "sk", 0, "parameters of this function are not known", ErrNoType},
		{"f", "sk->a ?? sk->b", 13, `no member "b"`, ErrNoMember},
		{"f", "sk->a ?? &sk", 9, "has no address", ErrNotFetchable},
	} {
		target := f.at(c.fn, AMD64, Dialect420)
		_, err := resolve(&target, c.expr)
		var e *ExprError
		switch {
		case c.class == nil:
			if err != nil {
				t.Errorf("%s: %v", c.expr, err)
			}
		case !errors.As(err, &e) || !errors.Is(err, c.class) || e.Offset != c.offset || !strings.Contains(e.Msg, c.msg):
			t.Errorf("%s: %v; want offset %d: %s (%v)", c.expr, err, c.offset, c.msg, c.class)
		}
	}
	for _, expr := range []string{"sk", "$arg1"} {
		if _, err := resolve(&moved, expr); err == nil || !strings.Contains(err.Error(), "they moved") {
			t.Errorf("%s where parameters moved: %v", expr, err)
		}
	}
	target := f.at("f", AMD64, Dialect420)
	_, err := resolve(&target, "sk->dprt")
	var e *ExprError
	if !errors.As(err, &e) || e.Name != "dprt" || len(e.Known) < 10 || e.Known[1] != "dport" || !strings.Contains(strings.Join(e.Known, " "), "left right next") {
		t.Errorf("names to suggest: %+v", e)
	}
	if inside := e.Inside(); !slices.Contains(inside, "pair.hi") || slices.Contains(inside, "next.dport") {
		t.Errorf("members of members: %q", inside)
	}
}

func TestParseFaults(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		msg    string
	}{
		{"", 0, "ends too early"},
		{"sk->", 4, "name of a member"},
		{"sk->1", 4, "name of a member"},
		{"sk..a", 3, "name of a member"},
		{"sk + len", 5, "only a constant"},
		{"sk->tbl[len]", 8, "constant number"},
		{"sk->tbl[-1]", 8, "constant number"},
		{"sk->tbl[1", 9, "] is missing"},
		{"(sk", 3, ") is missing"},
		{"sk)", 2, "unexpected text"},
		{"sk len", 3, "unexpected text"},
		{"sk ??", 5, "ends too early"},
		{"5", 0, "is needed here"},
		{"@", 1, "global variable"},
		{"@5x", 1, "an address"},
		{"$foo", 1, "known variables"},
		{"sk + 99999999999999", 5, "too large"},
		{strings.Repeat("(", 200) + "sk" + strings.Repeat(")", 200), 32, "nested too deeply"},
		{strings.Repeat("*", 200) + "sk", 63, "nested too deeply"},
		{strings.Repeat("a", 5000), 0, "too long"},
	} {
		_, err := Parse(c.text)
		var e *ExprError
		if !errors.As(err, &e) || e.Offset != c.offset || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%.40s: %v; want offset %d: %s", c.text, err, c.offset, c.msg)
		}
	}
}
