package tracefs

import (
	"bufio"
	"os"
	"strings"
)

// Traceable returns the names of the functions that the kernel can trace at
// their start (available_filter_functions). A function that is not among them
// is marked notrace, or has no place for it. The file is missing in a kernel
// without dynamic ftrace, and refused under some lockdowns.
func (f *FS) Traceable() (map[string]bool, error) {
	file, err := os.Open(f.path("available_filter_functions"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names := map[string]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ") // "name [module]"
		names[name] = true
	}
	if len(names) == 0 || lines.Err() != nil {
		return nil, lines.Err()
	}
	return names, nil
}
