package session

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/skprobe/skprobe/internal/elfsym"
)

// programs names the frames of programs' stacks.
type programs struct {
	maps  map[uint32]*programMaps
	files map[fileID]*elfsym.File // nil for one without symbols
}

// programMaps are the mappings of a process when they were read.
type programMaps struct {
	exe  string
	read time.Time
	maps []elfsym.Mapping
}

// A fileID is a file whatever its name.
type fileID struct {
	device string
	inode  uint64
}

// Limits of what is kept.
const (
	maxPrograms     = 1024
	maxProgramFiles = 256
	// keepMaps is how long mappings are taken for those that a process still
	// has. Another program, and an address that has no mapping, end it sooner.
	keepMaps = time.Second
)

// frames names addresses of a process, the innermost first: "send+0x1f [libc.so.6]".
// What has no symbol is shown by its place in the file, and the addresses of a
// process that is gone as numbers.
func (p *programs) frames(pid uint32, addrs []uint64) []string {
	maps := p.mapsOf(pid, addrs)
	names := make([]string, len(addrs))
	for i, addr := range addrs {
		m := find(maps, addr)
		if m == nil {
			names[i] = "0x" + strconv.FormatUint(addr, 16)
			continue
		}
		off := addr - m.Start + m.Off
		file := path.Base(m.Path)
		if m.Path == "" {
			file = "anonymous memory"
		}
		back := uint64(0) // a return address may be behind the end of its function
		if i > 0 {
			back = 1
		}
		names[i] = fmt.Sprintf("0x%x [%s]", off, file)
		if f := p.file(pid, m); f != nil && off >= back {
			if name, distance, ok := f.Resolve(off - back); ok {
				names[i] = fmt.Sprintf("%s+0x%x [%s]", name, distance+back, file)
			}
		}
	}
	return names
}

func find(maps []elfsym.Mapping, addr uint64) *elfsym.Mapping {
	i, _ := slices.BinarySearchFunc(maps, addr, func(m elfsym.Mapping, addr uint64) int {
		if m.End <= addr {
			return -1
		}
		return 1
	})
	if i < len(maps) && addr >= maps[i].Start {
		return &maps[i]
	}
	return nil
}

// mapsOf are the mappings of a process, those that were read before if they can
// still be right.
func (p *programs) mapsOf(pid uint32, addrs []uint64) []elfsym.Mapping {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	have := p.maps[pid]
	if have != nil {
		gone := err != nil // what it had is all that will ever be known
		fits := have.exe == exe && time.Since(have.read) < keepMaps &&
			!slices.ContainsFunc(addrs, func(addr uint64) bool { return find(have.maps, addr) == nil })
		if gone || fits {
			return have.maps
		}
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	defer f.Close()
	maps, err := elfsym.ReadMaps(f)
	if err != nil || len(maps) == 0 {
		return nil
	}
	if p.maps == nil || len(p.maps) >= maxPrograms {
		p.maps = map[uint32]*programMaps{}
	}
	p.maps[pid] = &programMaps{exe, time.Now(), maps}
	return maps
}

// file opens a file that a process has mapped, by the path as the process sees it,
// or by the mapping itself.
func (p *programs) file(pid uint32, m *elfsym.Mapping) *elfsym.File {
	if m.Inode == 0 {
		return nil
	}
	id := fileID{m.Device, m.Inode}
	if f, known := p.files[id]; known {
		return f
	}
	f, err := elfsym.Open(fmt.Sprintf("/proc/%d/map_files/%x-%x", pid, m.Start, m.End))
	if err != nil && !m.Deleted {
		f, err = elfsym.Open(fmt.Sprintf("/proc/%d/root%s", pid, m.Path))
	}
	if err != nil {
		f = nil
	}
	if p.files == nil || len(p.files) >= maxProgramFiles {
		p.files = map[fileID]*elfsym.File{}
	}
	p.files[id] = f
	return f
}
