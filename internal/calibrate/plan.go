package calibrate

import (
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// numRegs is how many parameters are recorded of each call: those in registers
// on amd64.
const numRegs = 6

// A part is one probe of a target: what it records of the registers and
// windows. A target that is too large for one probe has several parts, whose
// records follow one another.
type part struct {
	target, index, of int
	args              []fetchargs.Arg
	pieces            []piece // one for each argument after the registers
}

// A piece is a part of a window.
type piece struct{ window, off, size int }

// Bounds of a part: less than the kernel's, with room for names.
const (
	maxPartArgs = 120
	maxPartSize = 1980
	maxPartText = 3600
)

// partsOf divides a target.
func partsOf(number int, t target, arch fetchargs.Arch, d fetchargs.Dialect) ([]part, error) {
	var regs []fetchargs.Base
	for i := range numRegs {
		b, err := arch.Param(i)
		if err != nil {
			return nil, err
		}
		regs = append(regs, b)
	}
	typ := fetchargs.ArgType{Name: "u64"}
	if d.Hex {
		typ.Name = "x64"
	}
	begin := func() part {
		p := part{target: number}
		for i, b := range regs {
			p.args = append(p.args, fetchargs.Arg{Name: fmt.Sprintf("r%d", i), Base: b, Type: typ})
		}
		return p
	}
	var parts []part
	p := begin()
	text, bytes := 0, 0
	for w, win := range t.windows {
		step := 8
		if d.Arrays {
			step = 8 * fetchargs.MaxArray
		}
		for off := 0; off < win.size; {
			n := min(step, win.size-off)
			if d.Arrays && bytes+n > maxPartSize-8*numRegs {
				n = maxPartSize - 8*numRegs - bytes
			}
			n -= n % 8
			a := fetchargs.Arg{Name: fmt.Sprintf("w%d", len(p.pieces)), Base: regs[win.param], Type: typ}
			if win.follow {
				a.Loads = append(a.Loads, fetchargs.Load{})
			}
			a.Loads = append(a.Loads, fetchargs.Load{Offset: int64(off)})
			if d.Arrays {
				a.Type.Count = n / 8
			}
			length := len(a.String()) + 1
			if n == 0 || len(p.args) >= maxPartArgs || bytes+n > maxPartSize-8*numRegs || text+length > maxPartText {
				parts = append(parts, p)
				p, text, bytes = begin(), 0, 0
				continue
			}
			p.args, p.pieces = append(p.args, a), append(p.pieces, piece{w, off, n})
			text, bytes, off = text+length, bytes+n, off+n
		}
	}
	parts = append(parts, p)
	for i := range parts {
		parts[i].index, parts[i].of = i, len(parts)
	}
	return parts, nil
}

// A merger makes hits of the records of parts.
type merger struct {
	targets []target
	names   []string // the function of each target on this kernel
	open    map[int]*partial
	hits    []Hit
}

type partial struct {
	hit  Hit
	seen int // bits of parts
}

func newMerger(targets []target, names []string) *merger {
	return &merger{targets: targets, names: names, open: map[int]*partial{}}
}

// add takes the record of a part: the registers, and the bytes of each piece.
// Parts of one call follow one another and have the same registers; what is not
// complete when another call begins is dropped.
func (m *merger) add(p *part, regs []uint64, pieces [][]byte) {
	now := m.open[p.target]
	if now == nil || now.seen>>p.index&1 != 0 || !equal(now.hit.Regs, regs) {
		now = &partial{hit: Hit{Func: m.names[p.target], Regs: regs}}
		for _, w := range m.targets[p.target].windows {
			now.hit.Mem = append(now.hit.Mem, make([]byte, w.size))
		}
		m.open[p.target] = now
	}
	now.seen |= 1 << p.index
	for i, pc := range p.pieces {
		copy(now.hit.Mem[pc.window][pc.off:pc.off+pc.size], pieces[i])
	}
	if now.seen == 1<<p.of-1 {
		m.hits = append(m.hits, now.hit)
		delete(m.open, p.target)
	}
}

func equal(a, b []uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}
