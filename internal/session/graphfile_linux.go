package session

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/callgraph"
)

// graphPlaces are the places that were named, with what files stand for: source
// files, and lists of functions (@FILE).
func graphPlaces(texts []string, types fetchargs.Types) (places []callgraph.Place, err error) {
	for _, text := range texts {
		p := callgraph.Place{Text: text}
		switch list, isList := strings.CutPrefix(text, "@"); {
		case isList:
			p.Listed, err = readList(list)
		case isSourceFile(text):
			p.Listed, err = functionsOf(text, types)
		}
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	return places, nil
}

// readList reads functions or patterns from a file, one a line. A line that is empty
// or begins with # has none.
func readList(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("list of functions: %v", err)
	}
	var names []string
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
			continue
		case len(f) > 1:
			return nil, usage("%s:%d: %q: one function or pattern a line is needed", file, n, shorten(strings.TrimSpace(line)))
		}
		if _, err := (callgraph.Place{Text: f[0]}).Source(); err != nil {
			return nil, usage("%s:%d: %v", file, n, err)
		}
		names = append(names, f[0])
	}
	if names == nil {
		return nil, usage("%s: no functions are listed there", file)
	}
	return names, nil
}

// isSourceFile tells a source file, FILE.c or MODULE:FILE.c, which no function is
// called like.
func isSourceFile(text string) bool {
	ext := path.Ext(text)
	return ext == ".c" || ext == ".h"
}

// functionsOf are the functions of a source file.
func functionsOf(text string, types fetchargs.Types) ([]string, error) {
	module, file, in := strings.Cut(text, ":")
	if !in {
		module, file = "", text
	}
	s, ok := types.(interface {
		Functions(module, file string) ([]string, error)
	})
	if !ok {
		return nil, refused("", fmt.Errorf("%s: which functions a file has is not known here", text))
	}
	names, err := s.Functions(module, file)
	return names, unplaced(text, err)
}
