package ktype

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// vmlinuxPlaces lists where the debug information of a kernel is installed.
func vmlinuxPlaces(root string, k Kernel) []string {
	var list []string
	if k.BuildID != "" {
		list = append(list, buildIDFile(root, k.BuildID))
	}
	for _, p := range [...]string{
		"usr/lib/debug/boot/vmlinux-%s",                  // Debian, Ubuntu
		"usr/lib/debug/lib/modules/%s/vmlinux",           // Fedora, RHEL
		"usr/lib/debug/usr/lib/modules/%s/vmlinux",       // Fedora since /lib moved
		"usr/lib/debug/usr/lib/modules/%s/vmlinux.debug", // SUSE
		"usr/lib/debug/boot/vmlinux-%s.debug",            // older SUSE
		"lib/modules/%s/build/vmlinux",                   // built on this machine
		"lib/modules/%s/vmlinux",
		"boot/vmlinux-%s",
	} {
		list = append(list, filepath.Join(root, fmt.Sprintf(p, k.Release)))
	}
	return list
}

// buildIDFile is where the debug information of a file with that build id is.
func buildIDFile(root, id string) string {
	if len(id) < 3 {
		return filepath.Join(root, "usr/lib/debug/.build-id", id+".debug")
	}
	return filepath.Join(root, "usr/lib/debug/.build-id", id[:2], id[2:]+".debug")
}

// FindDWARF opens the debug information that is installed for a kernel. The
// error wraps [fs.ErrNotExist] when there is none at all, and else says what is
// wrong with what there is.
func FindDWARF(k Kernel) (*DWARF, error) { return findDWARF("/", k) }

func findDWARF(root string, k Kernel) (*DWARF, error) {
	var reason error
	for _, file := range vmlinuxPlaces(root, k) {
		d, err := OpenDWARF(file)
		if err == nil {
			if err = d.CheckKernel(k); err == nil {
				d.UseModules(k.Release)
				return d, nil
			}
			d.vmlinux.close()
		}
		// A file without debug information, as /boot may have one, says less
		// than one that has the wrong.
		if !errors.Is(err, os.ErrNotExist) && (reason == nil || errors.Is(reason, errNoDebugInfo)) {
			reason = err
		}
	}
	if reason == nil {
		reason = &FileError{File: "vmlinux " + k.Release, Msg: "no debug information of this kernel is installed", Do: debugPackage + "; or name a file with --vmlinux FILE", Err: os.ErrNotExist}
	}
	return nil, reason
}
