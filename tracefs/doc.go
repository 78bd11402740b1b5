// Package tracefs works on the kernel's tracing file system: it finds it or mounts it where nobody else sees it, defines and
// removes kprobe events, reads the formats of event records, checks filters, and explains the kernel's refusals in the
// kernel's own words.
//
// An [FS] is a mounted tracefs, or any folder that looks like one. Parsers ([ParseFormat], [ParseEvents], [ParseErrorLog],
// [ParseProfile]) read from an io.Reader, touch no kernel and work on every system. What can only work on Linux ([Find],
// [MountPrivate], [FS.Group], [FS.Sweep]) returns an error that wraps errors.ErrUnsupported elsewhere.
//
// Nothing here changes what others defined: definitions are appended (never with O_TRUNC, which would ask the kernel to drop
// all of them), and only names are removed that the caller gives or whose owner is dead.
//
// The kernel's description is Documentation/trace/kprobetrace.rst and Documentation/trace/ftrace.rst (kprobetrace.txt and
// ftrace.txt before 4.17).
package tracefs
