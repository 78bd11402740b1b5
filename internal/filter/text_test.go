package filter

import (
	"strings"
	"testing"

	"github.com/skprobe/skprobe/internal/event"
)

var textSchema = &event.Schema{Columns: []event.Column{{Name: "family", Kind: event.Family}, {Name: "smac", Kind: event.MAC}, {Name: "state", Kind: event.State},
	{Name: "qname", Kind: text}}, Events: []string{"udp.sendmsg", "udp.recvmsg"}}

// A comparison with a text that can be no value is a mistake, and not false.
func TestTextsThatAreNone(t *testing.T) {
	for where, want := range map[string]string{
		`family == "inett"`:                         `"inett" is no family; did you mean inet or inet6? (at character 11)`,
		`family in ["inet", "ipx"]`:                 `"ipx" is no family; known: inet inet6 unix netlink packet (at character 20)`,
		`family not in ["ipx"]`:                     `"ipx" is no family`,
		`"ipx" != family`:                           `"ipx" is no family`,
		`state == "LISTENING"`:                      `"LISTENING" is no state`,
		`state == "established"`:                    `did you mean ESTABLISHED?`,
		`smac == "00:00:5e:00:53"`:                  `"00:00:5e:00:53" is no mac`,
		`event == "udp.send"`:                       `"udp.send" is no event; known: udp.sendmsg udp.recvmsg (at character 10)`,
		`family == "2" && qname == "anything"`:      "",
		`family startsWith "in" && state > "LIS"`:   "",
		`smac == "00-00-5E-00-53-FF"`:               "",
		`event != "udp.recvmsg"`:                    "",
		`qname == "" || qname contains "inett"`:     "",
		`comm == "whatever" && family == "netlink"`: "",
	} {
		_, err := Parse(where, textSchema)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", where, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", where, err, want)
		}
	}
}

// A text that stands for a number can be compared with the number.
func TestNumbersOfNames(t *testing.T) {
	schema := &event.Schema{Columns: []event.Column{{Name: "ethertype", Kind: event.EtherType}, {Name: "state", Kind: event.State}, {Name: "smac", Kind: event.MAC}}}
	e := &event.Event{Values: []event.Value{{Set: true, Num: 0x0806}, {Set: true, Num: 10}, {Set: true, Text: []byte{0, 0, 0x5e, 0, 0x53, 0xff}}}}
	for where, want := range map[string]bool{
		`ethertype == 0x0806`: true, `ethertype == 2054`: true, `ethertype != 0x0806`: false, `0x0800 == ethertype`: false,
		`ethertype in [0x0800, 0x0806]`: true, `ethertype not in [0x0800, "0x86dd"]`: true, `state == 10`: true, `state == "LISTEN"`: true, `state != 1`: true,
	} {
		p, err := Parse(where, schema)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		} else if got := p.Program().Match(e); got != want {
			t.Errorf("%s: %t", where, got)
		}
	}
	for _, where := range []string{`ethertype == 0x10000`, `ethertype == -1`, `ethertype == 1.5`, `smac == 94`, `ethertype > 0x0800`} {
		if _, err := Parse(where, schema); err == nil {
			t.Errorf("%s is taken", where)
		}
	}
}

func TestMACInAnyForm(t *testing.T) {
	e := &event.Event{Values: make([]event.Value, 4)}
	e.Values[1] = event.Value{Set: true, Text: []byte{0, 0, 0x5e, 0, 0x53, 0xff}}
	for where, want := range map[string]bool{
		`smac == "00:00:5e:00:53:ff"`: true, `smac == "00:00:5E:00:53:FF"`: true, `smac in ["00-00-5e-00-53-ff"]`: true,
		`smac != "00:00:5E:00:53:FF"`: false, `smac == "00:00:5e:00:53:fe"`: false,
	} {
		f, err := Parse(where, textSchema)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Program().Match(e); got != want {
			t.Errorf("%s: %t", where, got)
		}
	}
}
