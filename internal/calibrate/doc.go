// Package calibrate finds the layouts of kernel structs on a kernel that has
// nothing but kprobe events: no BTF, no debuginfo.
//
// In a network namespace of its own it makes traffic of which it knows every
// value, records with kprobes what the structs hold that pass through functions
// known since 3.10, and looks for the places where all those values are. Chance
// is excluded by fresh random values, and by more than one sample of
// everything: a member is found if exactly one place fits, and else it is not
// found. Nothing is guessed from a version.
//
// It has two halves. [Solve] is pure: it takes a [Recording], that is what was
// done and what was seen, and returns a [Result]. [Run] makes the recording.
//
// # How
//
// A step of the traffic begins with getsockopt(SOL_IP, n) where n is a number
// of this run that no option has. It changes nothing, and passes through
// ip_getsockopt(sk, level, optname, …) for IPv4 and IPv6 sockets of all kinds
// (net/ipv4/ip_sockglue.c, net/ipv6/ipv6_sockglue.c, since before 3.10). So that
// function's record tells which step begins, where the socket lies, and what is
// in it. What follows until the next such record belongs to the step, since
// only the records of one thread are read, and packets over lo are received in
// the thread that sends them.
package calibrate
