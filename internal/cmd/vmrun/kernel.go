package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A kernel is an unpacked Debian kernel package, or several unpacked into one folder.
type kernel struct {
	Image   string // the file that QEMU boots
	Release string // what uname -r will say
	Arch    string // Go's name: amd64 or arm64
	modules string // the folder of modules.dep

	programs string // the folder of programs that are made for it, "" for this machine's own
}

// openKernel finds the one kernel below dir.
func openKernel(dir string) (*kernel, error) {
	var found []kernel
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"} {
		images, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, image := range images {
			release := filepath.Base(filepath.Dir(image))
			if r, ok := strings.CutPrefix(filepath.Base(image), "vmlinuz-"); ok {
				release = r
			}
			if len(found) == 0 || found[len(found)-1].Release != release { // lib may be a link to usr/lib
				found = append(found, kernel{Image: image, Release: release})
			}
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%s has %d kernel images instead of one: give the folder that `go run ./internal/cmd/kernels KEY` prints", dir, len(found))
	}
	k := &found[0]
	for _, d := range []string{"lib/modules", "usr/lib/modules"} {
		d = filepath.Join(dir, d, k.Release)
		if _, err := os.Stat(filepath.Join(d, "modules.dep")); err == nil {
			k.modules = d
		}
	}
	var err error
	k.Arch, err = imageArch(k.Image)
	return k, err
}

// imageArch tells by its magic number for which architecture an image is made.
func imageArch(image string) (string, error) {
	f, err := os.Open(image)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 0x210)
	if _, err := io.ReadFull(f, head); err != nil {
		return "", fmt.Errorf("%s: %w", image, err)
	}
	switch {
	case string(head[0x202:0x206]) == "HdrS": // Documentation/arch/x86/boot.rst
		return "amd64", nil
	case string(head[0x38:0x3c]) == "ARM\x64": // Documentation/arch/arm64/booting.rst
		return "arm64", nil
	}
	return "", fmt.Errorf("%s is neither an x86 nor an uncompressed arm64 kernel image", image)
}

// moduleFiles returns the files of the modules asked for and of all they depend on, in the order in which to load them,
// relative to k.modules. A wanted name may be a pattern (nft_*), and "name?" is not missed when this
// kernel has no such module; any other name must exist as a module or be built in.
func (k *kernel) moduleFiles(wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	if k.modules == "" {
		return nil, fmt.Errorf("kernel %s has no modules.dep: run depmod -b on its folder", k.Release)
	}
	dep, err := os.ReadFile(filepath.Join(k.modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(k.modules, "modules.builtin"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, missing := loadOrder(bytes.NewReader(dep), bytes.NewReader(builtin), wanted)
	if len(missing) > 0 {
		return nil, fmt.Errorf("kernel %s has no module %s (write name? for one that may be missing)", k.Release, strings.Join(missing, ", "))
	}
	return files, nil
}

// loadOrder is moduleFiles without the files. A line of modules.dep names a module and all that it depends on, the deepest last.
func loadOrder(dep, builtin io.Reader, wanted []string) (files, missing []string) {
	closure := map[string][]string{} // module name → its files, in load order
	var names []string
	for s := bufio.NewScanner(dep); s.Scan(); {
		file, needs, ok := strings.Cut(s.Text(), ":")
		if !ok {
			continue
		}
		order := append([]string{file}, strings.Fields(needs)...)
		slices.Reverse(order)
		name := moduleName(file)
		closure[name] = order
		names = append(names, name)
	}
	for s := bufio.NewScanner(builtin); s.Scan(); {
		name := moduleName(s.Text())
		if _, ok := closure[name]; !ok {
			closure[name] = nil
			names = append(names, name)
		}
	}
	slices.Sort(names)

	seen := map[string]bool{}
	for _, w := range wanted {
		pattern, optional := strings.CutSuffix(w, "?")
		pattern = strings.ReplaceAll(pattern, "-", "_")
		found := false
		for _, name := range names {
			if ok, err := path.Match(pattern, name); err != nil || !ok {
				continue
			}
			found = true
			for _, f := range closure[name] {
				if !seen[f] {
					seen[f] = true
					files = append(files, f)
				}
			}
		}
		if !found && !optional {
			missing = append(missing, w)
		}
	}
	return files, missing
}

// moduleName is a module's name as lsmod shows it: kernel/net/sched/sch-netem.ko.xz is sch_netem.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
