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
	// DWARF is a vmlinux with debug information, to use instead.
	DWARF string
	// OnlyDWARF takes the installed debug information, although the kernel may
	// have BTF.
	OnlyDWARF bool
	// Profile is a file that [Profile.WriteTo] made, to use instead.
	Profile string
	// Force takes a profile or a vmlinux of another kernel.
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
	code  *DWARF // where places are looked up; nil until one is
}

// Open finds a source of layouts: a profile, a file of BTF or a vmlinux that was
// asked for; else the cache of an earlier run, completed from the kernel's own
// BTF, or from installed debug information where it has none; else these. The
// error says what there is not, and what can be done.
func Open(o Options) (*Layout, error) {
	c := &chain{opts: o}
	switch {
	case o.Profile != "":
		p, err := openProfile(o)
		if err != nil {
			return nil, err
		}
		c.saved, c.alone = p, true
	case o.kept():
		c.saved = readCache(o, sysDir)
	}
	if c.saved == nil {
		if err := c.open(); err != nil {
			return nil, err
		}
	} else if !c.alone {
		c.saved.fallback = c.more
	}
	return &Layout{rec: NewRecorder(c), chain: c, opts: o}, nil
}

// Source says where the layouts come from.
func (l *Layout) Source() string { return l.chain.Source() }

// TypeNamed implements [fetchargs.Types].
func (l *Layout) TypeNamed(name string) (*fetchargs.Type, error) { return l.rec.TypeNamed(name) }

// FuncNamed implements [fetchargs.Types].
func (l *Layout) FuncNamed(name string) (*fetchargs.Type, error) { return l.rec.FuncNamed(name) }

// Spots finds a place of the source in the code. It needs debug information, which
// is looked for if the layouts come from elsewhere.
func (l *Layout) Spots(p Place) ([]Spot, error) {
	if err := l.findCode(); err != nil {
		return nil, &NoDebugInfoError{p, "lines, labels and inlined functions", l.opts.Kernel, err}
	}
	return l.code.Spots(p)
}

// Functions lists the functions of a source file: see [DWARF.Functions]. It needs
// debug information as Spots does.
func (l *Layout) Functions(module, file string) ([]string, error) {
	if err := l.findCode(); err != nil {
		return nil, &NoDebugInfoError{Place{Module: module, File: file}, "the functions of a file", l.opts.Kernel, err}
	}
	return l.code.Functions(module, file)
}

func (l *Layout) findCode() (err error) {
	if d, ok := l.chain.src.(*DWARF); ok {
		l.code = d
	}
	if l.code == nil {
		l.code, err = FindDWARF(l.opts.Kernel)
	}
	return err
}

// A NoDebugInfoError is a place that only debug information could find.
type NoDebugInfoError struct {
	Place  Place
	What   string // that needs it
	Kernel Kernel
	Err    error
}

func (e *NoDebugInfoError) Error() string {
	const shown = 2
	places, others := vmlinuxPlaces("/", e.Kernel), ""
	if n := len(places) - shown; n > 0 {
		places, others = places[:shown], fmt.Sprintf(" and in %d other places", n)
	}
	return fmt.Sprintf("%s: %s need debug information: %v; looked for %s%s", e.Place, e.What, e.Err, strings.Join(places, ", "), others)
}

// Unwrap returns the cause.
func (e *NoDebugInfoError) Unwrap() error { return e.Err }

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
	if !l.chain.missed || !l.opts.kept() {
		return nil
	}
	p := l.Profile()
	if l.chain.saved != nil {
		p.merge(l.chain.saved)
	}
	p.Program, p.Loaded = l.opts.Program, loadedModules(sysDir)
	for m := range l.chain.src.usedModules() {
		p.Modules[m] = moduleID(sysDir, m)
	}
	return writeCache(l.opts, p)
}

// kept tells whether a cache is used: not for files that were named, which
// may change or belong to another kernel.
func (o Options) kept() bool {
	return o.BTF == "" && o.DWARF == "" && o.Profile == "" && o.CacheDir != "" && o.Kernel.BuildID != ""
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

// sysDir is where the kernel shows its modules.
const sysDir = "/sys"

// loadedModules identifies the set of modules that bring type information: a
// name that was missing may be in one that was loaded since. Those of a kernel
// without BTF are all that are loaded.
func loadedModules(sys string) string {
	dir, err := os.ReadDir(filepath.Join(sys, "kernel/btf"))
	if err != nil {
		// Parts of the kernel itself that have parameters are listed too, and
		// do not change.
		if dir, err = os.ReadDir(filepath.Join(sys, "module")); err != nil {
			return ""
		}
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
