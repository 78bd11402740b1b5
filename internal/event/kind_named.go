package event

import (
	"maps"
	"slices"
)

// Named is a kind whose numbers have names: first, first+1, …; a number without
// one ("" among them) is shown as it is.
func Named(kind, help string, first uint64, names ...string) *Kind {
	all := map[uint64]string{}
	for i, name := range names {
		if name != "" {
			all[first+uint64(i)] = name
		}
	}
	return Numbered(kind, help, all)
}

// Numbered is Named for numbers that do not follow each other.
func Numbered(kind, help string, names map[uint64]string) *Kind {
	k := &Kind{Name: kind, Help: help, Class: Text, Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber}
	numbers := map[string]uint64{}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		k.Names = append(k.Names, names[n])
		k.Width = max(k.Width, len(names[n]))
		numbers[names[n]] = n
	}
	k.Append = func(dst []byte, v *Value) []byte {
		if name, ok := names[v.Num]; ok {
			return append(dst, name...)
		}
		return appendUnsigned(dst, v)
	}
	k.Lookup = func(s string) (uint64, bool) {
		if n, ok := numbers[s]; ok {
			return n, true
		}
		return lookupUnsigned(s)
	}
	return k
}
