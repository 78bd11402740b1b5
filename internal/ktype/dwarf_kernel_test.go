package ktype

import (
	"os"
	"path/filepath"
	"testing"
)

// debugKernel returns the folder with the unpacked packages of
// testdata/debuginfo.txt, which `make test-dwarf` fetches.
func debugKernel(t testing.TB) (root, vmlinux string) {
	t.Helper()
	root = os.Getenv("SKPROBE_DEBUG_KERNEL")
	if root == "" {
		t.Skip("make test-dwarf fetches the kernel that this needs")
	}
	files, err := filepath.Glob(filepath.Join(root, "usr/lib/debug/boot/vmlinux-*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s has %d kernels, %v", root, len(files), err)
	}
	return root, files[0]
}

func BenchmarkOpenDWARF(b *testing.B) {
	_, vmlinux := debugKernel(b)
	for b.Loop() {
		d, err := OpenDWARF(vmlinux)
		if err != nil {
			b.Fatal(err)
		}
		for _, n := range []string{"struct sock", "struct sk_buff", "struct msghdr"} {
			if _, err := d.TypeNamed(n); err != nil {
				b.Fatal(err)
			}
		}
		for _, n := range []string{"udp_sendmsg", "tcp_connect"} {
			if _, err := d.FuncNamed(n); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(live(d), "live-MB")
		b.ReportMetric(float64(len(d.vmlinux.names.at)), "names")
	}
}
