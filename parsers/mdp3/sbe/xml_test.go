package sbe_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// small is a schema of ours with one of everything.
const small = `<?xml version="1.0"?>
<ns2:messageSchema xmlns:ns2="http://www.fixprotocol.org/ns/simple/1.0" package="t" id="7" version="3" byteOrder="littleEndian">
<types>
 <type name="u8n" primitiveType="uint8" presence="optional" nullValue="255"/>
 <type name="i32n" primitiveType="int32" presence="optional" nullValue="2147483647"/>
 <type name="i16d" primitiveType="int16" presence="optional"/>
 <type name="name" primitiveType="char" length="4"/>
 <type name="eight" primitiveType="char" presence="constant">8</type>
 <type name="one" primitiveType="int8" presence="constant">1</type>
 <composite name="px"><type name="mantissa" primitiveType="int64" presence="optional" nullValue="9223372036854775807"/>
  <type name="exponent" primitiveType="int8" presence="constant">-9</type></composite>
 <composite name="month"><type name="year" primitiveType="uint16" presence="optional" nullValue="65535"/><type name="m" primitiveType="uint8"/></composite>
 <composite name="dim"><type name="blockLength" primitiveType="uint16"/><type name="numInGroup" offset="7" primitiveType="uint8"/></composite>
 <composite name="dim16"><type name="blockLength" primitiveType="uint16"/><type name="numInGroup" primitiveType="uint16"/></composite>
 <enum name="side" encodingType="u8n"><validValue name="Buy">1</validValue></enum>
 <enum name="kind" encodingType="char"><validValue name="Bid">0</validValue></enum>
 <set name="bits" encodingType="uint8"><choice name="First">0</choice><choice name="Last">7</choice></set>
</types>
<ns2:message name="All5" id="5" blockLength="40">
 <field name="P" id="1" type="px" offset="0"/>
 <field name="N" id="2" type="i32n"/>
 <field name="D" id="3" type="i16d"/>
 <field name="T" id="4" type="name"/>
 <field name="C" id="5" type="eight"/>
 <field name="O" id="6" type="one"/>
 <field name="M" id="7" type="month"/>
 <field name="S" id="8" type="side"/>
 <field name="K" id="9" type="kind"/>
 <field name="B" id="10" type="bits" offset="24"/>
 <field name="New" id="11" type="uint64" offset="25" sinceVersion="3"/>
 <group name="G" id="20" blockLength="2" dimensionType="dim"><field name="X" id="21" type="uint8"/></group>
 <group name="H" id="22" blockLength="1" dimensionType="dim16" sinceVersion="2"><field name="Y" id="23" type="int8"/></group>
</ns2:message>
</ns2:messageSchema>`

