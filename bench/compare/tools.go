package main

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A tool is one program that watches.
type tool struct {
	kind string // what it shows: tcpconnect, tcpaccept, tcplife, tcpstates
	name string
	ours bool
	args []string
	// parse takes a line of what it prints: the ends that the line is about, as this tool calls them, and more that tells events
	// of these ends apart.
	parse func(line string) (local, remote netip.AddrPort, more string, ok bool)

	started  time.Duration // until the first connection that it shows
	elapsed  time.Duration // of the load
	resident int64         // bytes in RAM at most
	size     int64         // of the files that it maps
}

// tools are those that are installed.
func (c *comparison) tools() (all []*tool) {
	for _, kind := range []string{"tcpconnect", "tcpaccept", "tcplife", "tcpstates"} {
		all = append(all, &tool{kind: kind, name: "skprobe " + kind, ours: true, args: []string{c.skprobe, kind, "--format", "json"}, parse: parseJSON})
		for _, p := range peers {
			if p.kind != kind {
				continue
			}
			t := p
			file := t.args[len(t.args)-1]
			if t.args[0] != "bpftrace" {
				file = t.args[0]
			}
			if _, err := exec.LookPath(t.args[0]); err != nil {
				continue
			}
			if found, _ := filepath.Glob(file); len(found) == 0 {
				continue
			}
			all = append(all, &t)
		}
	}
	return all
}

// peers are the tools of others: the fields of their lines.
var peers = []tool{
	{kind: "tcpconnect", name: "bpftrace tcpconnect.bt", args: []string{"bpftrace", "/usr/sbin/tcpconnect.bt"}, parse: columns(3, 4, 5, 6, -1)},
	{kind: "tcpconnect", name: "libbpf-tools tcpconnect", args: []string{"/usr/sbin/tcpconnect", "-s"}, parse: columns(3, 5, 4, 6, -1)},
	{kind: "tcpaccept", name: "bpftrace tcpaccept.bt", args: []string{"bpftrace", "/usr/sbin/tcpaccept.bt"}, parse: columns(5, 6, 3, 4, -1)},
	{kind: "tcplife", name: "bpftrace tcplife.bt", args: []string{"bpftrace", "/usr/sbin/tcplife.bt"}, parse: columns(2, 3, 4, 5, -1)},
	{kind: "tcplife", name: "libbpf-tools tcplife", args: []string{"/usr/sbin/tcplife"}, parse: columns(2, 3, 4, 5, -1)},
	{kind: "tcpstates", name: "libbpf-tools tcpstates", args: []string{"/usr/sbin/tcpstates"}, parse: columns(3, 4, 5, 6, 7)},
}

// columns parses lines of words, of which these are the ends, and this and the one two further the states, -1 for none.
func columns(laddr, lport, raddr, rport, states int) func(string) (netip.AddrPort, netip.AddrPort, string, bool) {
	return func(line string) (local, remote netip.AddrPort, more string, ok bool) {
		f := strings.Fields(line)
		if len(f) <= max(laddr, lport, raddr, rport, states+2) {
			return local, remote, "", false
		}
		local, ok1 := end(f[laddr], f[lport])
		remote, ok2 := end(f[raddr], f[rport])
		if states >= 0 {
			more = state(f[states]) + " " + state(f[states+2])
		}
		return local, remote, more, ok1 && ok2
	}
}

// state is a state's name, which some write with a _ and cut.
func state(name string) string {
	name = strings.ReplaceAll(name, "_", "")
	return name[:min(len(name), 8)]
}

func end(addr, port string) (netip.AddrPort, bool) {
	a, err1 := netip.ParseAddr(addr)
	p, err2 := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), err1 == nil && err2 == nil
}

func parseJSON(line string) (local, remote netip.AddrPort, more string, ok bool) {
	var e struct {
		Event              string
		Laddr, Raddr       netip.Addr
		Lport, Rport       uint16
		Oldstate, Newstate string
	}
	if json.Unmarshal([]byte(line), &e) != nil {
		return local, remote, "", false
	}
	if e.Oldstate != "" {
		more = state(e.Oldstate) + " " + state(e.Newstate)
	}
	return netip.AddrPortFrom(e.Laddr, e.Lport), netip.AddrPortFrom(e.Raddr, e.Rport), more, true
}
