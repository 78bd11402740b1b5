package tools_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skprobe/skprobe/internal/cli/clitest"
	"github.com/skprobe/skprobe/internal/testkernel"
)

// The bytes of each connection are counted exactly, however they are moved: by calls that are cut short, that wait for all, that look without
// taking, from a file and into a pipe.
func TestTCPTop(t *testing.T) {
	tcpNeeds(t)
	for _, family := range pairFamilies {
		t.Run(family.name, func(t *testing.T) {
			testkernel.NetNS(t)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			old := newTCPPair(t, family) // from before tracing
			old.exchange(t)
			run := clitest.Start(t, "tcptop", "--format", "json", "--every", "200ms", "--strict")
			pairs := []*tcpPair{old, newTCPPair(t, family), newTCPPair(t, family)}
			tx, rx := map[string]int{}, map[string]int{}
			// What its first call has taken tells from where on it is counted:
			// a peek would be taken for a receive.
			n := old.send(old.a, []byte{1}, 0)
			if _, _, err := unix.Recvfrom(old.b.fd, []byte{1}, 0); err != nil {
				t.Fatal(err)
			}
			tx[old.a.ends()], rx[old.b.ends()] = n, n
			for range 3 {
				for _, p := range pairs {
					sent := p.exchange(t)
					tx[p.a.ends()] += sent
					rx[p.b.ends()] += sent
				}
				time.Sleep(50 * time.Millisecond)
			}
			gotTX, gotRX := map[string]int{}, map[string]int{}
			for _, row := range run.Stop().OK().Events() {
				if row["pid"] != os.Getpid() {
					continue
				}
				ends := fmt.Sprint(row["laddr"], ":", row["lport"], " ", row["raddr"], ":", row["rport"])
				gotTX[ends] += row["tx_bytes"].(int)
				gotRX[ends] += row["rx_bytes"].(int)
			}
			for _, p := range pairs {
				for _, s := range []*socket{p.a, p.b} {
					ends := s.ends()
					if gotTX[ends] != tx[ends] || gotRX[ends] != rx[ends] {
						t.Errorf("%s: %d bytes sent and %d received, in truth %d and %d", ends, gotTX[ends], gotRX[ends], tx[ends], rx[ends])
					}
				}
			}
		})
	}
}

func (s *socket) ends() string {
	return fmt.Sprintf("%v:%d %v:%d", s.local.Addr(), s.local.Port(), s.peer.Addr(), s.peer.Port())
}

// exchange moves bytes from a to b in many ways, and returns how many.
func (p *tcpPair) exchange(t *testing.T) (sent int) {
	t.Helper()
	b := make([]byte, 2<<20)
	read := func(n, flags int) int {
		t.Helper()
		got, _, err := unix.Recvfrom(p.b.fd, b[:n], flags)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if os.Getenv("SKPROBE_LAYOUT") == "calibrate" { // which does not measure what the rest needs: see docs/tcptop.md
		sent = p.send(p.a, b[:1000], 0)
		read(300, 0)
		read(700, 0)
		return sent
	}
	sent += p.send(p.a, b[:1000], 0)
	read(100, unix.MSG_PEEK)
	read(300, 0)
	read(100, unix.MSG_PEEK)
	read(700, unix.MSG_WAITALL)
	// A call that waits takes what is there before it has all.
	go func() {
		for range 3 {
			time.Sleep(10 * time.Millisecond)
			unix.Send(p.a.fd, make([]byte, 500), 0)
		}
	}()
	for n := 0; n < 1500; {
		n += read(1500-n, unix.MSG_WAITALL) // less where a signal of Go's runtime comes
	}
	sent += 1500
	// More than there is room for.
	n := p.send(p.a, b, unix.MSG_DONTWAIT)
	sent += n
	for n > 0 {
		n -= read(100000, 0)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b[:30000]); err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < 30000; {
		if _, err := unix.Sendfile(p.a.fd, int(f.Fd()), &off, 30000-int(off)); err != nil {
			t.Fatal(err)
		}
	}
	sent += 30000
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for n = 30000; n > 0; {
		moved, err := unix.Splice(p.b.fd, nil, pipe[1], nil, 4096, 0)
		if err != nil {
			t.Fatal(err)
		}
		for left := int(moved); left > 0; {
			m, err := unix.Read(pipe[0], b[:left])
			if err != nil {
				t.Fatal(err)
			}
			left -= m
		}
		n -= int(moved)
	}
	return sent
}

// On a terminal each table takes the place of the last, and no line is longer than the screen is wide.
func TestTCPTopScreen(t *testing.T) {
	tcpNeeds(t)
	testkernel.NetNS(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := newTCPPair(t, pairFamilies[0])
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 40}); err != nil {
		t.Fatal(err)
	}
	screen := make(chan string, 1)
	go func() {
		var all strings.Builder
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			all.Write(b[:n])
			if err != nil || strings.Count(all.String(), "\x1b[J") >= 4 {
				screen <- all.String()
				return
			}
		}
	}()
	cmd := clitest.Command("tcptop", "--every", "200ms")
	cmd.Stdout = terminal
	run := clitest.StartCommand(t, cmd)
	for i := 0; ; i++ {
		p.send(p.a, make([]byte, 100), 0)
		select {
		case text := <-screen:
			go func() { // nobody reads what it writes from now on
				b := make([]byte, 4096)
				for {
					if _, err := master.Read(b); err != nil {
						return
					}
				}
			}()
			run.Stop().OK()
			tables := strings.Split(text, "\x1b[H")[1:]
			if len(tables) < 4 || !strings.Contains(tables[2], "PID COMM") {
				t.Errorf("%q", text)
			}
			for line := range strings.Lines(tables[2]) {
				if line = strings.TrimSuffix(strings.TrimRight(line, "\r\n"), "\x1b[K"); !strings.HasPrefix(line, "\x1b") && len(line) > 40 {
					t.Errorf("%d columns: %q", len(line), line)
				}
			}
			return
		case <-time.After(10 * time.Millisecond):
			if i == 4000 {
				t.Fatal("no tables")
			}
		}
	}
}
