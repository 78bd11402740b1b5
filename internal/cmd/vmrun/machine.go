package main

import "fmt"

// A machine is what QEMU is asked to emulate for an architecture.
type machine struct {
	qemu    string   // program
	pkg     string   // Debian package that has it
	args    []string // the board
	console string   // kernel's name of the serial line
}

// machineFor returns the board for an architecture. "-cpu max" is needed: without it the 6.12 kernel oopses in a crypto self-test
// under QEMU 7.2.
func machineFor(arch string) (*machine, error) {
	switch arch {
	case "amd64":
		return &machine{"qemu-system-x86_64", "qemu-system-x86", []string{"-machine", "pc", "-cpu", "max"}, "ttyS0"}, nil
	case "arm64":
		return &machine{"qemu-system-aarch64", "qemu-system-arm", []string{"-machine", "virt", "-cpu", "max"}, "ttyAMA0"}, nil
	}
	return nil, fmt.Errorf("no machine is known for %s kernels", arch)
}
