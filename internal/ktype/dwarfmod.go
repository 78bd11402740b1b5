package ktype

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// moduleFiles finds the debug information of modules. All paths are below
// root, which is "/" but for tests.
type moduleFiles struct {
	root    string
	release string
	vmlinux *dwarfFile
	loaded  []string          // modules in which to look for a name, sorted
	paths   map[string]string // modules.dep: from names to files below lib/modules/RELEASE
	opened  map[string]*moduleFile
}

type moduleFile struct {
	module string
	*dwarfFile
}

// UseModules makes types and functions of modules known: of those that are
// loaded, and of others when they are named.
func (d *DWARF) UseModules(release string) {
	d.modules = newModuleFiles("/", release, d.vmlinux)
}

func newModuleFiles(root, release string, vmlinux *dwarfFile) *moduleFiles {
	m := &moduleFiles{root: root, release: release, vmlinux: vmlinux, paths: map[string]string{}, opened: map[string]*moduleFile{}}
	if list, err := os.ReadFile(filepath.Join(root, "proc/modules")); err == nil {
		for line := range strings.Lines(string(list)) {
			name, _, _ := strings.Cut(line, " ")
			m.loaded = append(m.loaded, name)
		}
	}
	slices.Sort(m.loaded)
	if dep, err := os.ReadFile(filepath.Join(root, "lib/modules", release, "modules.dep")); err == nil {
		for line := range strings.Lines(string(dep)) {
			path, _, _ := strings.Cut(line, ":")
			name, _, _ := strings.Cut(filepath.Base(path), ".ko")
			m.paths[kernelSpelling(name)] = path
		}
	}
	return m
}

// kernelSpelling is how the kernel spells a module whose file has "-".
func kernelSpelling(module string) string { return strings.ReplaceAll(module, "-", "_") }

var errNoModules = errors.New("no debug information of modules is known")

// open opens the debug information of one module. It has all types that the
// module uses; those that it only declares may be in vmlinux.
func (m *moduleFiles) open(name string) (*moduleFile, error) {
	if m == nil {
		return nil, errNoModules
	}
	name = kernelSpelling(name)
	if f := m.opened[name]; f != nil {
		return f, nil
	}
	f, err := m.openUnread(name)
	if err != nil {
		return nil, err
	}
	if err := f.load(); err != nil {
		f.close()
		return nil, err
	}
	f.base = m.vmlinux
	m.opened[name] = &moduleFile{name, f}
	return m.opened[name], nil
}

func (m *moduleFiles) openUnread(name string) (*dwarfFile, error) {
	if name != filepath.Base(name) {
		return nil, errNoModules
	}
	var id string
	if notes, err := os.ReadFile(filepath.Join(m.root, "sys/module", name, "notes/.note.gnu.build-id")); err == nil {
		id = noteBuildID(notes)
	}
	var reason error
	for _, file := range m.places(name, id) {
		f, err := openDwarfFile(file)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			reason = err
		case id != "" && f.id != "" && f.id != id:
			f.close()
			reason = &FileError{File: file, Msg: "debug information of another build of the module: its build id is " + f.id + ", that of the loaded one " + id}
		default:
			return f, nil
		}
	}
	if reason == nil {
		reason = &FileError{File: name, Msg: "no debug information of this module is installed", Do: debugPackage, Err: os.ErrNotExist}
	}
	return nil, reason
}

// places lists where distributions put the debug information of a module.
func (m *moduleFiles) places(name, id string) []string {
	var list []string
	if id != "" {
		list = append(list, buildIDFile(m.root, id))
	}
	path := m.paths[name]
	if path == "" {
		return list
	}
	plain := path // without .xz, .gz or .zst
	if i := strings.LastIndex(path, ".ko"); i >= 0 {
		plain = path[:i+len(".ko")]
	}
	for _, debug := range [...]string{"usr/lib/debug/lib/modules", "usr/lib/debug/usr/lib/modules"} {
		dir := filepath.Join(m.root, debug, m.release)
		list = append(list, filepath.Join(dir, plain), filepath.Join(dir, plain+".debug"))
	}
	if in, ok := strings.CutPrefix(plain, "kernel/"); ok {
		// vmlinux may be where it was built.
		list = append(list, filepath.Join(filepath.Dir(m.vmlinux.file), in))
	}
	return append(list, filepath.Join(m.root, "lib/modules", m.release, path))
}

// naming returns the loaded modules whose debug information has that name
// somewhere. A module that cannot be read has none.
func (m *moduleFiles) naming(name string) []*moduleFile {
	if m == nil {
		return nil
	}
	var found []*moduleFile
	for _, mod := range m.loaded {
		if m.opened[mod] == nil && !m.mentions(mod, name) {
			continue
		}
		if f, err := m.open(mod); err == nil {
			found = append(found, f)
		}
	}
	return found
}

// mentions looks for a name without reading the entries. Names of up to three
// letters need not be among the strings.
func (m *moduleFiles) mentions(module, name string) bool {
	f, err := m.openUnread(module)
	if err != nil {
		return false
	}
	defer f.close()
	if len(name) < 4 {
		return true
	}
	strs, err := f.sectionData(".debug_str")
	return err == nil && bytes.Contains(strs, []byte(name+"\x00"))
}
