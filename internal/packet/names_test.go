package packet

import "testing"

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		ProtoName(6) + ProtoName(58) + ProtoName(253):                   "tcpicmp6",
		string(AppendProto(nil, 136)):                                   "udplite",
		string(AppendProto(nil, 253)):                                   "253",
		TCPFlags(0x12).String():                                         "SYN|ACK",
		TCPFlags(0x1ff).String():                                        "FIN|SYN|RST|PSH|ACK|URG|ECE|CWR|AE",
		TCPFlags(0).String() + "none":                                   "none",
		string(AppendMAC([]byte("m="), MAC{0, 0, 0x5e, 0, 0x53, 0xff})): "m=00:00:5e:00:53:ff",
		string(AppendEtherType(nil, 0x0800)):                            "0x0800",
		string(AppendEtherType(nil, 0x86dd)):                            "0x86dd",
		ArpOpName(1) + ArpOpName(2) + ArpOpName(77):                     "requestreply",
		FieldSmac.String() + FieldPayloadSize.String():                  "smacpayload_size",
		NumFields.String():                                              "?",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if (VLAN{TCI: 0xb02a}).ID() != 42 {
		t.Error("VLAN id")
	}
	seen := make(map[string]bool)
	for f := range NumFields {
		if f.String() == "" || seen[f.String()] {
			t.Errorf("field %d has the name %q", f, f)
		}
		seen[f.String()] = true
	}
}

func TestAppendAllocates(t *testing.T) {
	buf := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		b := AppendMAC(buf, MAC{1, 2, 3, 4, 5, 6})
		b = AppendEtherType(b, 0x0800)
		b = AppendTCPFlags(b, SYN|ACK)
		AppendProto(b, 250)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
