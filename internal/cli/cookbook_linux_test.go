package cli_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// TestCookbook runs the cookbook. Each command must end well, and print what the
// page shows: the same columns, with a value wherever the page has one, the same keys of
// JSON; and of other output, such as that of vars, each line, whatever the
// numbers in it.
func TestCookbook(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("ping"), testkernel.Program("nc"), testkernel.Program("dig"), testkernel.Program("perl"),
		testkernel.Program("nft"), testkernel.Module("veth"), testkernel.Module("brd"), testkernel.Module("nf_tables"), testkernel.Module("nft_ct"), testkernel.Module("nf_conntrack"))
	cookAll(t, func(r *recipe) bool { return !r.debuginfo })
}

// cookAll runs those entries of the cookbook that are wanted.
func cookAll(t *testing.T, wanted func(*recipe) bool) {
	stage, all := cookbook()
	k := newKitchen(t)
	testkernel.NetNS(t)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", "peer").Run() })
	for _, command := range stage {
		k.prepare(t, command)
	}
	for _, r := range all {
		// Not t.Run: a subtest would be in another network namespace. RUN='TestCookbook/C4|C5' is for those who write an entry.
		if !wanted(r) || !chosen(r.id) || r.since != "" && testkernel.Since(r.since)() != nil || r.notOn == runtime.GOARCH {
			continue
		}
		start := time.Now()
		for _, b := range r.blocks {
			k.cook(t, r, &b)
		}
		k.end()
		t.Logf("%s: %v", r.id, time.Since(start).Round(time.Millisecond))
	}
}

// chosen tells whether an entry is among those in -test.run=TestCookbook/C4|C5.
func chosen(id string) bool {
	for _, arg := range os.Args {
		if _, ids, ok := strings.Cut(arg, "TestCookbook/"); ok {
			return slices.Contains(strings.Split(ids, "|"), id)
		}
	}
	return true
}

// A kitchen is where the commands run: a folder, with skprobe in PATH.
type kitchen struct {
	dir   string
	env   []string
	group []int // process groups that were started
}

func newKitchen(t *testing.T) *kitchen {
	k := &kitchen{dir: t.TempDir()}
	bin := filepath.Dir(clitest.Link(t, "skprobe"))
	k.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+k.dir)
	t.Cleanup(k.end)
	return k
}

func (k *kitchen) shell(command string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = k.dir, k.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// prepare runs a command; what it leaves running ends with the entry. It does not inherit our output, for which its end would
// be waited.
func (k *kitchen) prepare(t *testing.T, command string) {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := k.shell(command)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k.group = append(k.group, cmd.Process.Pid)
	if err := cmd.Wait(); err != nil {
		text, _ := os.ReadFile(said.Name())
		t.Fatalf("%s: %v: %s", command, err, text)
	}
}

// end ends what still runs.
func (k *kitchen) end() {
	for _, pid := range k.group {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	k.group = nil
}

// tries is how often a command is run at most: what happens in an interrupt is
// missed now and then where the processor is emulated.
const tries = 4

// cook runs a block until its output has all that it should.
func (k *kitchen) cook(t *testing.T, r *recipe, b *block) {
	t.Helper()
	for _, command := range b.prepare {
		k.prepare(t, command)
	}
	var lacks string
	var res *clitest.Result
	for range tries {
		res = k.run(t, b)
		if lacks = b.lacks(res.Stdout + res.Stderr); lacks == "" {
			break
		}
	}
	if lacks != "" {
		t.Errorf("%s: %s: %s", r.id, b.command, lacks)
	}
	if testing.Verbose() || lacks != "" {
		t.Logf("$ %s\n%s%s", b.command, res.Stderr, res.Stdout)
	}
}

// run runs the command, and what is done elsewhere meanwhile.
func (k *kitchen) run(t *testing.T, b *block) *clitest.Result {
	t.Helper()
	cmd := k.shell("exec " + b.command)
	if len(b.other) == 0 {
		return clitest.DoCommand(t, cmd).OK()
	}
	run := clitest.StartCommand(t, cmd)
	for again := true; again; {
		for _, command := range b.other {
			if out, err := k.shell(command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
		}
		time.Sleep(100 * time.Millisecond) // which is how late an event may be
		again = !run.Ended() && strings.Contains(b.command, " --count ")
	}
	return run.Stop().OK()
}

// numbers are what differs between two machines, and so are registers.
var numbers = regexp.MustCompile(`0x[0-9a-f]+|%[a-z]\w+|\d+`)

// lacks tells what of the shown output is not in another.
func (b *block) lacks(got string) string {
	shown := strings.Join(b.output, "\n")
	switch header := strings.Fields(header(b.output)); {
	case strings.HasPrefix(shown, "{"):
		want, err := clitest.ParseJSON(shown)
		if err != nil {
			return err.Error()
		}
		var all []clitest.Event
		for line := range strings.Lines(got) {
			if events, err := clitest.ParseJSON(line); err == nil && strings.HasPrefix(line, "{") {
				all = append(all, events...)
			}
		}
		return missing(keys(want), keys(all))
	case strings.Count(b.output[0], ",") > 1 && strings.Contains(b.command, "csv"):
		fields := func(line string) []string { return strings.Split(line, ",") }
		return missing(filled(fields(b.output[0]), fields, shown), filled(fields(b.output[0]), fields, got))
	case len(header) > 0:
		return missing(filled(header, strings.Fields, shown), filled(header, strings.Fields, got))
	}
	have := map[string]bool{}
	for line := range strings.Lines(got) {
		have[generalised(line)] = true
	}
	want := map[string]bool{}
	for _, line := range b.output {
		if !strings.HasPrefix(strings.TrimSpace(line), "…") {
			want[generalised(line)] = true
		}
	}
	return missing(want, have)
}

// header is the line above a table, which has no small letters, "" if there is no table.
func header(lines []string) string {
	i := slices.IndexFunc(lines, func(l string) bool { return strings.ToUpper(l) == l && strings.ToLower(l) != l })
	if i < 0 {
		return ""
	}
	return lines[i]
}

func generalised(line string) string {
	return numbers.ReplaceAllString(strings.Join(strings.Fields(line), " "), "N")
}

func keys(events []clitest.Event) map[string]bool {
	all := map[string]bool{}
	for _, e := range events {
		for key := range e {
			all[key] = true
		}
	}
	return all
}

// filled are the columns of a table of which some row has a value, if there is
// the table at all; and "stack" if rows have lines of their own.
func filled(header []string, fields func(string) []string, text string) map[string]bool {
	all := map[string]bool{}
	in := false
	for line := range strings.Lines(text) {
		row := fields(strings.TrimSuffix(line, "\n"))
		switch {
		case slices.Equal(row, header):
			in = true
		case !in:
		case len(row) == len(header):
			for i, value := range row {
				if value != "-" && value != "" {
					all[header[i]] = true
				}
			}
		case strings.HasPrefix(line, "        "):
			all["stack"] = true
		}
	}
	if in {
		all["header"] = true
	}
	return all
}

// missing says which of what is wanted is not there.
func missing(want, have map[string]bool) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !have[name] {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("no %q", all)
}
