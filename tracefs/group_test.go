package tracefs

import "testing"

func TestParseOwner(t *testing.T) {
	o := owner{pid: 812, start: 77123}
	if got, ok := parseOwner(o.group()); !ok || got != o {
		t.Errorf("%s: got %+v, %v", o.group(), got, ok)
	}
	for _, group := range []string{
		"kprobes", "skprobe", "skprobe_", "skprobe_1", "skprobe_1_", "skprobe__1", "skprobe_-1_2", "skprobe_0_2",
		"skprobe_1_2_3", "skprobe_01_2", "skprobe_1_+2", "skprobe_a_b", "xskprobe_1_2", "skprobe_1_99999999999999999999",
	} {
		if o, ok := parseOwner(group); ok {
			t.Errorf("%s: got %+v", group, o)
		}
	}
}

func TestParseStat(t *testing.T) {
	const tail = " S 1 812 812 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 77123 1000 200 18446744073709551615"
	for _, name := range []string{"bash", "a b", "x) R 1 2 (", "(", ""} {
		got, err := parseStat("812 (" + name + ")" + tail + "\n")
		if err != nil || got != (owner{812, 77123}) {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
	for _, bad := range []string{"", "812", "812 (a", "812 (a) S 1", "x (a)" + tail} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q: got %+v", bad, got)
		}
	}
}
