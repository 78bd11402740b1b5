// Package kernel knows the kernel that runs: its release and build id, the
// functions it has (/proc/kallsyms), which of several names of a function to
// take, and what it lets this process do. Answers to the last are yes, no or
// could not tell, with the reason and the next step: a file that cannot be
// read is no reason to refuse work that might succeed.
//
// Everything is read from files below a root folder ([FS]), so tests use
// folders of recorded files.
package kernel
