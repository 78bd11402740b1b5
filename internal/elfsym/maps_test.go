package elfsym

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadMaps(t *testing.T) {
	const maps = `55d0c0a00000-55d0c0a01000 r--p 00000000 fd:01 131                        /usr/bin/a b (x)
55d0c0a01000-55d0c0a02000 r-xp 00001000 fd:01 131                        /usr/bin/a b (x)
7f3c1a626000-7f3c1a77b000 r-xp 00026000 00:1c 1234                       /usr/lib/libc.so.6 (deleted)
7f3c1a800000-7f3c1a801000 rwxp 00000000 00:00 0 
7ffd1c5f2000-7ffd1c5f4000 r-xp 00000000 00:00 0                          [vdso]
`
	want := []Mapping{
		{Start: 0x55d0c0a01000, End: 0x55d0c0a02000, Off: 0x1000, Inode: 131, Device: "fd:01", Path: "/usr/bin/a b (x)"},
		{Start: 0x7f3c1a626000, End: 0x7f3c1a77b000, Off: 0x26000, Inode: 1234, Device: "00:1c", Path: "/usr/lib/libc.so.6", Deleted: true},
		{Start: 0x7f3c1a800000, End: 0x7f3c1a801000, Device: "00:00"},
		{Start: 0x7ffd1c5f2000, End: 0x7ffd1c5f4000, Device: "00:00", Path: "[vdso]"},
	}
	got, err := ReadMaps(strings.NewReader(maps))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"x", "1-2", "1-2 r-xp 0 0:0 x", "2-1 r-xp 0 0:0 1", "1-2 r 0 0:0 1", " "} {
		if m, err := ReadMaps(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is %+v", bad, m)
		}
	}
}

func FuzzReadMaps(f *testing.F) {
	f.Add("7f3c1a626000-7f3c1a77b000 r-xp 00026000 00:1c 1234   /usr/lib/libc.so.6 (deleted)\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ReadMaps(strings.NewReader(text))
		for _, m := range all {
			if err == nil && m.End < m.Start {
				t.Errorf("%+v", m)
			}
		}
	})
}
