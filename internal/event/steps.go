package event

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Steps are what there is to do for one record after the other that lie alike:
// bytes that become values, sorted by how. Their order is without meaning, but
// for copies, which come after what is copied, and choices, which come last.
type steps struct {
	short   bool // there are some of the next six
	number8 []step[[8]byte]
	number4 []step[[4]byte]
	number2 []step[[2]byte]
	number1 []step[[1]byte]
	be16    []step[[2]byte]
	ipv4    []step[[4]byte]
	calls   []call
	texts   []constant
	absent  []*Value
	copies  []move
	choices []choice

	windows *windows // nil where records are not compared
	tested  uint64   // windows on the bytes on which the conditions of an event depend
}

// A step decodes bytes of a half's buffer.
type step[B any] struct {
	from *B
	to   *Value
}

// A call decodes a field with a function of its kind, or, where that is nil, in
// the long way.
type call struct {
	decode  func(in [][]byte, out []*Value)
	in      [][]byte
	field   *boundField
	to      []*Value // parallel to the kind's parts; nil: not wanted
	windows uint64   // on the bytes on which it depends
}

// A move copies one value of an event to another.
type move struct{ from, to *Value }

// A constant is a text that a case has.
type constant struct {
	text []byte
	to   *Value
}

// A choice does the steps of the first of some cases that holds, or those of
// the last, which has no conditions.
type choice struct {
	cases   [][]test
	then    []steps
	fields  []*boundField // that are chosen
	windows uint64        // on the bytes on which they depend
	last    int           // the case that held for the record before
}

// A test is a condition, with the value that it is about.
type test struct {
	of   *Value
	cond *boundCond
}

// run does what is to be done for a record that differs in some windows from
// the one before.
func (s *steps) run(dirty uint64) {
	if s.short {
		s.runShort()
	}
	for i := range s.calls {
		switch c := &s.calls[i]; {
		case c.windows&dirty == 0 && dirty != everything:
		case c.decode != nil:
			c.decode(c.in, c.to)
		default:
			c.field.decode(c.to)
		}
	}
	if dirty == everything {
		s.runFixed()
	}
	for i := range s.copies {
		*s.copies[i].to = *s.copies[i].from
	}
	for i := range s.choices {
		c := &s.choices[i]
		if c.windows&dirty == 0 && dirty != everything {
			continue
		}
		if n := c.first(); n == c.last {
			c.then[n].run(dirty)
		} else {
			c.last = n
			c.then[n].run(everything)
		}
	}
}

// runFixed does what is the same for all records.
func (s *steps) runFixed() {
	for i := range s.texts {
		t := &s.texts[i]
		t.to.Set, t.to.Text = true, t.text
	}
	for _, v := range s.absent {
		v.Set = false
	}
}

func (s *steps) runShort() {
	for i := range s.number8 {
		d := &s.number8[i]
		d.to.Set, d.to.Num = true, binary.LittleEndian.Uint64(d.from[:])
	}
	for i := range s.number4 {
		d := &s.number4[i]
		d.to.Set, d.to.Num = true, uint64(binary.LittleEndian.Uint32(d.from[:]))
	}
	for i := range s.number2 {
		d := &s.number2[i]
		d.to.Set, d.to.Num = true, uint64(binary.LittleEndian.Uint16(d.from[:]))
	}
	for i := range s.number1 {
		d := &s.number1[i]
		d.to.Set, d.to.Num = true, uint64(d.from[0])
	}
	for i := range s.be16 {
		d := &s.be16[i]
		d.to.Set, d.to.Num = true, uint64(binary.BigEndian.Uint16(d.from[:]))
	}
	for i := range s.ipv4 {
		d := &s.ipv4[i]
		d.to.Set, d.to.Addr = true, netip.AddrFrom4(*d.from)
	}
}

// first is the index of the first case that holds.
func (c *choice) first() int {
	for n, tests := range c.cases {
		if hold(tests) {
			return n
		}
	}
	return len(c.cases)
}

// add adds the shortest way to decode a field of the loaded record into some
// values.
func (s *steps) add(f *boundField, to []*Value) {
	known := f.find()
	form := f.kind.Decode.form
	switch {
	case f.moves:
		s.calls = append(s.calls, call{field: f, to: to, windows: everything})
		return
	case !known:
		s.unset(to[0])
		return
	case form == noForm:
		s.calls = append(s.calls, call{decode: f.kind.Decode.call, in: slices.Clone(f.in), field: f, to: to, windows: everything})
		return
	}
	b, v := f.in[0], to[0]
	s.short = true
	switch {
	case form == formNumber && len(b) == 8:
		s.number8 = append(s.number8, step[[8]byte]{(*[8]byte)(b), v})
	case form == formNumber && len(b) == 4:
		s.number4 = append(s.number4, step[[4]byte]{(*[4]byte)(b), v})
	case form == formNumber && len(b) == 2:
		s.number2 = append(s.number2, step[[2]byte]{(*[2]byte)(b), v})
	case form == formNumber && len(b) == 1:
		s.number1 = append(s.number1, step[[1]byte]{(*[1]byte)(b), v})
	case form == formBE16 && len(b) == 2:
		s.be16 = append(s.be16, step[[2]byte]{(*[2]byte)(b), v})
	case form == formIPv4 && len(b) == 4:
		s.ipv4 = append(s.ipv4, step[[4]byte]{(*[4]byte)(b), v})
	default:
		s.calls = append(s.calls, call{decode: f.kind.Decode.decode, in: slices.Clone(f.in), field: f, to: to, windows: everything})
	}
}

