package decode

import (
	"encoding/binary"
	"testing"

	"github.com/elastic/beats/v7/auditbeat/tracing"
)

// A call has what skprobe takes out of the same record, as auditbeat's decoder can give it: numbers as they lie there, without
// byte order, addresses, or what is true of a nil pointer.
type call struct {
	Meta      tracing.Metadata `kprobe:"metadata"`
	Daddr     uint32           `kprobe:"daddr"`
	RcvSaddr  uint32           `kprobe:"rcv_saddr"`
	Dport     uint16           `kprobe:"dport"`
	Num       uint16           `kprobe:"num"`
	Family    uint16           `kprobe:"family"`
	State     uint8            `kprobe:"state"`
	Size      uint64           `kprobe:"size"`
	Pending   uint32           `kprobe:"pending"`
	CorkDaddr uint32           `kprobe:"cork_daddr"`
	CorkDport uint16           `kprobe:"cork_dport"`
	Name      uint64           `kprobe:"name"`
	ToFamily  uint16           `kprobe:"to_family"`
	ToPort    uint16           `kprobe:"to_port"`
	ToAddr    uint32           `kprobe:"to_addr"`
}

// auditbeat makes its decoder for the recorded records. It knows no arrays and no parts of words, so that its description of the
// format is one with a field for each value.
func (r *recording) auditbeat(t testing.TB, alloc tracing.AllocateFn) tracing.Decoder {
	t.Helper()
	format := tracing.ProbeFormat{Fields: map[string]tracing.Field{}}
	for _, f := range []struct {
		name, arg string
		at, size  int
	}{
		{"daddr", "a1", 0, 4}, {"rcv_saddr", "a1", 4, 4}, {"dport", "a2", 0, 2}, {"num", "a2", 2, 2}, {"family", "a2", 4, 2}, {"state", "a2", 6, 1},
		{"size", "a0", 0, 8}, {"pending", "a4", 0, 4}, {"cork_daddr", "a3", 0, 4}, {"cork_dport", "a3", 4, 2}, {"name", "a5", 0, 8},
		{"to_family", "a6", 0, 2}, {"to_port", "a6", 2, 2}, {"to_addr", "a6", 4, 4},
	} {
		format.Fields[f.name] = tracing.Field{Name: f.name, Offset: r.offset(t, f.arg) + f.at, Size: f.size, Type: tracing.FieldTypeInteger}
	}
	d, err := tracing.NewStructDecoder(format, alloc)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newCall is how auditbeat itself uses its decoder: its events live longer than their records.
func newCall() any { return new(call) }

func TestAuditbeat(t *testing.T) {
	r := load(t)
	d := r.auditbeat(t, newCall)
	for i, record := range r.records {
		v, err := d.Decode(record, tracing.Metadata{})
		if err != nil {
			t.Fatal(err)
		}
		var port [2]byte
		binary.NativeEndian.PutUint16(port[:], v.(*call).ToPort)
		if n := binary.BigEndian.Uint16(port[:]); int(n) != firstPort+i {
			t.Errorf("record %d: port %d", i, n)
		}
		if n := v.(*call).Size; n != uint64(firstSize+i) {
			t.Errorf("record %d: size %d", i, n)
		}
	}
}
