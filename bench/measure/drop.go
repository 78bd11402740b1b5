package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

var dropHead = []string{"", "slow-down", "load, µs per datagram", "of it in the sender", "reader's own, µs per event", "shown", "lost"}

// drops measures what watching packets costs where each datagram of the load is dropped, since nobody listens, and is answered by
// an ICMP message. All who watch write to a file.
func (m *measurement) drops() error {
	base, err := m.untraced()
	if err != nil {
		return err
	}
	var rows []row
	add := func(what string, s *sending, cells ...string) {
		rows = append(rows, row{what, append([]string{
			fmt.Sprintf("%.2f×", ratio(s.Elapsed, base.Elapsed)), fmt.Sprintf("%.2f", perEvent(s.Elapsed, s.Sends)), fmt.Sprintf("%.2f", perEvent(s.CPU, s.Sends)),
		}, cells...)})
	}
	add("untraced", base, "", "", "")
	for _, tool := range [][]string{{"drop"}, {"drop", "--stack"}, {"packet", "--at", "rx"}, {"packet", "--at", "rx,tx"}, {"packet", "--path"}} {
		what := "skprobe " + strings.Join(tool, " ")
		w, err := m.watchMiddle(tool[0], append(tool[1:], "--format", "json", "-o", filepath.Join(m.tmp, "events"))...)
		if err != nil {
			return err
		}
		add(what, w.sending, fmt.Sprintf("%.2f", perEvent(w.own, max(1, w.counts.events))), strconv.Itoa(w.counts.events), strconv.Itoa(w.counts.lost+w.counts.missed))
		if what == "skprobe drop" {
			m.checkExactly("drops that are lost, skprobe drop", w.counts.lost+w.counts.missed, 0)
		}
	}
	m.dropPeers(add)
	fmt.Printf("%d datagrams of 64 bytes to a port where nobody listens, one processor, %.2f µs each untraced; medians of %d runs with skprobe, one with each peer.\n\n", m.sends, perEvent(base.Elapsed, m.sends), m.repeat)
	printRows(os.Stdout, dropHead, rows)
	return nil
}

// watchMiddle runs the load several times while a tool traces, and returns the run with the middle elapsed time: in some the kernel
// leaves receiving to ksoftirqd, where it drops what it cannot keep.
func (m *measurement) watchMiddle(tool string, args ...string) (*watched, error) {
	var all []*watched
	for range m.repeat {
		w, err := m.watch(tool, args...)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return middle(all), nil
}

// reads is what a tracer that is a BPF program makes of a drop: reason, place, addresses and ports.
const reads = `tracepoint:skb:kfree_skb { $skb = (struct sk_buff *)args->skbaddr; $ip = (struct iphdr *)($skb->head + $skb->network_header);
	$udp = (struct udphdr *)($skb->head + $skb->transport_header);
	printf("%d %s %s %d %s %d\n", args->reason, ksym(args->location), ntop($ip->saddr), $udp->source, ntop($ip->daddr), $udp->dest); }`

// dropPeers measures those programs that are installed. That one of them fails is told and does no harm.
func (m *measurement) dropPeers(add func(what string, s *sending, cells ...string)) {
	for _, peer := range []struct {
		what string
		args []string // of one that runs the load, and writes to the file that comes next
		then []string
		text bool // a line for each event
	}{
		{"perf trace -e skb:kfree_skb", []string{"perf", "trace", "-a", "-e", "skb:kfree_skb", "-o"}, nil, true},
		{"perf record -e skb:kfree_skb", []string{"perf", "record", "-q", "-a", "-e", "skb:kfree_skb", "-o"}, nil, false},
		{"bpftrace, reason and place", []string{"bpftrace", "-o"}, []string{"-e", `tracepoint:skb:kfree_skb { printf("%d %s\n", args->reason, ksym(args->location)); }`, "-c"}, true},
		{"bpftrace, reason, place, addresses and ports", []string{"bpftrace", "-o"}, []string{"-e", reads, "-c"}, true},
	} {
		if _, err := exec.LookPath(peer.args[0]); err != nil {
			continue
		}
		file := filepath.Join(m.tmp, "peer")
		s, err := m.send(append(append(peer.args, file), peer.then...)...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "measure: %s is not in the table: %.500v\n", peer.what, err)
			continue
		}
		shown := ""
		if n, err := lines(file); err == nil && peer.text {
			shown = strconv.Itoa(n)
		}
		add(peer.what, s, "", shown, "")
	}
}
