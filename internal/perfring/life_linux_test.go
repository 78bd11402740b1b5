package perfring

import (
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestClose(t *testing.T) {
	c := needCalls(t)
	goroutines := runtime.NumGoroutine()
	r, err := Open(Config{Events: []Event{c.event()}})
	must(t, err)
	must(t, r.Enable())
	done := make(chan error)
	go func() {
		done <- r.Read(context.Background(), func(*Record) error { return nil })
	}()
	call(1)
	time.Sleep(20 * time.Millisecond)
	for range 3 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read, closed meanwhile: %v", err)
	}
	if err := r.Read(context.Background(), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read: %v", err)
	}
	if err := r.Drain(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Drain: %v", err)
	}
	if err := errors.Join(r.Enable(), r.Disable()); err != nil {
		t.Logf("Enable and Disable: %v", err)
	}
	r.Lost()
	for range 3000 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
}

func TestReadErrors(t *testing.T) {
	c := needCalls(t)
	r := open(t, Config{Events: []Event{c.event()}})
	must(t, r.Enable())
	for n := range 10 {
		call(n)
	}
	enough := errors.New("enough")
	var got []int
	fn := func(rec *Record) error {
		n, _ := c.number(rec)
		got = append(got, n)
		if n == 4 {
			return enough
		}
		return nil
	}
	if err := r.Read(context.Background(), fn); err != enough {
		t.Errorf("got %v", err)
	}
	must(t, r.Disable())
	must(t, r.Drain(fn))
	if len(got) != 10 || got[9] != 9 {
		t.Errorf("got %v", got)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Read(ended, fn); err != nil {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	c := needCalls(t)
	for name, test := range map[string]struct {
		cfg   Config
		errno syscall.Errno // 0: an error about the Config
	}{
		"no such event":     {Config{Events: []Event{{ID: 65000}}}, unix.EINVAL},
		"a bad filter":      {Config{Events: []Event{{ID: c.id, Filter: "nosuch == 1"}}}, unix.EINVAL},
		"no such thread":    {Config{Events: []Event{c.event()}, Pids: []int{4194303}}, unix.ESRCH},
		"no such threads":   {Config{Events: []Event{c.event()}, Pids: []int{4194303, 4194302}}, unix.ESRCH},
		"nothing":           {Config{}, 0},
		"odd pages":         {Config{Events: []Event{c.event()}, Pages: 3}, 0},
		"a short latency":   {Config{Events: []Event{c.event()}, Latency: time.Microsecond}, 0},
		"inherit from whom": {Config{Events: []Event{c.event()}, Inherit: true}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Open(test.cfg)
			if err == nil {
				r.Close()
				t.Fatal("no error")
			}
			var refused *Error
			if test.errno != 0 && (!errors.Is(err, test.errno) || !errors.As(err, &refused) || refused.Why == "") {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}
