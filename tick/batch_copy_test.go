package tick

import (
	"bytes"
	"reflect"
	"testing"
	"unsafe"
)

// TestCopyRows: every column is copied, those of a column that is new too, and nothing behind the rows.
func TestCopyRows(t *testing.T) {
	from, err := NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Free()
	to, err := NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Free()
	const rows = 77
	columns := func(b *Batch) (all [][]byte, names []string) {
		v := reflect.ValueOf(b).Elem()
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Array && f.Type().Elem().Len() == MaxRows {
				bytes := unsafe.Slice((*byte)(f.UnsafePointer()), f.Type().Elem().Size())
				all, names = append(all, bytes), append(names, v.Type().Field(i).Name)
			}
		}
		return all, names
	}
	theirs, names := columns(from)
	for k, c := range theirs {
		for i := range c {
			c[i] = byte(i + k + 1)
		}
	}
	from.N, from.Sides.Exts = rows, 3
	to.CopyRows(from)
	ours, _ := columns(to)
	if to.N != rows || to.Sides != (SideCounts{}) || len(names) != 18 {
		t.Fatalf("%d rows, %+v, columns %v", to.N, to.Sides, names)
	}
	for k, c := range ours {
		of := len(c) / MaxRows * rows
		if !bytes.Equal(c[:of], theirs[k][:of]) {
			t.Errorf("column %s is not copied", names[k])
		}
		if !bytes.Equal(c[of:], make([]byte, len(c)-of)) {
			t.Errorf("column %s is copied behind the rows", names[k])
		}
	}
}
