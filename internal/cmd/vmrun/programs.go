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
	"slices"
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

// alternatives are names that update-alternatives gives programs when a package is installed, which one that was unpacked is not.
var alternatives = map[string]string{"nc": "nc.openbsd"}

// lookPath finds a program: by its path in the guest, and the file that is to be there.
func (k *kernel) lookPath(name string) (guest, host string, err error) {
	if k.programs == "" || strings.Contains(name, "/") && !exists(k.programs+name) {
		if host, err = exec.LookPath(name); err == nil {
			host, err = filepath.Abs(host)
		}
		return guestPath(host), host, err
	}
	if strings.Contains(name, "/") {
		return guestPath(name), k.programs + name, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"} {
		for _, file := range []string{name, alternatives[name]} {
			if file != "" && exists(k.programs+dir+file) {
				return guestPath(dir + name), k.programs + dir + file, nil
			}
		}
	}
	return "", "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// exists tells whether there is a file; a link may lead nowhere as long as it is not followed in the folder that it is meant for.
func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// follow follows links as they are meant below the folder of the guest's programs.
func (k *kernel) follow(file string) (string, error) {
	for range 10 {
		target, err := os.Readlink(file)
		if err != nil {
			return file, nil // no link
		}
		if filepath.IsAbs(target) {
			file = k.programs + target
		} else {
			file = filepath.Join(filepath.Dir(file), target)
		}
	}
	return "", fmt.Errorf("%s: too many links", file)
}

// addProgram takes a program of the host, or of those that are made for the kernel, and what it needs to run: its interpreter if it is a
// script, its shared libraries, and what dlopened knows about it. It returns the program's path in the guest.
func addProgram(a *archive, k *kernel, name string) (string, error) {
	guest, host, err := k.lookPath(name)
	if err != nil && k.programs != "" {
		return "", fmt.Errorf("%w (the programs in %s are listed in internal/cmd/kernels/programs.txt)", err, k.programs)
	}
	if err != nil {
		return "", fmt.Errorf("%w (install it on this machine: the guest's programs are copies of the host's)", err)
	}
	if host, err = k.follow(host); err != nil {
		return "", err
	}
	a.File(guest, host)
	if interpreter, err := shebang(host); err != nil {
		return "", err
	} else if interpreter != "" && interpreter != "/bin/sh" {
		_, err := addProgram(a, k, interpreter)
		return guest, err
	} else if interpreter != "" {
		return guest, nil
	}
	libs, err := k.sharedLibraries(host)
	if err != nil {
		return "", err
	}
	for _, lib := range libs {
		file, err := k.follow(lib)
		if err != nil {
			return "", err
		}
		a.File(guestPath(strings.TrimPrefix(lib, k.programs)), file)
	}
	if len(libs) > 0 {
		for _, pattern := range nameService {
			if err := k.addGlob(a, pattern); err != nil {
				return "", err
			}
		}
	}
	for _, pattern := range dlopened[filepath.Base(guest)] {
		if err := k.addGlob(a, pattern); err != nil {
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
func (k *kernel) sharedLibraries(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s is neither a script nor an ELF program: %w", file, err)
	}
	defer f.Close()
	if f.Machine != machines[k.Arch] {
		return nil, fmt.Errorf("%s is made for %v and the guest's kernel for %s", file, f.Machine, k.Arch)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		if k.programs != "" {
			return k.neededLibraries(f, p)
		}
		out, err := exec.Command("ldd", file).Output()
		if err != nil {
			return nil, fmt.Errorf("ldd %s: %w (for another architecture, build it with CGO_ENABLED=0, or give -sysroot)", file, err)
		}
		return parseLdd(file, string(out))
	}
	return nil, nil
}

// neededLibraries is what ldd does, for programs that do not run here.
func (k *kernel) neededLibraries(f *elf.File, interp *elf.Prog) ([]string, error) {
	linker, err := io.ReadAll(interp.Open())
	if err != nil {
		return nil, err
	}
	libs := []string{k.programs + strings.TrimRight(string(linker), "\x00")}
	wanted, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(wanted); i++ {
		lib := k.findLibrary(wanted[i])
		if lib == "" {
			return nil, fmt.Errorf("no %s in %s", wanted[i], k.programs)
		}
		if slices.Contains(libs, lib) {
			continue
		}
		libs = append(libs, lib)
		file, err := k.follow(lib)
		if err != nil {
			return nil, err
		}
		more, err := importedLibraries(file)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, more...)
	}
	return libs, nil
}

func importedLibraries(file string) ([]string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ImportedLibraries()
}

// findLibrary looks where Debian's dynamic linker does.
func (k *kernel) findLibrary(name string) string {
	for _, pattern := range []string{"/lib/*-linux-gnu/", "/usr/lib/*-linux-gnu/", "/lib/", "/usr/lib/"} {
		if found, err := filepath.Glob(k.programs + pattern + name); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
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

func (k *kernel) addGlob(a *archive, pattern string) error {
	found, err := filepath.Glob(k.programs + pattern)
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := addTree(a, guestPath(strings.TrimPrefix(path, k.programs)), path); err != nil {
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
