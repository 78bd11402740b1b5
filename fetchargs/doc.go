// Package fetchargs knows the language in which kprobe events fetch their
// arguments, as described in Documentation/trace/kprobetrace.rst of the
// kernel: it parses and prints fetch-args, checks them against the kernel's
// limits, compiles C-like expressions such as
//
//	sk->__sk_common.skc_dport
//
// to them with the type layout of one kernel, and says where in a recorded
// event each value lies.
//
// The package is pure: it opens nothing, runs the same on every operating
// system and imports only the standard library. What it computes can be
// checked without a kernel, so each probe line that a tool would write on
// each known kernel can be a golden file.
package fetchargs
