package event

// A Reducer makes what is shown of the events that happen: it pairs them,
// follows what they are about over time, or adds them up.
type Reducer interface {
	// Event takes the next event, in the order of time, whose computed
	// columns are absent. It sets them, and calls show for what is to be
	// shown: this event, others, or none. It must not keep ev.
	Event(ev *Event, show func(*Event) error) error
	// Evicted returns how many things were forgotten because there were too
	// many at a time.
	Evicted() uint64
}
