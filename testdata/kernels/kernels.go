// Package kernels holds recorded kernels: the type layouts and symbols of
// real ones, cut to what the tools look into, so that what a tool would do on
// each of them is tested on any machine. See README.md for how they are made.
//
// It lies in testdata, so no program contains it by accident; tests import it.
package kernels

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
	"github.com/skprobe/skprobe/internal/testkernel"
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
func (k Kernel) Find(t testing.TB, names ...string) map[string]*kernel.Found {
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
func Recorded(t testing.TB) []Kernel {
	t.Helper()
	testkernel.Outside(t)
	dirs, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var list []Kernel
	for _, d := range dirs {
		list = append(list, load(t, d.Name()))
	}
	return list
}

// Named returns one kernel.
func Named(t testing.TB, name string) Kernel {
	t.Helper()
	return load(t, name)
}

func load(t testing.TB, name string) Kernel {
	t.Helper()
	testkernel.Outside(t)
	layout, err := files.ReadFile(name + "/layout.json")
	if err != nil {
		t.Fatal(err)
	}
	k := Kernel{Name: name}
	if k.Types, err = ktype.LoadProfile(bytes.NewReader(layout)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	k.ID = k.Types.Kernel
	if k.Version, err = kernel.ParseRelease(k.ID.Release); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if k.symbols, err = files.ReadFile(name + "/symbols.txt"); err != nil {
		t.Fatal(err)
	}
	k.FromBTF = bytes.HasPrefix(k.symbols, []byte("0000000000000000 "))
	return k
}
