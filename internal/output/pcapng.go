package output

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"unicode/utf8"

	"github.com/skprobe/skprobe/internal/event"
)

// The form of a pcapng file, draft-ietf-opsawg-pcapng: blocks that begin and
// end with their length, in our byte order, options in them, everything padded
// to four bytes.
//
// It is written by hand: pcapgo's writer, the reference in the tests, makes the
// program by 2 MB (a quarter) larger, wants an interface before the first packet
// is seen, and allocates for every comment.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockStats     = 5
	blockPacket    = 6 // enhanced packet block

	byteOrder = 0x1a2b3c4d

	optEnd       = 0
	optComment   = 1
	optHardware  = 2 // of a section
	optOS        = 3
	optProgram   = 4
	optName      = 2 // of an interface
	optDesc      = 3
	optPrecision = 9

	linkEthernet = 1
	linkRaw      = 101 // an IP packet without a link layer

	maxComment = 4096
)

// A pcapngSink writes the packets of events, for Wireshark and others. What the
// packet itself does not tell is its comment.
type pcapngSink struct {
	buffer
	schema  *event.Schema
	frame   int   // index of the columns, -1 where there is none
	devs    []int // of which the first that is present names the interface
	netns   int
	comment []int // columns that are not the packet's own
	stack   bool

	interfaces map[netInterface]uint32
	key        []byte
	text       []byte // the comment
	scratch    []byte
	start      int // of the block that is being written
	without    uint64
}

// A netInterface is where packets of one sort of link layer were.
type netInterface struct {
	name  string
	netns uint64
	link  bool
}

// maxInterfaces bounds what is remembered: a name and a namespace that are seen
// for the first time after so many have no block of their own.
const maxInterfaces = 4096

// NewPackets returns a sink that writes the packets of the events in pcapng,
// from their column of frames, with nanoseconds. program is what the file says has
// written it. Events without a packet are left out: [Without] counts them.
func NewPackets(w io.Writer, schema *event.Schema, program string, opts Options) (Sink, error) {
	if err := check(schema); err != nil {
		return nil, err
	}
	s := &pcapngSink{buffer: newBuffer(w), schema: schema, frame: frameColumn(schema), netns: schema.Column("netns"),
		stack: opts.Stack, interfaces: map[netInterface]uint32{}}
	if s.frame < 0 {
		return nil, fmt.Errorf("%s: its events have no packets to write", schema.Tool)
	}
	dev := schema.Column("dev")
	for _, i := range []int{dev, schema.Column("indev"), schema.Column("outdev")} {
		if i >= 0 {
			s.devs = append(s.devs, i)
		}
	}
	for i, c := range schema.Columns {
		if !c.Packet && i != dev && i != s.netns {
			s.comment = append(s.comment, i)
		}
	}
	s.begin(blockSection)
	s.b = binary.LittleEndian.AppendUint32(s.b, byteOrder)
	s.b = binary.LittleEndian.AppendUint16(s.b, 1) // version 1.0
	s.b = binary.LittleEndian.AppendUint16(s.b, 0)
	s.b = binary.LittleEndian.AppendUint64(s.b, ^uint64(0)) // length of the section: not known
	s.option(optHardware, []byte(runtime.GOARCH))
	s.option(optOS, []byte("Linux"))
	s.option(optProgram, []byte(program))
	s.end()
	return s, nil
}

// frameColumn is the index of the first column of frames, -1 for none.
func frameColumn(schema *event.Schema) int {
	return slices.IndexFunc(schema.Columns, func(c event.Column) bool { return c.Kind == event.Frame })
}

// Without returns how many events had no packet, for a sink of NewPackets.
func Without(s Sink) uint64 {
	if p, ok := s.(*pcapngSink); ok {
		return p.without
	}
	return 0
}

func (s *pcapngSink) Event(e *event.Event) error {
	v := e.Value(s.frame)
	if v == nil {
		s.without++
		return s.err
	}
	frame, size, link := v.Frame()
	id := s.on(e, link)
	s.begin(blockPacket)
	s.b = binary.LittleEndian.AppendUint32(s.b, id)
	s.b = binary.LittleEndian.AppendUint32(s.b, uint32(uint64(e.Wall)>>32))
	s.b = binary.LittleEndian.AppendUint32(s.b, uint32(e.Wall))
	s.b = binary.LittleEndian.AppendUint32(s.b, uint32(len(frame)))
	s.b = binary.LittleEndian.AppendUint32(s.b, max(size, uint32(len(frame))))
	s.b = append(s.b, frame...)
	s.pad()
	s.option(optComment, s.commentOn(e))
	s.end()
	if len(s.b) < bufferSize {
		return s.err
	}
	return s.Flush()
}

