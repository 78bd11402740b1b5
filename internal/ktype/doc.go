// Package ktype is where the layouts of kernel structs and the prototypes of
// kernel functions come from. Each source implements [fetchargs.Types]:
//
//   - [BTF]: the type information that the kernel, its modules, or a file
//     such as those of BTFHub carry;
//   - [DWARF]: the debug information of an installed vmlinux and of modules;
//   - [Profile]: a layout saved as JSON, from another source, for this kernel
//     or for a test.
//
// [Open] puts them in order and keeps what was used of the first in a cache,
// because start-up time of a tool is what its user waits for.
//
// BTF is decoded here rather than by a library. The reasons are measured in
// BenchmarkOpenBTF and checked in the tests against github.com/cilium/ebpf/btf,
// which reads every type of this machine's kernel the same way: a library that
// decodes everything a type reaches costs several times the whole start-up of
// a tool, and it refuses a file that has one kind it does not know, which is
// what each kernel that adds one brings (cilium/pwru#112).
package ktype
