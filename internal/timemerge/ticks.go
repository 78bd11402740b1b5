package timemerge

import "time"

// Ticks are calls at regular times, each after the records of before that time and before the later ones. The zero value has none.
// Times are nanoseconds.
type Ticks struct {
	Every time.Duration
	Call  func(time uint64) error
	next  uint64
}

// Start makes the first tick come Every after now.
func (t *Ticks) Start(now uint64) { t.next = now + uint64(t.Every) }

// Deliver calls deliver with limits that together are all up to limit, and between them makes the ticks up to the time complete: that until
// which no more records will come. Each tick comes after the records of before it.
func (t *Ticks) Deliver(complete, limit uint64, deliver func(limit uint64) error) error {
	for t.Every > 0 && t.next <= complete {
		if err := deliver(t.next - 1); err != nil {
			return err
		}
		if err := t.tick(); err != nil {
			return err
		}
	}
	return deliver(limit)
}

// Late makes the ticks up to now after all that was delivered: for records whose times cannot be compared with those of ticks.
func (t *Ticks) Late(now uint64) error {
	for t.Every > 0 && t.next <= now {
		if err := t.tick(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Ticks) tick() error {
	at := t.next
	t.next += uint64(t.Every)
	return t.Call(at)
}

// Pause is how long to sleep: pause (0: without end), or until the next tick if that is sooner. It is 0 only where there is no end.
func (t *Ticks) Pause(pause time.Duration, now uint64) time.Duration {
	if t.Every == 0 {
		return pause
	}
	left := max(1, time.Duration(t.next-min(t.next, now)))
	if pause == 0 {
		return left
	}
	return min(pause, left)
}
