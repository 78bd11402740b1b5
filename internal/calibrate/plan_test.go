package calibrate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/kprobe"
)

// TestParts holds that each target is within the limits of each kernel, and
// that its parts cover its windows.
func TestParts(t *testing.T) {
	for _, arch := range []fetchargs.Arch{fetchargs.AMD64, fetchargs.ARM64} {
		for name, d := range map[string]fetchargs.Dialect{"3.10": fetchargs.Dialect310, "4.19": fetchargs.Dialect419, "6.9": fetchargs.Dialect69} {
			for _, inet6 := range []bool{true, false} {
				probes := 0
				for i, target := range targets(d.Arrays, inet6) {
					parts, err := partsOf(i, target, arch, d)
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Contains(older, target.funcs[0]) { // those come in place of another
						probes += len(parts)
					}
					covered := make([]int, len(target.windows))
					for _, p := range parts {
						spec := kprobe.Spec{Group: "skprobe_1234567_12345678901", Event: kprobe.EventName("calibrate_"+target.funcs[0], p.index), Symbol: target.funcs[0], Args: p.args}
						if err := spec.Check(); err != nil {
							t.Errorf("%s %s: %v", arch, name, err)
						}
						for _, pc := range p.pieces {
							if covered[pc.window] != pc.off {
								t.Errorf("%s %s %s: window %d has %d bytes, and then %d", arch, name, target.funcs[0], pc.window, covered[pc.window], pc.off)
							}
							covered[pc.window] += pc.size
						}
					}
					for w, n := range covered {
						if n != target.windows[w].size {
							t.Errorf("%s %s %s: %d of %d bytes of window %d", arch, name, target.funcs[0], n, target.windows[w].size, w)
						}
					}
				}
				if probes > 24 {
					t.Errorf("%s %s: %d probes: each takes some 50 ms", arch, name, probes)
				}
			}
		}
	}
}

// TestMerger puts parts together, and drops what lost a part.
func TestMerger(t *testing.T) {
	list := []target{{[]string{"f"}, []window{{0, false, 2000}}}}
	parts, err := partsOf(0, list[0], fetchargs.AMD64, fetchargs.Dialect310)
	if err != nil || len(parts) < 2 {
		t.Fatal(len(parts), err)
	}
	m := newMerger(list, []string{"f"})
	give := func(call, part int) {
		p := &parts[part]
		var pieces [][]byte
		for _, pc := range p.pieces {
			b := make([]byte, pc.size)
			for i := range b {
				b[i] = byte(call)
			}
			pieces = append(pieces, b)
		}
		m.add(p, []uint64{uint64(call), 0, 0, 0, 0, 0}, pieces)
	}
	for _, step := range []string{"1 all", "2 first", "3 all", "3 all"} {
		var call int
		var which string
		if _, err := fmt.Sscan(step, &call, &which); err != nil {
			t.Fatal(err)
		}
		for i := range parts {
			if which == "all" || i == 0 {
				give(call, i)
			}
		}
	}
	var got []uint64
	for _, h := range m.hits {
		got = append(got, h.Regs[0])
		for _, b := range h.Mem[0] {
			if uint64(b) != h.Regs[0] {
				t.Fatalf("call %d has memory of call %d", h.Regs[0], b)
			}
		}
	}
	if fmt.Sprint(got) != "[1 3 3]" {
		t.Errorf("calls %v", got)
	}
}
