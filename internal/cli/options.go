package cli

import (
	"slices"

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

// apply does what the options stand for.
func (o toolOptions) apply(t *event.Tool, fs *pflag.FlagSet, cfg *session.Config) error {
	cfg.Settings = event.Settings{}
	var off []string // events of options that are not given
	for _, opt := range t.Options {
		value := o[opt.Name].String()
		on := value != "" && value != "false"
		if on {
			cfg.Settings[opt.Name] = value
			cfg.Columns = append(cfg.Columns, opt.Columns...)
		} else {
			off = append(off, opt.Events...)
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
