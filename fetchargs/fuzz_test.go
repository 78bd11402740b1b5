package fetchargs

import (
	"encoding/binary"
	"fmt"
	"testing"
)

func FuzzParseArg(f *testing.F) {
	for _, s := range []string{"%di", "sk=%di:x64", "a0=+8(+0(%si)):x64[4]", "-64(+200(%di)):u8[64]", "+u0(%si):ustring", "@jiffies+8:u64",
		"@0xffffffff81000000", "$stack3", "$retval:s32", "$arg2", "$comm", `\-42`, "+20(%di):b3@4/8", "x=$stack:symbol", "@a-0", `\18446744073709551615`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseArg(text)
		if err != nil {
			e := err.(*ExprError)
			if e.Offset < 0 || e.Offset > len(text) {
				t.Errorf("offset %d", e.Offset)
			}
			return
		}
		Check([]Arg{a})
		b, err := ParseArg(a.String())
		if err != nil || fmt.Sprintf("%#v", a) != fmt.Sprintf("%#v", b) {
			t.Errorf("%q is printed as %q, which is %#v (%v), not %#v", text, a, b, err, a)
		}
	})
}

func FuzzParseExpr(f *testing.F) {
	for _, s := range []string{"sk->dport", "(sk + 1)->pair.hi", "&sk->pair", "*sk->name", "((struct inet *)sk)->tos", "(u32)len", "sk->nope ?? sk->next->family",
		"@jiffies", "((struct sock *)&@g)->daddr", "$retval", "$stack[2]", "$arg7->tbl[3]->text[9]", "$comm", "%ax", "*(u8 *)(sk->text - 64)", "sk->flag", "(bool)sk->pair",
		"(enum state)sk->err", "&sk->big", "by + 1 - 2", "(void)sk", "(float)d", "sk->rest[1]", "($retval + 5)",
		"sk->dport & 0xfff", "(len >> 3) & 1", "(len) & 7", "$caller", "$skb->len"} {
		f.Add(s)
	}
	types := table()
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			if x := err.(*ExprError); x.Offset < 0 || x.Offset > len(text) {
				t.Errorf("offset %d", x.Offset)
			}
			return
		}
		for _, d := range []Dialect{Dialect310, Dialect69} {
			for _, fn := range []string{"f", "by_value", "unknown"} {
				target := types.at(fn, ARM64, d)
				target.Return = d.ReturnArgs
				ref, err := target.Resolve(e)
				if err != nil {
					x := err.(*ExprError)
					if x.Offset < 0 || x.Offset > len(text) {
						t.Errorf("offset %d", x.Offset)
					}
					continue
				}
				p := NewPlanner(d)
				p.Value(ref, 0)
				p.Value(ref.Target(), 16)
				p.Text(ref, true)
				p.Scalar("x", ref, 0, true)
				if plan, err := p.Build(); err == nil {
					if _, err := plan.Layout(plan.Predict(true)); err != nil {
						t.Error(err)
					}
					for _, a := range plan.Args {
						if _, err := ParseArg(a.String()); err != nil {
							t.Errorf("%q becomes what is no argument: %v", text, err)
						}
					}
				}
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("0123456789abcdef01234567"), byte(0), int16(0))
	f.Add(binary.LittleEndian.AppendUint32(make([]byte, 60), 0x10_0040), byte(1), int16(4))
	f.Add(make([]byte, 200), byte(2), int16(-3))
	types := table()
	f.Fuzz(func(t *testing.T, record []byte, which byte, shift int16) {
		target := types.at("f", AMD64, []Dialect{Dialect310, Dialect420}[which&1])
		p := NewPlanner(target.Dialect)
		var slots []Slot
		for _, expr := range []string{"sk->next->dport", "sk->name", "sk->text:string", "sk->name:string", "len", "sk->flag", "sk->tbl[1]->name:40"} {
			s, err := plannedOne(p, &target, expr)
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, s)
		}
		plan, err := p.Build()
		if err != nil {
			t.Fatal(err)
		}
		places := plan.Predict(which&2 != 0)
		at := &places[int(which>>2)%len(places)]
		at.Offset += int(shift)
		at.Size += int(shift >> 12)
		layout, err := plan.Layout(places)
		if err != nil {
			return
		}
		record = record[:len(record):len(record)]
		present, err := layout.Present(record)
		if err != nil {
			return
		}
		for _, s := range slots {
			b := layout.Bytes(record, present, s)
			if len(b) > len(record) || cap(b) > len(record) {
				t.Errorf("%d bytes of %d", len(b), len(record))
			}
			layout.Bytes(record, ^uint64(0), s)
		}
	})
}
