package tick

import (
	"reflect"
	"testing"
	"unsafe"
)

// Every column begins on a cache line, no two overlap, and no two begin in the same set of a first-level cache.
func TestBatchLayout(t *testing.T) {
	b, err := NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Free(); err != nil {
			t.Error(err)
		}
	}()
	type span struct {
		name       string
		start, end uintptr
	}
	var spans []span
	v := reflect.ValueOf(b).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() != reflect.Pointer || f.Type().Elem().Kind() != reflect.Array {
			continue
		}
		start := uintptr(f.UnsafePointer())
		spans = append(spans, span{v.Type().Field(i).Name, start, start + f.Type().Elem().Size()})
	}
	if len(spans) != 23 {
		t.Fatalf("%d columns found, want 23", len(spans))
	}
	inPage := map[uintptr]string{}
	for i, s := range spans {
		if s.start%cacheLine != 0 {
			t.Errorf("%s begins at %#x, not on a cache line", s.name, s.start)
		}
		if i > 0 && s.start < spans[i-1].end {
			t.Errorf("%s overlaps %s", s.name, spans[i-1].name)
		}
		if i < 18 { // the columns; side tables are touched seldom
			if other, taken := inPage[s.start%pageBytes]; taken {
				t.Errorf("%s and %s begin at the same place of a page", s.name, other)
			}
			inPage[s.start%pageBytes] = s.name
		}
	}
}

func TestBatchFull(t *testing.T) {
	b, err := NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	b.N = MaxRows - 1
	if b.Full() {
		t.Error("full with a row left")
	}
	b.N = MaxRows
	if !b.Full() {
		t.Error("not full without a row left")
	}
	b.Reset()
	b.Sides.Definitions = MaxSideRows - SideRoom
	if b.Full() {
		t.Error("full with room for one more message in a side table")
	}
	b.Sides.Definitions++
	if !b.Full() {
		t.Error("not full without room for one more message in a side table")
	}
}

// BenchmarkStagger shows why columns start at different places of a page: the same twelve stores a row, once into
// the batch, once into columns that all start at the same place.
//
//	budget  staggered no slower than aligned
func BenchmarkStagger(b *testing.B) {
	const columns, rows = 12, 512
	for _, tc := range []struct {
		name   string
		stride int
	}{{"staggered", MaxRows*8 + stagger}, {"aligned", MaxRows * 8}} {
		b.Run(tc.name, func(b *testing.B) {
			mem := make([]uint64, columns*(MaxRows*8+stagger)/8+1)
			base := unsafe.Pointer(&mem[0])
			var cols [columns]*[MaxRows]uint64
			for c := range cols {
				cols[c] = (*[MaxRows]uint64)(unsafe.Add(base, c*tc.stride))
			}
			for b.Loop() {
				for i := range rows {
					for c := range cols {
						cols[c][i&RowMask] = uint64(i)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
