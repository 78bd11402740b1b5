package tracefs

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/skprobe/skprobe/internal/testkernel"
)

// ownerEnv makes the test binary another skprobe: it defines an event in its group, says which, and lives until its input ends.
// The value is the file and the place of the event.
const ownerEnv = "SKPROBE_TEST_OWNER"

func beOwner() {
	file, place, _ := strings.Cut(os.Getenv(ownerEnv), " ")
	err := func() error {
		f, err := Open()
		if err != nil {
			return err
		}
		group, err := f.Group()
		if err != nil {
			return err
		}
		if err := f.define(file, "p:"+group+"/owned "+place); err != nil {
			return err
		}
		fmt.Println(group)
		bufio.NewReader(os.Stdin).ReadString('\n')
		return nil
	}()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0) // without removing anything, as if killed
}

// startOwner starts another skprobe, and returns its group and what ends it.
func startOwner(t *testing.T, d dynamic, attr *syscall.SysProcAttr) (group string, end func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), ownerEnv+"="+d.file+" "+d.place)
	cmd.SysProcAttr = attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	end = func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	}
	if err != nil || !strings.HasPrefix(line, groupPrefix) {
		end()
		t.Fatalf("the other skprobe said %q, %v", line, err)
	}
	return strings.TrimSpace(line), end
}

func TestSweep(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	d := dynamicEvents(t, f)
	own, err := f.Group()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Group(); again != own || err != nil {
		t.Errorf("the group is %s, then %s, %v", own, again, err)
	}
	// Ours, other people's, names that only look like ours, and one of an owner who never was.
	dead := owner{pid: 4194303, start: 1}.group()
	stay := []string{own, "other", "skprobe_1", "skprobe_x_1"}
	for _, group := range append(stay, dead) {
		if err := f.define(d.file, "p:"+group+"/e "+d.place); err != nil {
			t.Fatal(err)
		}
		defer f.remove(d.file, group, "e")
	}
	has := func(group, event string) bool {
		events, err := f.events(d.file)
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(events, func(e DynamicEvent) bool { return e.Group == group && e.Event == event })
	}
	sweep := func() Swept {
		swept, err := f.sweep(d.file)
		if err != nil || len(swept.Failed) > 0 {
			t.Errorf("sweep: %+v, %v", swept, err)
		}
		return swept
	}
	swept := sweep()
	if len(swept.Removed) != 1 || swept.Removed[0].Group != dead || has(dead, "e") {
		t.Errorf("swept %+v", swept)
	}
	for _, group := range stay {
		if !has(group, "e") {
			t.Errorf("%s was swept", group)
		}
	}
	// The second one's pid means nothing here, and ours nothing there.
	for name, attr := range map[string]*syscall.SysProcAttr{
		"beside us":               {},
		"in other pid namespaces": {Cloneflags: syscall.CLONE_NEWPID},
	} {
		t.Run(name, func(t *testing.T) {
			group, end := startOwner(t, d, attr)
			defer f.remove(d.file, group, "owned")
			if sweep(); !has(group, "owned") {
				t.Error("a living owner's group was swept")
			}
			end()
			if sweep(); has(group, "owned") {
				t.Error("a dead owner's group stays")
			}
		})
	}
}

// An event that is in use is reported, not removed.
func TestSweepBusy(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	f := open(t)
	d := dynamicEvents(t, f)
	dead := owner{pid: 4194303, start: 2}.group()
	if err := f.define(d.file, "p:"+dead+"/busy "+d.place); err != nil {
		t.Fatal(err)
	}
	defer f.remove(d.file, dead, "busy")
	stop := use(t, f, dead, "busy")
	defer stop()
	swept, err := f.sweep(d.file)
	if err != nil || len(swept.Removed) != 0 || len(swept.Failed) != 1 || !errors.Is(swept.Errs[0], syscall.EBUSY) {
		t.Errorf("got %+v, %v", swept, err)
	}
}
