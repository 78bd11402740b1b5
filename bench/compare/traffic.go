package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The servers' ends: over loopback, and in another network namespace, with a lossy link in between.
var (
	loop4 = netip.MustParseAddrPort("127.0.0.1:47001")
	// first4 has the connections of which the first is looked for that a tool shows.
	first4 = netip.MustParseAddrPort("127.0.0.1:47005")

	loop6 = netip.MustParseAddrPort("[::1]:47002")
	far4  = netip.MustParseAddrPort("10.77.0.2:47003")
	far6  = netip.MustParseAddrPort("[fd77::2]:47004")
)

// Bytes of a question and of the answer to it.
const (
	questionSize = 100
	answerSize   = 1000
)

// A connection has these ends.
type connection struct{ client, server netip.AddrPort }

// A server is a process that answers.
type server struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startServer starts one in a network namespace of its own or in this one.
func startServer(own bool, addrs ...netip.AddrPort) (*server, error) {
	args := []string{"serve"}
	for _, a := range addrs {
		args = append(args, a.String())
	}
	s := &server{cmd: again(args...)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if own {
		s.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	}
	s.cmd.Stdout = nil
	in, err1 := s.cmd.StdinPipe()
	out, err2 := s.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, s.cmd.Start()); err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReader(out)
	return s, nil
}

// tell gives the server commands for ip and tc to run, and waits until it listens.
func (s *server) tell(commands ...string) error {
	for _, line := range append(commands, "") {
		if _, err := io.WriteString(s.in, line+"\n"); err != nil {
			return err
		}
	}
	line, err := s.out.ReadString('\n')
	if err == nil && line != "listening\n" {
		err = errors.New(strings.TrimSpace(line))
	}
	return err
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// serve is the server: it runs the commands on its standard input, listens, and answers each connection.
func serve(addrs []string) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() && in.Text() != "" {
		if err := do(in.Text()); err != nil {
			fmt.Println(err)
			return err
		}
	}
	failed := make(chan error)
	for _, addr := range addrs {
		l, err := net.Listen("tcp"+family(netip.MustParseAddrPort(addr)), addr)
		if err != nil {
			fmt.Println(err)
			return err
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					failed <- err
					return
				}
				go answer(c)
			}
		}()
	}
	fmt.Println("listening")
	return <-failed
}

func answer(c net.Conn) {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, questionSize)); err == nil {
		c.Write(make([]byte, answerSize))
	}
}

// family is the end of the network's name.
func family(a netip.AddrPort) string {
	if a.Addr().Is4() {
		return "4"
	}
	return "6"
}

// do runs a command.
func do(line string) error {
	args := strings.Fields(line)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// connectNamespaces makes the servers, and the link to the one that is in another network namespace.
func (c *comparison) connectNamespaces() (err error) {
	if err := do("ip link set lo up"); err != nil {
		return err
	}
	if c.loop, err = startServer(false, loop4, loop6, first4); err != nil {
		return err
	}
	if c.far, err = startServer(true, far4, far6); err != nil {
		return err
	}
	if err := c.loop.tell(); err != nil {
		return err
	}
	lossy := " root netem loss " + strconv.Itoa(c.loss) + "%"
	for _, line := range []string{
		"ip link add near type veth peer name far netns " + strconv.Itoa(c.far.cmd.Process.Pid),
		"ip addr add 10.77.0.1/24 dev near", "ip addr add fd77::1/64 dev near nodad", "ip link set near up", "tc qdisc add dev near" + lossy,
	} {
		if err := do(line); err != nil {
			return err
		}
	}
	return c.far.tell("ip addr add 10.77.0.2/24 dev far", "ip addr add fd77::2/64 dev far nodad", "ip link set far up", "tc qdisc add dev far"+lossy)
}

// connect makes a connection, with a question and its answer, and waits until both ends are closed.
func connect(to netip.AddrPort) (connection, error) {
	c, err := net.Dial("tcp"+family(to), to.String())
	if err != nil {
		return connection{}, err
	}
	defer c.Close()
	client := c.LocalAddr().(*net.TCPAddr).AddrPort()
	if _, err := c.Write(make([]byte, questionSize)); err != nil {
		return connection{}, err
	}
	n, err := io.Copy(io.Discard, c)
	if err == nil && n != answerSize {
		err = fmt.Errorf("an answer of %d bytes", n)
	}
	return connection{netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), to}, err
}

// traffic makes the connections to all servers, several at a time, and returns them.
func (c *comparison) traffic() (all []connection, err error) {
	targets := []netip.AddrPort{loop4, loop6, far4, far6}
	work := make(chan netip.AddrPort)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 25 {
		wg.Go(func() {
			for to := range work {
				one, e := connect(to)
				mu.Lock()
				all, err = append(all, one), errors.Join(err, e)
				mu.Unlock()
			}
		})
	}
	for i := range c.connections {
		work <- targets[i%len(targets)]
	}
	close(work)
	wg.Wait()
	return all, err
}

// timeLoad is how long the connections take over loopback, one after the other.
func (c *comparison) timeLoad() (time.Duration, error) {
	var all []time.Duration
	for range c.repeat {
		begin := time.Now()
		for range c.connections {
			if _, err := connect(loop4); err != nil {
				return 0, err
			}
		}
		all = append(all, time.Since(begin))
	}
	return median(all), nil
}
