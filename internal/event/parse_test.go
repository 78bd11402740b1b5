package event

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseProbe(t *testing.T) {
	for text, want := range map[string]string{
		"tcp_connect":                           "tcp_connect",
		" tcp_connect  sk->x\t":                 "tcp_connect sk->x",
		"f%return $retval:errno":                "f return $retval:errno",
		"bridge:br_dev_xmit skb->len":           "bridge:br_dev_xmit skb->len",
		"f+0x10 %ax":                            "f+16 %ax",
		"f+0%return":                            "f return",
		"f.isra.0 %di":                          "f.isra.0 %di",
		"f a=sk->x:port b=(sk + 1)->y c=x[ 1 ]": "f a=sk->x:port b=(sk + 1)->y c=x[ 1 ]",
		"f (a->x ?? b->y):hex":                  "f (a->x ?? b->y):hex",
	} {
		src, err := ParseProbe(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		p := src.Probes[0]
		got := p.Funcs[0]
		if p.Offset != 0 {
			got += fmt.Sprintf("+%d", p.Offset)
		}
		if p.Return {
			got += " return"
		}
		for _, f := range p.Fields {
			got += " "
			if f.Name != "" {
				got += f.Name + "="
			}
			got += f.Expr
			if f.KindName != "" {
				got += ":" + f.KindName
			}
			if !strings.HasPrefix(text[f.pos:], f.Expr) {
				t.Errorf("%q: %s is not at %d", text, f.Expr, f.pos)
			}
		}
		if got != want {
			t.Errorf("%q = %s, want %s", text, got, want)
		}
	}
}

func TestParseProbeFaults(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		msg    string
	}{
		{"", 0, "a function is needed"},
		{"  ", 0, "a function is needed"},
		{"+5", 0, "a function is needed first"},
		{"%return", 0, "a function is needed first"},
		{"f%re.t", 1, "only %return"},
		{"f%return%return", 1, "only %return"},
		{"f%5", 1, "only %return"},
		{"f:99999999999", 2, "number of a line"},
		{"a.c:0", 4, "count from 1"},
		{"f+4:12", 0, "is no function"},
		{"a.c%label", 0, "is no function"},
		{":f:12", 0, "is no function"},
		{"f+x", 2, "number of bytes"},
		{"f+4%return", 1, "no offset"},
		{"f-g", 1, "cannot be in the name"},
		{"f sk->x:prt", 8, `unknown kind "prt"`},
		{"f a=sk->x:prt", 10, `unknown kind "prt"`},
		{"f a=", 4, "an expression is needed"},
		{"f a=:port", 4, "an expression is needed"},
		{"f 1a=sk", 2, "no name for a column"},
		{"f a-b=sk", 2, "no name for a column"},
		{"f (sk", 5, "not closed"},
		{"f sk)", 4, "closes nothing"},
		{"f x[1", 5, "not closed"},
	} {
		_, err := ParseProbe(c.text)
		var e *ParseError
		if !errors.As(err, &e) || e.Offset != c.offset || !strings.Contains(strings.Replace(e.Msg, "the name of a function is needed first", "a function is needed first", 1), c.msg) {
			t.Errorf("%q: %v; want offset %d: %s", c.text, err, c.offset, c.msg)
		}
	}
}

func TestColumnName(t *testing.T) {
	for expr, want := range map[string]string{
		"sk": "sk", "sk->__sk_common.skc_dport": "skc_dport", "dev->name": "name", "tbl[3]": "tbl", "sk->a[2].b": "b", "(skb + 1)": "skb",
		"*(u8 *)skb->data": "data", "$retval": "retval", "$arg1": "arg1", "%ax": "ax", "@jiffies": "jiffies", "(a->x ?? b->y)": "y",
		"skb->cb[ 12 ]": "cb", "@0xffffffff81000000": "value", "skb->data - 64": "data",
	} {
		if got := columnName(expr); got != want {
			t.Errorf("%s is called %s, want %s", expr, got, want)
		}
	}
}

