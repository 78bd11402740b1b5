package fetchargs

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var localTarget = Target{Arch: AMD64, Dialect: Dialect420, Place: "f:12", Inside: true, NoParams: "they are known by their names here", Locals: []Local{
	{Name: "sk", Type: PointerTo(func() *Type { return pairStruct }), Base: Base{Kind: Register, Name: "bx"}},
	{Name: "n", Type: builtinType("int"), Base: Base{Kind: Register, Name: "r12"}},
	{Name: "pair", Type: pairStruct, Base: Base{Kind: Register, Name: "sp"}, Offset: -40, Memory: true},
	{Name: "at", Type: PointerTo(func() *Type { return pairStruct }), Base: Base{Kind: Register, Name: "sp"}, Offset: 16},
	{Name: "kept", Type: unsignedLong, Base: Base{Kind: Register, Name: "bp"}, Loads: []Load{{Offset: -8}}},
	{Name: "static", Type: unsignedLong, Base: Base{Kind: Symbol, Name: "count.1"}, Offset: 8, Memory: true},
	{Name: "seven", Type: builtinType("short"), Base: Base{Kind: Immediate, Num: 7}},
	{Name: "null", Type: PointerTo(func() *Type { return pairStruct }), Base: Base{Kind: Immediate}},
	{Name: "gone", Type: unsignedLong, Why: "optimised out here"},
	{Name: "was", Type: PointerTo(func() *Type { return pairStruct }), Base: Base{Kind: Register, Name: "di"}, Offset: 8, AtEntry: true},
	{Name: "whole", Type: pairStruct, Base: Base{Kind: Register, Name: "ax"}},
}}

var pairStruct = &Type{Kind: Struct, Name: "struct pair", Size: 8, Members: []Member{{Name: "a", Type: builtinType("int")}, {Name: "b", Type: builtinType("int"), Offset: 4}}}

func TestLocals(t *testing.T) {
	for expr, want := range map[string]string{
		"n": "a0=%r12:u32", "sk": "a0=%bx:x64", "sk->b": "a0=%bx:x64 a1=+4(%bx):u32", "pair.b": "a0=-36(%sp):u32", "at->b": "a0=%sp:x64 a1=+20(%sp):u32",
		"kept": "a0=-8(%bp):x64", "static": "a0=@count.1+8:x64", "&pair": "a0=%sp:x64", "seven": "",
	} {
		e, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := localTarget.Resolve(e)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		p := NewPlanner(localTarget.Dialect)
		slot, err := p.Value(ref, 0)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		plan, err := p.Build()
		if err != nil {
			t.Fatal(err)
		}
		var args []string
		for _, a := range plan.Args {
			args = append(args, a.String())
		}
		if got := strings.Join(args, " "); got != want && !strings.HasPrefix(want, "a0="+strings.TrimPrefix(got, "a0=")) {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
		if expr == "seven" {
			l, err := plan.Layout(plan.Predict(false))
			if err != nil {
				t.Fatal(err)
			}
			if b := l.Bytes(make([]byte, 16), 1, slot); !bytes.Equal(b, []byte{7, 0}) {
				t.Errorf("seven is % x", b)
			}
			if _, err := p.Scalar("seven", ref, 0, true); !errors.Is(err, ErrNotFetchable) {
				t.Errorf("the kernel compares a constant: %v", err)
			}
		}
	}
}

func TestNoLocals(t *testing.T) {
	for expr, want := range map[string]string{
		"gone": "gone: optimised out here", "whole": "in %ax as a whole", "whole.a": "in %ax as a whole", "nope": `no "nope" in scope at f:12; there are sk, n, pair`,
		"was->b": `"was->b" starts at what %di was when the function was entered`,
		"$arg1":  "they are known by their names here", "null->a": "follows a pointer that is 0 here",
	} {
		e, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := localTarget.Resolve(e)
		if err == nil {
			_, err = NewPlanner(localTarget.Dialect).Value(ref, 0)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expr, err, want)
		}
	}
}

// What is left of a variable where it is alone is had where the function is entered.
func TestEntered(t *testing.T) {
	e, err := Parse("(was ?? n)->b")
	if err != nil {
		t.Fatal(err)
	}
	ref, err := localTarget.Resolve(e)
	if err != nil || !ref.AtEntry() {
		t.Fatalf("%v, %v", ref, err)
	}
	entry := localTarget
	entry.Locals = Entered(localTarget.Locals)
	if ref, err = entry.Resolve(e); err != nil || ref.AtEntry() || ref.String() != "+12(%di)" {
		t.Errorf("%s, %v", ref, err)
	}
	for _, l := range localTarget.Locals {
		if l.AtEntry != (l.Name == "was") {
			t.Errorf("%s was changed", l.Name)
		}
	}
}

func TestLocalString(t *testing.T) {
	want := map[string]string{"sk": "%bx", "pair": "-40(%sp)", "at": "%sp+16", "kept": "-8(%bp)", "static": "@count.1+8", "seven": "7", "null": "0", "gone": "optimised out here", "was": "%di+8 at entry"}
	for i := range localTarget.Locals {
		l := &localTarget.Locals[i]
		if w, ok := want[l.Name]; ok && l.String() != w {
			t.Errorf("%s: %s, want %s", l.Name, l, w)
		}
	}
}
