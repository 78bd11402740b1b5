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
	cmdline string   // kernel arguments of this machine
}

// machineFor returns the board for an architecture.
//
// Without "-cpu max" the 6.12 kernel oopses in a crypto self-test under QEMU 7.2. Without "-cx16" it now and then died of a double
// fault in kmalloc, right after a CMPXCHG16B and with a piece of a pointer in its flags; without that instruction the
// kernel takes another way.
//
// With "no_timer_check" an amd64 kernel does not try whether the timer interrupts it. On a busy host it may not do so in time, and the
// kernel gave up ("IO-APIC + timer doesn't work!"); it skips that under KVM too.
//
// Kernels of arm64 sign the return address of each function, with a cipher that takes half of the time to emulate; "pauth-impdef" is one
// that QEMU has instead, which does not.
func machineFor(arch string) (*machine, error) {
	switch arch {
	case "amd64":
		return &machine{"qemu-system-x86_64", "qemu-system-x86", []string{"-machine", "pc"}, "max,-cx16", ",-erms,-fsrm", "ttyS0", "no_timer_check"}, nil
	case "arm64":
		return &machine{"qemu-system-aarch64", "qemu-system-arm", []string{"-machine", "virt"}, "max,pauth-impdef=on", "", "ttyAMA0", ""}, nil
	}
	return nil, fmt.Errorf("no machine is known for %s kernels", arch)
}
