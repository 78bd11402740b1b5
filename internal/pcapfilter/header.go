package pcapfilter

import (
	"fmt"
	"strconv"
)

// A headerField is a column that has the bytes of a header.
type headerField struct {
	column string
	proto  string // whose header it is; "" for len
	// form is how a number is written as the column's text, where that is a
	// text.
	form string
	// The column has a multiple of the bits of mask only.
	mask, times uint32
	// bits are the names that the column's text has for single bits, and
	// present is a column that is there where this one could be.
	bits    []string
	present string
}

// headerFields are the bytes for which there are columns.
var headerFields = map[string]headerField{
	"ether[12:2]": {column: "ethertype", form: "0x%04x"},
	"ip[1:1]":     {column: "tos"},
	"ip[2:2]":     {column: "ip_len"},
	"ip[4:2]":     {column: "ip_id"},
	"ip[6:1]":     {column: "ip_flags", bits: []string{5: "MF", 6: "DF"}, present: "frag_offset"},
	"ip[6:2]":     {column: "frag_offset", mask: 0x1fff, times: 8},
	"ip[8:1]":     {column: "ttl"},
	"ip[9:1]":     {column: "proto", form: "%d"},
	"ip6[7:1]":    {column: "ttl"},
	"arp[6:2]":    {column: "ar_op", form: "%d"},
	"tcp[0:2]":    {column: "sport"},
	"tcp[2:2]":    {column: "dport"},
	"tcp[4:4]":    {column: "seq"},
	"tcp[8:4]":    {column: "ack_seq"},
	"tcp[13:1]":   {column: "flags", bits: []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"}, present: "flags"},
	"tcp[14:2]":   {column: "win"},
	"udp[0:2]":    {column: "sport"},
	"udp[2:2]":    {column: "dport"},
	"sctp[0:2]":   {column: "sport"},
	"sctp[2:2]":   {column: "dport"},
	"icmp[0:1]":   {column: "icmp_type"},
	"icmp[1:1]":   {column: "icmp_code"},
	"icmp[4:2]":   {column: "icmp_id"},
	"icmp[6:2]":   {column: "icmp_seq"},
	"icmp6[0:1]":  {column: "icmp_type"},
	"icmp6[1:1]":  {column: "icmp_code"},
	"icmp6[4:2]":  {column: "icmp_id"},
	"icmp6[6:2]":  {column: "icmp_seq"},
}

// compare compares the field, of which v may say some bits, with a number.
func (f *headerField) compare(p *parser, v value, op string, n uint32) cond {
	c := f.test(p, v, op, n)
	if f.proto == "" || f.proto == "ether" {
		return c
	}
	return and(p.protocol(v.at, f.proto), c)
}

func (f *headerField) test(p *parser, v value, op string, n uint32) cond {
	equality := op == "==" || op == "!="
	switch {
	case f.bits != nil:
		return f.testBits(p, v, op, n)
	case v.masked && v.mask != f.mask, !v.masked && f.mask != 0:
		if f.mask != 0 {
			p.fail(v.at, "of these bytes only %s & %#x is known", v.at.text+"[…]", f.mask)
		}
		p.fail(v.at, "of %s single bits cannot be tested", f.column)
	case f.form != "" && !equality:
		p.fail(v.at, "%s can be compared with = and != only", f.column)
	case f.form != "":
		return test(fmt.Sprintf("%s %s %q", f.column, op, fmt.Sprintf(f.form, n)))
	}
	times := uint64(max(1, f.times))
	return test(f.column + " " + op + " " + strconv.FormatUint(uint64(n)*times, 10))
}

// testBits tests bits that the column names.
func (f *headerField) testBits(p *parser, v value, op string, n uint32) cond {
	mask := uint32(0xff)
	if v.masked {
		mask = v.mask
	}
	if op == ">" && n == 0 {
		op = "!="
	}
	if op != "==" && op != "!=" {
		p.fail(v.at, "flags can be compared with = and != only")
	}
	var set, clear []cond
	for bit := range 32 {
		m := uint32(1) << bit
		if mask&m == 0 {
			continue
		}
		if bit >= len(f.bits) || f.bits[bit] == "" {
			p.fail(v.at, "of these bits %#x is not known; take others with &", m)
		}
		has := test(fmt.Sprintf("%s contains %q", f.column, f.bits[bit]))
		if n&m != 0 {
			set = append(set, has)
		} else {
			clear = append(clear, has)
		}
	}
	there := test(f.present + " != nil")
	if n&^mask != 0 { // never equal
		if op == "!=" {
			return there
		}
		return test("false")
	}
	switch {
	case op == "!=" && len(set) == 0 && len(clear) > 0:
		return or(clear...)
	case op == "!=":
		var differs []cond
		for _, c := range set {
			differs = append(differs, not(c))
		}
		differs = append(differs, clear...)
		if len(differs) == 0 {
			return test("false")
		}
		return and(there, or(differs...))
	}
	all := set
	if len(set) == 0 {
		all = []cond{there}
	}
	for _, c := range clear {
		all = append(all, not(c))
	}
	return and(all...)
}
