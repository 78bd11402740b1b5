package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
	"github.com/skprobe/skprobe/tracefs"
)

func TestMain(m *testing.M) {
	clitest.Main(m, map[string]clitest.Program{"traffic": traffic})
}

// needs is what all tests here need.
func needs(t testing.TB) {
	t.Helper()
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF, testkernel.Symbol("udp_sendmsg"))
}

// register is where this machine passes the n-th parameter.
func register(n int) string {
	if runtime.GOARCH == "amd64" {
		return []string{"%di", "%si", "%dx"}[n]
	}
	return fmt.Sprintf("%%x%d", n)
}

// traffic is a program to be traced. Each argument is something to do:
//
//	send+127.0.0.1:9+20   send 20 bytes there
//	connect+127.0.0.1:9   open a TCP connection there
//	thread+STEP           do that in a thread of its own
//	child+STEP            do that in a child, and wait for it
//	ready+FILE            make a file, to tell that this was reached
//	await+FILE            wait until there is a file
//	sleep+100ms
//	signals               from here on, end with status 7 at SIGTERM or SIGINT
//	exit+3, kill+9        end like this
func traffic(steps []string) int {
	for _, step := range steps {
		word, rest, _ := strings.Cut(step, "+")
		switch word {
		case "send":
			addr, size, _ := strings.Cut(rest, "+")
			n, err := strconv.Atoi(size)
			if err == nil {
				err = send(addr, n)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "traffic:", err)
				return 100
			}
		case "connect":
			c, err := net.Dial("tcp", rest)
			if err != nil {
				fmt.Fprintln(os.Stderr, "traffic:", err)
				return 100
			}
			defer c.Close()
		case "thread":
			done := make(chan int)
			go func() {
				runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
				done <- traffic([]string{rest})
			}()
			if status := <-done; status != 0 {
				return status
			}
		case "child":
			cmd := exec.Command("/proc/self/exe", rest)
			cmd.Args[0] = "traffic"
			cmd.Stderr = os.Stderr
			if err := cmd.Run(); err != nil {
				fmt.Fprintln(os.Stderr, "traffic: child:", err)
				return 101
			}
		case "ready":
			if err := os.WriteFile(rest, nil, 0o644); err != nil {
				return 102
			}
		case "await":
			for _, err := os.Stat(rest); err != nil; _, err = os.Stat(rest) {
				time.Sleep(10 * time.Millisecond)
			}
		case "sleep":
			d, _ := time.ParseDuration(rest)
			time.Sleep(d)
		case "signals":
			c := make(chan os.Signal, 1)
			signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
			go func() {
				<-c
				os.Exit(7)
			}()
		case "exit":
			n, _ := strconv.Atoi(rest)
			return n
		case "kill":
			n, _ := strconv.Atoi(rest)
			_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
			time.Sleep(10 * time.Second)
		default:
			fmt.Fprintf(os.Stderr, "traffic: %q?\n", step)
			return 103
		}
	}
	return 0
}

// send sends one datagram from a socket that is not connected.
//
//go:noinline
func send(to string, size int) error {
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	network := "udp4"
	if addr.IP.To4() == nil {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.WriteTo(make([]byte, size), addr)
	return err
}

// echo sends one datagram to a socket of ours, which receives it.
func echo(at string, size int) error {
	server, err := net.ListenPacket("udp", at)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := send(at, size); err != nil {
		return err
	}
	_, _, err = server.ReadFrom(make([]byte, size))
	return err
}

// definitions are the lines of kprobe_events and uprobe_events that are
// skprobe's.
func definitions(t testing.TB) []string {
	t.Helper()
	tfs, err := tracefs.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tfs.Close()
	var all []string
	for _, file := range []string{"kprobe_events", "uprobe_events"} {
		text, err := os.ReadFile(tfs.Root() + "/" + file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, ":skprobe_") {
				all = append(all, strings.TrimSpace(line))
			}
		}
	}
	return all
}

// nothingLeft fails the test if skprobe left a definition.
func nothingLeft(t testing.TB) {
	t.Helper()
	if left := definitions(t); len(left) > 0 {
		t.Errorf("left definitions: %q", left)
	}
}
