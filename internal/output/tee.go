package output

import (
	"errors"

	"github.com/skprobe/skprobe/internal/event"
)

// Tee returns a sink that hands all to several.
func Tee(sinks ...Sink) Sink {
	if len(sinks) == 1 {
		return sinks[0]
	}
	return tee(sinks)
}

type tee []Sink

func (t tee) Event(e *event.Event) error {
	for _, s := range t {
		if err := s.Event(e); err != nil {
			return err
		}
	}
	return nil
}

func (t tee) Flush() error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Flush())
	}
	return errors.Join(errs...)
}

func (t tee) Close(sum Summary) error {
	var errs []error
	for _, s := range t {
		errs = append(errs, s.Close(sum))
	}
	return errors.Join(errs...)
}
