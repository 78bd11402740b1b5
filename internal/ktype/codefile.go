package ktype

import (
	"slices"

	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// Functions lists the functions of a source file that have code of their own, by
// the names of their symbols, MODULE:FUNCTION in a module. file is a path, or the
// end of one; module, if not "", is the one whose file it is. The error is a
// [*PlaceError] where there is no such file.
func (d *DWARF) Functions(module, file string) ([]string, error) {
	p := Place{Module: module, File: file}
	files, err := d.filesOf(p)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(files); i++ {
		names, err := files[i].functionsOf(p)
		if err != nil || len(names) > 0 {
			return names, err
		}
		if i == 0 && module == "" {
			files = append(files, d.modules.naming(file)...)
		}
	}
	return nil, p.none("%s has no code of such a file", d.Source())
}

// functionsOf finds the functions of a file.
func (f *moduleFile) functionsOf(p Place) ([]string, error) {
	units, err := f.unitsOf(p.File)
	if err != nil {
		return nil, err
	}
	code, err := f.codeInfo()
	if err != nil {
		return nil, err
	}
	var names []string
	file, other := "", ""
	for _, u := range units {
		var failed error
		err := u.instances(u.root, nil, func(i *instance) {
			if i.in != nil {
				return
			}
			at, _, err := i.declared()
			if err != nil {
				failed = err
				return
			}
			sym, ok := symbolAt(code.functions, i.start(), i.name())
			if !ok || !dwarfloc.IsFile(at, p.File) {
				return
			}
			if file == "" {
				file = at
			} else if at != file {
				other = at
			}
			if f.module != "" {
				sym.name = f.module + ":" + sym.name
			}
			names = append(names, sym.name)
		})
		if err == nil {
			err = failed
		}
		if err != nil {
			return nil, err
		}
	}
	if other != "" {
		return nil, p.none("there are several files of the name, %s and %s: give more of the path", file, other)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
