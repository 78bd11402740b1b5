package session

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skprobe/skprobe/fetchargs"
	"github.com/skprobe/skprobe/internal/event"
	"github.com/skprobe/skprobe/internal/kernel"
	"github.com/skprobe/skprobe/internal/ktype"
)

// places is what a pattern counts that stands for one place in the source.
const places = "places"

// A spotter finds places of the source in the code.
type spotter interface {
	Spots(ktype.Place) ([]ktype.Spot, error)
}

// locate looks up places in the source, and functions that the kernel has only
// inlined. Of a place that became several, one that turns out to be impossible
// does not stop the others.
func locate(t *event.Tool, c *chooser) (*event.Tool, []*pattern, error) {
	located := *t
	located.Events = nil
	var patterns []*pattern
	for _, src := range t.Events {
		place, err := sourceOf(t, &src, c)
		if err != nil {
			return nil, nil, err
		}
		if place == nil {
			located.Events = append(located.Events, src)
			continue
		}
		spots, err := findSpots(c.types, *place)
		if err != nil {
			return nil, nil, err
		}
		probe := src.Probes[0]
		src.Probes = nil
		for _, s := range spots {
			spot := event.Spot(s)
			probe.Spot = &spot
			probe.Optional = len(spots) > 1
			src.Probes = append(src.Probes, probe)
		}
		if len(spots) > 1 {
			p := newPattern(src.Name)
			p.what, p.matched = places, len(spots)
			src.Of = src.Name
			patterns = append(patterns, p)
		}
		if s := spots[0]; place.File != "" && s.Line != place.Line {
			c.says = append(c.says, fmt.Sprintf("%s: no statement begins there; the next is at line %d", src.Name, s.Line))
		}
		located.Events = append(located.Events, src)
	}
	return &located, patterns, nil
}

// sourceOf is the place in the source that an event is about, nil where it is not
// about one. A function that has no symbol may have been inlined.
func sourceOf(t *event.Tool, src *event.Source, c *chooser) (*ktype.Place, error) {
	if len(src.Probes) != 1 {
		return nil, nil
	}
	p := &src.Probes[0]
	if p.Source != nil {
		if c.noKprobes {
			return nil, errNoKprobes
		}
		place := ktype.Place(*p.Source)
		return &place, nil
	}
	if !t.Exact || len(p.Funcs) != 1 || p.File != "" || p.Glob || p.Return || p.Offset != 0 {
		return nil, nil
	}
	_, err := c.choose(p.Funcs)
	var none *kernel.NoSymbolError
	if !errors.As(err, &none) {
		return nil, nil // what else there may be is told when it is compiled
	}
	place := functionPlace(p.Funcs[0])
	if s, ok := c.types.(spotter); ok {
		if _, serr := s.Spots(place); serr == nil {
			return &place, nil
		}
	}
	return nil, nil
}

// functionPlace is where a function begins, MODULE:FUNCTION or FUNCTION.
func functionPlace(name string) ktype.Place {
	for i := range name {
		if name[i] == ':' {
			return ktype.Place{Module: name[:i], Func: name[i+1:]}
		}
	}
	return ktype.Place{Func: name}
}

func findSpots(types fetchargs.Types, place ktype.Place) ([]ktype.Spot, error) {
	s, ok := types.(spotter)
	if !ok {
		return nil, refused("", fmt.Errorf("%s: where its code is is not known here", place))
	}
	spots, err := s.Spots(place)
	if err != nil && strings.HasPrefix(place.Label, "re") {
		err = fmt.Errorf("%w; where a function returns is %s%%return", err, place.Func)
	}
	if err := unplaced(place.String(), err); err != nil {
		return nil, err
	}
	return spots, nil
}

// unplaced is the refusal of a place in the code that was not found; nil stays nil.
func unplaced(place string, err error) error {
	var none *ktype.PlaceError
	var noInfo *ktype.NoDebugInfoError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &none), errors.As(err, &noInfo):
		return &Error{Status: ExitRefused, Err: err}
	}
	return refused("", fmt.Errorf("%s: %w", place, err))
}

// Spots finds a place as a probe has it in the code, with what lives there. It
// returns nil for a function that has a symbol, and for what is no place in the
// code of the kernel.
func Spots(types fetchargs.Types, text string) ([]event.Spot, error) {
	src, err := event.ParseProbe(text)
	if err != nil || len(src.Probes) != 1 || len(src.Probes[0].Fields) > 0 { // "struct sock" has a field
		return nil, nil
	}
	place, err := sourceOf(&event.Tool{Exact: true}, &src, &chooser{types: types})
	if place == nil || err != nil {
		return nil, err
	}
	found, err := findSpots(types, *place)
	var spots []event.Spot
	for _, s := range found {
		spots = append(spots, event.Spot(s))
	}
	return spots, err
}
