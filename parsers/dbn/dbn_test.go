package dbn

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/klauspost/compress/zstd"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/tick"
)

type expected struct {
	DecodedBytes int             `json:"decoded_bytes"`
	Metadata     json.RawMessage `json:"metadata"`
	Version      uint8           `json:"record_version"`
	Count        int             `json:"record_count"`
	Records      []any           `json:"records"`
}

func vectors(t *testing.T) (string, map[string]expected) {
	dir := testvec.Dir(t, "dbn")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]expected
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return dir, all
}

func open(t *testing.T, path string, want *expected) *Reader {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	var r *Reader
	if string(want.Metadata) == "null" {
		r, err = NewFragmentReader(file, want.Version)
	} else {
		r, err = NewReader(file)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Every field of every record of every file, as the file's own version has it.
func TestVectors(t *testing.T) {
	dir, all := vectors(t)
	if len(all) < 80 {
		t.Fatalf("only %d files", len(all))
	}
	for name, want := range all {
		r := open(t, filepath.Join(dir, name), &want)
		if m := r.Metadata(); m != nil {
			compareMetadata(t, name, m, want.Metadata)
		}
		for i := 0; ; i++ {
			rec, err := r.NextRaw()
			if err == io.EOF {
				if i != want.Count {
					t.Errorf("%s: %d records, want %d", name, i, want.Count)
				}
				break
			}
			if err != nil {
				t.Fatalf("%s record %d: %v", name, i, err)
			}
			text, ok := AppendFields(nil, rec, r.Version(), r.TsOut())
			if !ok {
				t.Fatalf("%s record %d is shorter than its type", name, i)
			}
			var got any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%s record %d: %v in %s", name, i, err, text)
			}
			if !reflect.DeepEqual(got, want.Records[i]) {
				t.Errorf("%s record %d:\ngot  %v\nwant %v", name, i, got, want.Records[i])
			}
		}
		if r.offset != int64(want.DecodedBytes) {
			t.Errorf("%s: read to byte %d of %d", name, r.offset, want.DecodedBytes)
		}
	}
}

func compareMetadata(t *testing.T, name string, m *Metadata, text json.RawMessage) {
	t.Helper()
	var want struct {
		Version   uint8
		Length    int
		Dataset   string
		Schema    string
		Start     uint64 `json:",string"`
		End       uint64 `json:",string"`
		Limit     uint64 `json:",string"`
		STypeIn   string `json:"stype_in"`
		STypeOut  string `json:"stype_out"`
		TsOut     bool   `json:"ts_out"`
		SymbolLen int    `json:"symbol_cstr_len"`
		Symbols   []string
		Partial   []string
		NotFound  []string `json:"not_found"`
		Mappings  []struct {
			RawSymbol string `json:"raw_symbol"`
			Intervals []struct {
				Start  uint32 `json:"start_date"`
				End    uint32 `json:"end_date"`
				Symbol string
			}
		}
		Padding int `json:"end_padding"`
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	schema, in := m.Schema.String(), m.STypeIn.String()
	if schema == "mixed" && want.Schema == "" {
		schema = ""
	}
	if in == "mixed" && want.STypeIn == "" {
		in = ""
	}
	if m.Version != want.Version || m.length != want.Length || m.Dataset != want.Dataset || schema != want.Schema ||
		m.Start != want.Start || m.End != want.End || m.Limit != want.Limit || in != want.STypeIn ||
		m.STypeOut.String() != want.STypeOut || m.TsOut != want.TsOut || m.symbolLen != want.SymbolLen ||
		(m.Version == 3 && m.padding != want.Padding) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", name, m, want)
	}
	same := func(got, want []string) bool { return strings.Join(got, "|") == strings.Join(want, "|") }
	if !same(m.Symbols, want.Symbols) || !same(m.Partial, want.Partial) || !same(m.NotFound, want.NotFound) || len(m.Mappings) != len(want.Mappings) {
		t.Fatalf("%s: lists %+v, want %+v", name, m, want)
	}
	for i, mapping := range m.Mappings {
		w := want.Mappings[i]
		if mapping.RawSymbol != w.RawSymbol || len(mapping.Intervals) != len(w.Intervals) {
			t.Fatalf("%s: mapping %+v, want %+v", name, mapping, w)
		}
		for k, v := range mapping.Intervals {
			if v.Start != w.Intervals[k].Start || v.End != w.Intervals[k].End || v.Symbol != w.Intervals[k].Symbol {
				t.Errorf("%s: interval %+v, want %+v", name, v, w.Intervals[k])
			}
		}
	}
}

// A version 3 file that is decoded and encoded again is the same bytes.
func TestRoundTrip(t *testing.T) {
	dir, all := vectors(t)
	files := 0
	for name, want := range all {
		if string(want.Metadata) == "null" || !strings.Contains(name, ".v3.") {
			continue
		}
		files++
		raw := inflate(t, filepath.Join(dir, name))
		r, err := NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, compressed := range []bool{false, true} {
			var out bytes.Buffer
			w, err := NewWriter(&out, r.Metadata(), compressed)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			again, err := NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			for rec, err := again.Next(); err == nil; rec, err = again.Next() {
				if err := w.Write(rec); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got := out.Bytes()
			if compressed {
				path := filepath.Join(t.TempDir(), "x.zst")
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
				got = inflate(t, path)
			}
			if !bytes.Equal(got, raw) {
				t.Errorf("%s (zstd %v): %d bytes came back as %d others", name, compressed, len(raw), len(got))
			}
		}
	}
	if files == 0 {
		t.Error("no version 3 file")
	}
}

func inflate(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(b, zstdMagic) {
		return b
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out, err := d.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Records of versions 1 and 2, upgraded, are those of the version 3 file of the same data.
func TestUpgrade(t *testing.T) {
	dir, all := vectors(t)
	compared := 0
	for name, want := range all {
		version := "v1"
		if !strings.Contains(name, ".v1.") {
			version = "v2"
		}
		newer := strings.Replace(name, "."+version+".", ".v3.", 1)
		wantNewer, ok := all[newer]
		if newer == name || !ok {
			continue
		}
		a, b := open(t, filepath.Join(dir, name), &want), open(t, filepath.Join(dir, newer), &wantNewer)
		for i := 0; ; i++ {
			got, errA := a.Next()
			old := bytes.Clone(got)
			exp, errB := b.Next()
			if errA == io.EOF && errB == io.EOF {
				break
			}
			if errA != nil || errB != nil {
				t.Fatalf("%s record %d: %v, %v", name, i, errA, errB)
			}
			compared++
			if !bytes.Equal(old, exp) {
				g, _ := AppendFields(nil, old, 3, false)
				w, _ := AppendFields(nil, exp, 3, false)
				t.Errorf("%s record %d upgraded:\ngot  %s\nwant %s", name, i, g, w)
			}
		}
	}
	if compared < 40 {
		t.Errorf("only %d records compared", compared)
	}
}

func TestLayoutSizes(t *testing.T) {
	for _, tc := range []struct {
		rtype, version uint8
		want           int
	}{
		{tick.RTypeMbo, 3, 56}, {tick.RTypeTrade, 3, 48}, {tick.RTypeMbp1, 3, 80}, {tick.RTypeMbp10, 3, 368}, {tick.RTypeBbo1s, 3, 80},
		{tick.RTypeCmbp1, 3, 80}, {tick.RTypeCbbo1s, 3, 80}, {tick.RTypeOhlcv1d, 3, 56}, {tick.RTypeStatus, 3, 40},
		{tick.RTypeDefinition, 3, 520}, {tick.RTypeDefinition, 2, 400}, {tick.RTypeDefinition, 1, 360}, {tick.RTypeImbalance, 3, 112},
		{tick.RTypeStatistics, 3, 80}, {tick.RTypeStatistics, 2, 64}, {tick.RTypeStatistics, 1, 64}, {tick.RTypeError, 3, 320},
		{tick.RTypeError, 1, 80}, {tick.RTypeMapping, 2, 176}, {tick.RTypeMapping, 1, 80}, {tick.RTypeSystem, 3, 320}, {tick.RTypeSystem, 1, 80},
	} {
		if l := layoutOf(tc.rtype, tc.version); l.size != tc.want {
			t.Errorf("%s has %d bytes, want %d", l.name, l.size, tc.want)
		}
	}
}

// The structs of package tick and the layouts here say the same: same sizes, and same field widths in the same places.
func TestLayoutsMatchTick(t *testing.T) {
	for _, tc := range []struct {
		rtype uint8
		value any
	}{
		{tick.RTypeMbo, tick.Mbo{}}, {tick.RTypeTrade, tick.Trade{}}, {tick.RTypeStatus, tick.Status{}}, {tick.RTypeOhlcv1s, tick.Ohlcv{}},
		{tick.RTypeDefinition, tick.Definition{}}, {tick.RTypeImbalance, tick.Imbalance{}}, {tick.RTypeStatistics, tick.Statistics{}},
		{tick.RTypeError, tick.ErrorMsg{}}, {tick.RTypeMapping, tick.SymbolMapping{}}, {tick.RTypeSystem, tick.System{}},
	} {
		l := layoutOf(tc.rtype, 3)
		typ := reflect.TypeOf(tc.value)
		if int(typ.Size()) != l.size {
			t.Errorf("%s: %d bytes here, %d in package tick", l.name, l.size, typ.Size())
		}
		k := 0
		for i := 1; i < typ.NumField(); i++ { // the first one is the header
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			if k >= len(l.fields) {
				t.Fatalf("%s: no field for %s", l.name, f.Name)
			}
			if here := l.fields[k]; here.at != int(f.Offset) || here.width != int(f.Type.Size()) {
				t.Errorf("%s: %s at %d of %d bytes, tick has %s at %d of %d", l.name, here.name, here.at, here.width, f.Name, f.Offset, f.Type.Size())
			}
			k++
		}
		if k != len(l.fields) {
			t.Errorf("%s: %d fields, tick has %d", l.name, len(l.fields), k)
		}
	}
}

func sampleFile(t testing.TB) []byte {
	var out bytes.Buffer
	w, err := NewWriter(&out, &Metadata{Dataset: "SIM.ITCH", Schema: SchemaMbo, STypeIn: STypeRawSymbol, Symbols: []string{"AAA"},
		Mappings: []Mapping{{"AAA", []Interval{{20260105, 20260106, "7"}}}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		rec := Append(nil, &tick.Mbo{Header: tick.Header{RType: tick.RTypeMbo, InstrumentID: 7}, OrderID: uint64(i), Action: 'A', Side: 'B'})
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever is wrong is said with its place, and what came before it was read.
func TestBadInput(t *testing.T) {
	good := sampleFile(t)
	header, err := MetadataBytes(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		spoil  func([]byte) []byte
		whole  int
		want   error
		saying string
	}{
		{"empty", func(b []byte) []byte { return nil }, 0, ErrShort, "0 bytes"},
		{"text", func(b []byte) []byte { return []byte("symbol,price\n") }, 0, ErrMagic, "DBN"},
		{"version", func(b []byte) []byte { b[3] = 4; return b }, 0, ErrVersion, "4"},
		{"header cut", func(b []byte) []byte { return b[:header-1] }, 0, ErrShort, "bytes of"},
		{"header length lies", func(b []byte) []byte { b[7] = 0x7F; return b }, 0, ErrHeader, "length"},
		{"header length low", func(b []byte) []byte { b[4], b[5] = 99, 0; return b }, 0, ErrHeader, "length 99"},
		{"count lies", func(b []byte) []byte { b[112+3] = 0x7F; return b }, 0, ErrHeader, "do not fit"},
		{"record cut", func(b []byte) []byte { return b[:len(b)-1] }, 2, ErrTruncated, "record 3 at byte"},
		{"record length zero", func(b []byte) []byte { b[header+56] = 0; return b }, 1, ErrRecordLength, "record 2"},
		{"record shorter than its type", func(b []byte) []byte { b[header+56] = 13; return b }, 1, ErrRecordShort, "MboMsg has 52 bytes, want 56"},
	} {
		whole := 0
		r, err := NewReader(bytes.NewReader(tc.spoil(bytes.Clone(good))))
		for err == nil {
			if _, err = r.Next(); err == nil {
				whole++
			}
		}
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.saying) || whole != tc.whole {
			t.Errorf("%s: %d records, then %v; want %d, then %v saying %q", tc.name, whole, err, tc.whole, tc.want, tc.saying)
		}
	}
}

func TestUnknownTypesAreSteppedOver(t *testing.T) {
	rec := make([]byte, 24)
	rec[0], rec[1] = 6, 0x77
	b := append(bytes.Clone(sampleFile(t)), rec...)
	b = append(b, Append(nil, &tick.Mbo{Header: tick.Header{RType: tick.RTypeMbo}, OrderID: 99})...)
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var last []byte
	n := 0
	for rec, err := r.Next(); err != io.EOF; rec, err = r.Next() {
		if err != nil {
			t.Fatal(err)
		}
		last = bytes.Clone(rec)
		n++
	}
	if m, err := As[tick.Mbo](last); n != 5 || err != nil || m.OrderID != 99 {
		t.Errorf("%d records, the last one %+v, %v", n, m, err)
	}
	if unsafe.Sizeof(tick.Mbo{}) != 56 {
		t.Error("size")
	}
}

func FuzzReader(f *testing.F) {
	good := sampleFile(f)
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add([]byte("DBN\x01"))
	f.Add([]byte{0x28, 0xB5, 0x2F, 0xFD, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer r.Close()
		for {
			rec, err := r.Next()
			if err != nil {
				return
			}
			if len(rec) != 4*int(rec[0]) && layoutOf(rec[1], 3) != nil {
				t.Fatalf("record of %d bytes says %d", len(rec), 4*int(rec[0]))
			}
			if text, ok := AppendFields(nil, rec, 3, r.TsOut()); ok && !json.Valid(text) {
				t.Fatalf("no JSON: %s", text)
			}
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	f.Add(sampleFile(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := ParseMetadata(b)
		if err == nil && (n > len(b) || m == nil) {
			t.Fatalf("%d bytes of %d", n, len(b))
		}
	})
}