// on returns the number of the interface that an event's packet was on, which
// is described before its first packet.
func (s *pcapngSink) on(e *event.Event, link bool) uint32 {
	s.key = s.key[:0]
	for _, dev := range s.devs {
		if v := e.Value(dev); v != nil {
			s.key = appendValue(s.key, s.schema.Columns[dev].Kind, v)
			break
		}
	}
	var netns uint64
	if v := e.Value(s.netns); v != nil {
		netns = v.Num
	}
	if id, ok := s.interfaces[netInterface{string(s.key), netns, link}]; ok {
		return id
	}
	if len(s.interfaces) >= maxInterfaces {
		s.key, netns = s.key[:0], 0
		if id, ok := s.interfaces[netInterface{"", 0, link}]; ok {
			return id
		}
	}
	id := uint32(len(s.interfaces))
	s.interfaces[netInterface{string(s.key), netns, link}] = id
	s.begin(blockInterface)
	linkType := uint16(linkRaw)
	if link {
		linkType = linkEthernet
	}
	s.b = binary.LittleEndian.AppendUint16(s.b, linkType)
	s.b = append(s.b, 0, 0)
	s.b = binary.LittleEndian.AppendUint32(s.b, 0) // no limit
	if len(s.key) > 0 {
		s.scratch, _ = appendVisible(s.scratch[:0], s.key)
		s.option(optName, s.scratch)
	}
	if netns != 0 {
		s.option(optDesc, appendUint([]byte("network namespace "), netns))
	}
	s.option(optPrecision, []byte{9}) // nanoseconds
	s.end()
	return id
}

// commentOn says of a packet what its bytes do not.
func (s *pcapngSink) commentOn(e *event.Event) []byte {
	t := append(s.text[:0], e.Name...)
	if e.Task {
		t = appendUint(append(t, " pid="...), uint64(e.PID))
		if e.Comm != "" {
			t = append(t, " comm="...)
			t, _ = appendVisible(t, []byte(e.Comm))
		}
	}
	for _, i := range s.comment {
		v := e.Value(i)
		if v == nil {
			continue
		}
		t = append(append(append(t, ' '), s.schema.Columns[i].Name...), '=')
		s.scratch = appendValue(s.scratch[:0], s.schema.Columns[i].Kind, v)
		t, _ = appendVisible(t, s.scratch)
	}
	if s.stack {
		for _, addr := range e.Stack {
			s.scratch = appendFrame(s.scratch[:0], s.schema, addr)
			t, _ = appendVisible(append(t, '\n'), s.scratch)
		}
	}
	for _, frame := range e.UserStack {
		t, _ = appendVisible(append(t, '\n'), []byte(frame))
	}
	s.text = t
	n := min(len(t), maxComment)
	for n < len(t) && !utf8.RuneStart(t[n]) {
		n--
	}
	return t[:n]
}

// Close ends the file. Where events were lost, it says so.
func (s *pcapngSink) Close(sum Summary) error {
	if !sum.Complete() && len(s.interfaces) > 0 {
		s.begin(blockStats)
		s.b = append(s.b, make([]byte, 12)...) // of the first interface, at no time
		s.option(optComment, []byte("skprobe: "+sum.String()))
		s.end()
	}
	return s.Flush()
}

// begin begins a block.
func (s *pcapngSink) begin(kind uint32) {
	s.start = len(s.b)
	s.b = binary.LittleEndian.AppendUint32(s.b, kind)
	s.b = append(s.b, 0, 0, 0, 0) // its length
}

// option adds an option to the block.
func (s *pcapngSink) option(code uint16, value []byte) {
	s.b = binary.LittleEndian.AppendUint16(s.b, code)
	s.b = binary.LittleEndian.AppendUint16(s.b, uint16(len(value)))
	s.b = append(s.b, value...)
	s.pad()
}

// pad fills up to a whole number of words from the beginning of the block.
func (s *pcapngSink) pad() {
	for (len(s.b)-s.start)%4 != 0 {
		s.b = append(s.b, 0)
	}
}

// end ends a block and its options.
func (s *pcapngSink) end() {
	s.b = append(s.b, optEnd, 0, 0, 0)
	size := uint32(len(s.b) - s.start + 4)
	s.b = binary.LittleEndian.AppendUint32(s.b, size)
	binary.LittleEndian.PutUint32(s.b[s.start+4:], size)
}
