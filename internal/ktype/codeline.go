package ktype

import (
	"path"
	"slices"
	"strings"

	"github.com/skprobe/skprobe/internal/dwarfloc"
)

// fileSpots finds a line of a file, or the next one at which a statement begins,
// in all units that have code of it.
func (f *moduleFile) fileSpots(p Place) ([]Spot, error) {
	units, err := f.unitsOf(p.File)
	if err != nil {
		return nil, err
	}
	line, file, other := 0, "", ""
	var lines []int
	for _, u := range units {
		rows, _, err := u.table()
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if !r.Stmt || r.End || r.Line == 0 || !dwarfloc.IsFile(r.File, p.File) {
				continue
			}
			if file == "" {
				file = r.File
			} else if r.File != file {
				other = r.File
			}
			lines = append(lines, r.Line)
			if r.Line >= p.Line && (line == 0 || r.Line < line) {
				line = r.Line
			}
		}
	}
	switch {
	case other != "" && strings.HasSuffix(p.File, ".c"):
		return nil, p.none("there are several files of the name, %s and %s: give more of the path", file, other)
	case len(lines) == 0:
		return nil, nil
	case line == 0:
		return nil, p.none("no statement begins there or after it%s", nearest(lines, p.Line, 0))
	}
	var spots []Spot
	for _, u := range units {
		found, err := f.lineSpots(u, p, line)
		if err != nil {
			return nil, err
		}
		spots = append(spots, found...)
	}
	return distinct(spots), nil
}

// lineSpots finds the copies of a line in a unit.
func (f *moduleFile) lineSpots(u *codeUnit, p Place, line int) ([]Spot, error) {
	rows, _, err := u.table()
	if err != nil {
		return nil, err
	}
	var spots []Spot
	done := map[uint32]bool{}
	for _, r := range rows {
		if !r.Stmt || r.End || r.Line != line || !dwarfloc.IsFile(r.File, p.File) {
			continue
		}
		c, err := u.copyAt(r.Addr, r.File, line)
		if err != nil {
			return nil, err
		}
		if c == nil || done[c.fn.off] {
			continue
		}
		done[c.fn.off] = true
		pcs, err := c.statements(r.File, line)
		if err != nil {
			return nil, err
		}
		for _, pc := range pcs {
			if at, err := u.copyAt(pc, r.File, line); err != nil || at.fn.off != c.fn.off {
				continue
			}
			s, err := f.spot(c, pc, r.File, line, 0)
			if err != nil {
				return nil, err
			}
			spots = append(spots, s)
		}
	}
	return spots, nil
}

// unitsOf are the units that have code of a file: for one that is compiled by
// itself, that one.
func (f *dwarfFile) unitsOf(file string) ([]*codeUnit, error) {
	var own, all []*codeUnit
	for _, h := range f.heads {
		// Reading the head of a table of lines needs the unit; it is not kept.
		u := &dwarfUnit{}
		if err := f.readUnit(u, h); err != nil {
			return nil, err
		}
		root, err := u.entry(int(u.first))
		if err != nil || root.ab == nil || otherLanguage(root) {
			continue
		}
		isOwn := dwarfloc.IsFile(root.name(), file)
		if !isOwn && (path.Ext(file) == ".c" || !f.mentionsFile(u, file)) {
			continue
		}
		c, err := f.codeUnit(h.off)
		if err != nil {
			return nil, err
		}
		if isOwn {
			own = append(own, c)
		}
		all = append(all, c)
	}
	if len(own) > 0 {
		return own, nil
	}
	return all, nil
}

// mentionsFile tells whether a unit's table of lines has a file.
func (f *dwarfFile) mentionsFile(u *dwarfUnit, file string) bool {
	c, err := f.codeInfo()
	if err != nil {
		return false
	}
	files, err := c.lines(u).Files()
	return err == nil && slices.ContainsFunc(files, func(name string) bool { return dwarfloc.IsFile(name, file) })
}
