package fetchargs

import (
	"strings"
	"testing"
)

// $sk is a parameter by its type, whatever it is called and however often it is
// pointed to.
func TestTyped(t *testing.T) {
	f := table()
	f["struct sk_buff"] = &Type{Kind: Struct, Name: "struct sk_buff", Size: 232, Members: []Member{{Name: "len", Type: f.cType("u32"), Offset: 112}}}
	skb := f.cType("struct sk_buff *")
	f["core()"] = FuncOf("core", []Member{{Name: "net", Type: f.cType("void *")}, {Name: "pskb", Type: PointerTo(func() *Type { return skb })}, {Name: "late", Type: skb}}, voidType)
	f["plain()"] = FuncOf("plain", []Member{{Name: "n", Type: f.cType("int")}, {Name: "buff", Type: skb}}, voidType)
	f["unnamed()"] = FuncOf("unnamed", []Member{{Type: f.cType("int")}, {Type: skb}}, voidType)
	f["nothing()"] = FuncOf("nothing", nil, voidType)
	recorded := Target{Arch: AMD64, Types: f, Dialect: Dialect53, Fetched: true, Record: []RecordField{{Name: "skbaddr", Type: PointerTo(nil), Offset: 8}, {Name: "skaddr", Type: &Type{Kind: Int, Size: 4}}}}
	at := func(name string) *Target {
		target := f.at(name, AMD64, Dialect53)
		return &target
	}
	suffixed, unknown := at("core"), at("plain")
	suffixed.NoParams, unknown.Func = "they moved", nil
	for _, c := range []struct {
		target     *Target
		expr, want string
	}{
		{at("f"), "$sk->dport", "+12(%di):u16"},
		{at("plain"), "$skb->len", "+112(%si):u32"},
		{at("plain"), "$skb", "%si:x64"},
		{at("core"), "$skb->len", "+112(+0(%si)):u32"},
		{at("core"), "$skb", "+0(%si):x64"},
		{at("unnamed"), "$skb->len", "+112(%si):u32"},
		{&recorded, "$skb->len", "+112($skbaddr):u32"},
		{&recorded, "$sk->dport", "the tracepoint records no struct sock *"},
		{&recorded, "$dev", "the tracepoint records no struct net_device *"},
		{at("f"), "$skb", "no parameter of f is a struct sk_buff *; it has struct sock *sk, unsigned long len,"},
		{at("nothing"), "$skb", "nothing has no parameters"},
		{suffixed, "$skb", `parameter "pskb" cannot be named: they moved`},
		{unknown, "$skb", "the parameters of this function are not known here"},
		{at("f"), "$socket", "known variables are"},
	} {
		if got := fetched(c.target, c.expr); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.expr, got, c.want)
		}
	}
}
