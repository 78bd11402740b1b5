package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/session"
)

// toolOptions are the values of a tool's own flags, by their names.
type toolOptions map[string]pflag.Value

func (o toolOptions) register(t *event.Tool, fs *pflag.FlagSet) {
	for _, opt := range t.Options {
		if opt.Takes {
			fs.StringP(opt.Name, opt.Letter, opt.Default, opt.Help)
		} else {
			fs.BoolP(opt.Name, opt.Letter, false, opt.Help)
		}
		o[opt.Name] = fs.Lookup(opt.Name).Value
	}
}

// expand gives the flags that the options stand for.
func (o toolOptions) expand(t *event.Tool, fs *pflag.FlagSet) error {
	for _, opt := range t.Options {
		if !o.on(opt.Name) {
			continue
		}
		args := opt.Args
		if opt.CountBy != nil {
			args = append(slices.Clone(args), "count-by="+strings.Join(opt.CountBy, ","))
		}
		for _, arg := range args {
			name, value, _ := strings.Cut(arg, "=")
			if fs.Changed(name) {
				continue
			}
			if err := fs.Set(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// on tells whether an option is given.
func (o toolOptions) on(name string) bool {
	value := o[name].String()
	return value != "" && value != "false"
}

// apply does what else the options stand for.
func (o toolOptions) apply(t *event.Tool, fs *pflag.FlagSet, cfg *session.Config) error {
	cfg.Settings = event.Settings{}
	var off []string // events of options that are not given, and those that options leave out
	for _, opt := range t.Options {
		value, on := o[opt.Name].String(), o.on(opt.Name)
		if on {
			cfg.Settings[opt.Name] = value
			cfg.Columns = append(cfg.Columns, opt.Columns...)
			off = append(off, opt.Without...)
			if cfg.Counting != nil && slices.Equal(cfg.Counting.By, opt.CountBy) {
				cfg.Counting.Some = true
			}
		} else {
			off = append(off, opt.Events...)
		}
		if opt.Choose != nil && (on || fs.Changed(opt.Name)) {
			chosen, more, err := opt.Choose(value)
			if err != nil {
				return usagef("--%s %s: %v", opt.Name, value, err)
			}
			off = append(off, slices.DeleteFunc(slices.Clone(opt.Events), func(name string) bool { return slices.Contains(chosen, name) })...)
			addSources(cfg, more)
		}
		if on && opt.Reduce != nil {
			t := *cfg.Tool
			t.Reduce = opt.Reduce
			cfg.Tool = &t
		}
		if opt.Where == nil || !on && !fs.Changed(opt.Name) {
			continue
		}
		where, err := opt.Where(value)
		if err != nil {
			return usagef("--%s %s: %v", opt.Name, value, err)
		}
		if where != "" {
			cfg.Where = append(cfg.Where, where)
		}
	}
	if len(off) > 0 {
		selected := cfg.Events
		cfg.Events = func(e *event.Source) bool { return selected(e) && !slices.Contains(off, e.Name) }
	}
	return nil
}

// addSources adds sources to the tool, whose functions somebody has named: they
// may not be there.
func addSources(cfg *session.Config, more []event.Source) {
	if len(more) == 0 {
		return
	}
	t := *cfg.Tool
	t.Events = append(slices.Clone(t.Events), more...)
	cfg.Tool, cfg.Verify = &t, true
}

// ports are those that --port gives, or else the tool's own and those of its
// options.
func (o toolOptions) ports(t *event.Tool, fs *pflag.FlagSet, given []uint16) []uint16 {
	if slices.ContainsFunc([]string{"port", "lport", "rport"}, fs.Changed) {
		return given
	}
	ports := slices.Clone(t.Ports)
	for _, opt := range t.Options {
		if o[opt.Name].String() == "true" {
			ports = append(ports, opt.Ports...)
		}
	}
	return ports
}
