package event

import "slices"

// HasPackets tells whether events of the tool can have the bytes of packets:
// the column "frame", on request.
func (t *Tool) HasPackets() bool {
	var has func(all []Probe) bool
	has = func(all []Probe) bool {
		return slices.ContainsFunc(all, func(p Probe) bool { return slices.ContainsFunc(p.Fields, isPacket) || has(p.Else) })
	}
	return slices.ContainsFunc(t.Events, func(s Source) bool { return has(s.Probes) })
}

func isPacket(f Field) bool {
	return f.Kind == nil && f.KindName == packetName || f.Kind != nil && f.Kind.Snap != nil
}

// Snap returns the tool with n bytes of each packet from skb->data on, instead
// of what its kinds take.
func (t *Tool) Snap(n int) *Tool {
	c := *t
	c.Events = slices.Clone(t.Events)
	for i := range c.Events {
		c.Events[i].Probes = snapped(c.Events[i].Probes, n)
	}
	return &c
}

func snapped(probes []Probe, n int) []Probe {
	probes = slices.Clone(probes)
	for i := range probes {
		p := &probes[i]
		p.Else = snapped(p.Else, n)
		p.Fields = slices.Clone(p.Fields)
		for j := range p.Fields {
			f := &p.Fields[j]
			switch {
			case !isPacket(*f):
			case f.Kind == nil:
				f.Kind = Packet().Snap(n)
			default:
				f.Kind = f.Kind.Snap(n)
			}
		}
	}
	return probes
}
