package mdp3_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// vector is one captured packet and what it says, by two decoders that are not ours.
type vector struct {
	name    string
	payload []byte
	Header  struct {
		Sequence    uint64 `json:"msg_seq_num"`
		SendingTime uint64 `json:"sending_time"`
	} `json:"header"`
	Messages []struct {
		Offset   int    `json:"offset"`
		Size     int    `json:"msg_size"`
		Block    int    `json:"block_length"`
		Template uint16 `json:"template_id"`
		Schema   uint16 `json:"schema_id"`
		Version  uint16 `json:"version"`
		Name     string `json:"template_name"`
		Fields   object `json:"fields"`
		Groups   map[string]struct {
			Entries []object `json:"entries"`
		} `json:"groups"`
		Trailing int `json:"trailing_bytes"`
	} `json:"messages"`
}

type object map[string]any

// vectors reads the captures: classic pcap, one Ethernet frame each.
func vectors(tb testing.TB) []vector {
	tb.Helper()
	dir := testvec.Dir(tb, "cme")
	raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var all struct {
		Files map[string]struct {
			Packets []vector `json:"packets"`
		} `json:"files"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&all); err != nil {
		tb.Fatal(err)
	}
	var out []vector
	for _, name := range slices.Sorted(maps.Keys(all.Files)) {
		p := all.Files[name].Packets
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(p) != 1 {
			tb.Fatalf("%s: %d packets expected, %v", name, len(p), err)
		}
		frame := raw[24+16:]
		udp := frame[14+20:]
		p[0].name, p[0].payload = name, udp[8:binary.BigEndian.Uint16(udp[4:])]
		out = append(out, p[0])
	}
	if len(out) != 5 {
		tb.Fatalf("%d captures, want 5", len(out))
	}
	return out
}

// fieldsOf puts a message of the expectations in the form of AppendJSON.
func (v *vector) fieldsOf(k int) object {
	want := object{}
	maps.Copy(want, v.Messages[k].Fields)
	for name, g := range v.Messages[k].Groups {
		entries := []any{}
		for _, e := range g.Entries {
			entries = append(entries, map[string]any(e))
		}
		want[name] = entries
	}
	return want
}

// TestVectors compares every leaf of every captured message, decoded with the tables of schema 13 and its older templates: TradeableSize,
// which schema 13 has in bytes that were padding, must be absent (sheet, section 14, items 1 and 2).
func TestVectors(t *testing.T) {
	leaves := 0
	for _, v := range vectors(t) {
		h, body, err := mdp3.ParsePacket(v.payload)
		if err != nil || uint64(h.Sequence) != v.Header.Sequence || h.SendingTime != v.Header.SendingTime {
			t.Fatalf("%s: header %+v, %v", v.name, h, err)
		}
		if whole, used := mdp3.Walk(body, 1); whole != 1 || used != len(body) {
			t.Fatalf("%s: Walk gives %d, %d", v.name, whole, used)
		}
		if got := mdp3.Looks(v.payload); got != 95 {
			t.Errorf("%s: Looks gives %d", v.name, got)
		}
		k, at := 0, mdp3.PacketBytes
		err = mdp3.EachMessage(v.payload, "", func(sequence uint64, typ string, raw, fields []byte, err error) bool {
			w := v.Messages[k]
			m := mdp3.Message(raw)
			if err != nil || sequence != v.Header.Sequence || typ != w.Name || at != w.Offset || len(raw) != w.Size ||
				m.BlockLength() != w.Block || m.Template() != w.Template || m.Schema() != w.Schema || m.Version() != w.Version {
				t.Fatalf("%s: message %d is %s at %d, want %+v; %v", v.name, k, typ, at, w, err)
			}
			leaves += compare(t, fmt.Sprintf("%s %d", v.name, k), parse(t, fields), map[string]any(v.fieldsOf(k)))
			k, at = k+1, at+len(raw)
			return true
		})
		if err != nil || k != len(v.Messages) {
			t.Fatalf("%s: %d messages, want %d; %v", v.name, k, len(v.Messages), err)
		}
	}
	if leaves < 585 {
		t.Errorf("%d leaves compared, and the captures have 585", leaves)
	}
}

func parse(tb testing.TB, fields []byte) any {
	tb.Helper()
	var got any
	d := json.NewDecoder(bytes.NewReader(fields))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		tb.Fatalf("%v in %s", err, fields)
	}
	return got
}

// compare compares two JSON values and counts their leaves.
func compare(tb testing.TB, path string, got, want any) (leaves int) {
	tb.Helper()
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			tb.Errorf("%s: got %v, want %v", path, got, want)
			return 0
		}
		for name, w := range want {
			leaves += compare(tb, path+"."+name, g[name], w)
		}
		return leaves
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			tb.Errorf("%s: got %v, want %v", path, got, want)
			return 0
		}
		for i, w := range want {
			leaves += compare(tb, fmt.Sprintf("%s[%d]", path, i), g[i], w)
		}
		return leaves
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		tb.Errorf("%s: got %v, want %v", path, got, want)
	}
	return 1
}

// schemaDir is where CME's XML is; a test that needs it is skipped where it is not.
func schemaDir(tb testing.TB) string {
	tb.Helper()
	dir := filepath.Join(testvec.Dir(tb, "cme"), "..", "..", "specs", "cme")
	if _, err := os.Stat(dir); err != nil {
		tb.Skipf("mdp3: CME's schemas are not beside the captures: %v", err)
	}
	return dir
}

// TestVectorsBySchema does the same with each capture's own schema, read at run time.
func TestVectorsBySchema(t *testing.T) {
	dir := schemaDir(t)
	for _, v := range vectors(t) {
		version := v.Messages[0].Version
		s, err := sbe.Load(filepath.Join(dir, fmt.Sprintf("Cme.Futures.Mdp3.Sbe.v1.%d.xml", version)))
		if err != nil {
			t.Fatal(err)
		}
		k := 0
		err = mdp3.EachMessageBy(s, v.payload, func(_ uint64, typ string, _, fields []byte, err error) bool {
			if err != nil || typ != v.Messages[k].Name {
				t.Errorf("%s: message %d is %s, %v", v.name, k, typ, err)
			}
			compare(t, fmt.Sprintf("%s %d", v.name, k), parse(t, fields), map[string]any(v.fieldsOf(k)))
			k++
			return true
		})
		if err != nil || k != len(v.Messages) {
			t.Errorf("%s: %d messages, %v", v.name, k, err)
		}
	}
}

// enlarge gives a packet's messages blocks that are n bytes longer, filled with 0xA5, and then an unknown group (sheet, section 14, items 3 and 4).
func enlarge(tb testing.TB, payload []byte, n int) []byte {
	tb.Helper()
	_, body, err := mdp3.ParsePacket(payload)
	if err != nil {
		tb.Fatal(err)
	}
	out := slices.Clone(payload[:mdp3.PacketBytes])
	junk := bytes.Repeat([]byte{0xA5}, n)
	le := binary.LittleEndian
	for len(body) > 0 {
		m, size := mdp3.Next(body)
		body = body[size:]
		template := mdp3.Schema().Message(m.Template())
		parts, _, err := template.Split(nil, m.Body(), m.BlockLength(), m.Version())
		if err != nil {
			tb.Fatal(err)
		}
		at := len(out)
		out = append(out, m[:mdp3.MessageBytes]...)
		le.PutUint16(out[at+2:], uint16(m.BlockLength()+n))
		out = append(append(out, parts[0].Data...), junk...)
		for _, p := range parts[1:] {
			d := len(out)
			out = append(out, make([]byte, p.Group.Dimension.Size)...)
			le.PutUint16(out[d:], uint16(p.Length+n))
			out[d+p.Group.Dimension.CountAt] = byte(p.Count)
			for k := range p.Count {
				out = append(append(out, p.Entry(k)...), junk...)
			}
		}
		out = append(out, 5, 0, 2)
		out = append(out, strings.Repeat("\xA5", 10)...)
		le.PutUint16(out[at:], uint16(len(out)-at))
	}
	return out
}

// TestLongerBlocks: a newer sender's blocks are longer and have more groups; nothing else may change.
func TestLongerBlocks(t *testing.T) {
	for _, v := range vectors(t) {
		k := 0
		err := mdp3.EachMessage(enlarge(t, v.payload, 8), "", func(_ uint64, typ string, _, fields []byte, err error) bool {
			if err != nil || typ != v.Messages[k].Name {
				t.Errorf("%s: message %d is %s, %v", v.name, k, typ, err)
			}
			compare(t, fmt.Sprintf("%s %d", v.name, k), parse(t, fields), map[string]any(v.fieldsOf(k)))
			k++
			return true
		})
		if err != nil || k != len(v.Messages) {
			t.Errorf("%s: %d messages, %v", v.name, k, err)
		}
		want, got := decode(t, onWire, v.payload), decode(t, onWire, enlarge(t, v.payload, 8))
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s: rows of longer blocks are\n%s\nwant\n%s", v.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}
