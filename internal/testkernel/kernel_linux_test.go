package testkernel_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/testkernel"
)

func TestMain(m *testing.M) { testkernel.Main(m) }

// TestKprobe defines and removes an event: what all of skprobe rests on.
func TestKprobe(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Tracefs, testkernel.Kprobes, testkernel.BTF, testkernel.Symbol("udp_sendmsg"))
	group := fmt.Sprintf("skprobe_%d_0", os.Getpid())
	f, err := os.OpenFile("/sys/kernel/tracing/kprobe_events", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, line := range []string{"p:" + group + "/send udp_sendmsg\n", "-:" + group + "/send\n"} {
		if _, err := f.WriteString(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestNetNS(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	before := netns(t)
	t.Run("inside", func(t *testing.T) {
		n := testkernel.NetNS(t)
		if inside := netns(t); inside != n.Inode() || inside == before {
			t.Errorf("in namespace %d, made %d, came from %d", inside, n.Inode(), before)
		}
		c, err := net.ListenPacket("udp", "[::1]:53") // free in a new namespace, and only if lo is up
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
	if after := netns(t); after != before {
		t.Errorf("came back to namespace %d, not %d", after, before)
	}
}

func TestNetNSPair(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Program("ip"), testkernel.Module("veth"))
	a, b := testkernel.NetNSPair(t)
	for _, address := range []string{b.Addr4.String(), b.Addr6.String()} {
		var server net.PacketConn
		b.Do(func() {
			var err error
			if server, err = net.ListenPacket("udp", net.JoinHostPort(address, "5353")); err != nil {
				t.Fatal(err)
			}
		})
		a.Do(func() {
			client, err := net.Dial("udp", server.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := client.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
		})
		buf := make([]byte, 16)
		if n, _, err := server.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("%s: got %q, %v", address, buf[:n], err)
		}
		server.Close()
	}
}

// TestDelivered receives without waiting.
func TestDelivered(t *testing.T) {
	testkernel.Needs(t, testkernel.Root)
	testkernel.NetNS(t)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	here := &unix.SockaddrInet4{Port: 5353, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(fd, here); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := unix.Sendto(fd, []byte("hello"), 0, here); err != nil {
			t.Fatal(err)
		}
		testkernel.Delivered(t)
		if _, _, err := unix.Recvfrom(fd, make([]byte, 16), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStart(t *testing.T) {
	testkernel.Needs(t, testkernel.Root, testkernel.Program("dnsmasq"), testkernel.Program("dig"))
	testkernel.NetNS(t)
	server := testkernel.Start(t, testkernel.Listens("udp", 53), "dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--listen-address=127.0.0.1", "--bind-interfaces", "--address=/example.test/192.0.2.7", "--log-queries")
	client := testkernel.Start(t, testkernel.Prints("192.0.2.7"), "dig", "+short", "@127.0.0.1", "example.test")
	if err := client.Wait(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(server.Output(), "query[A] example.test") {
		t.Errorf("the server saw no query:\n%s", server.Output())
	}
	server.Signal(unix.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("dnsmasq after SIGTERM: %v", err)
	}
}

// netns is the calling thread's network namespace.
func netns(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}
