package main

import "fmt"

// A machine is what QEMU is asked to emulate for an architecture.
type machine struct {
	qemu    string   // program
	args    []string // the board
	console string   // kernel's name of the first serial line
	ports   ports
	// serial returns the arguments that connect the lines to files: console, output, status, files.
	serial func(files [4]string) []string
}

// machineFor returns the board for an architecture. "-cpu max" is needed: without it the 6.12 kernel oopses in a crypto self-test
// under QEMU 7.2.
func machineFor(arch string) (*machine, error) {
	switch arch {
	case "amd64":
		return &machine{
			qemu:    "qemu-system-x86_64",
			args:    []string{"-machine", "pc", "-cpu", "max"},
			console: "ttyS0",
			ports:   ports{Output: "/dev/ttyS1", Status: "/dev/ttyS2", Files: "/dev/ttyS3"},
			serial: func(files [4]string) []string {
				// Debian's cloud kernels have virtio and PCI serial lines as modules at best; ISA's four are always there.
				var args []string
				for _, f := range files {
					args = append(args, "-serial", "file:"+f)
				}
				return args
			},
		}, nil
	}
	return nil, fmt.Errorf("no machine is known for %s kernels", arch)
}
