package ktype

import (
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skprobe/skprobe/fetchargs"
)

// TestAgainstCilium reads every struct, union, enum and function of this
// machine's kernel with another implementation and compares.
func TestAgainstCilium(t *testing.T) {
	b := kernelBTF(t)
	f, err := os.Open(vmlinuxBTF)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spec, err := btf.LoadSplitSpecFromReader(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	id := uint32(0)
	for want, err := range spec.All() {
		if err != nil {
			t.Fatal(err)
		}
		wantID, err := spec.TypeID(want)
		if err != nil {
			t.Fatal(err)
		}
		if id = uint32(wantID); id == 0 {
			continue
		}
		switch want.(type) {
		case *btf.Var, *btf.Datasec:
			continue
		}
		got, err := b.raw.convert(id, 0)
		if err != nil {
			t.Fatalf("type %d, %v: %v", id, want, err)
		}
		switch want := want.(type) {
		case *btf.Struct:
			count["struct"]++
			sameMembers(t, got, "struct "+want.Name, int(want.Size), want.Members)
		case *btf.Union:
			count["union"]++
			sameMembers(t, got, "union "+want.Name, int(want.Size), want.Members)
		case *btf.Enum:
			count["enum"]++
			if got.Kind != fetchargs.Enum || got.Size != int(want.Size) || got.Signed != want.Signed || len(got.Values) != len(want.Values) {
				t.Errorf("enum %s: %+v", want.Name, got)
				continue
			}
			for i, v := range want.Values {
				if got.Values[i].Name != v.Name || uint64(got.Values[i].Value) != v.Value {
					t.Errorf("enum %s: %v, want %v", want.Name, got.Values[i], v)
				}
			}
		case *btf.Func:
			count["func"]++
			proto := want.Type.(*btf.FuncProto)
			params := proto.Params
			if n := len(params); n > 0 && params[n-1].Name == "" && isVoid(params[n-1].Type) {
				params = params[:n-1]
			}
			if got.Kind != fetchargs.Func || got.Name != want.Name || len(got.Members) != len(params) {
				t.Errorf("%s: %s", want.Name, got)
				continue
			}
			for i, p := range params {
				if got.Members[i].Name != p.Name || got.Members[i].Offset != i || kindOf(p.Type) != got.Members[i].Type.Kind {
					t.Errorf("%s: parameter %d is %+v, want %v", want.Name, i, got.Members[i], p)
				}
			}
		}
	}
	if last := uint32(len(b.raw.starts)); id > last || id+1000 < last {
		t.Errorf("types up to %d, want %d", last, id)
	}
	t.Log(count)
	if count["struct"] < 1000 || count["func"] < 10000 {
		t.Error("too few")
	}
}

func isVoid(t btf.Type) bool {
	_, ok := t.(*btf.Void)
	return ok
}

func kindOf(t btf.Type) fetchargs.TypeKind {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		if t.Encoding&btf.Bool != 0 {
			return fetchargs.Bool
		}
		return fetchargs.Int
	case *btf.Pointer:
		return fetchargs.Pointer
	case *btf.Array:
		return fetchargs.Array
	case *btf.Struct:
		return fetchargs.Struct
	case *btf.Union:
		return fetchargs.Union
	case *btf.Enum:
		return fetchargs.Enum
	case *btf.FuncProto:
		return fetchargs.Func
	case *btf.Float:
		return fetchargs.Float
	case *btf.Fwd:
		if t.Kind == btf.FwdUnion {
			return fetchargs.Union
		}
		return fetchargs.Struct
	}
	return fetchargs.Void
}

func sameMembers(t *testing.T, got *fetchargs.Type, name string, size int, want []btf.Member) {
	if got.Size != size || len(got.Members) != len(want) || got.Name != "" && got.Name != name {
		t.Errorf("%s: %+v", name, got)
		return
	}
	for i, w := range want {
		m := got.Members[i]
		wantSize, err := btf.Sizeof(w.Type)
		off := m.Offset*8 + m.BitOffset
		if m.Name != w.Name || off != int(w.Offset) || m.BitSize != int(w.BitfieldSize) || err == nil && wantSize != m.Type.Size || kindOf(w.Type) != m.Type.Kind {
			t.Errorf("%s: member %+v (%s), want %v", name, m, m.Type, w)
		}
	}
}
