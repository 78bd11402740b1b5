// Vmrun runs programs of this machine on another kernel: it packs them, the libraries and files that they
// need and itself as /init into an initramfs, boots a Debian kernel with that in QEMU, and passes on what
// the programs print and their exit status.
//
//	go test -exec 'vmrun -kernel DIR' ./tracefs               one test binary
//	vmrun -kernel DIR -test PKGDIR=BINARY -test … -- ARGS     several in one boot, since a boot takes seconds
//	vmrun -kernel DIR -test PKGDIR=BINARY,SKPROBE_X=1 …       with more environment
//	vmrun -kernel DIR -program dig,dnsmasq -- demo/demo.sh    any program or script
//
// DIR is what `go run ./internal/cmd/kernels KEY` prints. Vmrun must be a static binary (CGO_ENABLED=0), because
// it is the guest's first process.
//
// QEMU emulates the processor (TCG): a machine may have a /dev/kvm that opens and then hangs, so it is never tried. One thread
// emulates all processors in turn. With a thread for each, QEMU 7.2 can translate code just while another
// processor changes it, and run the old code later: kernels died of a forgotten int3, since tracing changes code all the time. It is no slower.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// statusOwnFailure is vmrun's exit status when not the guest's program but vmrun or the guest as a whole failed.
const statusOwnFailure = 125

// options are vmrun's flags.
type options struct {
	kernel    string
	sysroot   string
	init      string
	smp       int
	again     int
	memory    string
	timeout   time.Duration
	cmdline   string
	channel   string
	icount    bool
	mttcg     bool
	noTracefs bool
	modules   []string
	programs  []string
	files     []pair
	out       []pair
	tests     []pair
	args      []string
}

// A pair is the value of a flag of the form A=B.
type pair struct{ from, to string }

func main() {
	if os.Getpid() == 1 {
		guestMain() // does not return
	}
	o, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	code := statusOwnFailure
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
		defer stop()
		code, err = runJob(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmrun:", err)
	}
	os.Exit(code)
}

func parseFlags(argv []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("vmrun", flag.ContinueOnError)
	f.StringVar(&o.kernel, "kernel", os.Getenv("SKPROBE_KERNEL"), "`folder` of an unpacked kernel package")
	f.StringVar(&o.sysroot, "sysroot", "", "`folder` with programs and libraries for the guest's architecture, if that is not this machine's")
	f.StringVar(&o.init, "init", "/proc/self/exe", "vmrun built for the guest's architecture, if that is not this machine's")
	f.IntVar(&o.smp, "smp", 2, "number of processors")
	f.StringVar(&o.memory, "m", "1G", "memory")
	f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "kill the guest after this time")
	f.StringVar(&o.cmdline, "cmdline", "", "more kernel arguments")
	f.StringVar(&o.channel, "channel", "memory", "how the guest's output comes: memory, or serial, which is slow and also works in a guest that is locked down")
	f.BoolVar(&o.icount, "icount", false, "count instructions: a clock of 1 ns per instruction that repeats on a noisy machine, with one processor")
	f.BoolVar(&o.mttcg, "mttcg", false, "give each processor a thread of QEMU; old QEMUs then now and then run code that the guest has changed")
	f.BoolVar(&o.noTracefs, "notracefs", false, "do not mount tracefs")
	list := func(dst *[]string) func(string) error {
		return func(s string) error {
			*dst = append(*dst, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })...)
			return nil
		}
	}
	pairs := func(dst *[]pair) func(string) error {
		return func(s string) error {
			from, to, ok := strings.Cut(s, "=")
			if !ok {
				to = from
			}
			*dst = append(*dst, pair{from, to})
			return nil
		}
	}
	f.Func("modules", "kernel modules to load, with all they need: `NAME[?],PATTERN,…` (? = may be missing)", list(&o.modules))
	f.Func("program", "programs of this machine to take along: `NAME,…`", list(&o.programs))
	f.Func("file", "file or folder to take along: `HOST[=GUEST]`", pairs(&o.files))
	f.Func("out", "file of the guest to bring back at the end: `GUEST=HOST`", pairs(&o.out))
	f.IntVar(&o.again, "again", 0, "run the tests of a binary that failed once more, where they are no more than this `number`")
	f.Func("test", "test binary to run in its package's folder: `PKGDIR=BINARY[,VAR=VALUE…]`", pairs(&o.tests))
	if err := f.Parse(argv); err != nil {
		return nil, err
	}
	o.args = f.Args()
	switch {
	case o.kernel == "":
		return nil, errors.New("no kernel: give -kernel DIR; `go run ./internal/cmd/kernels KEY` prints one")
	case len(o.tests) == 0 && len(o.args) == 0:
		return nil, errors.New("nothing to run: give a program, or -test PKGDIR=BINARY")
	case o.channel != "memory" && o.channel != "serial":
		return nil, fmt.Errorf("-channel is memory or serial, not %q", o.channel)
	case o.icount && o.mttcg:
		return nil, errors.New("-icount has one processor: -mttcg means nothing with it")
	case o.icount:
		o.smp = 1 // with two processors an instruction-counting guest does not get past boot
	}
	return o, nil
}

