// Package clitest runs skprobe in tests as a user runs it: as a process of its
// own, with arguments, signals and exit status. The test binary is the
// program: it starts itself under the name skprobe.
package clitest
