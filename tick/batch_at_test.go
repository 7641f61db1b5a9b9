package tick

import "testing"

func TestSpread(t *testing.T) {
	b, err := NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	if !b.Spread() {
		t.Error("columns are not where AtSub … AtOldSize say: the constants must follow NewBatch, or assembly is not used")
	}
	b.Aux, b.Price = (*[MaxRows]uint64)(b.OrderID), b.OldPrice
	if b.Spread() {
		t.Error("columns that lie elsewhere are taken for those of NewBatch")
	}
}
