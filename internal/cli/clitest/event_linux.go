package clitest

import "maps"

// Unknown is the value of columns that this kernel's layouts do not suffice
// for, in runs that measure them: see [Result.Events].
const Unknown = "(unknown)"

// Has tells whether an event has all values of want, as far as they are known.
func (e Event) Has(want Event) bool {
	for key, v := range want {
		if e[key] != v && e[key] != Unknown {
			return false
		}
	}
	return true
}

// With is a copy of an event with more values, given as name, value, ….
func (e Event) With(values ...any) Event {
	c := maps.Clone(e)
	for i := 0; i+1 < len(values); i += 2 {
		c[values[i].(string)] = values[i+1]
	}
	return c
}

// Select returns the events that have all values of want.
func Select(events []Event, want Event) (found []Event) {
	for _, e := range events {
		if e.Has(want) {
			found = append(found, e)
		}
	}
	return found
}
