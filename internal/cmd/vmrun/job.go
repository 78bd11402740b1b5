package main

// A job is what the host asks of the guest. It travels as /job.json in the initramfs.
type job struct {
	Modules []string // paths in the guest, in the order in which they must be loaded
	Tracefs bool     // mount /sys/kernel/tracing
	Env     []string
	Runs    []run
	Again   int      // so many tests of a run that failed are run once more
	Out     []string // files that the host wants back
}

// jobFile is where init finds its job.
const jobFile = "job.json"

// A run is one program of a job. The runs of a job follow each other in one boot.
type run struct {
	Name string // import path of the tested package; empty for a program whose output stands alone
	Path string
	Argv []string
	Dir  string
	Env  []string // more than the job's
}

// A report is what init says when a run has ended, and at the end of all. A guest without a report with Done has died on the way.
type report struct {
	Run   int    `json:"run"`
	Code  int    `json:"code"`            // exit status; 128+n after signal n, like a shell's
	Error string `json:"error,omitempty"` // what init could not do; the guest then gave up
	Done  bool   `json:"done,omitempty"`
}
