// Load sends datagrams over loopback as fast as one thread can, from a socket that is not connected, to a port where nobody
// listens, and prints how long that took. It makes no other system calls meanwhile, so that what is measured is the kernel.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
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
	to := make([]syscall.SockaddrInet4, vary)
	for i := range to {
		to[i] = syscall.SockaddrInet4{Port: port + i, Addr: [4]byte{127, 0, 0, 1}}
	}
	// The first send binds the socket and is not counted in the time, but is one of those that were asked for.
	if err := syscall.Sendto(fd, payload[:size], 0, &to[0]); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	next := 0
	cpu, start := cpuTime(), time.Now()
	for range sends - 1 {
		if next++; next == vary {
			next = 0
		}
		if err := syscall.Sendto(fd, payload[:size+next], 0, &to[next]); err != nil {
			return nil, os.NewSyscallError("sendto", err)
		}
	}
	return &report{Sends: sends, Elapsed: time.Since(start).Nanoseconds(), CPU: cpuTime() - cpu}, nil
}

func cpuTime() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
