package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// unload unloads a module for the test, and returns what loads it again.
func unload(t *testing.T, name string) (load func()) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var file string
	filepath.WalkDir(filepath.Join("/usr/lib/modules", unix.ByteSliceToString(u.Release[:])), func(path string, _ os.DirEntry, err error) error {
		if base, _, _ := strings.Cut(filepath.Base(path), ".ko"); err == nil && base == name {
			file = path
		}
		return nil
	})
	if file == "" {
		t.Skipf("there is no file of module %s", name)
	}
	if err := unix.DeleteModule(name, 0); err != nil {
		t.Fatalf("unload %s: %v", name, err)
	}
	load = func() {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		flags := 0
		if !strings.HasSuffix(file, ".ko") {
			flags = unix.MODULE_INIT_COMPRESSED_FILE
		}
		if err := unix.FinitModule(int(f.Fd()), "", flags); err != nil && err != unix.EEXIST {
			t.Fatalf("load %s: %v", file, err)
		}
	}
	t.Cleanup(load)
	return load
}

// TestProbeModuleLater probes a module that is not loaded: its first function,
// which runs while it is loaded, and others.
func TestProbeModuleLater(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Module("dummy"))
	for _, backend := range []string{"perf", "tracefs"} {
		t.Run(backend, func(t *testing.T) {
			load := unload(t, "dummy")
			badCase{[]string{"probe", "--duration", "1ns", "dummy:dummy_*"}, 3, []string{"module dummy is not loaded"}}.run(t)
			badCase{[]string{"probe", "--duration", "1ns", "dummy:dummy_xmit skb"}, 2, []string{"module dummy is not loaded"}}.run(t)
			r := clitest.Start(t, "probe", "--backend", backend, "--format", "json", "dummy:dummy_init_module", "dummy:dummy_xmit", "dummy:dummy_dev_init%return ret=$retval")
			load()
			testkernel.NetNS(t)
			for _, args := range []string{"link add dummy7 type dummy", "link set dummy7 up", "addr add 192.0.2.1/24 dev dummy7", "neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev dummy7"} {
				if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
					t.Fatalf("ip %s: %v: %s", args, err, out)
				}
			}
			if err := unix.Sendto(udpSocket(t, unix.AF_INET), []byte("x"), 0, &unix.SockaddrInet4{Addr: [4]byte{192, 0, 2, 2}, Port: 9}); err != nil {
				t.Fatal(err)
			}
			res := r.Stop().OK()
			count := map[any]int{}
			for _, e := range res.Events() {
				count[e["event"]]++
			}
			if count["dummy:dummy_init_module"] != 1 || count["dummy:dummy_xmit"] == 0 || count["dummy:dummy_dev_init%return"] == 0 {
				t.Errorf("%v", count)
			}
			if !strings.Contains(res.Stderr, "waiting for module dummy, which is not loaded\n") {
				t.Errorf("%s", res.Stderr)
			}
			nothingLeft(t)
			exec.Command("ip", "link", "del", "dummy7").Run()
		})
	}
}

// TestGraphModuleLater traces all functions of a module that is not loaded.
func TestGraphModuleLater(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Since("6.11"), testkernel.Program("ip"), testkernel.Module("dummy"))
	load := unload(t, "dummy")
	r := clitest.Start(t, "graph", "dummy:*", "--format", "json")
	load()
	testkernel.NetNS(t)
	if out, err := exec.Command("ip", "link", "add", "dummy7", "type", "dummy").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := false
	for _, e := range r.Stop().OK().Events() {
		found = found || e["function"] == "dummy:dummy_dev_init"
	}
	if !found {
		t.Error("dummy_dev_init was not seen")
	}
	exec.Command("ip", "link", "del", "dummy7").Run()
}

// A tool waits for its module too: what passes the first bridge is seen, in a
// module that was not there when tracing began.
func TestToolModuleLater(t *testing.T) {
	needs(t)
	testkernel.Needs(t, testkernel.Program("ip"), testkernel.Program("ping"), testkernel.Module("veth"), testkernel.Module("bridge"))
	load := unload(t, "bridge")
	a, b := testkernel.NetNSPair(t)
	run := clitest.Start(t, "bridge", "--format", "json")
	load()
	do := func(line string) {
		t.Helper()
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	a.Do(func() { // the address moves to a bridge, of which the device is a port
		do("ip addr flush dev " + a.Dev)
		do("ip link add br0 type bridge")
		do("ip link set " + a.Dev + " master br0")
		do("ip addr add " + a.Addr4.String() + "/24 dev br0")
		do("ip link set br0 up")
		do("ping -c 3 -i 0.2 -W 10 " + b.Addr4.String())
		do("ip link del br0")
	})
	ended := run.Stop().OK()
	if !strings.Contains(ended.Stderr, "waiting for module bridge") {
		t.Errorf("it does not say that it waits:\n%s", ended.Stderr)
	}
	events, err := clitest.ParseJSON(ended.Stdout) // the module's types were not there: columns may be absent
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []clitest.Event{
		{"event": "bridge.down", "ethertype": "0x0806", "dmac": "ff:ff:ff:ff:ff:ff"},
		{"event": "bridge.up", "ethertype": "0x0800"},
	} {
		if len(clitest.Select(events, want)) == 0 {
			t.Errorf("no event like %v among %d", want, len(events))
		}
	}
}
