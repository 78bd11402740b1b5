package perfring

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// rec makes a perf record: header, and words of 8 bytes.
func rec(kind uint32, misc uint16, body ...[]byte) []byte {
	b := make([]byte, headerSize)
	for _, part := range body {
		b = append(b, part...)
	}
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	order.PutUint32(b, kind)
	order.PutUint16(b[4:], misc)
	order.PutUint16(b[6:], uint16(len(b)))
	return b
}

func u32(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

func u64(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

// id is the end of records that are no samples.
func id(pid, tid uint32, time uint64) []byte {
	return append(u32(pid, tid), u64(time)...)
}

func sample(pid, tid uint32, time uint64, raw []byte) []byte {
	padded := append([]byte{}, raw...)
	for (len(padded)+4)%8 != 0 {
		padded = append(padded, 0)
	}
	return rec(typeSample, 0, id(pid, tid, time), u32(uint32(len(padded))), padded)
}

func TestDecode(t *testing.T) {
	stack := rec(typeSample, 0, id(10, 11, 99),
		u64(3, 1<<64-128, 0xffffffff81000000, 0xffffffff81000010), u32(4), []byte("data"))
	both := rec(typeSample, 0, id(10, 11, 99),
		u64(5, 1<<64-128, 0xffffffff81000000, 1<<64-512, 0x401000, 0x402000), u32(4), []byte("data"))
	user := rec(typeSample, 0, id(10, 11, 99), u64(2, 1<<64-512, 0x401000), u32(4), []byte("data"))
	for name, test := range map[string]struct {
		in    []byte
		stack bool
		want  Record
	}{
		"sample": {
			in:   sample(10, 11, 99, []byte("0123456789ab")),
			want: Record{Kind: Sample, PID: 10, TID: 11, Time: 99, Raw: []byte("0123456789ab")},
		},
		"sample with stack": {
			in: stack, stack: true,
			want: Record{Kind: Sample, PID: 10, TID: 11, Time: 99, Raw: []byte("data"),
				Stack: []uint64{0xffffffff81000000, 0xffffffff81000010}},
		},
		"sample with both stacks": {
			in: both, stack: true,
			want: Record{Kind: Sample, PID: 10, TID: 11, Time: 99, Raw: []byte("data"),
				Stack: []uint64{0xffffffff81000000}, UserStack: []uint64{0x401000, 0x402000}},
		},
		"sample with the program's stack": {
			in: user, stack: true,
			want: Record{Kind: Sample, PID: 10, TID: 11, Time: 99, Raw: []byte("data"),
				Stack: []uint64{}, UserStack: []uint64{0x401000}},
		},
		"name": {
			in:   rec(typeComm, 0, u32(10, 11), []byte("dnsmasq\x00"), id(1, 2, 99)),
			want: Record{Kind: Comm, PID: 10, TID: 11, Time: 99, Comm: []byte("dnsmasq")},
		},
		"name by exec": {
			in:   rec(typeComm, miscCommExec, u32(10, 11), []byte("a\x00\x00\x00\x00\x00\x00\x00"), id(10, 11, 99)),
			want: Record{Kind: Comm, Exec: true, PID: 10, TID: 11, Time: 99, Comm: []byte("a")},
		},
		"fork": {
			in:   rec(typeFork, 0, u32(10, 20, 11, 21), u64(98), id(20, 21, 99)),
			want: Record{Kind: Fork, PID: 10, PPID: 20, TID: 11, PTID: 21, Time: 99},
		},
		"exit": {
			in:   rec(typeExit, 0, u32(10, 20, 11, 21), u64(98), id(10, 11, 99)),
			want: Record{Kind: Exit, PID: 10, PPID: 20, TID: 11, PTID: 21, Time: 99},
		},
		"lost": {
			in:   rec(typeLost, 0, u64(7, 42), id(10, 11, 99)),
			want: Record{Kind: Lost, PID: 10, TID: 11, Time: 99, Lost: 42},
		},
		"lost samples": {
			in:   rec(typeLostSamples, 0, u64(42), id(10, 11, 99)),
			want: Record{Kind: Lost, PID: 10, TID: 11, Time: 99, Lost: 42},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Record{Comm: []byte("old"), Stack: []uint64{1}, UserStack: []uint64{2}, Raw: []byte("old"), Lost: 1, PPID: 1, PTID: 1, Exec: true}
			known, err := got.decode(test.in, test.stack)
			if !known || err != nil {
				t.Fatal(known, err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(Record{})); diff != "" {
				t.Error(diff)
			}
			// Every shorter record is an error, whatever its header says, except where only padding or the name's end is cut.
			for n := range len(test.in) {
				short := append([]byte{}, test.in[:n]...)
				if _, err := got.decode(short, test.stack); err == nil {
					t.Errorf("%d of %d bytes: no error", n, len(test.in))
				}
				if n >= headerSize {
					order.PutUint16(short[6:], uint16(n))
					got.decode(short, test.stack) // must not panic
				}
			}
		})
	}
}

func TestDecodeUnknown(t *testing.T) {
	var r Record
	for _, kind := range []uint32{0, 1, 5, 6, 8, 14, 21, 1 << 31} {
		if known, err := r.decode(rec(kind, 0, u64(1, 2, 3)), false); known || err != nil {
			t.Errorf("type %d: %v, %v", kind, known, err)
		}
	}
}

func TestDecodeLies(t *testing.T) {
	var r Record
	for name, in := range map[string][]byte{
		"raw longer than the record":   rec(typeSample, 0, id(1, 1, 1), u32(1000, 0)),
		"stack longer than the record": rec(typeSample, 0, id(1, 1, 1), u64(1<<61, 0)),
		"stack and no raw":             rec(typeSample, 0, id(1, 1, 1), u64(1, 5)),
	} {
		if _, err := r.decode(in, name != "raw longer than the record"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample(10, 11, 99, []byte("0123456789ab")), false)
	f.Add(rec(typeSample, 0, id(1, 1, 1), u64(1, 5), u32(4, 0)), true)
	f.Add(rec(typeComm, 0, u32(10, 11), []byte("dnsmasq\x00"), id(1, 2, 99)), false)
	f.Add(rec(typeFork, 0, u32(10, 20, 11, 21), u64(98), id(20, 21, 99)), false)
	f.Add(rec(typeLost, 0, u64(7, 42), id(10, 11, 99)), false)
	f.Fuzz(func(t *testing.T, b []byte, stack bool) {
		if len(b) >= headerSize {
			order.PutUint16(b[6:], uint16(len(b))) // else nearly all is refused at once
		}
		var r Record
		known, err := r.decode(b, stack)
		if err == nil && known && (r.Kind < Sample || r.Kind > Lost) {
			t.Errorf("kind %d", r.Kind)
		}
		if len(r.Raw) > len(b) || len(r.Comm) > len(b) || len(r.Stack) > len(b)/8 {
			t.Errorf("more out than in: %+v", r)
		}
	})
}
