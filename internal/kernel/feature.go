package kernel

import "fmt"

// An Answer is what could be found out about an ability of this kernel or
// process. No work is refused because of Unknown: trying tells.
type Answer uint8

// The answers.
const (
	Unknown Answer = iota
	Yes
	No
)

func (a Answer) String() string {
	return [...]string{"unknown", "yes", "no"}[a]
}

// A Line is one line of what this kernel and process can do.
type Line struct {
	Topic  string // "kprobe events"
	Answer Answer
	Why    string // what was seen, with the file it was seen in
	Do     string // the next step when the answer is not yes, or ""
	// Note: tracing does not depend on it, only what the line says.
	Note bool
}

// A Section is lines about one thing.
type Section struct {
	Title string
	Lines []Line
}

func (l Line) String() string {
	s := fmt.Sprintf("%s: %s: %s", l.Topic, l.Answer, l.Why)
	if l.Do != "" {
		s += " (" + l.Do + ")"
	}
	return s
}

// Check looks at everything that decides whether probes work here, without
// changing or trying anything. The order is that in which obstacles are met.
func (fs FS) Check() []Section {
	p := fs.process()
	return []Section{
		{"This kernel", []Line{fs.checkArch(), fs.checkRelease(), fs.checkConfig(), fs.checkLockdown(), fs.checkKprobesArmed(), fs.checkFtrace()}},
		{"This process", []Line{p.checkRights(), fs.checkPerf(p), fs.checkContainer(p), p.checkSeccomp(), fs.checkKallsyms()}},
		{"Files of the kernel", []Line{fs.checkTracefs(p), fs.checkKprobeEvents(), fs.checkBTF()}},
	}
}
