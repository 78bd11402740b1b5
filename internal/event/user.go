package event

import (
	"fmt"

	"github.com/skprobe/skprobe/fetchargs"
)

// A UserFunc is a function of a program or library.
type UserFunc struct {
	Path string // of the file, as the kernel is to find it
	Name string
	// Offset is where in the file the probe is, in bytes.
	Offset uint64
	// Go: it has the calling convention of Go, and a stack that moves.
	Go bool
}

// compileUser begins a probe on a function of a program or library.
func (p *Program) compileUser(src *Source, pr *Probe, k Kernel) (*Compiled, error) {
	if k.User == nil {
		return nil, fmt.Errorf("%s: functions of programs are not known here", pr.File)
	}
	fn, err := k.User(pr.File, pr.Funcs[0])
	switch {
	case err != nil:
		return nil, err
	case fn.Go && pr.Return:
		return nil, &UserError{fn.Name + " is a Go function: a return probe would corrupt the program, because Go moves its stacks; probe where it is entered"}
	}
	fn.Offset += pr.Offset
	c := newCompiled(src, "u:"+pr.File+":"+fn.Name, k)
	c.User = &fn
	t := fetchargs.Target{Arch: k.Arch, Types: k.Types, Dialect: k.Dialect, User: true, Go: fn.Go, Inside: pr.Offset != 0}
	if t.Inside {
		t.NoParams = fmt.Sprintf("at %s+%d they may have moved; name registers, for example %%%s", fn.Name, pr.Offset, exampleRegister(k.Arch))
	}
	c.Entry = newHalf(fn.Name, pr.Offset, t)
	if pr.Return {
		t.Return = true
		c.Return = newHalf(fn.Name, pr.Offset, t)
		if c.Return.suffices(p, pr.Fields, k) {
			c.Entry = nil
		}
	}
	return c, nil
}

// A UserError is a probe of a program or library that is not possible.
type UserError struct{ msg string }

func (e *UserError) Error() string { return e.msg }
