package event

import "testing"

// An event in softirq gets the owner of its socket, and never a bystander, nor
// the owner of a socket that had the address before.
func TestOwners(t *testing.T) {
	using, softirq, end := &Compiled{socket: 0}, &Compiled{socket: 0, Softirq: true}, &Compiled{socket: 0, Softirq: true, Ends: true}
	owners := (&Program{owners: true, Probes: []*Compiled{using, softirq, end}}).NewOwners()
	event := func(c *Compiled, sk uint64, pid uint32, known bool) *Event {
		ev := &Event{Task: !c.Softirq, PID: pid, TID: pid + 1, Comm: "name", Values: []Value{{Set: sk != 1, Num: sk}}}
		owners.Event(c, ev, known)
		return ev
	}
	const a, b, null, absent = 0xffff0000, 0xffff1000, 0, 1
	owned := func(what string, sk uint64, pid uint32) {
		t.Helper()
		ev := event(softirq, sk, 99, true)
		if pid == 0 && ev.Task || pid != 0 && (!ev.Task || ev.PID != pid || ev.TID != pid+1 || ev.Comm != "name") {
			t.Errorf("%s: task %t, pid %d", what, ev.Task, ev.PID)
		}
	}
	owned("before anybody used it", a, 0)
	event(using, a, 7, true)
	event(using, b, 8, true)
	event(using, null, 9, true)
	event(using, absent, 9, true)
	owned("connected", a, 7)
	owned("another", b, 8)
	owned("no socket", null, 0)
	owned("a socket that could not be read", absent, 0)
	event(using, a, 10, true)
	owned("used by another process", a, 10)
	event(using, a, 11, false)
	owned("used by a thread that is ending", a, 10)
	event(using, a, 0, true)
	owned("used by a process of another pid namespace", a, 10)
	if ev := event(end, a, 99, true); !ev.Task || ev.PID != 10 {
		t.Error("its end is not its owner's")
	}
	owned("a new socket at the same address", a, 0)
	owned("the other", b, 8)

	closing := &Compiled{socket: 0, ifUnknown: true}
	event(closing, b, 12, true)
	owned("closed by another than its owner", b, 8)
	event(closing, a, 12, true)
	owned("there before tracing began, and closed", a, 12)
	ev := &Event{Task: true, PID: 13, TID: 14, Comm: "kworker/0:1", Values: []Value{{Set: true, Num: 0xffff2000}}}
	owners.Event(closing, ev, true)
	owned("closed by the kernel for somebody", 0xffff2000, 0)
}

// Where sockets end unseen, whoever had the address before would be taken for
// the owner.
func TestOwnersWithoutEnds(t *testing.T) {
	using, softirq := &Compiled{socket: 0}, &Compiled{socket: 0, Softirq: true}
	owners := (&Program{owners: true, Probes: []*Compiled{using, softirq}}).NewOwners()
	sk := []Value{{Set: true, Num: 0xffff0000}}
	owners.Event(using, &Event{Task: true, PID: 7, TID: 7, Values: sk}, true)
	ev := &Event{PID: 99, Values: sk}
	if owners.Event(softirq, ev, true); ev.Task {
		t.Errorf("owned by %d", ev.PID)
	}
}
