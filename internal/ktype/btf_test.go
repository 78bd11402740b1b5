package ktype

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skprobe/skprobe/fetchargs"
)

// kernelBTF opens the BTF of the kernel that runs the test.
func kernelBTF(t testing.TB) *BTF {
	t.Helper()
	b, err := OpenBTF("")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKernelTypes(t *testing.T) {
	b := kernelBTF(t)
	sock, err := b.TypeNamed("struct sock")
	if err != nil {
		t.Fatal(err)
	}
	common, ok := sock.Member("__sk_common")
	if !ok || common.Offset != 0 {
		t.Fatalf("__sk_common: %v, %v", common, ok)
	}
	// The head of struct sock_common has not changed from 3.10 to 7.1.
	for name, want := range map[string]struct {
		off int
		typ string
	}{
		"skc_daddr": {0, "__be32"}, "skc_rcv_saddr": {4, "__be32"}, "skc_dport": {12, "__be16"},
		"skc_num": {14, "__u16"}, "skc_family": {16, "unsigned short"}, "skc_state": {18, "unsigned char"},
	} {
		m, ok := common.Type.Member(name)
		if !ok || m.Offset != want.off || m.Type.String() != want.typ {
			t.Errorf("%s: offset %d, %s, %v; want %d, %s", name, m.Offset, m.Type, ok, want.off, want.typ)
		}
	}
	fn, err := b.FuncNamed("udp_sendmsg")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fn.String(), "int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if fn.Members[0].Type.Elem() != sock {
		t.Error("struct sock was converted twice")
	}
	if _, err := b.TypeNamed("sock"); !errors.Is(err, fetchargs.ErrNoType) || !strings.Contains(err.Error(), "there is struct sock") {
		t.Errorf("sock: %v", err)
	}
	for _, name := range []string{"u32", "unsigned int", "long unsigned int", "unsigned long", "size_t", "bool", "char", "__be16", "void"} {
		if _, err := b.TypeNamed(name); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkOpenBTF(b *testing.B) {
	kernelBTF(b)
	types := []string{"sock", "sk_buff", "msghdr"}
	funcs := []string{"udp_sendmsg", "tcp_connect"}
	b.Run("skprobe", func(b *testing.B) {
		for b.Loop() {
			s, err := OpenBTF("")
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range types {
				if _, err := s.TypeNamed("struct " + n); err != nil {
					b.Fatal(err)
				}
			}
			for _, n := range funcs {
				if _, err := s.FuncNamed(n); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(live(s), "live-MB")
		}
	})
	b.Run("cilium", func(b *testing.B) {
		for b.Loop() {
			f, err := os.Open(vmlinuxBTF)
			if err != nil {
				b.Fatal(err)
			}
			s, err := btf.LoadSplitSpecFromReader(f, nil)
			f.Close()
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range types {
				var st *btf.Struct
				if err := s.TypeByName(n, &st); err != nil {
					b.Fatal(err)
				}
			}
			for _, n := range funcs {
				var fn *btf.Func
				if err := s.TypeByName(n, &fn); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(live(s), "live-MB")
		}
	})
}

// live returns the size of the heap, in MB, while keep is alive.
func live(keep any) float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(keep)
	return float64(m.HeapAlloc) / (1 << 20)
}
