package event

// A Reducer makes what is shown of the events that happen: it pairs them,
// follows what they are about over time, or adds them up.
type Reducer interface {
	// Event takes the next event, in the order of time, whose computed
	// columns are absent. It sets them, and calls show for what is to be
	// shown: this event, others, or none. It must not keep ev, but may keep a
	// Clone. What it shows is at the time Mono, and Task tells whether PID,
	// TID and Comm are the owner's.
	Event(ev *Event, show func(*Event) error) error
	// Evicted returns how many things were forgotten because there were too
	// many at a time.
	Evicted() uint64
}

// A Finisher is a Reducer that has more to show when tracing ends.
type Finisher interface {
	Reducer
	// Finish shows what is left. now is the time at which tracing ended, in
	// nanoseconds of the events' clock.
	Finish(now uint64, show func(*Event) error) error
}

// A Follower is a Reducer of things that go from one task to others, and to
// interrupts. Where a tool is limited to some processes, it gets the events of
// all nevertheless; what it shows is limited to what is theirs.
type Follower interface {
	Reducer
	Everywhere()
}

// NewEvent returns an event without values, for a Reducer that shows others
// than those that happen.
func (s *Schema) NewEvent(name string) *Event {
	return &Event{Name: name, Values: make([]Value, len(s.Columns))}
}

// Clone returns a copy of the event's name, task, times and columns that stays
// as it is. It has no hidden fields.
func (ev *Event) Clone() *Event {
	c := &Event{Name: ev.Name, Wall: ev.Wall, Mono: ev.Mono, CPU: ev.CPU, Task: ev.Task, PID: ev.PID, TID: ev.TID, Comm: ev.Comm, Thread: ev.Thread,
		Values: append([]Value(nil), ev.Values...)}
	if ev.Stack != nil {
		c.Stack = append([]uint64(nil), ev.Stack...)
	}
	if ev.UserStack != nil {
		c.UserStack = append([]string(nil), ev.UserStack...)
	}
	for i := range c.Values {
		if v := &c.Values[i]; v.Text != nil {
			v.Text = append([]byte(nil), v.Text...)
		}
	}
	return c
}

// Value returns the value at an index that [Schema.Index] gave, nil for -1 and
// for one that is absent.
func (ev *Event) Value(index int) *Value {
	if index < 0 || index >= cap(ev.Values) {
		return nil
	}
	if v := &ev.Values[:cap(ev.Values)][index]; v.Set {
		return v
	}
	return nil
}

// Update sets columns to what another event has there; those that it has not
// stay as they are.
func (ev *Event) Update(from *Event) {
	for i, v := range from.Values {
		if !v.Set {
			continue
		}
		if v.Text != nil {
			v.Text = append([]byte(nil), v.Text...)
		}
		ev.Values[i] = v
	}
}

// Set, SetNum and SetText set a column's value; for the index -1 of a column
// that is not there they do nothing. SetText keeps text.
func (ev *Event) Set(column int, v Value) {
	if column >= 0 {
		ev.Values[column] = v
	}
}

// SetNum: see [Event.Set].
func (ev *Event) SetNum(column int, n uint64) { ev.Set(column, Value{Set: true, Num: n}) }

// SetText: see [Event.Set].
func (ev *Event) SetText(column int, text []byte) { ev.Set(column, Value{Set: true, Text: text}) }
