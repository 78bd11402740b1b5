package event

import "slices"

// An Option is a flag of one tool. It can do several things: select events or
// columns that are otherwise not taken, stand for a condition, and tell Reduce.
type Option struct {
	Name   string // --loss-probes
	Letter string // -l; "" for none
	Help   string // one line; the name of the value, if it takes one, in `quotes`
	// Takes tells that it has a value; without it the option is on or off.
	Takes bool
	// Default is the value that it has where it is not given.
	Default string
	// Events are probed only with the option: [Source.Name].
	Events []string
	// Without are events that are not probed with the option.
	Without []string
	// Columns that are fetched only on request are requested by it, and others
	// are then in the table.
	Columns []string
	// Ports are added to those of the tool.
	Ports []uint16
	// Choose, if not nil, chooses among Events by the value, and adds sources
	// that the tool does not have. Its error is about the value.
	Choose func(value string) (events []string, more []Source, err error)
	// Reduce, if not nil, is the tool's own with the option.
	Reduce func(*Schema, Settings) Reducer
	// CountBy are the columns by which events are counted with the option,
	// unless others are given; those that a kernel does not have are left out.
	CountBy []string
	// Where, if not nil, is the condition that a given option stands for, in
	// the words of --where. Its error is about the value.
	Where func(value string) (string, error)
	// Args are flags that a given option stands for, where they are not given
	// themselves: "count-by=laddr,lport".
	Args []string
}

// isOption tells whether an event is probed only with an option.
func (t *Tool) isOption(event string) bool {
	return slices.ContainsFunc(t.Options, func(o Option) bool { return slices.Contains(o.Events, event) })
}

// An Alias is the tool under another name, with some of its flags given.
type Alias struct {
	Name string
	Args []string // "--listen"
}

// Settings are the values of a tool's options: of one that is on or off "true"
// or nothing.
type Settings map[string]string

// On tells whether an option without a value is on.
func (s Settings) On(name string) bool { return s[name] == "true" }
