package main

import "fmt"

// A machine is what QEMU is asked to emulate for an architecture.
type machine struct {
	qemu    string   // program
	pkg     string   // Debian package that has it
	args    []string // the board
	cpu     string   // the processor
	plain   string   // what to take from it for a guest that counts instructions
	console string   // kernel's name of the serial line
}

// machineFor returns the board for an architecture.
//
// Two faults of QEMU 7.2's emulation are kept away from the guest. Without "-cpu max" the 6.12 kernel oopses in a crypto self-test. And
// CMPXCHG16B takes the condition codes from a stale place, so that now and then flags come out as part of a pointer and
// the guest dies of a double fault in kmalloc: without cx16 the kernel has another way. (QEMU 8 translates the instruction anew.)
//
// A guest that counts instructions counts one for each byte of REP STOSB and REP MOVSB, with which the kernel clears and copies where
// the processor says that it does that fast: without erms and fsrm it takes words.
func machineFor(arch string) (*machine, error) {
	switch arch {
	case "amd64":
		return &machine{"qemu-system-x86_64", "qemu-system-x86", []string{"-machine", "pc"}, "max,-cx16", ",-erms,-fsrm", "ttyS0"}, nil
	case "arm64":
		return &machine{"qemu-system-aarch64", "qemu-system-arm", []string{"-machine", "virt"}, "max", "", "ttyAMA0"}, nil
	}
	return nil, fmt.Errorf("no machine is known for %s kernels", arch)
}
