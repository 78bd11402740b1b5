package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// etc is the little that the C library and the servers of the tests want to know about the system.
var etc = map[string]string{
	"passwd": "root:x:0:0:root:/root:/bin/sh\n" +
		"dnsmasq:x:100:65534::/:/bin/false\n" +
		"nobody:x:65534:65534::/:/bin/false\n",
	"group":         "root:x:0:\ndip:x:30:\nnogroup:x:65534:\n",
	"hosts":         "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 skprobe-vm\n",
	"hostname":      "skprobe-vm\n",
	"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
	"resolv.conf":   "nameserver 127.0.0.1\n",
	"services":      "echo 7/tcp\necho 7/udp\ndiscard 9/tcp\ndiscard 9/udp\nssh 22/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\n",
	"protocols":     "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n",
}

// appletDir holds links to busybox for the commands that no real program was asked for; it comes last in the guest's PATH.
const appletDir = "/usr/lib/busybox"

// addBase makes the parts of the root file system that every guest has.
func addBase(a *archive, k *kernel) error {
	for _, d := range []string{"proc", "sys", "dev", "tmp", "root", "run", "var/tmp", "var/lib/misc", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64"} {
		a.Dir(d)
	}
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		a.Symlink(d, "usr/"+d)
	}
	a.Symlink("var/run", "../run")
	for name, text := range etc {
		if name == "services" || name == "protocols" {
			if _, err := os.Stat("/etc/" + name); err == nil {
				a.File("etc/"+name, "/etc/"+name)
			}
		}
		a.Bytes("etc/"+name, 0o644, []byte(text))
	}
	return addBusybox(a, k)
}

// addBusybox gives the guest a shell and the usual small commands, if this machine has a static busybox for the guest's architecture.
// A guest that runs test binaries only does without.
func addBusybox(a *archive, k *kernel) error {
	_, host, err := k.lookPath("busybox")
	if err != nil {
		return nil
	}
	if libs, err := k.sharedLibraries(host); err != nil || len(libs) > 0 {
		return nil
	}
	// This machine's has the same commands as one for another architecture.
	out, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox --list: %w", err)
	}
	a.File("usr/bin/busybox", host)
	for _, applet := range strings.Fields(string(out)) {
		a.Symlink(filepath.Join(appletDir, applet), "/usr/bin/busybox")
	}
	// Busybox's shell and env prefer its own applets to the programs in PATH: take the host's for these two.
	for _, name := range []string{"/bin/sh", "/usr/bin/env"} {
		if _, err := addProgram(a, k, name); err != nil {
			return err
		}
	}
	return nil
}

// addTestFiles takes what a test reads: the testdata of its package, and that of the whole module.
func addTestFiles(a *archive, pkgDir string) error {
	a.Dir(pkgDir)
	dirs := []string{filepath.Join(pkgDir, "testdata")}
	if root, _, err := moduleRoot(pkgDir); err == nil {
		dirs = append(dirs, filepath.Join(root, "testdata"))
	}
	for _, d := range dirs {
		if _, err := os.Stat(d); err != nil {
			continue
		}
		if err := addTree(a, d, d); err != nil {
			return err
		}
	}
	return nil
}

// moduleRoot finds the Go module that dir belongs to, and the module's path.
func moduleRoot(dir string) (root, module string, err error) {
	for root = dir; ; root = filepath.Dir(root) {
		mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			for line := range strings.Lines(string(mod)) {
				if m, ok := strings.CutPrefix(line, "module "); ok {
					return root, strings.Trim(strings.TrimSpace(m), `"`), nil
				}
			}
			return "", "", fmt.Errorf("%s/go.mod names no module", root)
		}
		if root == filepath.Dir(root) {
			return "", "", fmt.Errorf("%s is in no Go module", dir)
		}
	}
}

// importPath is the import path of the package in dir, as go test would print it.
func importPath(dir string) string {
	root, module, err := moduleRoot(dir)
	if err != nil {
		return dir
	}
	return module + strings.TrimPrefix(dir, root)
}