func read(tb testing.TB, text string) *sbe.Schema {
	tb.Helper()
	s, err := sbe.Read(strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestAll prints a message by the small schema: every kind of value, at its bounds.
func TestAll(t *testing.T) {
	m := read(t, small).Message(5)
	body := append(make([]byte, 0, 80),
		0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, // P: -1e-9
		0xFF, 0xFF, 0xFF, 0x7F, // N: null
		0x00, 0x80, // D: null by default
		'A', '"', 0x01, 0, // T
		0xE8, 0x07, 9, // M
		2, 'x', // S and K: values without names
		0, 0x81, // padding, B
		1, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0) // New, padding
	body = append(body, 2, 0, 0, 0, 0, 0, 0, 2, 10, 0, 11, 0)
	body = append(body, 1, 0, 1, 0, 0xFE)
	body = append(body, 0xAA, 0xBB)
	body = body[:len(body):len(body)]
	for _, tc := range []struct {
		name     string
		version  uint16
		body     []byte
		want     string
		trailing int
	}{
		{"whole", 3, body, `{"P":{"mantissa":-1,"exponent":-9,"decimal":"-0.000000001"},"N":null,"D":null,"T":"A\"\u0001","C":{"value":"8","constant":true},` +
			`"O":{"value":1,"constant":true},"M":{"year":2024,"m":9},"S":{"value":2,"name":null},"K":{"value":"x","name":null},"B":{"value":129,"flags":["First","Last"]},` +
			`"New":9223372036854775809,"G":[{"X":10},{"X":11}],"H":[{"Y":-2}]}`, 2},
		{"an older sender", 1, body, `{"P":{"mantissa":-1,"exponent":-9,"decimal":"-0.000000001"},"N":null,"D":null,"T":"A\"\u0001","C":{"value":"8","constant":true},` +
			`"O":{"value":1,"constant":true},"M":{"year":2024,"m":9},"S":{"value":2,"name":null},"K":{"value":"x","name":null},"B":{"value":129,"flags":["First","Last"]},` +
			`"G":[{"X":10},{"X":11}]}`, 7},
		{"without groups", 3, body[:40], `{"P":{"mantissa":-1,"exponent":-9,"decimal":"-0.000000001"},"N":null,"D":null,"T":"A\"\u0001","C":{"value":"8","constant":true},` +
			`"O":{"value":1,"constant":true},"M":{"year":2024,"m":9},"S":{"value":2,"name":null},"K":{"value":"x","name":null},"B":{"value":129,"flags":["First","Last"]},` +
			`"New":9223372036854775809}`, 0},
	} {
		got, trailing, err := m.AppendJSON(nil, tc.body, 40, tc.version)
		if err != nil || string(got) != tc.want || trailing != tc.trailing {
			t.Errorf("%s: %d trailing, %v\n%s\nwant\n%s", tc.name, trailing, err, got, tc.want)
		}
	}
	// Every length that lies is refused, and nothing is read behind the end.
	for n := range body {
		cut := bytes.Clone(body[:n])
		_, trailing, err := m.AppendJSON(nil, cut, 40, 3)
		want, left := error(nil), 0
		switch {
		case n < 40:
			want = sbe.ErrBlock
		case n < 48: // no dimension: no group
			left = n - 40
		case n < 52, n == 56:
			want = sbe.ErrGroup
		case n < 56:
			left = n - 52
		case n > 57:
			left = n - 57
		}
		if !errors.Is(err, want) || trailing != left {
			t.Errorf("%d bytes: %d trailing, %v; want %d, %v", n, trailing, err, left, want)
		}
	}
	body[47] = 255
	if _, _, err := m.AppendJSON(nil, body, 40, 3); !errors.Is(err, sbe.ErrCount) {
		t.Errorf("a null count gives %v", err)
	}
}

func TestDecimal(t *testing.T) {
	m := read(t, small).Message(5)
	for mantissa, want := range map[int64]string{0: "0", 1: "0.000000001", -5_250_000_000: "-5.25", 12068000000000: "12068", 1_000_000_000: "1",
		-1 << 63: "-9223372036.854775808", 1<<63 - 2: "9223372036.854775806", 100: "0.0000001"} {
		body := make([]byte, 40)
		for i := range 8 {
			body[i] = byte(mantissa >> (8 * i))
		}
		got, _, _ := m.AppendJSON(nil, body, 40, 0)
		if !strings.Contains(string(got), `"decimal":"`+want+`"}`) {
			t.Errorf("%d: %s, want %s", mantissa, got, want)
		}
	}
}

// TestRefused: what cannot be used is refused with a reason.
func TestRefused(t *testing.T) {
	for _, tc := range []struct{ old, new, want string }{
		{"littleEndian", "bigEndian", "byteOrder"},
		{`version="3"`, `version="x"`, "version"},
		{`id="5" blockLength`, `blockLength`, "no id"},
		{`blockLength="40"`, `blockLength="30"`, "ends at 33"},
		{`blockLength="40"`, `blockLength="99999999"`, "want 0 to 65535"},
		{`type="px" offset="0"`, `type="nope"`, `type "nope"`},
		{`primitiveType="char" length="4"`, `primitiveType="float"`, "primitive type"},
		{`primitiveType="uint8" presence="optional"`, `length="3" primitiveType="uint8" presence="optional"`, "array"},
		{`nullValue="255"`, `nullValue="256"`, "nullValue"},
		{`dimensionType="dim"`, `dimensionType="px"`, "dimension"},
		{`offset="7" primitiveType="uint8"`, `offset="1" primitiveType="uint8"`, "dimension dim"},
		{`encodingType="u8n"`, `encodingType="name"`, "no integer"},
		{`<choice name="Last">7`, `<choice name="Last">8`, "want 0 to 7"},
		{`<validValue name="Bid">0`, `<validValue name="Bid">00`, "want a character"},
		{`name="i16d"`, `name="u8n"`, "twice"},
		{`<field name="X" id="21" type="uint8"/>`, `<group name="Z" blockLength="0" dimensionType="dim"/>`, "groups in it"},
		{`<field name="X" id="21" type="uint8"/>`, `<data name="Z"/>`, "variable length"},
		{`-9</type>`, `-99</type>`, "exponent"},
		{`</ns2:messageSchema>`, ``, "EOF"},
	} {
		text := strings.Replace(small, tc.old, tc.new, 1)
		if text == small {
			t.Fatalf("%q is not in the schema", tc.old)
		}
		_, err := sbe.Read(strings.NewReader(text))
		if !errors.Is(err, sbe.ErrSchema) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.new, err, tc.want)
		}
	}
}

// FuzzRead: no XML makes the reader panic, and a schema that is taken can be used on any bytes.
func FuzzRead(f *testing.F) {
	f.Add(small, []byte{1, 2, 3})
	f.Add(strings.ReplaceAll(small, "offset", "Offset"), make([]byte, 64))
	f.Fuzz(func(t *testing.T, text string, body []byte) {
		s, err := sbe.Read(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range s.Messages {
			if _, trailing, err := m.AppendJSON(nil, body, m.Length, s.Version); err == nil && trailing > len(body) {
				t.Fatalf("%d trailing bytes of %d", trailing, len(body))
			}
		}
	})
}
