// Compare runs skprobe's tcpconnect, tcpaccept, tcplife and tcpstates and those of bpftrace and libbpf-tools (bcc) over the same
// connections, and prints which of them each has seen, and what each costs:
//
//	compare -skprobe ./skprobe
//
// It needs root, ip and tc, and BTF for the peers; those of them that are not installed are left out. All traffic is in network
// namespaces of its own. Its exit status is 1 when skprobe has not seen everything once.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// A comparison is one run of this program.
type comparison struct {
	skprobe     string
	connections int
	loss        int // percent
	repeat      int
	dir         string
	loop, far   *server
}

func main() {
	c := &comparison{}
	flag.StringVar(&c.skprobe, "skprobe", "./skprobe", "the `program` to compare")
	flag.IntVar(&c.connections, "connections", 1000, "how many connections there are in all")
	flag.IntVar(&c.loss, "loss", 5, "`percent` of the packets that are lost between the two network namespaces")
	flag.IntVar(&c.repeat, "repeat", 3, "`runs` of each load; the median counts")
	flag.Parse()
	if err := start(c); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// start runs what the arguments say: "inside" is this program in its own network namespace, "serve" a server.
func start(c *comparison) error {
	switch flag.Arg(0) {
	case "serve":
		return serve(flag.Args()[1:])
	case "inside":
		return c.run()
	}
	cmd := again(append(os.Args[1:], "inside")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = nil
	return cmd.Run()
}

// again is this program with other arguments.
func again(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

func (c *comparison) run() (err error) {
	if c.dir, err = os.MkdirTemp("", "compare"); err != nil {
		return err
	}
	defer os.RemoveAll(c.dir)
	if err := c.connectNamespaces(); err != nil {
		return err
	}
	defer c.loop.stop()
	defer c.far.stop()
	tools := c.tools()
	base, err := c.timeLoad()
	if err != nil {
		return err
	}
	for _, t := range tools {
		fmt.Fprintln(os.Stderr, "compare:", t.name)
		if err := c.cost(t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	seen, err := c.watchAll(tools)
	if err != nil {
		return err
	}
	printTables(os.Stdout, c, tools, base, seen)
	for _, t := range tools {
		if t.ours && (seen[t].missing > 0 || seen[t].more > 0) {
			return fmt.Errorf("%s has not seen each event once: %d are missing, %d are too many", t.name, seen[t].missing, seen[t].more)
		}
	}
	return nil
}
