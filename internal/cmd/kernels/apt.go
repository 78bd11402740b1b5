package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An apt is apt with a configuration, package lists and cache of its own, for one suite and architecture.
type apt struct {
	dir     string
	options []string
	known   map[string][]stanza // offered versions by name, the newest first, as far as it was asked for them
}

// listsAge is how long fetched package lists are good for.
const listsAge = time.Hour

// openApt prepares an apt below dir and fetches the suite's package lists.
func openApt(dir, suite, arch string) (*apt, error) {
	keyring, err := debianKeyring()
	if err != nil {
		return nil, err
	}
	mirror, err := mirrorFor(suite)
	if err != nil {
		return nil, err
	}
	a := &apt{dir: dir}
	for _, d := range []string{"lists/partial", "cache/archives/partial", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	source := fmt.Sprintf("deb [arch=%s signed-by=%s] %s %s main\n", arch, keyring, mirror, suite)
	for name, text := range map[string]string{"sources.list": source, "status": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a.options = []string{"-q",
		"-oDir::Etc::sourcelist=" + filepath.Join(dir, "sources.list"), "-oDir::Etc::sourceparts=/dev/null",
		"-oDir::Etc::preferences=/dev/null", "-oDir::Etc::preferencesparts=/dev/null",
		"-oDir::State=" + filepath.Join(dir, "state"), "-oDir::State::lists=" + filepath.Join(dir, "lists"),
		"-oDir::State::status=" + filepath.Join(dir, "status"), "-oDir::Cache=" + filepath.Join(dir, "cache"),
		"-oAPT::Architecture=" + arch, "-oAPT::Architectures=" + arch,
		"-oAcquire::Languages=none", "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-oAcquire::Retries=3", "-oAcquire::http::Timeout=30",
	}
	if os.Geteuid() == 0 { // the cache need not be readable for apt's own user
		a.options = append(a.options, "-oAPT::Sandbox::User=root")
	}
	stamp := filepath.Join(dir, "updated")
	if fi, err := os.Stat(stamp); err == nil && time.Since(fi.ModTime()) < listsAge {
		return a, nil
	}
	if _, err := a.run("", "apt-get", "update", "--error-on=any"); err != nil {
		return nil, err
	}
	return a, os.WriteFile(stamp, nil, 0o644)
}

// run runs apt-get or apt-cache in a folder and returns what it prints.
func (a *apt) run(dir, program string, args ...string) (string, error) {
	cmd := exec.Command(program, append(append([]string{}, a.options...), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// errNotOffered says that the suite has no such package or version.
var errNotOffered = errors.New("not offered by the mirror")

// load asks for some packages at a time: apt needs a second for each question.
func (a *apt) load(names ...string) error {
	if a.known == nil {
		a.known = map[string][]stanza{}
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return a.known[n] != nil })
	if len(names) == 0 {
		return nil
	}
	out, err := a.run("", "apt-cache", append([]string{"show"}, names...)...)
	if err != nil && !strings.Contains(err.Error(), "No packages found") {
		return err
	}
	for _, n := range names {
		a.known[n] = []stanza{} // where it is not offered
	}
	for _, s := range parseStanzas(out) {
		a.known[s["Package"]] = append(a.known[s["Package"]], s)
	}
	return nil
}

// Show returns the newest offered version of a package, or exactly the one asked for when version is not empty.
func (a *apt) Show(name, version string) (stanza, error) {
	if err := a.load(name); err != nil {
		return nil, err
	}
	for _, s := range a.known[name] {
		if version == "" || s["Version"] == version {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", strings.TrimSpace(name+" "+version), errNotOffered)
}

// Download fetches packages into a folder and returns their files. Apt has checked them against the signed index.
func (a *apt) Download(dir string, packages []pkg) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args := []string{"download"}
	for _, p := range packages {
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := a.run(dir, "apt-get", args...); err != nil {
		return nil, err
	}
	var files []string
	for _, p := range packages {
		found, err := filepath.Glob(filepath.Join(dir, p.Name+"_*.deb"))
		if err != nil || len(found) != 1 {
			return nil, fmt.Errorf("apt-get download %s left %d files", p.Name, len(found))
		}
		files = append(files, found[0])
	}
	return files, nil
}

// A stanza is one paragraph of a package index.
type stanza map[string]string

func (s stanza) pkg() pkg { return pkg{s["Package"], s["Version"], s["SHA256"]} }

// depends returns the names of the packages that it depends on, without versions and alternatives.
func (s stanza) depends() []string {
	var names []string
	for d := range strings.SplitSeq(s["Pre-Depends"]+","+s["Depends"], ",") {
		if f := strings.Fields(d); len(f) > 0 {
			names = append(names, f[0])
		}
	}
	return names
}

// parseStanzas reads the one-line fields of index paragraphs.
func parseStanzas(text string) []stanza {
	var all []stanza
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		s := stanza{}
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, " ") {
				s[key] = strings.TrimSpace(value)
			}
		}
		if len(s) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func debianKeyring() (string, error) {
	for _, name := range []string{"debian-archive-keyring.gpg", "debian-archive-keyring.pgp"} {
		path := filepath.Join("/usr/share/keyrings", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the keys of Debian's archive are missing: install debian-archive-keyring")
}

// mirrorFor returns the address of the archive that has a suite.
func mirrorFor(suite string) (string, error) {
	label, override := "Debian", "SKPROBE_MIRROR"
	if strings.HasSuffix(suite, "-security") {
		label, override = "Debian-Security", "SKPROBE_SECURITY_MIRROR"
	}
	if m := os.Getenv(override); m != "" {
		return m, nil
	}
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if l, uri, _ := strings.Cut(strings.TrimSpace(line), " "); l == label {
			return uri, nil
		}
	}
	return "", fmt.Errorf("this machine's apt knows no %s mirror: run apt-get update, or set %s to a mirror's address", label, override)
}
