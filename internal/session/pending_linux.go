package session

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
)

// A function of a module that is not loaded can be probed all the same: the
// kernel keeps the definition, and arms it when the module comes, before that runs
// (trace_kprobe_module_callback in kernel/trace/trace_kprobe.c, 3.10 to 7.x).

// notLoaded returns the module of MODULE:FUNCTION if it is not loaded, "" for
// any other function.
func notLoaded(function string) string {
	module, _, in := strings.Cut(function, ":")
	if !in || module == "vmlinux" {
		return ""
	}
	if _, err := os.Stat("/sys/module/" + strings.ReplaceAll(module, "-", "_") + "/initstate"); err == nil {
		return ""
	}
	return module
}

// needs tells whether a tool shows less without a module that is not loaded:
// one of its probes there is not optional, or all that it shows is there. Others
// are for hosts that have the module.
func needs(probes []*event.Compiled, module string) bool {
	there := func(c *event.Compiled) bool {
		return slices.ContainsFunc(c.Halves(), func(h *event.Half) bool { return notLoaded(h.Symbol) == module })
	}
	elsewhere := slices.ContainsFunc(probes, func(c *event.Compiled) bool { return !c.Hidden && !there(c) })
	return slices.ContainsFunc(probes, func(c *event.Compiled) bool { return (!c.Optional || !elsewhere) && there(c) })
}

// waits tells the user that a probe waits for a module, and which modules there
// are with a name like that if there is none of that name.
func waits(module string) string {
	text := "waiting for module " + module + ", which is not loaded"
	known := installed()
	if len(known) == 0 || slices.Contains(known, strings.ReplaceAll(module, "-", "_")) {
		return text
	}
	text += " and not installed"
	if near := kernel.Near(module, known); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return text
}

// installed are the modules that this kernel could load, as modules.dep lists
// them; nil where that is not known.
func installed() []string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]), "modules.dep"))
	if err != nil {
		return nil
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		file, _, _ := strings.Cut(line, ":")
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		names = append(names, strings.ReplaceAll(name, "-", "_"))
	}
	return names
}