func (s *steps) unset(v *Value) {
	s.absent = append(s.absent, v)
}

func (s *steps) copy(from, to *Value) {
	s.copies = append(s.copies, move{from, to})
}

// plan finds out what there is to do for records like the loaded ones.
func (c *Compiled) plan(ev *Event) *steps {
	all := ev.Values[:cap(ev.Values)]
	s := &steps{}
	lazy := c.lazy(len(ev.Values))
	var open []*boundField // with cases under the same conditions, one after the other
	for _, f := range c.fields {
		switch {
		case f.cases == nil:
			if !slices.Contains(lazy, f) {
				s.add(f, f.values(all))
			}
		case len(open) > 0 && slices.EqualFunc(open[0].cases, f.cases, boundCase.isLike):
			open = append(open, f)
		default:
			c.choose(s, open, lazy, all)
			open = []*boundField{f}
		}
	}
	c.choose(s, open, lazy, all)
	if s.windows = c.watch(len(ev.Values)); s.windows != nil {
		c.narrow(s, s.windows)
		s.tested = c.testedIn(s.windows)
	}
	return s
}

// choose adds the choice between the cases of some fields, whose conditions
// are the same.
func (c *Compiled) choose(s *steps, fields, lazy []*boundField, all []Value) {
	if len(fields) == 0 {
		return
	}
	ch := choice{fields: fields, windows: everything}
	decided := false // by what is fixed
	for i := range fields[0].cases {
		open, possible := c.open(fields[0].cases[i])
		if !possible {
			continue
		}
		if decided = len(open.conds) == 0; !decided {
			ch.cases = append(ch.cases, open.tests(all))
		}
		then := &steps{}
		values := make([][]*Value, len(lazy)) // into which lazy fields are decoded
		for _, f := range fields {
			from, to := f.cases[i].from, &all[f.out[0]]
			if from < 0 {
				then.texts = append(then.texts, constant{f.cases[i].text, to})
				continue
			}
			at := slices.IndexFunc(lazy, func(l *boundField) bool { return slices.Contains(l.out, from) })
			if at < 0 {
				then.copy(&all[from], to)
				continue
			}
			if values[at] == nil {
				values[at] = make([]*Value, len(lazy[at].out))
			}
			part := slices.Index(lazy[at].out, from)
			if first := values[at][part]; first != nil {
				then.copy(first, to)
			} else {
				values[at][part] = to
			}
		}
		for at, l := range lazy {
			if values[at] != nil {
				then.add(l, values[at])
			}
		}
		if ch.then = append(ch.then, *then); decided {
			break
		}
	}
	if !decided {
		none := steps{}
		for _, f := range fields {
			none.unset(&all[f.out[0]])
		}
		ch.then = append(ch.then, none)
	}
	s.choices = append(s.choices, ch)
}

// lazy lists the fields that nothing but cases takes values from: hidden ones,
// whose place is behind the shown ones, and which no condition is about and no
// Reducer looks at. They are decoded where a case takes them, into the place
// where it wants them.
func (c *Compiled) lazy(shown int) []*boundField {
	var all []*boundField
	for _, f := range c.fields {
		if f.cases == nil && !slices.ContainsFunc(f.out, func(i int) bool { return i >= 0 && i < shown || c.reduced[i] || c.isAbout(i) }) &&
			slices.ContainsFunc(f.out, c.isSource) {
			all = append(all, f)
		}
	}
	return all
}

// isAbout tells whether a condition looks at a value.
func (c *Compiled) isAbout(i int) bool {
	looks := func(b boundCase) bool {
		return slices.ContainsFunc(b.conds, func(cond boundCond) bool { return cond.at == i })
	}
	return looks(c.only) || slices.ContainsFunc(c.fields, func(f *boundField) bool { return slices.ContainsFunc(f.cases, looks) })
}

// isSource tells whether a case takes a value.
func (c *Compiled) isSource(i int) bool {
	return i >= 0 && slices.ContainsFunc(c.fields, func(f *boundField) bool {
		return slices.ContainsFunc(f.cases, func(b boundCase) bool { return b.from == i })
	})
}
