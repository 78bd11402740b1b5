// Package testkernel helps tests that need a real Linux kernel: to say what they need, to make namespaces and real traffic,
// and to leave nothing behind.
//
// Such tests are ordinary tests. On a developer's machine they run if it has what they need and are skipped otherwise. In the
// virtual machine of internal/cmd/vmrun, which has everything, a missing thing is a failure. The packages that
// run there are found by their calls of Needs, and the programs and modules by the literal names in
// testkernel.Program("dig") and testkernel.Module("veth").
package testkernel

import "os"

// InVM tells whether this process runs in the virtual machine that internal/cmd/vmrun made for it.
func InVM() bool { return os.Getenv("SKPROBE_VM") == "1" }
