package kernel

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// A Version is the numbers at the start of a kernel release. Stable and vendor
// kernels carry features of later ones back, so a version explains and never
// decides.
type Version struct {
	Major, Minor, Patch int
}

// ParseRelease takes the version from a release as uname -r prints it:
// "4.18.0-147.5.1.el8_1.aarch64", "6.1.0-38-cloud-amd64", "7.1-rc3".
func ParseRelease(release string) (Version, error) {
	var v Version
	rest := release
	for i, n := range []*int{&v.Major, &v.Minor, &v.Patch} {
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		x, err := strconv.Atoi(rest[:end])
		if err != nil {
			if i == 2 { // "7.1-rc3", "6.1." of a broken build
				break
			}
			return Version{}, fmt.Errorf("%q is not a kernel release: expected one like 6.1.0", release)
		}
		*n, rest = x, rest[end:]
		if !strings.HasPrefix(rest, ".") {
			if i == 0 {
				return Version{}, fmt.Errorf("%q is not a kernel release: expected one like 6.1.0", release)
			}
			break
		}
		rest = rest[1:]
	}
	return v, nil
}

// AtLeast tells whether v is that version or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// An Identity tells one kernel build from others.
type Identity struct {
	Release string // uname -r
	BuildID string // of the linker, in hex; "" where the kernel has none
	Arch    string // as in GOARCH: amd64, arm64
}

func (id Identity) String() string {
	s := id.Release + " " + id.Arch
	if id.BuildID != "" {
		s += " (build id " + id.BuildID[:min(12, len(id.BuildID))] + ")"
	}
	return s
}

// Identity returns that of the running kernel. The build id is missing without
// an error where /sys is not there.
func (fs FS) Identity() (Identity, error) {
	id := Identity{Arch: runtime.GOARCH}
	var err error
	if id.Release, err = fs.line("proc/sys/kernel/osrelease"); err != nil {
		return id, fmt.Errorf("kernel release: %w", err)
	}
	if notes, err := os.ReadFile(fs.path("sys/kernel/notes")); err == nil {
		id.BuildID = BuildID(notes)
	}
	return id, nil
}

// BuildID finds the note of type NT_GNU_BUILD_ID (3) of the owner GNU among
// ELF notes, as in /sys/kernel/notes and /sys/module/NAME/notes, and returns
// its bytes in hex, or "".
func BuildID(notes []byte) string {
	le := binary.LittleEndian
	for len(notes) >= 12 {
		name, desc, kind := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:])), le.Uint32(notes[8:])
		descAt := 12 + (name+3)&^3
		end := descAt + (desc+3)&^3
		if descAt+desc > uint64(len(notes)) {
			return ""
		}
		if kind == 3 && name == 4 && string(notes[12:16]) == "GNU\x00" {
			return hex.EncodeToString(notes[descAt : descAt+desc])
		}
		notes = notes[min(end, uint64(len(notes))):]
	}
	return ""
}

// SupportedArch returns an error that explains why skprobe does not work on an
// architecture (as in GOARCH), or nil. The place of a parameter in the
// registers and the order of bytes are known for two.
func SupportedArch(arch string) error {
	switch arch {
	case "amd64", "arm64":
		return nil
	}
	return fmt.Errorf("architecture %s: skprobe knows where amd64 and arm64 pass parameters, and no other", arch)
}
