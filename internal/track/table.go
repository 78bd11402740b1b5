// Package track remembers things that come and go in the kernel, sockets and
// packets, in bounded memory.
package track

// A Table has values by key, and no more than a number of them: when it is
// full, what was not used for longest is forgotten, and counted. It is not safe
// for concurrent use.
type Table[K comparable, V any] struct {
	most    int
	entries map[K]*entry[K, V]
	// first was used last, and last not for longest.
	first, last *entry[K, V]
	evicted     uint64
	// Evict, if not nil, is called with what is forgotten for want of room.
	Evict func(K, *V)
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	newer, older *entry[K, V]
}

// New returns a table for so many values.
func New[K comparable, V any](most int) *Table[K, V] {
	return &Table[K, V]{most: most, entries: map[K]*entry[K, V]{}}
}

// Get returns the value of a key, nil where there is none. It stays valid until
// the key is deleted or forgotten.
func (t *Table[K, V]) Get(key K) *V {
	e := t.entries[key]
	if e == nil {
		return nil
	}
	t.use(e)
	return &e.value
}

// Put sets the value of a key, in place of one that it has, and returns where
// it is.
func (t *Table[K, V]) Put(key K, value V) *V {
	if e := t.entries[key]; e != nil {
		e.value = value
		t.use(e)
		return &e.value
	}
	if len(t.entries) >= t.most {
		old := t.last
		t.evicted++
		if t.Evict != nil {
			t.Evict(old.key, &old.value)
		}
		t.Delete(old.key)
	}
	e := &entry[K, V]{key: key, value: value}
	t.entries[key] = e
	t.push(e)
	return &e.value
}

// Delete forgets a key. It may be called for one that is not there.
func (t *Table[K, V]) Delete(key K) {
	if e := t.entries[key]; e != nil {
		t.unlink(e)
		delete(t.entries, key)
	}
}

// Len is how many values there are.
func (t *Table[K, V]) Len() int { return len(t.entries) }

// Evicted is how many were forgotten for want of room.
func (t *Table[K, V]) Evicted() uint64 { return t.evicted }

// All calls fn for each value, what was not used for longest first. fn may
// delete the key that it is called with.
func (t *Table[K, V]) All(fn func(K, *V) bool) {
	for e := t.last; e != nil; {
		next := e.newer
		if !fn(e.key, &e.value) {
			return
		}
		e = next
	}
}

func (t *Table[K, V]) use(e *entry[K, V]) {
	if t.first != e {
		t.unlink(e)
		t.push(e)
	}
}

func (t *Table[K, V]) push(e *entry[K, V]) {
	e.older, e.newer = t.first, nil
	if t.first != nil {
		t.first.newer = e
	}
	t.first = e
	if t.last == nil {
		t.last = e
	}
}

func (t *Table[K, V]) unlink(e *entry[K, V]) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		t.first = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		t.last = e.newer
	}
}
