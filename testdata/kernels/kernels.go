// Package kernels holds recorded kernels: the type layouts and symbols of
// real ones, cut to what the tools look into, so that what a tool would do on
// each of them is tested on any machine. See README.md for how they are made.
//
// It lies in testdata because tests are its purpose; skprobe check has it too, to
// say on which kernels a script would work.
package kernels

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
	"github.com/skprobe/skprobe/kprobe"
	"github.com/skprobe/skprobe/tracefs"
)

//go:embed */layout.json */symbols.txt */*.format
var files embed.FS

// A Kernel is one that was recorded.
type Kernel struct {
	Name    string // of its folder: "6.1-amd64"
	ID      ktype.Kernel
	Version kernel.Version
	Types   *ktype.Profile
	// FromBTF marks a kernel of which only the type information is known: its
	// symbols are the functions in that, without addresses, and a copy that
	// the compiler made looks like the function itself.
	FromBTF bool

	symbols []byte
}

// Symbols returns the recorded lines of /proc/kallsyms.
func (k Kernel) Symbols() io.Reader { return bytes.NewReader(k.symbols) }

// Find looks for functions among the symbols, as [kernel.FindSymbols] does.
func (k Kernel) Find(t tb, names ...string) map[string]*kernel.Found {
	t.Helper()
	found, err := kernel.FindSymbols(k.Symbols(), names...)
	if err != nil {
		t.Fatalf("%s: %v", k.Name, err)
	}
	return found
}

// Tracepoint returns the fields of a static event, "skb:kfree_skb", whose format
// was recorded.
func (k Kernel) Tracepoint(name string) ([]fetchargs.RecordField, error) {
	text, err := files.ReadFile(k.Name + "/" + strings.Replace(name, ":", ".", 1) + ".format")
	if err != nil {
		return nil, fmt.Errorf("tracepoint %s: %w", name, err)
	}
	format, err := tracefs.ParseFormat(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("tracepoint %s: %w", name, err)
	}
	return kprobe.RecordFields(format, k.Types), nil
}

// EventProbe tells whether event probes are possible on the kernel.
func (k Kernel) EventProbe(tracepoint string) error {
	if !k.Version.AtLeast(5, 15) {
		return fmt.Errorf("tracepoint %s: no event probes before 5.15", tracepoint)
	}
	return nil
}

// Recorded returns all kernels in the order of their names. Types remember
// what they were asked, so each call makes them anew.
func Recorded(t tb) []Kernel {
	t.Helper()
	outside(t)
	list, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Named returns one kernel.
func Named(t tb, name string) Kernel {
	t.Helper()
	return load(t, name)
}

// All is Recorded outside of tests.
func All() ([]Kernel, error) {
	dirs, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var list []Kernel
	for _, d := range dirs {
		k, err := open(d.Name())
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

// tb is what is needed of a testing.TB.
type tb interface {
	Helper()
	Skip(...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// outside skips, in the VM, a test that needs no kernel. It is what testkernel has
// for that, which no program imports.
func outside(t tb) {
	t.Helper()
	if os.Getenv("SKPROBE_VM") == "1" {
		t.Skip("needs no kernel, so it does not run in the VM")
	}
}

func load(t tb, name string) Kernel {
	t.Helper()
	outside(t)
	k, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(name string) (Kernel, error) {
	k := Kernel{Name: name}
	layout, err := files.ReadFile(name + "/layout.json")
	if err != nil {
		return k, err
	}
	if k.Types, err = ktype.LoadProfile(bytes.NewReader(layout)); err != nil {
		return k, fmt.Errorf("%s: %w", name, err)
	}
	k.ID = k.Types.Kernel
	if k.Version, err = kernel.ParseRelease(k.ID.Release); err != nil {
		return k, fmt.Errorf("%s: %w", name, err)
	}
	if k.symbols, err = files.ReadFile(name + "/symbols.txt"); err != nil {
		return k, err
	}
	k.FromBTF = bytes.HasPrefix(k.symbols, []byte("0000000000000000 "))
	return k, nil
}

// Dialect is the language of fetch-args of the kernel, by its version: a running
// one is asked instead.
func (k Kernel) Dialect() fetchargs.Dialect {
	switch v := k.Version; {
	case v.AtLeast(6, 9):
		return fetchargs.Dialect69
	case v.AtLeast(5, 3):
		return fetchargs.Dialect53
	case v.AtLeast(4, 20):
		return fetchargs.Dialect420
	}
	return fetchargs.Dialect419
}
