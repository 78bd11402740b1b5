package tracefs

import (
	"strconv"
	"strings"
)

// instancesDir is where the kernel keeps tracing instances.
const instancesDir = "instances"

// SweptInstance is a tracing instance of a dead skprobe.
type SweptInstance struct {
	Name string
	Err  error // why it remains; nil if it is gone
}

// instanceName is the name of the n-th instance of an owner: that of its group, from the second on with a number behind.
func (o owner) instanceName(n int) string {
	if n == 1 {
		return o.group()
	}
	return o.group() + "_" + strconv.Itoa(n)
}

// parseInstance returns the owner of an instance. A name that is not exactly what instanceName makes is not ours.
func parseInstance(name string) (owner, bool) {
	if o, ok := parseOwner(name); ok {
		return o, true
	}
	i := strings.LastIndexByte(name, '_')
	if i < 0 {
		return owner{}, false
	}
	n, err := strconv.Atoi(name[i+1:])
	if err != nil || n < 2 {
		return owner{}, false
	}
	o, ok := parseOwner(name[:i])
	return o, ok && o.instanceName(n) == name
}
