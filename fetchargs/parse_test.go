package fetchargs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseArg(t *testing.T) {
	for _, c := range []struct {
		text string
		want Arg
	}{
		{"%di", Arg{Base: Base{Kind: Register, Name: "di"}}},
		{"sk=%x0:x64", Arg{Name: "sk", Base: Base{Kind: Register, Name: "x0"}, Type: ArgType{Name: "x64"}}},
		{"+8(+0(%si)):x64[4]", Arg{Base: Base{Kind: Register, Name: "si"}, Loads: []Load{{}, {Offset: 8}}, Type: ArgType{"x64", 4}}},
		{"-64(+200(%di)):u8[64]", Arg{Base: Base{Kind: Register, Name: "di"}, Loads: []Load{{Offset: 200}, {Offset: -64}}, Type: ArgType{"u8", 64}}},
		{"+u0(%si):ustring", Arg{Base: Base{Kind: Register, Name: "si"}, Loads: []Load{{User: true}}, Type: ArgType{Name: "ustring"}}},
		{"@jiffies:u64", Arg{Base: Base{Kind: Symbol, Name: "jiffies"}, Type: ArgType{Name: "u64"}}},
		{"@init_net+16", Arg{Base: Base{Kind: Symbol, Name: "init_net", Num: 16}}},
		{"@init_net-16", Arg{Base: Base{Kind: Symbol, Name: "init_net", Num: -16}}},
		{"@0xffffffff81000000", Arg{Base: Base{Kind: Memory, Num: -0x7f000000}}},
		{"$stack", Arg{Base: Base{Kind: StackAddr}}},
		{"$stack3", Arg{Base: Base{Kind: StackWord, Num: 3}}},
		{"$retval:s32", Arg{Base: Base{Kind: Retval}, Type: ArgType{Name: "s32"}}},
		{"$arg2", Arg{Base: Base{Kind: ArgNum, Num: 2}}},
		{"$comm", Arg{Base: Base{Kind: Comm}}},
		{`\42`, Arg{Base: Base{Kind: Immediate, Num: 42}}},
		{`\-1`, Arg{Base: Base{Kind: Immediate, Num: -1}}},
		{"f=+20(%di):b3@4/8", Arg{Name: "f", Base: Base{Kind: Register, Name: "di"}, Loads: []Load{{Offset: 20}}, Type: ArgType{Name: "b3@4/8"}}},
		{"+0(@0x10):string", Arg{Base: Base{Kind: Memory, Num: 16}, Loads: []Load{{}}, Type: ArgType{Name: "string"}}},
	} {
		got, err := ParseArg(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", c.want) {
			t.Errorf("%s = %#v, want %#v", c.text, got, c.want)
		}
		if got.String() != c.text {
			t.Errorf("%s is printed as %s", c.text, got)
		}
	}
	if a, err := ParseArg("+0x10(%di)"); err != nil || a.String() != "+16(%di)" {
		t.Errorf("hexadecimal offset: %v, %v", a, err)
	}
}

func TestParseArgFaults(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		msg    string
	}{
		{"", 0, "a fetch starts with"},
		{"x=", 2, "a fetch starts with"},
		{"di", 0, "a fetch starts with"},
		{"%", 1, "the name of a register"},
		{"+8%di", 2, "( is needed"},
		{"+8(%di", 6, ") is missing"},
		{"+(%di)", 1, "a number is needed"},
		{"+0b1(%di)", 1, "a number is needed"},
		{"+1_0(%di)", 1, "a number is needed"},
		{"+010(%di)", 1, "a number is needed"},
		{"+4294967296(%di)", 1, "too large"},
		{"+99999999999999999999(%di)", 1, "a number is needed"},
		{"%di:", 4, "unknown type"},
		{"%di:x7", 4, "unknown type"},
		{"%di:b0@0/8", 4, "unknown type"},
		{"%di:b5@4/8", 4, "unknown type"},
		{"%di:x64[0]", 8, "1 to 64"},
		{"%di:x64[65]", 8, "1 to 64"},
		{"%di:x64[2", 9, "] is missing"},
		{"%di:x64]", 7, "unexpected text"},
		{"%di x", 3, "unexpected text"},
		{"$arg0", 1, "known variables"},
		{"$args", 1, "known variables"},
		{"$stackx", 1, "known variables"},
		{"@", 1, "the name of a symbol"},
		{"@sym+", 5, "a number is needed"},
		{`\`, 1, "a number is needed"},
		{`\-18446744073709551615`, 2, "too large"},
	} {
		_, err := ParseArg(c.text)
		var e *ExprError
		if !errors.As(err, &e) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if e.Offset != c.offset || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%q: offset %d: %s; want %d: %s", c.text, e.Offset, e.Msg, c.offset, c.msg)
		}
	}
	_, err := ParseArg("+8%di")
	if got := err.(*ExprError).Caret(); got != "+8%di\n  ^" {
		t.Errorf("caret:\n%s", got)
	}
}

func TestArgSize(t *testing.T) {
	for text, want := range map[string]int{
		"%di": 8, "%di:u8": 1, "%di:s16": 2, "%di:x32": 4, "%di:x64": 8, "+0(%di):x64[64]": 512, "+0(%di):u8[3]": 3,
		"+0(%di):string": 4, "$comm": 4, "$comm:string": 4, "+0(%di):ustring": 4, "%di:symbol": 8, "%di:symstr": 4, "%di:char": 1,
		"+0(%di):b3@4/8": 1, "+0(%di):b12@0/16": 2, "+0(%di):string[2]": 8,
	} {
		a, err := ParseArg(text)
		if err != nil || a.Size() != want {
			t.Errorf("%s has %d bytes, want %d (%v)", text, a.Size(), want, err)
		}
	}
}

func TestCheck(t *testing.T) {
	args := func(n int, text string) []Arg {
		var all []Arg
		for range n {
			a, err := ParseArg(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		return all
	}
	deep := func(n int) string { return strings.Repeat("+0(", n) + "%di" + strings.Repeat(")", n) }
	for _, c := range []struct {
		args []Arg
		want string // part of the error, "" for none
	}{
		{args(128, "%di:u8"), ""},
		{args(129, "%di:u8"), "129 arguments, at most 128"},
		{args(250, "$comm:string"), "250 arguments"},
		{args(1, "a=+123456789(+123456789(+123456789(+123456789(+123456(%di))))):u64"), "64 characters, at most 63"},
		{args(1, "a=+123456789(+123456789(+123456789(+123456789(+12345(%di))))):u64"), ""},
		{args(1, strings.Repeat("n", 31)+"=%di"), ""},
		{args(1, strings.Repeat("n", 32)+"=%di"), "32 characters, at most 31"},
		{args(1, deep(12)), ""},
		{args(1, deep(13)), "at most 12"},
		{args(3, "+0(%di):x64[64]"), ""},
		{args(4, "+0(%di):x64[64]"), "2048 bytes, at most 2000"},
		{[]Arg{{Name: "a", Base: Base{Kind: Register, Name: "di"}, Type: ArgType{"u8", 65}}}, "65 elements"},
		{[]Arg{{Name: "a", Base: Base{Kind: Register, Name: "di"}, Loads: []Load{{Offset: 1 << 31}}}}, "offset over"},
		{[]Arg{{Name: "a", Base: Base{Kind: Register, Name: "di"}, Loads: []Load{{Offset: -1 << 31}}}}, "offset over"},
	} {
		err := Check(c.args)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.args[0], err)
		case c.want != "" && (!errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.args[0], err, c.want)
		}
	}
}
