//go:build !linux

package testkernel

import (
	"errors"
	"net/netip"
	"os"
	"testing"
)

// On other systems every test that needs a kernel is skipped by its first call into this package.

type (
	Requirement func() error
	Ready       func(output string) bool
	Process     struct{ Pid int }
	Namespace   struct {
		Dev          string
		Addr4, Addr6 netip.Addr
	}
	Captured struct {
		Frame    []byte
		Size     int
		Outgoing bool
		Ifindex  int
	}
	Capture struct{}
)

const reason = "needs: Linux"

func Main(m *testing.M)                    { os.Exit(m.Run()) }
func Needs(t testing.TB, _ ...Requirement) { t.Skip(reason) }
func Outside(testing.TB)                   {}
func Delivered(testing.TB)                 {}
func Uninterrupted(testing.TB, func())     {}

func Root() error                { return errors.ErrUnsupported }
func Tracefs() error             { return errors.ErrUnsupported }
func Kprobes() error             { return errors.ErrUnsupported }
func BTF() error                 { return errors.ErrUnsupported }
func Program(string) Requirement { return Root }
func NoKprobes() error           { return errors.ErrUnsupported }
func File(string) Requirement    { return Root }
func Booted(string) Requirement  { return Root }
func Symbol(string) Requirement  { return Root }
func Module(string) Requirement  { return Root }
func Since(string) Requirement   { return Root }

func NetNS(t testing.TB) *Namespace            { t.Skip(reason); return nil }
func NetNSPair(t testing.TB) (a, b *Namespace) { t.Skip(reason); return nil, nil }
func (*Namespace) Do(func())                   {}
func (*Namespace) Path() string                { return "" }
func (*Namespace) Inode() uint64               { return 0 }

func NewCapture(t testing.TB) *Capture { t.Skip(reason); return nil }
func (*Capture) Frames() []Captured    { return nil }

func Prints(string) Ready          { return nil }
func Listens(string, uint16) Ready { return nil }

func Start(t testing.TB, _ Ready, _ string, _ ...string) *Process { t.Skip(reason); return nil }
func (*Process) Output() string                                   { return "" }
func (*Process) Signal(os.Signal)                                 {}
func (*Process) Wait() error                                      { return errors.ErrUnsupported }
