package event

import "testing"

func TestPairs(t *testing.T) {
	var p pairs
	get := func(tid uint32) string { return string(p.leave(tid, -1).entry) }
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("a return without an entry", get(1), "")
	p.enter(1, -1, 0, []byte("one"))
	p.enter(2, -1, 0, []byte("two"))
	p.enter(1, -1, 0, []byte("inner"))
	check("recursion", get(1), "inner")
	check("another thread", get(2), "two")
	check("the outer call", get(1), "one")
	check("no more", get(1), "")
	if p.orphans != 2 || len(p.byThread) != 0 {
		t.Errorf("%d orphans, %d threads", p.orphans, len(p.byThread))
	}

	// Deeper than is remembered: the oldest is given up.
	for i := range maxDepth + 3 {
		p.enter(3, -1, 0, []byte{byte('a' + i)})
	}
	for i := maxDepth + 2; i > 2; i-- {
		check("deep", get(3), string(rune('a'+i)))
	}
	check("given up", get(3), "")
	if p.evicted != 3 {
		t.Errorf("%d given up", p.evicted)
	}

	// More threads than are remembered.
	for i := range maxThreads + 10 {
		p.enter(uint32(i), -1, 0, []byte("x"))
	}
	if len(p.byThread) != maxThreads || p.evicted != 13 {
		t.Errorf("%d threads, %d given up", len(p.byThread), p.evicted)
	}
}

// Functions that share a definition call each other, and a return may be lost.
func TestPairsPlaces(t *testing.T) {
	var p pairs
	for place, name := range []string{"outer", "middle", "inner"} {
		p.enter(1, place, 0, []byte(name))
	}
	if got := string(p.leave(1, 7).entry); got != "" {
		t.Errorf("a return of another function: %q", got)
	}
	if got := string(p.leave(1, 2).entry); got != "inner" {
		t.Errorf("%q, want inner", got)
	}
	p.enter(1, 3, 0, []byte("lost"))
	if got := string(p.leave(1, 0).entry); got != "outer" {
		t.Errorf("%q, want outer", got)
	}
	if p.evicted != 2 || p.orphans != 1 || len(p.byThread) != 0 {
		t.Errorf("%d given up, %d orphans, %d threads", p.evicted, p.orphans, len(p.byThread))
	}
}

// What leave returns stays as it is until the next call, though the buffer is
// used again after that.
func TestPairsReuse(t *testing.T) {
	var p pairs
	p.enter(1, -1, 0, []byte("first"))
	got := p.leave(1, -1).entry
	p.enter(2, -1, 0, []byte("SECOND"))
	if string(got) != "first" {
		t.Errorf("overwritten: %q", got)
	}
	if string(p.leave(2, -1).entry) != "SECOND" {
		t.Error("the second")
	}
}

func TestThread(t *testing.T) {
	record := []byte{1, 0, 0, 0, 0x39, 0x30, 0, 0, 9}
	if got := Thread(record, 3); got != 12345 {
		t.Errorf("thread %d", got)
	}
	idle := make([]byte, 8)
	if a, b := Thread(idle, 0), Thread(idle, 1); a == b || a == 0 {
		t.Errorf("the idle tasks of two CPUs are %d and %d", a, b)
	}
	if Thread(nil, 1) != Thread(idle, 1) {
		t.Error("a record without a header")
	}
}
