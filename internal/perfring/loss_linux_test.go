package perfring

import (
	"runtime"
	"testing"
)

// What is read and what is lost is what was made, exactly, with rings much too small.
func TestLoss(t *testing.T) {
	c := needCalls(t)
	testLoss(t, c)
}

// The same on a kernel without the newer conveniences: go-perf cannot open events, no CLOCK_MONOTONIC.
func TestLossOldKernel(t *testing.T) {
	c := needCalls(t)
	was := idIoctl
	idIoctl = func() bool { return false }
	defer func() { idIoctl = was }()
	testLoss(t, c)
}

func testLoss(t *testing.T, c calls) {
	const made = 30000
	for name, with := range map[string]struct{ reader, comm bool }{
		"with a reader":           {reader: true},
		"without a reader":        {},
		"with a reader and names": {reader: true, comm: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, Config{Events: []Event{c.event()}, Pages: 1, Comm: with.comm})
			var got, told, others uint64
			last := -1
			fn := func(rec *Record) error {
				switch rec.Kind {
				case Sample:
					n, _ := c.number(rec)
					if n <= last || n >= made {
						t.Errorf("call %d after %d", n, last)
					}
					last = n
					got++
				case Lost:
					told += rec.Lost
				default:
					others++
				}
				return nil
			}
			must(t, r.Enable())
			stop := func() {}
			if with.reader {
				stop = reading(t, r, fn)
			}
			runtime.LockOSThread()
			for n := range made {
				call(n)
			}
			runtime.UnlockOSThread()
			must(t, r.Disable())
			stop()
			must(t, r.Drain(fn))
			lost := r.Lost()
			// A lost record about a name cannot be told from a lost call.
			if got+lost != made && !with.comm || got+lost < made || lost != told || lost == 0 || got == 0 {
				t.Errorf("%d read + %d lost (%d told) of %d", got, lost, told, made)
			}
			t.Logf("%d read, %d lost, %d others, clock %v", got, lost, others, r.Clock())
		})
	}
}
