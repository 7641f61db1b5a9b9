package mdp3_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// next is a made-up version 14: template 46 has its fields moved, a new one in their midst and a new group in front; 47 has longer blocks only;
// 70 is 48 under a new number; 71 is nothing that is known.
const next = `<messageSchema id="1" version="14" byteOrder="littleEndian">
<types>
 <type name="i32" primitiveType="int32"/><type name="u64" primitiveType="uint64"/><type name="u32" primitiveType="uint32"/><type name="u8" primitiveType="uint8"/>
 <type name="i32n" primitiveType="int32" presence="optional" nullValue="2147483647"/>
 <type name="u32n" primitiveType="uint32" presence="optional" nullValue="4294967295"/>
 <type name="u64n" primitiveType="uint64" presence="optional" nullValue="18446744073709551615"/>
 <type name="u8n" primitiveType="uint8" presence="optional" nullValue="255"/>
 <composite name="px"><type name="mantissa" primitiveType="int64" presence="optional" nullValue="9223372036854775807"/><type name="exponent" primitiveType="int8" presence="constant">-9</type></composite>
 <composite name="px9"><type name="mantissa" primitiveType="int64"/><type name="exponent" primitiveType="int8" presence="constant">-9</type></composite>
 <composite name="px7"><type name="mantissa" primitiveType="int64" presence="optional" nullValue="9223372036854775807"/><type name="exponent" primitiveType="int8" presence="constant">-7</type></composite>
 <composite name="dim"><type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint8"/></composite>
 <composite name="wide"><type name="blockLength" primitiveType="uint16"/><type name="numInGroup" offset="7" primitiveType="uint8"/></composite>
 <composite name="dim16"><type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint16"/></composite>
</types>
<message name="MDIncrementalRefreshBook46" id="46" blockLength="24">
 <field name="Novelty" id="1" type="u64" offset="0" sinceVersion="14"/><field name="MatchEventIndicator" id="5799" type="u8" offset="8"/><field name="TransactTime" id="60" type="u64" offset="9"/>
 <group name="NoNovelties" id="2" blockLength="4" dimensionType="dim"><field name="X" id="3" type="i32"/></group>
 <group name="NoMDEntries" id="268" blockLength="40" dimensionType="dim16">
  <field name="SecurityID" id="48" type="i32" offset="0"/><field name="MDEntrySize" id="271" type="i32n" offset="4"/><field name="MDEntryPx" id="270" type="px" offset="8"/>
  <field name="RptSeq" id="83" type="u32" offset="16"/><field name="MDEntryType" id="269" type="u8" offset="20"/><field name="MDUpdateAction" id="279" type="u8" offset="21"/>
  <field name="MDPriceLevel" id="1023" type="u8" offset="22"/><field name="Depth" id="9" type="i32" offset="24"/>
 </group>
 <group name="NoOrderIDEntries" id="37705" blockLength="26" dimensionType="dim">
  <field name="ReferenceID" id="9633" type="u8n" offset="0"/><field name="OrderUpdateAction" id="37708" type="u8" offset="1"/><field name="OrderID" id="37" type="u64" offset="2"/>
  <field name="MDOrderPriority" id="37707" type="u64n" offset="10"/><field name="MDDisplayQty" id="37706" type="i32n" offset="18"/>
 </group>
</message>
<message name="MDIncrementalRefreshOrderBook47" id="47" blockLength="16">
 <field name="TransactTime" id="60" type="u64" offset="0"/><field name="MatchEventIndicator" id="5799" type="u8" offset="8"/>
 <group name="NoMDEntries" id="268" blockLength="50" dimensionType="dim">
  <field name="OrderID" id="37" type="u64n" offset="0"/><field name="MDOrderPriority" id="37707" type="u64n" offset="8"/><field name="MDEntryPx" id="270" type="px" offset="16"/>
  <field name="MDDisplayQty" id="37706" type="i32n" offset="24"/><field name="SecurityID" id="48" type="i32" offset="28"/><field name="MDUpdateAction" id="279" type="u8" offset="32"/><field name="MDEntryType" id="269" type="u8" offset="33"/>
 </group>
</message>
<message name="MDIncrementalRefreshTradeSummary70" id="70" blockLength="11">
 <field name="TransactTime" id="60" type="u64" offset="0"/><field name="MatchEventIndicator" id="5799" type="u8" offset="8"/>
 <group name="NoMDEntries" id="268" blockLength="32" dimensionType="dim">
  <field name="MDEntryPx" id="270" type="px9" offset="0"/><field name="MDEntrySize" id="271" type="i32" offset="8"/><field name="SecurityID" id="48" type="i32" offset="12"/><field name="RptSeq" id="83" type="u32" offset="16"/>
  <field name="NumberOfOrders" id="346" type="i32" offset="20"/><field name="AggressorSide" id="5797" type="u8n" offset="24"/><field name="MDUpdateAction" id="279" type="u8" offset="25"/><field name="MDTradeEntryID" id="37711" type="u32n" offset="26"/>
 </group>
</message>
<message name="Something71" id="71" blockLength="8"><field name="TransactTime" id="60" type="u64" offset="0"/></message>
</messageSchema>`

func schemaFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "schema.xml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// TestNewerSchema: messages of version 14 go by the schema that was given, those of version 13 by the built-in one.
func TestNewerSchema(t *testing.T) {
	path := schemaFile(t, next)
	s, err := sbe.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	m46 := message(t, s, 46, 14, f{"TransactTime": 5, "MatchEventIndicator": 4, "Novelty": 77}, groups{"NoNovelties": {{"X": 1}, {"X": 2}},
		"NoMDEntries":      {{"SecurityID": 7, "MDEntrySize": 9, "MDEntryPx": px(1.5), "RptSeq": 1, "MDEntryType": int('1'), "MDUpdateAction": 1, "MDPriceLevel": 3}},
		"NoOrderIDEntries": {{"ReferenceID": 1, "OrderUpdateAction": 0, "OrderID": 12, "MDOrderPriority": 4, "MDDisplayQty": 2}}})
	m47 := message(t, s, 47, 14, at(5, 4), groups{"NoMDEntries": {{"OrderID": 13, "MDOrderPriority": 5, "MDEntryPx": px(2), "MDDisplayQty": 1, "SecurityID": 7, "MDEntryType": int('0')}}})
	m70 := message(t, s, 70, 14, at(5, 0x81), groups{"NoMDEntries": {{"MDEntryPx": px(2), "MDEntrySize": 3, "SecurityID": 7, "RptSeq": 2, "AggressorSide": 1, "MDTradeEntryID": 6}}})
	m71 := message(t, s, 71, 14, f{"TransactTime": 5}, nil)
	now := msg(t, 46, at(6, 0x84), groups{"NoMDEntries": {{"SecurityID": 7, "MDEntrySize": 9, "MDEntryPx": px(1.5), "RptSeq": 3, "MDEntryType": int('1'), "MDPriceLevel": 1}}})
	d, out := newDecoder(t, mdp3.Options{Prices: mdp3.PricesWire, Schema: path}), newBatch(t)
	p := packet(1, m46, m47, m71, m70, now)
	feed(t, d, out, p)
	want := `level C 7 A3 9 @ 1.50, 0 orders +
add 7 12 A 2 @ 1.50 +
add 7 13 B 1 @ 2.00 +
trade 7 0 B 3 @ 2.00 aux 6
level N 7 A1 9 @ 1.50, 0 orders`
	if got := strings.Join(rowsOf(out), "\n"); got != want {
		t.Errorf("rows are\n%s\nwant\n%s", got, want)
	}
	if d.Counters != (mdp3.Counters{Packets: 1, Messages: 5, Unknown: 1, Relaid: 2}) {
		t.Errorf("%+v", d.Counters)
	}
	var said []string
	err = mdp3.EachMessageBy(s, p, func(_ uint64, typ string, _, fields []byte, err error) bool {
		said = append(said, fmt.Sprint(typ, " ", len(parse(t, fields).(map[string]any)), " ", err))
		return true
	})
	if got := strings.Join(said, ", "); err != nil || got != "MDIncrementalRefreshBook46 6 <nil>, MDIncrementalRefreshOrderBook47 3 <nil>, Something71 1 <nil>, MDIncrementalRefreshTradeSummary70 3 <nil>, MDIncrementalRefreshBook46 4 <nil>" {
		t.Errorf("%s, %v", got, err)
	}
	// Lengths that lie are refused on this way too, and one that is cut off nowhere panics.
	for n := range len(m46) - mdp3.MessageBytes {
		cut := append([]byte(nil), m46[:mdp3.MessageBytes+n]...)
		cut[0], cut[1] = byte(len(cut)), byte(len(cut)>>8)
		feed(t, d, out, packet(1, cut))
		out.Reset()
	}
	if d.Refused() == 0 {
		t.Error("nothing was refused")
	}
	run := func() { feed(t, d, out, packet(2, m46)); out.Reset() }
	run()
	if n := testing.AllocsPerRun(100, func() { d.Append(m46, 2, 1, out); out.Reset() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestSchemaOfThisVersion: a schema of the built-in version goes before it.
func TestSchemaOfThisVersion(t *testing.T) {
	path := schemaFile(t, strings.Replace(next, `version="14"`, `version="13"`, 1))
	s, err := sbe.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	m := message(t, s, 46, 13, f{"TransactTime": 5, "MatchEventIndicator": 0x84}, groups{"NoMDEntries": {{"SecurityID": 7, "MDEntrySize": 9, "MDEntryPx": px(1.5), "RptSeq": 1, "MDEntryType": int('1'), "MDPriceLevel": 3}}})
	same(t, "rows", decode(t, mdp3.Options{Prices: mdp3.PricesWire, Schema: path}, packet(1, m)), []string{"level N 7 A3 9 @ 1.50, 0 orders"})
}

// TestSchemaRefused: a schema by which rows would be wrong is refused at the start.
func TestSchemaRefused(t *testing.T) {
	for _, tc := range []struct{ old, new, want string }{
		{`id="1" version="14"`, `id="2" version="14"`, "id 2"},
		{`type="px" offset="8"`, `type="px7" offset="8"`, "cannot be read as"},
		{`name="MDEntrySize" id="271" type="i32n" offset="4"`, `name="MDEntrySize" id="271" type="u64" offset="4"`, "cannot be read as"},
		{`name="SecurityID" id="48" type="i32" offset="0"`, `name="SecurityIdentity" id="48" type="i32" offset="0"`, "no field SecurityID"},
		{`</messageSchema>`, ``, "EOF"},
	} {
		text := strings.Replace(next, tc.old, tc.new, 1)
		if text == next {
			t.Fatalf("%q is not in the schema", tc.old)
		}
		if _, err := mdp3.NewDecoder(mdp3.Options{Prices: mdp3.PricesWire, Schema: schemaFile(t, text)}); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "mdp3: ") {
			t.Errorf("%s: %v, want %q", tc.new, err, tc.want)
		}
	}
	if _, err := mdp3.NewDecoder(mdp3.Options{Prices: mdp3.PricesWire, Schema: "/nonexistent.xml"}); err == nil {
		t.Error("a schema that is not there was taken")
	}
}

// TestOwnSchema: CME's own schema 13, given at run time, changes nothing.
func TestOwnSchema(t *testing.T) {
	path := filepath.Join(schemaDir(t), "Cme.Futures.Mdp3.Sbe.v1.13.xml")
	for _, v := range vectors(t) {
		same(t, v.name, decode(t, mdp3.Options{Prices: mdp3.PricesWire, Schema: path}, v.payload), decode(t, onWire, v.payload))
	}
	d, out := newDecoder(t, mdp3.Options{Prices: mdp3.PricesWire, Schema: path}), newBatch(t)
	feed(t, d, out, packet(1, fuzzMessages(t)...))
	if d.Counters.Relaid != 0 {
		t.Errorf("%+v", d.Counters)
	}
}
