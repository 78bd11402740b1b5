package pcapfilter

// etherProtos are the protocols of the link layer by their names.
var etherProtos = map[string]string{
	"ip": "0x0800", "ip6": "0x86dd", "arp": "0x0806", "rarp": "0x8035",
}

// ipProtos are the protocols of IP that are primitives by themselves.
var ipProtos = map[string]bool{
	"tcp": true, "udp": true, "sctp": true, "icmp": true, "icmp6": true, "igmp": true, "pim": true, "ah": true, "esp": true, "vrrp": true,
}

// portNames are those that people write; there are more in /etc/services, which
// differs between machines.
var portNames = map[string]uint16{
	"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80,
	"kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "imap2": 143, "imap": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389,
	"https": 443, "syslog": 514, "submission": 587, "ldaps": 636, "imaps": 993, "pop3s": 995, "nfs": 2049, "mysql": 3306, "postgresql": 5432,
}

// numbers that have names in expressions about bytes.
var numberNames = map[string]uint32{
	"tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40, "tcp-cwr": 0x80,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8, "icmp-routeradvert": 9,
	"icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14, "icmp-ireq": 15,
	"icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	"icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4, "icmp6-echo": 128,
	"icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130, "icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132,
	"icmp6-routersolicit": 133, "icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}

// offsetNames are names of bytes of a header.
var offsetNames = map[string]struct {
	proto string
	at    uint32
}{
	"tcpflags": {"tcp", 13}, "icmptype": {"icmp", 0}, "icmpcode": {"icmp", 1}, "icmp6type": {"icmp6", 0}, "icmp6code": {"icmp6", 1},
}

// unsupported are words of the language that we do not do, and what to do
// instead.
var unsupported = map[string]string{
	"gateway": "needs names of hosts, which are not looked up", "inbound": placeHint, "outbound": placeHint,
	"protochain": "is not needed: extension headers are looked behind anyway", "ifname": devHint, "on": devHint,
	"geneve": `is not known here; use --where 'tunnel == "geneve"'`, "mpls": "", "pppoed": "", "pppoes": "", "wlan": "", "llc": "", "iso": "", "decnet": "",
	"fddi": "", "tr": "", "type": "", "subtype": "", "dir": "",
}

const (
	placeHint = "is not known of a packet; choose the place in the kernel instead"
	devHint   = "is not known here; use --where 'dev == …'"
)

// keywords begin or join primitives, so they are no identifiers.
var keywords = map[string]bool{
	"and": true, "or": true, "not": true, "src": true, "dst": true, "host": true, "net": true, "port": true, "portrange": true, "proto": true,
	"ether": true, "ip": true, "ip6": true, "arp": true, "rarp": true, "vlan": true, "less": true, "greater": true, "len": true, "length": true,
	"broadcast": true, "multicast": true, "mask": true,
	"tcp": true, "udp": true, "sctp": true, "icmp": true, "icmp6": true, "igmp": true, "pim": true, "ah": true, "esp": true, "vrrp": true,
}
