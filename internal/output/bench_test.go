package output

import (
	"io"
	"net/netip"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

func BenchmarkEvent(b *testing.B) {
	for _, format := range Formats {
		for _, c := range []struct {
			name    string
			addr    [2]string
			changes bool // each event differs from the last in all values
		}{
			{"ipv4", [2]string{"127.0.0.1", "192.168.122.254"}, false},
			{"ipv4-changing", [2]string{"127.0.0.1", "192.168.122.254"}, true},
			{"ipv6", [2]string{"2001:db8::1:2", "fe80::5054:ff:fe12:3456"}, false},
			{"ipv6-changing", [2]string{"2001:db8::1:2", "fe80::5054:ff:fe12:3456"}, true},
		} {
			b.Run(format+"/"+c.name, func(b *testing.B) {
				sink, err := New(format, io.Discard, udpSchema(), Options{})
				if err != nil {
					b.Fatal(err)
				}
				local, remote := netip.MustParseAddr(c.addr[0]), netip.MustParseAddr(c.addr[1])
				one := udpEvent(local, remote, 40000)
				two := one
				if c.changes {
					two = udpEvent(remote, local, 40001)
					two.PID, two.TID, two.Comm = 1234, 1235, "dnsmasq"
				}
				events := [2]*event.Event{&one, &two}
				b.ReportAllocs()
				b.ResetTimer()
				for i := 0; i < b.N; i++ {
					e := events[i&1]
					e.Wall += 14_700
					if err := sink.Event(e); err != nil {
						b.Fatal(err)
					}
					if i%128 == 0 {
						sink.Flush()
					}
				}
			})
		}
	}
}
