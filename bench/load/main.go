// Load sends datagrams over loopback as fast as one thread can, from a socket that is not connected, to a port where nobody
// listens, and prints how long that took. It makes no other system calls meanwhile, so that what is measured is the kernel: not even
// Go's scheduler hears of these.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// A report is what load prints, as one line of JSON. Times are in nanoseconds.
type report struct {
	Sends   int   `json:"sends"`
	Elapsed int64 `json:"elapsed"`
	CPU     int64 `json:"cpu"` // of this process, user and system
}

func main() {
	sends := flag.Int("sends", 20_000, "number of datagrams")
	size := flag.Int("size", 64, "bytes of payload")
	port := flag.Int("port", 9, "port of 127.0.0.1 to send to")
	vary := flag.Int("vary", 1, "send to so `many` ports in turn, from -port upwards, one byte more to each than to the one before")
	flag.Parse()
	r, err := run(*sends, *size, *port, *vary)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(r)
}

func run(sends, size, port, vary int) (*report, error) {
	runtime.LockOSThread()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	payload := make([]byte, size+vary)
	to := make([]syscall.RawSockaddrInet4, vary)
	for i := range to {
		to[i] = address(port + i)
	}
	if err := settle(payload); err != nil {
		return nil, err
	}
	// The first send binds the socket and is not counted in the time, but is one of those that were asked for.
	if err := send(fd, payload[:size], &to[0]); err != nil {
		return nil, err
	}
	next := 0
	cpu, start := cpuTime(), time.Now()
	for range sends - 1 {
		if next++; next == vary {
			next = 0
		}
		if err := send(fd, payload[:size+next], &to[next]); err != nil {
			return nil, err
		}
	}
	return &report{Sends: sends, Elapsed: time.Since(start).Nanoseconds(), CPU: cpuTime() - cpu}, nil
}

// address is a port of 127.0.0.1.
func address(port int) syscall.RawSockaddrInet4 {
	a := syscall.RawSockaddrInet4{Family: syscall.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	*(*[2]byte)(unsafe.Pointer(&a.Port)) = [2]byte{byte(port >> 8), byte(port)}
	return a
}

func send(fd int, payload []byte, to *syscall.RawSockaddrInet4) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&payload[0])), uintptr(len(payload)), 0,
		uintptr(unsafe.Pointer(to)), syscall.SizeofSockaddrInet4)
	if errno != 0 {
		return os.NewSyscallError("sendto", errno)
	}
	return nil
}

// settle brings the kernel's allocator of memory into a state that does not depend on what ran before: with many free objects of the
// sizes that sending takes. Where it has only one or two, each send takes some hundred instructions more, for as long as the load runs.
// It lets a raw socket that nobody reads collect what it sends to itself, which is nothing that a tracer of UDP sees, and closes it.
func settle(payload []byte) error {
	const protocol = 253 // for experiments, RFC 3692
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, protocol)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	for range 200 {
		if err := syscall.Sendto(fd, payload, 0, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return os.NewSyscallError("sendto", err)
		}
	}
	return nil
}

func cpuTime() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
