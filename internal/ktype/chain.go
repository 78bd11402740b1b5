package ktype

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/skprobe/skprobe/fetchargs"
)

// A source is what the kernel's developers say of it: BTF or DWARF.
type source interface {
	fetchargs.Types
	// usedModules are those of which something was taken.
	usedModules() map[string]bool
}

func (b *BTF) usedModules() map[string]bool   { return b.used }
func (d *DWARF) usedModules() map[string]bool { return d.used }

// A chain asks a saved profile first, and a source for what that does not have.
type chain struct {
	opts   Options
	saved  *Profile
	alone  bool   // there is nothing after saved
	src    source // nil until it is needed
	err    error  // from opening it
	missed bool   // saved did not have something
}

func (c *chain) Source() string {
	switch {
	case c.alone:
		return c.saved.Source()
	case c.saved != nil:
		return c.saved.From + " (kept from an earlier run)"
	}
	return c.src.Source()
}

// open reads the source when it is needed for the first time.
func (c *chain) open() error {
	c.missed = true
	if c.src == nil && c.err == nil {
		c.src, c.err = openSource(c.opts)
	}
	return c.err
}

func openSource(o Options) (source, error) {
	switch {
	case o.DWARF != "":
		d, err := OpenDWARF(o.DWARF)
		if err != nil {
			return nil, err
		}
		if err := d.CheckKernel(o.Kernel); err != nil && !o.Force {
			return nil, err
		}
		d.UseModules(o.Kernel.Release)
		return d, nil
	case o.OnlyDWARF:
		return dwarfSource(o.Kernel)
	}
	b, err := OpenBTF(o.BTF)
	if err == nil {
		return b, nil
	}
	if o.BTF != "" || !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d, dwarfErr := dwarfSource(o.Kernel)
	if dwarfErr != nil {
		return nil, fmt.Errorf("%w; %w", err, dwarfErr)
	}
	return d, nil
}

// dwarfSource keeps a nil pointer from becoming a source.
func dwarfSource(k Kernel) (source, error) {
	d, err := FindDWARF(k)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (c *chain) TypeNamed(name string) (*fetchargs.Type, error) {
	if c.saved != nil {
		t, err := c.saved.TypeNamed(name)
		if err == nil || c.alone || c.saved.absent[name] {
			return t, err
		}
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	return c.src.TypeNamed(name)
}

func (c *chain) FuncNamed(name string) (*fetchargs.Type, error) {
	if c.saved != nil {
		t, err := c.saved.FuncNamed(name)
		if err == nil || c.alone || c.saved.absent[absentFunc(name)] {
			return t, err
		}
	}
	if err := c.open(); err != nil {
		return nil, err
	}
	return c.src.FuncNamed(name)
}

// more completes a type that a pointer of the saved profile leads to.
func (c *chain) more(name string) *fetchargs.Type {
	if c.open() != nil {
		return nil
	}
	t, err := c.src.TypeNamed(name)
	if err != nil {
		return nil
	}
	return t
}
