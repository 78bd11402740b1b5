package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// fetch returns the folder of the unpacked kernel, which it makes if the cache has it not. When the mirror no longer has the
// listed version (Debian removes old ones), it takes the newest and says so.
func fetch(cache string, k kernel) (string, error) {
	dir := dirOf(cache, k)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	a, err := aptFor(cache, k)
	if err != nil {
		return "", err
	}
	if err := checkListed(a, k); errors.Is(err, errNotOffered) {
		gone := err
		packages, err := newest(cache, k)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "kernels: WARNING: %s: %v: a listed version is gone; taking the newest that %s has (kernels -update rewrites the list)\n",
			k.Key, gone, k.Suite)
		k.Packages = packages
	} else if err != nil {
		return "", err
	}
	dir = dirOf(cache, k)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	return dir, unpack(a, dir, k.Packages)
}

// dirOf is where an entry's packages are unpacked.
func dirOf(cache string, k kernel) string {
	if k.isPrograms() {
		return programsDir(cache, k)
	}
	return filepath.Join(cache, "kernels", k.Packages[0].Name+"_"+k.Packages[0].Version)
}

func aptFor(cache string, k kernel) (*apt, error) {
	return openApt(filepath.Join(cache, "apt", k.Suite+"-"+k.Arch), k.Suite, k.Arch)
}

// checkListed compares the list with the signed index before anything is downloaded.
func checkListed(a *apt, k kernel) error {
	var names []string
	for _, p := range k.Packages {
		names = append(names, p.Name)
	}
	if err := a.load(names...); err != nil {
		return err
	}
	for _, p := range k.Packages {
		s, err := a.Show(p.Name, p.Version)
		if err != nil {
			return err
		}
		if s["SHA256"] != p.SHA256 {
			return fmt.Errorf("%s %s: the signed index says sha256 %s, the list %s", p.Name, p.Version, s["SHA256"], p.SHA256)
		}
	}
	return nil
}

// newest finds the packages of the suite's current cloud kernel: the one that the meta package depends on; from 7.x on that
// one holds nothing and depends on a package for each part.
func newest(cache string, k kernel) ([]pkg, error) {
	if k.isPrograms() {
		return newestPrograms(cache, k)
	}
	a, err := aptFor(cache, k)
	if err != nil {
		return nil, err
	}
	meta, err := a.Show("linux-image-cloud-"+k.Arch, "")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(meta["Version"], series(k.Key)) {
		return nil, fmt.Errorf("%s now has %s: put a suite with %s in the list", k.Suite, meta["Version"], k.Key)
	}
	var image stanza
	for _, name := range meta.depends() {
		if strings.HasPrefix(name, "linux-image-") {
			if image, err = a.Show(name, meta["Version"]); err != nil {
				return nil, err
			}
		}
	}
	if image == nil {
		return nil, fmt.Errorf("%s %s depends on no kernel image: %s", meta["Package"], meta["Version"], meta["Depends"])
	}
	var packages []pkg
	for _, part := range []string{"linux-binary-", "linux-modules-", "linux-base-"} { // image, modules, what is built in
		for _, name := range image.depends() {
			if strings.HasPrefix(name, part) && strings.Contains(name, k.Arch) {
				s, err := a.Show(name, meta["Version"])
				if err != nil {
					return nil, err
				}
				packages = append(packages, s.pkg())
			}
		}
	}
	if packages == nil {
		packages = []pkg{image.pkg()}
	}
	return packages, nil
}

// unpack downloads the packages and unpacks them into one folder. The folder appears when all is done.
func unpack(a *apt, dir string, packages []pkg) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpack-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	root := filepath.Join(tmp, "root")
	fmt.Fprintf(os.Stderr, "kernels: fetching %s %s and %d more\n", packages[0].Name, packages[0].Version, len(packages)-1)
	debs, err := a.Download(filepath.Join(tmp, "debs"), packages)
	if err != nil {
		return err
	}
	for i, p := range packages {
		deb := debs[i]
		if sum, err := fileSHA256(deb); err != nil {
			return err
		} else if sum != p.SHA256 {
			return fmt.Errorf("%s has sha256 %s instead of %s", filepath.Base(deb), sum, p.SHA256)
		}
		if out, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w: %s", deb, err, out)
		}
	}
	if hasModules(root) {
		if err := depmod(root); err != nil {
			return err
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	err = os.Rename(root, dir)
	if _, statErr := os.Stat(dir); err != nil && statErr == nil {
		return nil // another process was faster
	}
	return err
}

func hasModules(root string) bool {
	for _, lib := range []string{"lib/modules", "usr/lib/modules"} {
		if _, err := os.Stat(filepath.Join(root, lib)); err == nil {
			return true
		}
	}
	return false
}

// depmod writes modules.dep, which no package has.
func depmod(root string) error {
	if _, err := os.Lstat(filepath.Join(root, "lib")); errors.Is(err, os.ErrNotExist) {
		if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil { // depmod looks in lib/modules
			return err
		}
	}
	releases, err := filepath.Glob(filepath.Join(root, "lib/modules/*"))
	if err != nil || len(releases) != 1 {
		return fmt.Errorf("the packages hold modules of %d kernels", len(releases))
	}
	program, err := exec.LookPath("depmod")
	if err != nil {
		program = "/sbin/depmod" // not in every user's PATH
	}
	if out, err := exec.Command(program, "-b", root, filepath.Base(releases[0])).CombinedOutput(); err != nil {
		return fmt.Errorf("depmod (package kmod): %w: %s", err, out)
	}
	return nil
}

// digest is a short name for a text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
