package perfring

import "testing"

func TestTurnedOn(t *testing.T) {
	for message, want := range map[string]int{
		"online@/devices/system/cpu/cpu1\x00ACTION=online\x00SUBSYSTEM=cpu\x00": 1,
		"online@/devices/system/cpu/cpu12":                                      12,
		"offline@/devices/system/cpu/cpu1\x00ACTION=offline\x00":                -1,
		"add@/devices/system/cpu/cpu1/cache\x00":                                -1,
		"online@/devices/system/cpu/cpux\x00":                                   -1,
		"online@/devices/system/memory/memory1\x00":                             -1,
		"libudev\x00\xfe\xed":                                                   -1,
		"":                                                                      -1,
	} {
		cpu, ok := turnedOn(message)
		if ok != (want >= 0) || ok && cpu != want {
			t.Errorf("%q: CPU %d, %t", message, cpu, ok)
		}
	}
}
