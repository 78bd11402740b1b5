// Package skprobe_test holds the map of the packages against what they import.
package skprobe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/skprobe/skprobe/"

// architecture is the map of the packages: what each may import beside the
// standard library. "pkg/..." stands for all below pkg. A
// new package, or a new arrow, is a decision, and belongs here first.
//
// The data goes down this list: a tool is compiled with the layouts of a kernel
// to fetch-args, becomes definitions, whose records become events, which are
// filtered and written.
var architecture = map[string][]string{
	// main, and the only one that may be big without being deep.
	"cmd/skprobe": {"internal/cli", "internal/session"},
	// Commands and flags, nothing else: what they do is in session.
	"internal/cli": {"internal/script", "internal/pcapfilter", "internal/session", "internal/tools", "internal/event", "internal/output", "fetchargs", "github.com/spf13/..."},
	// One run: resolve, compile, attach, read, filter, write, close. It is where
	// all others meet.
	"internal/session": {"internal/event", "internal/filter", "internal/aggregate", "internal/ktype", "internal/calibrate", "internal/kernel", "internal/callgraph", "testdata/kernels", "internal/elfsym", "internal/output", "internal/track",
		"kprobe", "tracefs", "fetchargs", "golang.org/x/sys/unix"},

	// Declarations, one file each. They know no kernel.
	"internal/tools": {"internal/event", "internal/packet", "internal/track", "internal/dns"},
	// Bytes of a DNS message to what is shown of it. Pure.
	"internal/dns": {"golang.org/x/net/dns/dnsmessage"},
	// What a tool is made of, and how it is compiled, decoded and compared. Pure.
	"internal/event": {"fetchargs", "internal/packet", "internal/track"},
	// Bounded memory of sockets and packets that come and go. Pure.
	"internal/track": {},
	// Script files. Pure.
	"internal/script": {},
	// Calls to trees, with arguments by the types of the functions. Pure.
	"internal/callgraph": {"internal/event", "fetchargs"},
	// Bytes of a packet to fields. Pure.
	"internal/packet": {},
	// Expressions of pcap-filter(7) to conditions of --where. Pure.
	"internal/pcapfilter": {},
	// --where, and what of it the kernel can decide. Pure.
	"internal/filter": {"internal/event", "github.com/expr-lang/expr/..."},
	// Events counted by what they have in common, between filter and output, which writes the rows. Pure.
	"internal/aggregate": {"internal/event"},
	// Tables, JSON lines, CSV, packet files. Pure.
	"internal/output": {"internal/event", "internal/aggregate"},

	// PUBLIC and pure: the language of fetch-args and the compiler to it.
	"fetchargs": {},
	// PUBLIC: the files of tracefs.
	"tracefs": {"golang.org/x/sys/unix"},
	// PUBLIC: a Spec, the Probe that it becomes, the Reader of its records.
	"kprobe": {"fetchargs", "tracefs", "internal/perfring", "internal/tracering"},

	// Layouts of structs: BTF and its like are decoded by hand, for the start.
	"internal/ktype": {"fetchargs", "internal/dwarfloc"},
	// Lines, locations and frames of debug information, which debug/dwarf reads only in part. Pure.
	"internal/dwarfloc": {},
	// Layouts measured by traffic of which every value is known.
	"internal/calibrate": {"fetchargs", "tracefs", "kprobe", "internal/ktype", "golang.org/x/sys/unix"},
	// Functions of programs and libraries, from ELF files. Pure.
	"internal/elfsym": {},
	// Versions, symbols, processes, features: what this kernel is.
	"internal/kernel": {"golang.org/x/sys/unix"},
	// perf's rings, and the pipe of tracefs where perf cannot be had.
	"internal/perfring":  {"internal/timemerge", "github.com/elastic/go-perf", "golang.org/x/sys/unix"},
	"internal/tracering": {"internal/perfring", "internal/timemerge", "tracefs", "golang.org/x/sys/unix"},
	// Sorted streams to one.
	"internal/timemerge": {},
}

// helpers are packages for tests and for those who work on skprobe. No package
// of the map imports them, and nobody minds what they import.
var helpers = []string{"internal/testkernel", "internal/packet/packettest", "internal/cli/clitest", "internal/cmd/", "testdata/", "bench", "demo", "build", "docs"}

