package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// dlopened are the files that a program loads only when it runs, so that ldd does not name them.
var dlopened = map[string][]string{
	"iptables":  {"/usr/lib/*/xtables"},
	"ip6tables": {"/usr/lib/*/xtables"},
	"tc":        {"/usr/lib/tc"},
}

// nameService are the libraries that getaddrinfo loads. They are part of the C library since glibc 2.34.
var nameService = []string{"/lib/*/libnss_files.so.2", "/lib/*/libnss_dns.so.2"}

// guestPath is where a file of the host stands in the guest. The guest's /bin, /sbin, /lib and /lib64 are
// links into /usr, as in every current distribution; a file keeps its name otherwise.
func guestPath(host string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(host, dir) {
			return "/usr" + host
		}
	}
	return host
}

// addProgram takes a program of the host and what it needs to run: its interpreter if it is a script, its
// shared libraries, and what dlopened knows about it. It returns the program's path in the guest.
func addProgram(a *archive, k *kernel, name string) (string, error) {
	host, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w (install it on this machine: the guest's programs are copies of the host's)", err)
	}
	if host, err = filepath.Abs(host); err != nil {
		return "", err
	}
	guest := guestPath(host)
	a.File(guest, host)
	if interpreter, err := shebang(host); err != nil {
		return "", err
	} else if interpreter != "" && interpreter != "/bin/sh" {
		_, err := addProgram(a, k, interpreter)
		return guest, err
	} else if interpreter != "" {
		return guest, nil
	}
	libs, err := sharedLibraries(host, k.Arch)
	if err != nil {
		return "", err
	}
	for _, lib := range libs {
		a.File(guestPath(lib), lib)
	}
	if len(libs) > 0 {
		for _, pattern := range nameService {
			if err := addGlob(a, pattern); err != nil {
				return "", err
			}
		}
	}
	for _, pattern := range dlopened[filepath.Base(host)] {
		if err := addGlob(a, pattern); err != nil {
			return "", err
		}
	}
	return guest, nil
}

// shebang returns the interpreter that a script names in its first line, and "" for other files.
func shebang(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) == 0 {
		return "", nil
	}
	if words[0] == "/usr/bin/env" && len(words) > 1 { // env itself is one of busybox's
		return exec.LookPath(words[1])
	}
	return words[0], nil
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// sharedLibraries returns the libraries, and the dynamic linker, that a program is started with; none for a static one.
func sharedLibraries(file, arch string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s is neither a script nor an ELF program: %w", file, err)
	}
	defer f.Close()
	if f.Machine != machines[arch] {
		return nil, fmt.Errorf("%s is made for %v and the guest's kernel for %s", file, f.Machine, arch)
	}
	dynamic := false
	for _, p := range f.Progs {
		dynamic = dynamic || p.Type == elf.PT_INTERP
	}
	if !dynamic {
		return nil, nil
	}
	out, err := exec.Command("ldd", file).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w (for another architecture, build it with CGO_ENABLED=0)", file, err)
	}
	return parseLdd(file, string(out))
}

// parseLdd reads the two forms of ldd's lines that name a file:
//
//	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)
//	/lib64/ld-linux-x86-64.so.2 (0x00007f…)
func parseLdd(file, out string) ([]string, error) {
	var libs []string
	for line := range strings.Lines(out) {
		left, right, arrow := strings.Cut(strings.TrimSpace(line), " => ")
		if !arrow {
			right = left
		}
		if right == "not found" {
			return nil, fmt.Errorf("%s needs %s, which this machine has not", file, left)
		}
		if path, _, _ := strings.Cut(right, " ("); strings.HasPrefix(path, "/") {
			libs = append(libs, path)
		}
	}
	return libs, nil
}

func addGlob(a *archive, pattern string) error {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := addTree(a, guestPath(path), path); err != nil {
			return err
		}
	}
	return nil
}

// addTree takes a file, or a folder with all below it.
func addTree(a *archive, guest, host string) error {
	host, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(host, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, p)
		if err != nil {
			return err
		}
		name := filepath.Join(guest, rel)
		switch {
		case e.IsDir():
			a.Dir(name)
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			a.Symlink(name, target)
		case e.Type().IsRegular():
			a.File(name, p)
		}
		return nil
	})
}
