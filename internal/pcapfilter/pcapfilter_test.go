package pcapfilter

import (
	"fmt"
	"strings"
	"testing"
)

func all(string) bool { return true }

func TestTranslate(t *testing.T) {
	const ports, arp = `proto in ["tcp", "udp", "sctp"]`, ` || ar_sip == "10.0.0.1" || ar_tip == "10.0.0.1"`
	for _, c := range []struct{ text, want string }{
		{"tcp port 443 and host 10.0.0.1", `proto == "tcp" && (sport == 443 || dport == 443) && (saddr == "10.0.0.1" || daddr == "10.0.0.1"` + arp + `)`},
		{"port 80 or 443", ports + ` && (sport == 80 || dport == 80) || ` + ports + ` && (sport == 443 || dport == 443)`},
		{"tcp dst port ftp or ftp-data or domain", `proto == "tcp" && dport == 21 || proto == "tcp" && dport == 20 || proto == "tcp" && dport == 53`},
		{"port (80 or not 443)", ports + ` && (sport == 80 || dport == 80) || !(` + ports + ` && (sport == 443 || dport == 443))`},
		{"src port 53", ports + ` && sport == 53`},
		{"src and dst port 53", ports + ` && sport == 53 && dport == 53`},
		{"dst or src port 53", ports + ` && (sport == 53 || dport == 53)`},
		{"udp src portrange 1000-1010", `proto == "udp" && sport in 1000..1010`},
		{"portrange http-https", ports + ` && (sport in 80..443 || dport in 80..443)`},
		{"portrange ftp-data", ports + ` && (sport in 20..20 || dport in 20..20)`},
		{"10.0.0.1", `saddr == "10.0.0.1" || daddr == "10.0.0.1"` + arp},
		{"src 10.0.0.1", `saddr == "10.0.0.1" || ar_sip == "10.0.0.1"`},
		{"src or dst 10.0.0.1", `saddr == "10.0.0.1" || daddr == "10.0.0.1"` + arp},
		{"src and dst host 10.0.0.1", `saddr == "10.0.0.1" && daddr == "10.0.0.1" || ar_sip == "10.0.0.1" && ar_tip == "10.0.0.1"`},
		{"ip host 10.0.0.1", `saddr == "10.0.0.1" || daddr == "10.0.0.1"`},
		{"arp host 10.0.0.1", `ar_sip == "10.0.0.1" || ar_tip == "10.0.0.1"`},
		{"host 2001:db8::1", `saddr == "2001:db8::1" || daddr == "2001:db8::1"`},
		{"dst host ::1", `daddr == "::1"`},
		{"not host 10.0.0.1 and 10.0.0.2", `!(saddr == "10.0.0.1" || daddr == "10.0.0.1"` + arp + `) && (saddr == "10.0.0.2" || daddr == "10.0.0.2" || ar_sip == "10.0.0.2" || ar_tip == "10.0.0.2")`},
		{"dst net 10", `daddr in "10.0.0.0/8" || ar_tip in "10.0.0.0/8"`},
		{"ip src net 192.168.4", `saddr in "192.168.4.0/24"`},
		{"ip src net 10.0.0.0/8", `saddr in "10.0.0.0/8"`},
		{"ip src net 10.0.0.0 mask 255.0.0.0", `saddr in "10.0.0.0/8"`},
		{"src net 2001:db8::/32", `saddr in "2001:db8::/32"`},
		{"ip6 dst net ::/0", `daddr in "::/0"`},
		{"ether host 0:0:5E:0:53:1", `smac == "00:00:5e:00:53:01" || dmac == "00:00:5e:00:53:01"`},
		{"ether src 0000.5e00.5301", `smac == "00:00:5e:00:53:01"`},
		{"ether dst host 00-00-5e-00-53-01", `dmac == "00:00:5e:00:53:01"`},
		{"ether proto 0x88cc", `ethertype == "0x88cc"`},
		{`ether proto \arp`, `ethertype == "0x0806"`},
		{"ether proto 2054", `ethertype == "0x0806"`},
		{"ether broadcast", `dmac == "ff:ff:ff:ff:ff:ff"`}, {"broadcast", `dmac == "ff:ff:ff:ff:ff:ff"`},
		{"multicast", `dmac matches "^.[13579bdf]"`}, {"ip multicast", `daddr in "224.0.0.0/3"`}, {"ip6 multicast", `daddr in "ff00::/8"`},
		{"ip", `ethertype == "0x0800" || saddr in "0.0.0.0/0"`}, {"ip6", `ethertype == "0x86dd" || saddr in "::/0"`},
		{"arp", `ethertype == "0x0806"`}, {"rarp", `ethertype == "0x8035"`},
		{"tcp", `proto == "tcp"`}, {"icmp6 or igmp", `proto == "icmp6" || proto == "igmp"`},
		{`ip proto \tcp`, `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && proto == "tcp"`},
		{"ip proto 47", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && proto == "47"`},
		{"proto 17", `proto == "17"`}, {"proto tcp", `proto == "tcp"`},
		{"vlan", "vlan != nil"}, {"vlan 7 and ip6", `(vlan == 7 || vlan2 == 7) && (ethertype == "0x86dd" || saddr in "::/0")`},
		{"less 100", "frame_len <= 100"}, {"greater 1500", "frame_len >= 1500"}, {"len > 1000", "frame_len > 1000"}, {"1000 <= len", "frame_len >= 1000"},
		{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", `proto == "tcp" && (flags contains "FIN" || flags contains "SYN")`},
		{"tcp[13] & 2 != 0", `proto == "tcp" && flags contains "SYN"`},
		{"tcp[tcpflags] & tcp-rst > 0", `proto == "tcp" && flags contains "RST"`},
		{"(tcp[tcpflags] & (tcp-syn|tcp-ack)) == tcp-syn", `proto == "tcp" && flags contains "SYN" && !(flags contains "ACK")`},
		{"tcp[13] & 0x11 = 0", `proto == "tcp" && flags != nil && !(flags contains "FIN") && !(flags contains "ACK")`},
		{"tcp[13] & 1 = 2", `proto == "tcp" && false`},
		{"tcp[tcpflags] & tcp-syn != tcp-syn", `proto == "tcp" && flags != nil && !(flags contains "SYN")`},
		{"icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply", `proto == "icmp" && icmp_type != 8 && proto == "icmp" && icmp_type != 0`},
		{"icmp6[icmp6type] == icmp6-neighborsolicit", `proto == "icmp6" && icmp_type == 135`},
		{"ip[8] < 5", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && ttl < 5`},
		{"ip[2:2] > 576", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && ip_len > 576`},
		{"ip[6:2] & 0x1fff != 0", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && frag_offset != 0`},
		{"ip[6] & 0x20 != 0", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && ip_flags contains "MF"`},
		{"ip[9] = 6", `(ethertype == "0x0800" || saddr in "0.0.0.0/0") && proto == "6"`},
		{"ether[12:2] = 0x806", `ethertype == "0x0806"`},
		{"1024 <= tcp[0:2]", `proto == "tcp" && sport >= 1024`},
		{"tcp[4:4] = (1 << 8) + 3 * 2 - 1", `proto == "tcp" && seq == 261`},
		{"(tcp or udp) and not (port 22 or 80)", `(proto == "tcp" || proto == "udp") && !(` + ports + ` && (sport == 22 || dport == 22) || ` + ports + ` && (sport == 80 || dport == 80))`},
		// The same precedence, to the left.
		{"tcp or udp and icmp", `(proto == "tcp" || proto == "udp") && proto == "icmp"`},
		{"tcp && (udp||!icmp)", `proto == "tcp" && (proto == "udp" || !(proto == "icmp"))`},
	} {
		got, err := Translate(c.text, all)
		if err != nil || got != c.want {
			t.Errorf("%s\n got %s (%v)\nwant %s", c.text, got, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "the expression is empty (at character 1)"},
		{"tcp and", "the expression ends too early (at character 8)"},
		{"tcp prot 80", "what is prot? say tcp port, host, net or proto, or put and before it (at character 5)"},
		{"tcp udp", "and or or is missing before udp (at character 5)"},
		{"port 80 443", "and or or is missing before 443 (at character 9)"},
		{"(tcp", ") is expected here (at character 5)"},
		{"tcp)", ") is not expected here (at character 4)"},
		{"port", "a port is expected (at character 5)"},
		{"port tcp", "tcp is a keyword; a port is expected (at character 6)"},
		{"port 70000", `"70000" is no port: give a number, 0 to 65535 (at character 6)`},
		{"port gopher", `"gopher" is no port: give a number, 0 to 65535 (at character 6)`},
		{"icmp port 80", "icmp has no ports (at character 1)"},
		{"host example.com", "example.com is no address, and names of hosts are not looked up (at character 6)"},
		{"example.com", "example.com is no word of a packet filter; names of hosts are not looked up (at character 1)"},
		{"host 10.0.0.0/8", "a mask is for networks: say net 10.0.0.0/8 (at character 14)"},
		{"host 10.0.0.256", "10.0.0.256 is no address (at character 6)"},
		{"net 10.0.0.1/8", "10.0.0.1 has bits after the first 8: the network is 10.0.0.0/8 (at character 5)"},
		{"net 10.0.0.0/33", "a length of 0 to 32 bits is expected (at character 14)"},
		{"net 10.0.0.0 mask 255.0.255.0", "a mask such as 255.255.0.0 is expected, for an IPv4 network (at character 19)"},
		{"host 00:00:5e:00:53:01", "00:00:5e:00:53:01 is an address of Ethernet: say ether host 00:00:5e:00:53:01 (at character 6)"},
		{"ether host 10.0.0.1", "10.0.0.1 is no address of Ethernet, 00:00:5e:00:53:01 (at character 12)"},
		{"ip6 host 10.0.0.1", "ip6 has no address of this family (at character 1)"},
		{"tcp host 10.0.0.1", "tcp has no addresses; say tcp and host … (at character 1)"},
		{"80", "80: is it a port, or a proto? say port 80 (at character 1)"},
		{"gateway 10.0.0.1", "gateway needs names of hosts, which are not looked up (at character 1)"},
		{"tcp and inbound", "inbound is not known of a packet; choose the place in the kernel instead (at character 9)"},
		{"mpls", "mpls is not known here (at character 1)"},
		{"tcp[0] = 1", "there is no column for tcp[0:1] (at character 5)"},
		{"tcp[icmptype] = 1", "icmptype is of icmp (at character 5)"},
		{"tcp[13] & 2", "a comparison is expected: = != < <= > >= (at character 12)"},
		{"tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", "there is no column for ip[0:1] (at character 35)"},
		{"ip[8] + 1 > 5", "bytes of a packet cannot be computed with, but for & and a number (at character 7)"},
		{"ip[8] & 1 = 1", "of ttl single bits cannot be tested (at character 1)"},
		{"ip[6:2] = 0", "of these bytes only ip[…] & 0x1fff is known (at character 1)"},
		{"ip[6] = 0", "of these bits 0x1 is not known; take others with & (at character 1)"},
		{"tcp[13] > 2", "flags can be compared with = and != only (at character 1)"},
		{"ip[9] > 2", "proto can be compared with = and != only (at character 1)"},
		{"1 = 1", "two numbers are compared, and nothing of a packet (at character 1)"},
		{"tcp[13] = tcp[13]", "bytes of a packet can be compared with a number only (at character 11)"},
		{"tcp[4:4] = 1/0", "a division by 0 (at character 13)"},
		{"len > x", "a number is expected (at character 7)"},
		{"vlan 5000", "5000 is no VLAN: they are 0 to 4095 (at character 6)"},
		{"ip proto 300", "300 is no protocol of IP: give its number, 0 to 255 (at character 10)"},
		{"ether proto foo", "foo is no protocol of Ethernet: give its number, 0x0800 (at character 13)"},
		{"ether", "after ether, host, src, dst, proto, broadcast or multicast is expected (at character 6)"},
		{"ip broadcast", "ip broadcast needs the network's mask; say dst host with its address (at character 1)"},
		{"tcp @", "this character has no meaning here (at character 5)"},
		{"äöü and", "this character has no meaning here (at character 1)"},
		{strings.Repeat("!", 9000), "longer than 8 KiB (at character 1)"},
	} {
		got, err := Translate(c.text, all)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %q, %v\nwant %s", c.text, got, err, c.want)
		}
	}
	_, err := Translate("tcp prot 80", all)
	if got := fmt.Sprintf("%+v", err); !strings.HasSuffix(got, "\n  tcp prot 80\n      ^") {
		t.Error(got)
	}
}

// Where a tool does not show what is asked for, that is said; where it shows
// less, what it shows is asked.
func TestColumns(t *testing.T) {
	has := func(names string) func(string) bool {
		return func(name string) bool { return strings.Contains(" "+names+" ", " "+name+" ") }
	}
	for _, c := range []struct{ text, columns, want string }{
		{"host 10.0.0.1", "saddr daddr", `saddr == "10.0.0.1" || daddr == "10.0.0.1"`},
		{"ip", "saddr daddr", `saddr in "0.0.0.0/0"`},
		{"greater 100", "len", "len >= 100"},
		{"vlan 1", "vlan", "vlan == 1"},
		{"tcp and port 80", "saddr daddr proto", "port is about sport, which is not shown here (at character 9)"},
		{"tcp[13] = 2", "proto", "tcp is about flags, which is not shown here (at character 1)"},
		{"broadcast", "saddr", "broadcast is about dmac, which is not shown here (at character 1)"},
	} {
		got, err := Translate(c.text, has(c.columns))
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s of %s: %s, want %s", c.text, c.columns, got, c.want)
		}
	}
}
