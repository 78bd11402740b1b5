package event

import "slices"

// Named is a number that has names, of which the first is that of the number
// first; one that has none ("" among them) is shown as a number.
func Named(kind, help string, first uint64, names ...string) *Kind {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	return &Kind{Name: kind, Help: help, Class: Text, Width: width, Reads: value1, Decode: decodeUnsigned, Compare: CompareNumber,
		Names: slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" }),
		Append: func(dst []byte, v *Value) []byte {
			if i := v.Num - first; i < uint64(len(names)) && names[i] != "" {
				return append(dst, names[i]...)
			}
			return appendUnsigned(dst, v)
		},
		Lookup: func(s string) (uint64, bool) {
			if i := slices.Index(names, s); i >= 0 && s != "" {
				return first + uint64(i), true
			}
			return lookupUnsigned(s)
		}}
}
