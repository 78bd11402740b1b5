package kernel

import (
	"fmt"
	"strings"
)

// A Choice is the function to probe, of several that carry the same fact on
// different kernels.
type Choice struct {
	// Symbol is what to write into the probe's definition. Its name has the
	// compiler's suffix where nothing better was found.
	Symbol Symbol
	// Function is the name in the source and in type information.
	Function string
	// Unverified marks a copy that the compiler made (.isra, .constprop,
	// .part): its parameters may have moved.
	Unverified bool
	// Refused tells for each candidate before the chosen one why it was not
	// taken.
	Refused []Refusal
}

// A Refusal says why a function was not chosen.
type Refusal struct {
	Function string
	Why      string
}

// Why explains the choice in one line, "" when it was the first candidate.
func (c Choice) Why() string { return refusals(c.Refused) }

func refusals(list []Refusal) string {
	var parts []string
	for _, r := range list {
		parts = append(parts, r.Function+": "+r.Why)
	}
	return strings.Join(parts, "; ")
}

// A NoSymbolError says that this kernel has none of the functions asked for,
// or none that can be probed.
type NoSymbolError struct {
	Refused []Refusal
}

func (e *NoSymbolError) Error() string {
	if len(e.Refused) == 0 {
		return "no function to probe"
	}
	return "no function to probe on this kernel: " + refusals(e.Refused)
}

// Choose takes the first of the candidates that exists once and under its own
// name; failing that, the first that exists once as a copy with a compiler's
// suffix, marked Unverified. found comes from [FindSymbols] and must have an
// entry for each candidate. A candidate with a module in front, as in
// "bridge:br_dev_xmit", must be in that module and is found by its name
// alone. The error is a [NoSymbolError].
func Choose(found map[string]*Found, candidates []string) (Choice, error) {
	var refused []Refusal
	var second *Choice
	for _, c := range candidates {
		module, name, in := strings.Cut(c, ":")
		if !in {
			module, name = "", c
		}
		f := found[name]
		if f == nil {
			f = &Found{Name: name}
		}
		exact := within(f.Exact, module)
		suffixed := within(f.Suffixed, module)
		refuse := func(format string, a ...any) {
			refused = append(refused, Refusal{c, fmt.Sprintf(format, a...)})
		}
		switch {
		case len(exact) == 1:
			return Choice{Symbol: exact[0], Function: name, Refused: refused}, nil
		case len(exact) > 1:
			refuse("this kernel has %d functions of that name", len(exact))
		case len(suffixed) > 1:
			refuse("only as %d copies of the compiler, the first %s", len(suffixed), suffixed[0].Name)
		case len(suffixed) == 1:
			if second == nil {
				second = &Choice{Symbol: suffixed[0], Function: name, Unverified: true, Refused: refused[:len(refused):len(refused)]}
			}
			refuse("only as %s, whose parameters may have moved", suffixed[0].Name)
		case in && module != "" && len(f.Exact) > 0:
			refuse("not in module %s, or module %[1]s is not loaded", module)
		case in && module != "":
			refuse("not there (module %s is not loaded, or does not have it)", module)
		default:
			refuse("not there (inlined, removed, or in a module that is not loaded)")
		}
	}
	if second != nil {
		return *second, nil
	}
	return Choice{}, &NoSymbolError{refused}
}

// within keeps the symbols of a module, or all with module "".
func within(list []Symbol, module string) []Symbol {
	if module == "" {
		return list
	}
	var in []Symbol
	for _, s := range list {
		if s.Module == moduleName(module) || module == "vmlinux" && s.Module == "" {
			in = append(in, s)
		}
	}
	return in
}