func TestSubstitute(t *testing.T) {
	for _, c := range [][3]string{
		{"$", "(u32)x", "(u32)x"},
		{"$->head", "skb", "skb->head"},
		{"$->head", "(struct sk_buff *)x", "((struct sk_buff *)x)->head"},
		{"$->head", "(u32)x", "((u32)x)->head"},
		{"$->head", "$retval", "($retval)->head"},
		{"$->head", "a->x ?? b->y", "(a->x ?? b->y)->head"},
		{"*((u8 *)$->data - 64)", "skb->next", "*((u8 *)(skb->next)->data - 64)"},
		{"*(u16 *)($)", "x + 1", "*(u16 *)((x + 1))"},
	} {
		if got := substitute(c[0], c[1]); got != c[2] {
			t.Errorf("%s of %s = %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func FuzzParseProbe(f *testing.F) {
	for _, s := range []string{"tcp_connect sk->x:port", "f%return $retval:errno", "f+0x10 %ax a=(sk + 1)->y", "m:f x[1]", "f (a ?? b):hex"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src, err := ParseProbe(text)
		var e *ParseError
		if errors.As(err, &e) && (e.Offset < 0 || e.Offset > len(text)) {
			t.Errorf("offset %d", e.Offset)
		}
		if err == nil {
			for _, field := range src.Probes[0].Fields {
				columnName(field.Expr)
				if !strings.HasPrefix(text[field.pos:], field.Expr) {
					t.Errorf("%s is not at %d", field.Expr, field.pos)
				}
			}
		}
	})
}

func TestParsePlaces(t *testing.T) {
	for text, want := range map[string]Probe{
		"t:sched:sched_switch":           {Tracepoint: "sched:sched_switch", All: true},
		"t:sched:sched_switch next_pid":  {Tracepoint: "sched:sched_switch"},
		"t:syscalls:*":                   {Tracepoint: "syscalls:*", Glob: true},
		"tcp_*":                          {Funcs: []string{"tcp_*"}, Glob: true},
		"nf-conntrack:*_[a-c]%return":    {Funcs: []string{"nf-conntrack:*_[a-c]"}, Glob: true, Return: true},
		"u:/bin/bash:readline":           {File: "/bin/bash", Funcs: []string{"readline"}},
		"u:libc.so.6:get*%return":        {File: "libc.so.6", Funcs: []string{"get*"}, Glob: true, Return: true},
		`u:"/a b:c/d":f+0x10`:            {File: "/a b:c/d", Funcs: []string{"f"}, Offset: 16},
		"u:./x:net/http.(*Client).do x":  {File: "./x", Funcs: []string{"net/http.(*Client).do"}, Glob: true},
		"f:12":                           {Source: &SourcePlace{Func: "f", Line: 12, HasLine: true}},
		"f:0 x":                          {Source: &SourcePlace{Func: "f", HasLine: true}},
		"br-x:f:12":                      {Source: &SourcePlace{Module: "br-x", Func: "f", Line: 12, HasLine: true}},
		"f%out":                          {Source: &SourcePlace{Func: "f", Label: "out"}},
		"m:f%out":                        {Source: &SourcePlace{Module: "m", Func: "f", Label: "out"}},
		"net/ipv4/tcp-x.c:5960":          {Source: &SourcePlace{File: "net/ipv4/tcp-x.c", Line: 5960, HasLine: true}},
		"m:sock.h:1":                     {Source: &SourcePlace{Module: "m", File: "sock.h", Line: 1, HasLine: true}},
		"u:/x:slices.Sort[go.shape.int]": {File: "/x", Funcs: []string{"slices.Sort[go.shape.int]"}, Glob: true},
	} {
		src, err := ParseProbe(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := src.Probes[0]
		got.Fields = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %+v, want %+v", text, got, want)
		}
	}
	for text, msg := range map[string]string{
		"t:sched": "t:GROUP:EVENT", "t::x": "t:GROUP:EVENT", "t:a:b+4": "cannot be in the name", "tcp_*+4": "not in all", "u:/x": "u:FILE:FUNCTION",
		"u::f": "u:FILE:FUNCTION", "u:/x:": "u:FILE:FUNCTION", `u:"/x y:f`: "quotation mark", ":f": "MODULE:FUNCTION", "m:": "MODULE:FUNCTION", "a:b:c": "cannot be",
	} {
		if _, err := ParseProbe(text); err == nil || !strings.Contains(err.Error(), msg) {
			t.Errorf("%s: %v, want %s", text, err, msg)
		}
	}
}
