package ktype

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
)

// Options say where layouts are taken from.
type Options struct {
	// Kernel is the running one.
	Kernel Kernel
	// BTF is a file of type information to use instead of the kernel's own.
	BTF string
	// Profile is a file that [Profile.WriteTo] made, to use instead.
	Profile string
	// Force takes a profile of another kernel.
	Force bool
	// CacheDir is the folder for what was used of the kernel's own type
	// information, so that the next start need not read it; "" for no cache.
	// See [CacheDir].
	CacheDir string
	// Program is the version of the program. A cache of another is not used.
	Program string
}

// A Layout is the layouts of the running kernel from the sources that there
// are, in their order. It implements [fetchargs.Types], and is not for use by
// several goroutines at once.
type Layout struct {
	rec   *Recorder
	chain *chain
	opts  Options
}

// Open finds a source of layouts: a profile or a file of BTF that was asked
// for; else the cache of an earlier run, completed from the kernel's own BTF;
// else that. The error says what there is not, and what can be done.
func Open(o Options) (*Layout, error) {
	c := &chain{file: o.BTF}
	switch {
	case o.Profile != "":
		p, err := openProfile(o)
		if err != nil {
			return nil, err
		}
		c.saved, c.alone = p, true
	case o.BTF == "" && o.CacheDir != "" && o.Kernel.BuildID != "":
		c.saved = readCache(o, sysDir)
	}
	if c.saved == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	} else if !c.alone {
		c.saved.fallback = c.more
	}
	return &Layout{NewRecorder(c), c, o}, nil
}

// Source says where the layouts come from.
func (l *Layout) Source() string { return l.chain.Source() }

// TypeNamed implements [fetchargs.Types].
func (l *Layout) TypeNamed(name string) (*fetchargs.Type, error) { return l.rec.TypeNamed(name) }

// FuncNamed implements [fetchargs.Types].
func (l *Layout) FuncNamed(name string) (*fetchargs.Type, error) { return l.rec.FuncNamed(name) }

// Profile returns what was looked into until now.
func (l *Layout) Profile() *Profile {
	p := l.rec.Profile(l.opts.Kernel)
	if l.chain.saved != nil {
		p.From = l.chain.saved.From
		add(p.Sources, l.chain.saved.Sources)
	}
	return p
}

// Save extends the cache by what this run looked into and it did not have.
// Call it after everything was compiled. That it failed is worth a remark
// only: nothing depends on the cache.
func (l *Layout) Save() error {
	if !l.chain.missed || l.opts.BTF != "" || l.opts.Profile != "" || l.opts.CacheDir == "" || l.opts.Kernel.BuildID == "" {
		return nil
	}
	p := l.Profile()
	if l.chain.saved != nil {
		p.merge(l.chain.saved)
	}
	p.Program, p.Loaded = l.opts.Program, loadedModules(sysDir)
	for m := range l.chain.btf.used {
		p.Modules[m] = moduleID(sysDir, m)
	}
	return writeCache(l.opts, p)
}

func openProfile(o Options) (*Profile, error) {
	f, err := os.Open(o.Profile)
	if err != nil {
		return nil, &FileError{o.Profile, cause(err), "", err}
	}
	defer f.Close()
	p, err := LoadProfile(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Profile, err)
	}
	if err := p.CheckKernel(o.Kernel); err != nil && !o.Force {
		return nil, fmt.Errorf("%s: %w", o.Profile, err)
	}
	return p, nil
}

// A chain asks a saved profile first, and BTF for what that does not have.
type chain struct {
	saved  *Profile
	alone  bool // there is nothing after saved
	file   string
	btf    *BTF
	err    error // from opening BTF
	missed bool  // saved did not have something
}

func (c *chain) Source() string {
	switch {
	case c.alone:
		return c.saved.Source()
	case c.saved != nil:
		return c.saved.From + " (kept from an earlier run)"
	}
	return c.btf.Source()
}

// open reads BTF when it is needed for the first time.
func (c *chain) open() error {
	c.missed = true
	if c.btf == nil && c.err == nil {
		c.btf, c.err = OpenBTF(c.file)
	}
	return c.err
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
	return c.btf.TypeNamed(name)
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
	return c.btf.FuncNamed(name)
}

// more completes a type that a pointer of the saved profile leads to.
func (c *chain) more(name string) *fetchargs.Type {
	if c.open() != nil {
		return nil
	}
	t, err := c.btf.TypeNamed(name)
	if err != nil {
		return nil
	}
	return t
}

// sysDir is where the kernel shows its modules.
const sysDir = "/sys"

// loadedModules identifies the set of modules that bring type information: a
// name that was missing may be in one that was loaded since.
func loadedModules(sys string) string {
	dir, err := os.ReadDir(filepath.Join(sys, "kernel/btf"))
	if err != nil {
		return ""
	}
	h := fnv.New64a()
	for _, e := range dir { // sorted
		h.Write(append([]byte(e.Name()), 0))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// moduleID identifies the build of a loaded module, "" when it is not loaded.
func moduleID(sys, module string) string {
	b, err := os.ReadFile(filepath.Join(sys, "module", strings.ReplaceAll(module, "/", "_"), "notes/.note.gnu.build-id"))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", b)
}
