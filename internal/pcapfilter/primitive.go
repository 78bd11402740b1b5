package pcapfilter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// protocol is a protocol alone: tcp.
func (p *parser) protocol(at token, name string) cond {
	switch name {
	case "ip":
		return p.version(at, "0x0800", "0.0.0.0/0")
	case "ip6":
		return p.version(at, "0x86dd", "::/0")
	}
	if etherType, ok := etherProtos[name]; ok {
		return test(fmt.Sprintf("%s == %q", p.column(at, "ethertype"), etherType))
	}
	return test(fmt.Sprintf("%s == %q", p.column(at, "proto"), ipName(name)))
}

// ipName is what the column proto has for a protocol.
func ipName(name string) string { return strings.TrimPrefix(name, `\`) }

// version is IPv4 or IPv6: by the type, or, where the packet has none yet, by
// its addresses.
func (p *parser) version(at token, etherType, all string) cond {
	address := test(fmt.Sprintf("%s in %q", p.column(at, "saddr"), all))
	if !p.has("ethertype") {
		return address
	}
	return or(test(fmt.Sprintf("ethertype == %q", etherType)), address)
}

// protoNumber is ip proto 6, ether proto 0x0806, proto \tcp.
func (p *parser) protoNumber(q qualifiers) cond {
	t := p.peek()
	p.next++
	name := strings.TrimPrefix(t.text, `\`)
	n, err := strconv.ParseUint(name, 0, 16)
	switch q.proto {
	case "ether":
		if etherType, ok := etherProtos[name]; ok {
			name = etherType
		} else if err != nil {
			p.fail(t, "%s is no protocol of Ethernet: give its number, 0x0800", t.text)
		} else {
			name = fmt.Sprintf("0x%04x", n)
		}
		return test(fmt.Sprintf("%s == %q", p.column(q.at, "ethertype"), name))
	case "ip", "ip6", "":
		if !ipProtos[name] && (err != nil || n > 255) {
			p.fail(t, "%s is no protocol of IP: give its number, 0 to 255", t.text)
		}
		if err == nil {
			name = strconv.FormatUint(n, 10)
		}
		c := test(fmt.Sprintf("%s == %q", p.column(q.at, "proto"), name))
		if q.proto != "" {
			c = and(p.protocol(q.at, q.proto), c)
		}
		return c
	}
	p.fail(q.at, "%s has no proto", q.proto)
	return cond{}
}

// port is one of TCP, UDP and SCTP, or of the one that is said.
func (p *parser) port(q qualifiers) cond {
	t := p.peek()
	p.next++
	return p.ports(q, fmt.Sprintf(" == %d", p.portNumber(t, t.text)))
}

func (p *parser) portRange(q qualifiers) cond {
	t := p.peek()
	p.next++
	first, last, ok := strings.Cut(t.text, "-")
	if _, named := portNames[t.text]; named || !ok {
		first, last = t.text, t.text
	}
	low, high := p.portNumber(t, first), p.portNumber(t, last)
	return p.ports(q, fmt.Sprintf(" in %d..%d", min(low, high), max(low, high)))
}

func (p *parser) portNumber(at token, s string) uint16 {
	if n, ok := portNames[s]; ok {
		return n
	}
	n, err := strconv.ParseUint(s, 0, 16)
	if err != nil {
		p.fail(at, "%q is no port: give a number, 0 to 65535", s)
	}
	return uint16(n)
}

func (p *parser) ports(q qualifiers, rest string) cond {
	c := p.ends(q, "sport", "dport", rest)
	proto := p.column(q.at, "proto")
	switch q.proto {
	case "":
		return and(test(proto+` in ["tcp", "udp", "sctp"]`), c)
	case "tcp", "udp", "sctp":
		return and(test(fmt.Sprintf("%s == %q", proto, q.proto)), c)
	}
	p.fail(q.at, "%s has no ports", q.proto)
	return cond{}
}

// host is an address of IP, in a packet or in ARP, or with ether a MAC.
func (p *parser) host(q qualifiers) cond {
	t := p.peek()
	p.next++
	if q.proto == "ether" {
		mac, ok := parseMAC(t.text)
		if !ok {
			p.fail(t, "%s is no address of Ethernet, 00:00:5e:00:53:01", t.text)
		}
		return p.ends(q, "smac", "dmac", fmt.Sprintf(" == %q", mac))
	}
	addr, err := netip.ParseAddr(t.text)
	if err != nil || addr.Zone() != "" {
		if _, ok := parseMAC(t.text); ok {
			p.fail(t, "%s is an address of Ethernet: say ether host %s", t.text, t.text)
		}
		if looksLikeAddress(t.text) {
			p.fail(t, "%s is no address", t.text)
		}
		p.fail(t, "%s is no address, and names of hosts are not looked up", t.text)
	}
	if slash := p.peek(); slash.text == "/" {
		p.fail(slash, "a mask is for networks: say net %s/%s", t.text, p.after().text)
	}
	return p.addresses(q, addr, fmt.Sprintf(" == %q", addr))
}

// net is a network: 10, 10.0.0.0/8, 10.0.0.0 mask 255.0.0.0, 2001:db8::/32.
func (p *parser) net(q qualifiers) cond {
	t := p.peek()
	p.next++
	addr, bits, ok := parseNet(t.text)
	if !ok {
		p.fail(t, "%s is no network, and names are not looked up", t.text)
	}
	switch {
	case p.take("/"):
		n := p.peek()
		v, err := strconv.ParseUint(n.text, 10, 8)
		if err != nil || int(v) > addr.BitLen() {
			p.fail(n, "a length of 0 to %d bits is expected", addr.BitLen())
		}
		p.next++
		bits = int(v)
	case p.take("mask"):
		n := p.peek()
		if bits = maskBits(n.text); bits < 0 || addr.Is6() {
			p.fail(n, "a mask such as 255.255.0.0 is expected, for an IPv4 network")
		}
		p.next++
	}
	prefix := netip.PrefixFrom(addr, bits)
	if prefix.Masked() != prefix {
		p.fail(t, "%s has bits after the first %d: the network is %s", t.text, bits, prefix.Masked())
	}
	return p.addresses(q, addr, fmt.Sprintf(" in %q", prefix))
}

// addresses tests the ends of packets, and those of ARP.
func (p *parser) addresses(q qualifiers, addr netip.Addr, rest string) cond {
	arp := func() cond { return p.ends(q, "ar_sip", "ar_tip", rest) }
	switch {
	case q.proto == "arp" && addr.Is4():
		return arp()
	case q.proto == "" && addr.Is4() && p.has("ar_sip") && p.has("ar_tip"):
		return or(p.ends(q, "saddr", "daddr", rest), arp())
	case q.proto == "", q.proto == "ip" && addr.Is4(), q.proto == "ip6" && addr.Is6():
		return p.ends(q, "saddr", "daddr", rest)
	case q.proto == "ip", q.proto == "ip6", q.proto == "arp":
		p.fail(q.at, "%s has no address of this family", q.proto)
	}
	p.fail(q.at, "%s has no addresses; say %s and host …", q.proto, q.proto)
	return cond{}
}

// castOf is ip multicast, ether broadcast and their like.
func (p *parser) castOf(q qualifiers, broadcast bool) cond {
	switch {
	case q.proto == "ether" && broadcast:
		return test(p.column(q.at, "dmac") + ` == "ff:ff:ff:ff:ff:ff"`)
	case q.proto == "ether":
		return p.etherMulticast(q.at)
	case q.proto == "ip" && broadcast:
		p.fail(q.at, "ip broadcast needs the network's mask; say dst host with its address")
	case q.proto == "ip":
		return test(p.column(q.at, "daddr") + ` in "224.0.0.0/3"`)
	case q.proto == "ip6" && !broadcast:
		return test(p.column(q.at, "daddr") + ` in "ff00::/8"`)
	}
	p.fail(q.at, "%s has no broadcast or multicast", q.proto)
	return cond{}
}