func isHelper(pkg string) bool {
	return slices.ContainsFunc(helpers, func(h string) bool { return strings.HasPrefix(pkg+"/", strings.TrimSuffix(h, "/")+"/") })
}

// public packages are for others too.
var public = []string{"fetchargs", "tracefs", "kprobe"}

type listed struct {
	ImportPath, Export string
	Standard           bool
	Imports            []string
}

func goList(t *testing.T, goos string, args ...string) []listed {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here")
	}
	// With a profile go list names the same packages once more, as those of the program.
	cmd := exec.Command("go", append([]string{"list", "-pgo=off", "-json=ImportPath,Export,Standard,Imports"}, args...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArchitecture(t *testing.T) {
	seen := map[string]bool{}
	for _, goos := range []string{"linux", "darwin"} {
		for _, p := range goList(t, goos, "./...") {
			pkg := strings.TrimPrefix(p.ImportPath, module)
			if isHelper(pkg) || p.ImportPath+"/" == module {
				continue
			}
			seen[pkg] = true
			may, known := architecture[pkg]
			if !known {
				t.Errorf("%s is not on the map", pkg)
				continue
			}
			for _, path := range p.Imports {
				name := strings.TrimPrefix(path, module)
				if name == path && isStandard(path) {
					continue
				}
				if !slices.ContainsFunc(may, func(m string) bool {
					prefix, all := strings.CutSuffix(m, "...")
					return m == name || all && strings.HasPrefix(name+"/", prefix)
				}) {
					t.Errorf("%s imports %s on %s; it may import %v", pkg, name, goos, may)
				}
			}
		}
	}
	for pkg := range architecture {
		if !seen[pkg] {
			t.Errorf("%s is on the map and nowhere else", pkg)
		}
	}
}

// isStandard tells packages of the standard library: their first element has no
// dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// TestPublic holds that whoever imports a public package meets only its types,
// those of other public ones and of the standard library.
func TestPublic(t *testing.T) {
	args := []string{"-export", "-deps"}
	for _, p := range public {
		args = append(args, "./"+p)
	}
	exports := map[string]string{}
	for _, p := range goList(t, "linux", args...) {
		exports[p.ImportPath] = p.Export
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	for _, name := range public {
		pkg, err := imp.Import(module + name)
		if err != nil {
			t.Fatal(err)
		}
		a := &api{report: func(where, path string) { t.Errorf("%s: %s shows a type of %s", name, where, path) }, seen: map[types.Type]bool{}}
		for _, n := range pkg.Scope().Names() {
			if obj := pkg.Scope().Lookup(n); obj.Exported() {
				a.where = n
				a.visit(obj.Type())
			}
		}
	}
}

// api walks over all types that a user of a package can see.
type api struct {
	where  string
	report func(where, path string)
	seen   map[types.Type]bool
}

func (a *api) visit(t types.Type) {
	if a.seen[t] {
		return
	}
	a.seen[t] = true
	switch t := t.(type) {
	case *types.Alias:
		a.visit(t.Rhs())
	case *types.Named:
		a.named(t)
	case *types.Pointer:
		a.visit(t.Elem())
	case *types.Slice:
		a.visit(t.Elem())
	case *types.Array:
		a.visit(t.Elem())
	case *types.Chan:
		a.visit(t.Elem())
	case *types.Map:
		a.visit(t.Key())
		a.visit(t.Elem())
	case *types.Signature:
		for _, list := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range list.Variables() {
				a.visit(v.Type())
			}
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				a.visit(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			a.visit(m.Type())
		}
		for e := range t.EmbeddedTypes() {
			a.visit(e)
		}
	case *types.Basic, *types.TypeParam:
	default:
		a.report(a.where, fmt.Sprintf("an unknown sort: %T", t))
	}
}

func (a *api) named(t *types.Named) {
	if pkg := t.Obj().Pkg(); pkg == nil || isStandard(pkg.Path()) {
		return
	} else if !slices.Contains(public, strings.TrimPrefix(pkg.Path(), module)) {
		a.report(a.where, pkg.Path())
		return
	}
	before := a.where
	a.where = t.Obj().Name()
	a.visit(t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			a.where = t.Obj().Name() + "." + m.Name()
			a.visit(m.Type())
		}
	}
	a.where = before
}
