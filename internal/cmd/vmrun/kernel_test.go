package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadOrder(t *testing.T) {
	const dep = `kernel/net/netfilter/nf_tables.ko.xz: kernel/net/netfilter/nfnetlink.ko.xz kernel/lib/libcrc32c.ko.xz
kernel/net/netfilter/nfnetlink.ko.xz:
kernel/lib/libcrc32c.ko.xz:
kernel/net/netfilter/nft_ct.ko.xz: kernel/net/netfilter/nf_tables.ko.xz kernel/net/netfilter/nfnetlink.ko.xz kernel/lib/libcrc32c.ko.xz
kernel/net/sched/sch-netem.ko.xz:
`
	const builtin = "kernel/drivers/net/loopback.ko\n"
	crc, nfnl, nft := "kernel/lib/libcrc32c.ko.xz", "kernel/net/netfilter/nfnetlink.ko.xz", "kernel/net/netfilter/nf_tables.ko.xz"
	ct, netem := "kernel/net/netfilter/nft_ct.ko.xz", "kernel/net/sched/sch-netem.ko.xz"
	for _, tt := range []struct {
		wanted         string
		files, missing []string
	}{
		{"nf_tables", []string{crc, nfnl, nft}, nil},
		{"nft_* sch_netem", []string{crc, nfnl, nft, ct, netem}, nil},
		{"nf_tables nft_ct", []string{crc, nfnl, nft, ct}, nil},
		{"sch-netem loopback", []string{netem}, nil},
		{"xdp bridge? nope_*", nil, []string{"xdp", "nope_*"}},
	} {
		files, missing := loadOrder(strings.NewReader(dep), strings.NewReader(builtin), strings.Fields(tt.wanted))
		if diff := cmp.Diff(tt.files, files); diff != "" {
			t.Errorf("%s: %s", tt.wanted, diff)
		}
		if diff := cmp.Diff(tt.missing, missing); diff != "" {
			t.Errorf("%s: missing: %s", tt.wanted, diff)
		}
	}
}

func TestOpenKernel(t *testing.T) {
	image := make([]byte, 0x400)
	copy(image[0x202:], "HdrS")
	for _, file := range []string{"boot/vmlinuz-6.1.0-9-cloud-amd64", "usr/lib/modules/7.3.4/vmlinuz"} {
		dir := t.TempDir()
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, image, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(file, "usr/lib") { // as internal/cmd/kernels makes it for depmod
			if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
				t.Fatal(err)
			}
		}
		k, err := openKernel(dir)
		if err != nil {
			t.Fatal(err)
		}
		if k.Arch != "amd64" || !strings.Contains(file, k.Release) || k.Image != path {
			t.Errorf("%s: got %+v", file, k)
		}
		if _, err := k.moduleFiles([]string{"veth"}); err == nil || !strings.Contains(err.Error(), "depmod") {
			t.Errorf("%s without modules.dep: %v", file, err)
		}
	}
	if _, err := openKernel(t.TempDir()); err == nil {
		t.Error("an empty folder is taken for a kernel")
	}
}
