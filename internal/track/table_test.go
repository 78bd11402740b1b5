package track_test

import (
	"slices"
	"testing"

	"github.com/skprobe/skprobe/internal/track"
)

func keys(t *track.Table[int, string]) (all []int) {
	t.All(func(k int, _ *string) bool { all = append(all, k); return true })
	return all
}

func TestTable(t *testing.T) {
	table := track.New[int, string](3)
	var gone []int
	table.Evict = func(k int, v *string) { gone = append(gone, k) }
	for i := range 3 {
		table.Put(i, "")
	}
	if table.Get(0) == nil || table.Get(7) != nil {
		t.Fatal("0 is there and 7 is not")
	}
	table.Put(3, "three") // 1 was not used for longest
	if got := keys(table); !slices.Equal(got, []int{2, 0, 3}) || !slices.Equal(gone, []int{1}) || table.Evicted() != 1 {
		t.Fatalf("%v are there, %v were forgotten, %d counted", got, gone, table.Evicted())
	}
	table.Put(2, "two")
	if v := table.Get(2); v == nil || *v != "two" || table.Len() != 3 {
		t.Fatalf("2 is %v of %d", v, table.Len())
	}
	table.All(func(k int, _ *string) bool { table.Delete(k); return true })
	table.Delete(2)
	if table.Len() != 0 || keys(table) != nil {
		t.Fatal("not empty")
	}
	table.Put(4, "four")
	if got := keys(table); !slices.Equal(got, []int{4}) {
		t.Fatal(got)
	}
}

// A table stays as small as it is told, and right, whatever is done with it.
func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 129, 2, 66, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const most = 5
		table := track.New[int, int](most)
		var order []int // of use, oldest first
		value := map[int]int{}
		forget := func(k int) {
			order = slices.DeleteFunc(order, func(o int) bool { return o == k })
		}
		var evicted uint64
		for i, op := range ops {
			k := int(op & 15)
			switch op >> 6 {
			case 0, 1:
				forget(k)
				if len(order) == most {
					order = order[1:]
					evicted++
				}
				order = append(order, k)
				value[k] = i
				table.Put(k, i)
			case 2:
				v := table.Get(k)
				if has := slices.Contains(order, k); has != (v != nil) || has && *v != value[k] {
					t.Fatalf("%d is %v", k, v)
				} else if has {
					forget(k)
					order = append(order, k)
				}
			case 3:
				forget(k)
				table.Delete(k)
			}
			var got []int
			table.All(func(k int, _ *int) bool { got = append(got, k); return true })
			if !slices.Equal(got, order) || table.Len() != len(order) || table.Evicted() != evicted {
				t.Fatalf("%v instead of %v", got, order)
			}
		}
	})
}
