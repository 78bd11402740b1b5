// Recordkernel writes what tests need to know of one kernel into a folder of
// testdata/kernels: the layouts that the tools look into (layout.json) and the
// lines of kallsyms about functions that they may probe (symbols.txt).
//
//	recordkernel -btf /sys/kernel/btf/vmlinux -notes /sys/kernel/notes \
//	    -symbols /proc/kallsyms -release $(uname -r) -arch amd64 -o testdata/kernels/6.1-amd64
//
// Module types are taken from the files beside FILE/btf/vmlinux. For a kernel
// of which there is only a BTF file, without -symbols, each function that is in
// its type information counts as a symbol without an address; copies that the
// compiler made cannot be told from the originals then. The README of
// testdata/kernels says how the kernels there were recorded.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "recordkernel:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		btf     = flag.String("btf", "", "`file` of raw BTF, or ELF; the running kernel's when empty")
		symbols = flag.String("symbols", "", "`file` in the form of /proc/kallsyms")
		notes   = flag.String("notes", "", "`file` in the form of /sys/kernel/notes, for the build id")
		release = flag.String("release", "", "release of the kernel (uname -r)")
		arch    = flag.String("arch", "", "architecture, as in GOARCH")
		out     = flag.String("o", "", "`folder` to write")
	)
	flag.Parse()
	if *release == "" || *arch == "" || *out == "" || flag.NArg() != 0 {
		flag.Usage()
		return errors.New("give -release, -arch and -o")
	}
	if err := kernel.SupportedArch(*arch); err != nil {
		return err
	}
	b, err := ktype.OpenBTF(*btf)
	if err != nil {
		return err
	}
	id := ktype.Kernel{Release: *release, Arch: *arch}
	if *notes != "" {
		data, err := os.ReadFile(*notes)
		if err != nil {
			return err
		}
		id.BuildID = kernel.BuildID(data)
	}

	rec := ktype.NewRecorder(b)
	if err := visit(rec); err != nil {
		return err
	}
	p := rec.Profile(id)
	p.From = "BTF" // where the file was on the recording machine tells nothing
	p.Omit(leftOut...)
	var layout bytes.Buffer
	p.WriteTo(&layout)

	lines, err := symbolLines(*symbols, p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*out, "layout.json"), layout.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*out, "symbols.txt"), lines, 0o644)
}

// visit looks into all that the tools may. What this kernel does not have is
// recorded as absent.
func visit(types fetchargs.Types) error {
	for _, name := range structs {
		if _, err := types.TypeNamed(name); err != nil && !errors.Is(err, fetchargs.ErrNoType) {
			return err
		}
	}
	for _, name := range functions {
		if _, err := types.FuncNamed(name); err != nil && !errors.Is(err, fetchargs.ErrNoType) {
			return err
		}
	}
	return nil
}

// symbolLines returns the lines of kallsyms that are about the functions, with
// copies, cold parts and other things of the same name as they are there.
func symbolLines(file string, p *ktype.Profile) ([]byte, error) {
	var out bytes.Buffer
	if file == "" {
		for _, name := range p.Functions() {
			fmt.Fprintf(&out, "0000000000000000 t %s\n", name)
		}
		return out.Bytes(), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("%s: %q is not a line of kallsyms", file, line)
		}
		base, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(f[2], "__pfx_"), "__cfi_"), ".")
		if slices.Contains(functions, base) {
			out.WriteString(line)
		}
	}
	return out.Bytes(), nil
}
