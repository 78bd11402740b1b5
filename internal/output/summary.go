package output

import (
	"strconv"
	"strings"
)

// A Summary is how much of what happened was shown.
type Summary struct {
	Events  uint64 // written
	Lost    uint64 // overwritten in the rings before they were read
	Missed  uint64 // the kernel could not run the probe
	Dropped uint64 // read, but the sink was too slow for them
}

// Complete tells whether nothing was lost.
func (s Summary) Complete() bool {
	return s.Lost == 0 && s.Missed == 0 && s.Dropped == 0
}

// String returns one line such as "12 events, 3 lost in the rings".
func (s Summary) String() string {
	var b strings.Builder
	b.WriteString(strconv.FormatUint(s.Events, 10))
	if s.Events == 1 {
		b.WriteString(" event")
	} else {
		b.WriteString(" events")
	}
	for _, loss := range []struct {
		n    uint64
		text string
	}{
		{s.Lost, " lost in the rings"},
		{s.Missed, " missed by the kernel"},
		{s.Dropped, " dropped because the output was too slow"},
	} {
		if loss.n > 0 {
			b.WriteString(", ")
			b.WriteString(strconv.FormatUint(loss.n, 10))
			b.WriteString(loss.text)
		}
	}
	return b.String()
}
