package perfring

import (
	"context"
	"testing"
	"time"
)

// While nothing happens the reader sleeps without a timer, and the next record wakes it.
func TestAlarm(t *testing.T) {
	c := needCalls(t)
	const latency, quiet = 20 * time.Millisecond, 1500 * time.Millisecond
	for name, cfg := range map[string]Config{
		"all processes": {Events: []Event{c.event()}, Latency: latency},
		"with names":    {Events: []Event{c.event()}, Latency: latency, Comm: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, cfg)
			if r.alarm == nil {
				t.Fatal("there is no alarm")
			}
			must(t, r.Enable())
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			go func() {
				for n := range 3 {
					time.Sleep(quiet)
					call(n)
				}
			}()
			var got []int
			must(t, r.Read(ctx, func(rec *Record) error {
				if n, ok := c.number(rec); ok {
					got = append(got, n)
					if n == 2 {
						cancel()
					}
				}
				return nil
			}))
			if len(got) != 3 {
				t.Fatalf("got %v", got)
			}
			// Other programs' names are records too.
			if cfg.Comm {
				return
			}
			if timer := int(3 * quiet / latency); r.looks > timer/3 {
				t.Errorf("%d looks at the rings: a timer alone makes %d", r.looks, timer)
			}
			if r.alarm.on {
				t.Error("the alarm is still set")
			}
		})
	}
}
