package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/skprobe/skprobe/internal/event"
)

// endConditions are the flags about the ends of a connection, or of a packet, in
// the words of --where: an event of a socket has a local end and a remote one,
// and one of a packet a source and a destination.
func (f *runFlags) endConditions(t *event.Tool) ([]string, error) {
	columns := t.Fields()
	has := func(name string) bool {
		return slices.ContainsFunc(columns, func(c event.Column) bool { return c.Name == name })
	}
	var all []string
	add := func(flag, list string, names ...string) error {
		var tests []string
		for _, name := range names {
			if has(name) {
				tests = append(tests, name+" in "+list)
			}
		}
		switch {
		case len(tests) > 0:
		case len(names) == 1 && has("sport"):
			return usagef("%s: %s shows packets, which have the ports sport and dport; use --port, or --where 'sport in %s'", flag, t.Name, list)
		case len(names) == 1:
			return usagef("%s: %s has no column %s", flag, t.Name, names[0])
		default:
			return usagef("%s: %s has none of the columns %s", flag, t.Name, strings.Join(names, ", "))
		}
		all = append(all, strings.Join(tests, " || "))
		return nil
	}
	if len(f.port) > 0 {
		if err := add("--port", numbers(f.port), "lport", "rport", "sport", "dport"); err != nil {
			return nil, err
		}
	}
	if len(f.lport) > 0 {
		if err := add("--lport", numbers(f.lport), "lport"); err != nil {
			return nil, err
		}
	}
	if len(f.rport) > 0 {
		if err := add("--rport", numbers(f.rport), "rport"); err != nil {
			return nil, err
		}
	}
	if len(f.addr) > 0 {
		list, err := addresses(f.addr)
		if err != nil {
			return nil, err
		}
		if err := add("--addr", list, "laddr", "raddr", "saddr", "daddr", "ar_sip", "ar_tip"); err != nil {
			return nil, err
		}
	}
	if f.inet == f.inet6 {
		return all, nil // both is everything
	}
	flag, family, network := "-4", "inet", "0.0.0.0/0"
	if f.inet6 {
		flag, family, network = "-6", "inet6", "::/0"
	}
	switch {
	case has("family"):
		all = append(all, fmt.Sprintf("family == %q", family))
	case has("saddr"):
		all = append(all, fmt.Sprintf("saddr in %q", network))
	default:
		return nil, usagef("%s: %s has no column that tells it", flag, t.Name)
	}
	return all, nil
}

// addresses is a list of addresses and networks.
func addresses(all []string) (string, error) {
	for _, s := range all {
		if _, err := netip.ParsePrefix(s); err != nil {
			if _, err := netip.ParseAddr(s); err != nil {
				return "", usagef("--addr %q is no address and no network", s)
			}
		}
	}
	return `["` + strings.Join(all, `", "`) + `"]`, nil
}

func numbers(ports []uint16) string {
	var words []string
	for _, p := range ports {
		words = append(words, strconv.Itoa(int(p)))
	}
	return "[" + strings.Join(words, ", ") + "]"
}