// runJob packs, boots, and returns the exit status for the caller's shell.
func runJob(ctx context.Context, o *options) (int, error) {
	k, err := openKernel(o.kernel)
	if err != nil {
		return statusOwnFailure, err
	}
	k.programs = o.sysroot
	m, err := machineFor(k.Arch)
	if err != nil {
		return statusOwnFailure, err
	}
	tmp, err := os.MkdirTemp("", "vmrun")
	if err != nil {
		return statusOwnFailure, err
	}
	defer os.RemoveAll(tmp)
	j, err := pack(filepath.Join(tmp, "initrd"), k, o)
	if err != nil {
		return statusOwnFailure, fmt.Errorf("packing the guest: %w", err)
	}
	g := &guest{machine: m, kernel: k, job: j, dir: tmp, options: o}
	return g.Run(ctx)
}

// pack writes the initramfs and returns the job that is in it.
func pack(initrd string, k *kernel, o *options) (*job, error) {
	f, err := os.Create(initrd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := newArchive(f)
	j, err := fill(a, k, o)
	if err != nil {
		return nil, err
	}
	if err := a.Close(); err != nil {
		return nil, err
	}
	return j, f.Close()
}

func fill(a *archive, k *kernel, o *options) (*job, error) {
	if libs, err := k.sharedLibraries(o.init); err != nil {
		return nil, fmt.Errorf("the guest's init: %w; for another architecture give -init with a vmrun built for it", err)
	} else if len(libs) > 0 {
		return nil, errors.New("vmrun itself is dynamically linked and cannot be the guest's init: build it with CGO_ENABLED=0")
	}
	a.File("init", o.init)

	j := &job{Tracefs: !o.noTracefs, Env: guestEnv(os.Environ()), Again: o.again}
	if k.Arch != runtime.GOARCH && k.programs == "" {
		j.Env = append(j.Env, "SKPROBE_VM_PROGRAMS=none") // this machine's do not run there
	}
	for _, p := range o.files { // first, so that they win over what is added below
		host, err := filepath.Abs(p.from)
		if err != nil {
			return nil, err
		}
		if p.to == p.from {
			p.to = host
		}
		if err := addTree(a, guestPath(p.to), host); err != nil {
			return nil, err
		}
	}
	if err := addBase(a, k); err != nil {
		return nil, err
	}
	for _, p := range o.programs {
		if _, err := addProgram(a, k, p); err != nil {
			return nil, err
		}
	}
	modules, err := k.moduleFiles(o.modules)
	if err != nil {
		return nil, err
	}
	a.File(filepath.Join("/usr/lib/modules", k.Release, "modules.builtin"), filepath.Join(k.modules, "modules.builtin"))
	for _, m := range modules {
		guest := filepath.Join("/usr/lib/modules", k.Release, m)
		a.File(guest, filepath.Join(k.modules, m))
		j.Modules = append(j.Modules, guest)
	}
	for _, p := range o.out {
		j.Out = append(j.Out, p.from)
	}
	if j.Runs, err = addRuns(a, k, o); err != nil {
		return nil, err
	}
	return j, a.addJSON(jobFile, j)
}

// addRuns takes the programs that are to run, each with its folder.
func addRuns(a *archive, k *kernel, o *options) ([]run, error) {
	var runs []run
	for _, t := range o.tests {
		dir, err := filepath.Abs(t.from)
		if err != nil {
			return nil, err
		}
		if err := addTestFiles(a, dir); err != nil {
			return nil, err
		}
		words := strings.Split(t.to, ",")
		path, err := addProgram(a, k, words[0])
		if err != nil {
			return nil, err
		}
		name := importPath(dir)
		if len(words) > 1 {
			name += " (" + strings.Join(words[1:], " ") + ")"
		}
		runs = append(runs, run{Name: name, Path: path, Argv: append(words[:1:1], o.args...), Dir: dir, Env: words[1:]})
	}
	if len(runs) > 0 {
		return runs, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	a.Dir(dir)
	if strings.HasSuffix(o.args[0], ".test") {
		if err := addTestFiles(a, dir); err != nil {
			return nil, err
		}
	}
	path, err := addProgram(a, k, o.args[0])
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return nil, err
	}
	if err != nil { // a command that only the guest knows: one of busybox's, or one given with -file
		path = ""
	}
	return []run{{Path: path, Argv: o.args, Dir: dir}}, nil
}

// guestEnv chooses what of the caller's environment the guest's programs see.
func guestEnv(host []string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:" + appletDir,
		"HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=dumb", "TMPDIR=/tmp", "SKPROBE_VM=1",
	}
	for _, e := range host {
		for _, prefix := range []string{"SKPROBE_", "GOTRACEBACK=", "GODEBUG=", "GOMAXPROCS="} {
			if strings.HasPrefix(e, prefix) {
				env = append(env, e)
			}
		}
	}
	return env
}
