package ringbuf

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func definition(id uint32, symbol string) *tick.Definition {
	d := tick.UndefDefinition
	d.PublisherID, d.InstrumentID, d.MinLotSizeRoundLot = 7, id, 100
	copy(d.RawSymbol[:], symbol)
	copy(d.Exchange[:], "XNAS")
	return &d
}

func TestInstFindsWhatWasPut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.inst")
	wr, err := CreateInst(path, 64, SideOptions{})
	w := must(t, wr, err)
	defer w.Close()
	rd, err := OpenInst(path)
	r := must(t, rd, err)
	defer r.Close()

	if _, ok := r.Lookup(7, 3); ok {
		t.Error("an empty directory has an entry")
	}
	for id := range uint32(44) { // load 0.7 of 64
		if err := w.Put(definition(id*1000, "S"+string(rune('A'+id%26))), 128+uint64(id)*520); err != nil {
			t.Fatalf("Put %d: %v", id, err)
		}
	}
	if err := w.Put(definition(99_999, "FULL"), 0); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("45th of 44 places: %v, want an error that says full", err)
	}
	for id := range uint32(44) {
		e, ok := r.Lookup(7, id*1000)
		if !ok || e.Symbol() != "S"+string(rune('A'+id%26)) || e.RoundLot != 100 || e.DefOffset != 128+uint64(id)*520 || e.Flags&InstNamed == 0 {
			t.Fatalf("Lookup %d: %+v %v", id*1000, e, ok)
		}
	}
	if _, ok := r.Lookup(8, 1000); ok {
		t.Error("another publisher's instrument was found")
	}
	if err := w.SetStatus(7, 1000, 8); err != nil {
		t.Fatal(err)
	}
	if e, _ := r.Lookup(7, 1000); e.StatusAction != 8 || e.Symbol() != "SB" {
		t.Errorf("after SetStatus: %+v", e)
	}
	before := r.Generation()
	w.Reset()
	if _, ok := r.Lookup(7, 1000); ok || r.Count() != 0 || r.Generation() != before+2 {
		t.Error("Reset left something behind")
	}
}

func TestLastIsTheLatest(t *testing.T) {
	dir := t.TempDir()
	iw, err := CreateInst(filepath.Join(dir, "f.inst"), 64, SideOptions{})
	inst := must(t, iw, err)
	defer inst.Close()
	lw, err := CreateLast(filepath.Join(dir, "f.last"), inst, 7, SideOptions{})
	w := must(t, lw, err)
	defer w.Close()
	ir, err := OpenInst(filepath.Join(dir, "f.inst"))
	instReader := must(t, ir, err)
	defer instReader.Close()
	lr, err := OpenLast(filepath.Join(dir, "f.last"), instReader)
	r := must(t, lr, err)
	defer r.Close()

	if _, ok := r.Last(7, 5); ok {
		t.Error("a value before any was put")
	}
	ids := []uint32{5, 6, 70_000} // the last one is beyond the dense cache
	for round := range int64(3) {
		for _, id := range ids {
			w.Put(id, &Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: tick.Header{PublisherID: 7, InstrumentID: id}, Price: round*10 + int64(id)}}, TsPublish: uint64(round)})
		}
		for _, id := range ids {
			rec, ok := r.Last(7, id)
			if !ok || rec.Price != round*10+int64(id) || rec.TsPublish != uint64(round) {
				t.Fatalf("round %d id %d: %+v %v", round, id, rec.Price, ok)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { w.Put(5, &Mbp1Slot{}) }); n != 0 {
		t.Errorf("Put allocates %v times", n)
	}
	w.Reset()
	if _, ok := r.Last(7, 5); ok {
		t.Error("Reset left a value")
	}
}

// A value that is read is one that was written: all its words are of one Put. The writer never pauses.
func TestLastIsNeverTorn(t *testing.T) {
	dir := t.TempDir()
	iw, err := CreateInst(filepath.Join(dir, "f.inst"), 16, SideOptions{})
	inst := must(t, iw, err)
	defer inst.Close()
	lw, err := CreateLast(filepath.Join(dir, "f.last"), inst, 7, SideOptions{})
	w := must(t, lw, err)
	defer w.Close()
	ir, err := OpenInst(filepath.Join(dir, "f.inst"))
	instReader := must(t, ir, err)
	defer instReader.Close()
	lr, err := OpenLast(filepath.Join(dir, "f.last"), instReader)
	r := must(t, lr, err)
	defer r.Close()

	of := tick.Header{PublisherID: 7, InstrumentID: 1}
	w.Put(1, &Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: of}}})
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		for n := uint64(1); ; n++ {
			select {
			case <-done:
				return
			default:
				w.Put(1, &Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: of, Price: int64(n), TsRecv: n}}, TsPublish: n, Plugin: [4]uint64{n, n, n, n}})
			}
		}
	}()
	whole := 0
	for range 200_000 {
		rec, ok := r.Last(7, 1)
		if !ok {
			continue
		}
		whole++
		n := rec.TsPublish
		if uint64(rec.Price) != n || rec.TsRecv != n || rec.Plugin != [4]uint64{n, n, n, n} {
			t.Fatalf("torn: %+v", rec)
		}
	}
	close(done)
	writer.Wait()
	if whole == 0 {
		t.Error("no value was read")
	}
}

func TestStatsAreReadByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed.stats")
	sw, err := CreateStats(path, 2, SideOptions{})
	w := must(t, sw, err)
	a := must(t, 0, nil)
	if a, err = w.Add("lane.0.messages", StatCounter); err != nil {
		t.Fatal(err)
	}
	b, err := w.Add("lane.0.live_orders", StatGauge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add("one.too.many", StatGauge); err == nil {
		t.Error("a third counter fits into a file of two")
	}
	if _, err := w.Add(strings.Repeat("x", statsNameBytes), StatGauge); err == nil {
		t.Error("a name without its NUL fits")
	}
	w.Set(a, 41)
	w.Set(a, 42)
	w.Set(b, 7)
	sr, err := OpenStats(path)
	r := must(t, sr, err)
	defer r.Close()
	got := r.Append(nil)
	want := []Stat{{"lane.0.messages", StatCounter, 42}, {"lane.0.live_orders", StatGauge, 7}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %v, want %v", got, want)
	}
	if r.Pid() != os.Getpid() {
		t.Errorf("pid %d, want %d", r.Pid(), os.Getpid())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w2, err := CreateStats(path, 2, SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w2.Close()
	if !r.Replaced() {
		t.Error("the reader of the old file is not told that there is a new one")
	}
}

func TestSnapshotsAreWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.snap")
	sw, err := CreateSnap(path, 1024, SideOptions{})
	w := must(t, sw, err)
	defer w.Close()
	sr, err := OpenSnap(path)
	r := must(t, sr, err)
	defer r.Close()
	var s Snapshot
	if err := r.Read(&s); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("before the first: %v, want ErrNoSnapshot", err)
	}
	for seq := uint64(1); seq <= 5; seq++ {
		w.Begin()
		for i := range seq * 100 {
			if err := w.Put(&tick.Mbo{OrderID: seq<<32 | i}); err != nil {
				t.Fatal(err)
			}
		}
		if seq > 1 { // the one before is still there while this one is being written
			if err := r.Read(&s); err != nil || s.Seq != seq-1 {
				t.Fatalf("while %d is written: %d, %v", seq, s.Seq, err)
			}
		}
		w.End(seq, 3, 99, seq*100)
		if err := r.Read(&s); err != nil || s.Seq != seq || s.Epoch != 3 || uint64(len(s.Records)) != seq*100 {
			t.Fatalf("snapshot %d: seq %d epoch %d, %d records, %v", seq, s.Seq, s.Epoch, len(s.Records), err)
		}
		for i, rec := range s.Records {
			if rec.OrderID != seq<<32|uint64(i) {
				t.Fatalf("snapshot %d record %d is of another: %x", seq, i, rec.OrderID)
			}
		}
	}
	w.Begin()
	for range 1024 {
		if err := w.Put(&tick.Mbo{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Put(&tick.Mbo{}); !errors.Is(err, ErrSnapSmall) {
		t.Errorf("one record too many: %v, want ErrSnapSmall", err)
	}
}

func TestDefinitionsFileIsDBN(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.definitions.dbn")
	dw, err := CreateDefinitions(path, "XNAS.ITCH", 5, SideOptions{})
	w := must(t, dw, err)
	for id := range uint32(3) {
		if off := w.Append(definition(id, "ABC")); off != 128+uint64(id)*520 {
			t.Errorf("definition %d at %d", id, off)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 128+3*520 || string(b[:4]) != "DBN\x03" || binary.LittleEndian.Uint32(b[4:]) != 120 || string(b[8:17]) != "XNAS.ITCH" {
		t.Errorf("%d bytes, beginning % x", len(b), b[:32])
	}
	for id := range 3 {
		if rec := b[128+id*520:]; rec[0] != 130 || rec[1] != tick.RTypeDefinition || rec[4] != byte(id) {
			t.Errorf("record %d begins % x", id, rec[:16])
		}
	}
}

// Every way in which a file can be no side file is its own sentence.
func TestSideFilesAreChecked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.stats")
	sw, err := CreateStats(path, 4, SideOptions{})
	w := must(t, sw, err)
	defer w.Close()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want 0640", st.Mode())
	}
	if _, err := CreateStats(path, 4, SideOptions{}); err == nil {
		t.Error("a second writer of the same name")
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, want string
		spoil      func([]byte) []byte
	}{
		{"empty", "less than its header", func(b []byte) []byte { return nil }},
		{"cut", "its header says", func(b []byte) []byte { return b[:len(b)-1] }},
		{"magic", "want \"TWSTAT01\"", func(b []byte) []byte { b[0]++; return b }},
		{"version", "ABI 2", func(b []byte) []byte { b[8] = 2; return b }},
		{"byte order", "byte order", func(b []byte) []byte { b[16], b[19] = b[19], b[16]; return b }},
		{"entry size", "entries of", func(b []byte) []byte { b[20]++; return b }},
		{"capacity", "do not fit", func(b []byte) []byte { b[31] = 0x10; return b }},
	} {
		bad := filepath.Join(dir, "bad")
		if err := os.WriteFile(bad, tc.spoil(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenStats(bad); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}
