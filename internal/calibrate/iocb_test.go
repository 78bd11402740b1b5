package calibrate

import (
	"slices"
	"strings"
	"testing"
)

// TestIocb has the functions that take messages as they were until 4.0, with a
// struct kiocb before the other parameters: all that is found stays found, and
// the parameters are one further.
func TestIocb(t *testing.T) {
	for name, load := range recordings(t) {
		if !strings.Contains(name, "dialect-3.10") {
			continue // later calls of msg as the third parameter were not recorded
		}
		truth := Solve(load())
		r := load()
		moved := map[string]bool{}
		for i := range r.Hits {
			h := &r.Hits[i]
			switch h.Func {
			case fnSend4, fnSend6:
				// Windows: what the second and the third parameter point to, and
				// what the pointers at the start of those point to.
				sk := make([]byte, len(h.Mem[0]))
				h.Mem = [][]byte{sk, h.Mem[0], make([]byte, len(h.Mem[2])), h.Mem[2]}
			case fnRecv4, fnRecv6:
				h.Regs = slices.Insert(slices.Clone(h.Regs), 3, 0) // noblock, until 5.18
			case fnSendTCP:
			default:
				continue
			}
			moved[h.Func] = true
			h.Regs = slices.Insert(slices.Clone(h.Regs), 0, 0xffff888012345678)[:numRegs]
		}
		if len(moved) != 5 {
			t.Errorf("%s has calls of %v only", name, moved)
		}
		got := Solve(r)
		agree(t, name+" with kiocb", claims(got), claims(truth))
		agree(t, name+" with kiocb", claims(truth), claims(got))
		for i, f := range got.Functions {
			want := truth.Functions[i].Names()
			if f.Name == fnRecv4 || f.Name == fnRecv6 {
				want = []string{"sk", "msg", "len", "noblock", "flags", "addr_len"}
			}
			if moved[f.Name] {
				want = append([]string{"iocb"}, want...)
			}
			if !f.OK || !slices.Equal(f.Names(), want) {
				t.Errorf("%s: %s has %v, want %v: %s", name, f.Name, f.Names(), want, f.Why)
			}
		}
	}
}
