// Package pcapfilter reads expressions of pcap-filter(7), as tcpdump takes them,
// and writes them in the words of --where.
//
// The language is that of the manual page: protocols, hosts, networks, ports,
// MACs, VLANs, lengths, and the bytes of headers for which there is a column.
// What is not understood is an error that says where it stands.
//
// The meaning is tcpdump's, but for this: headers are looked for behind VLAN
// tags and IPv6 extension headers too, so that "ip" is true of a frame with a
// tag, and "tcp[13]" of IPv6 as well; and no names of hosts are looked up.
//
// The package is pure: it has no build tag and touches nothing.
package pcapfilter
