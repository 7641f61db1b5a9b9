package mdp3_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/tick"
)

// edit changes a message's bytes.
func edit(m []byte, at int, b ...byte) []byte {
	m = slices.Clone(m)
	copy(m[at:], b)
	return m
}

// TestRefused: a message that contradicts itself is counted and makes no row; its neighbours make theirs.
func TestRefused(t *testing.T) {
	level := func(change f) []byte {
		e := f{"MDEntryPx": px(1), "MDEntrySize": 1, "SecurityID": 7, "RptSeq": 1, "MDPriceLevel": 1, "MDEntryType": int('0')}
		for name, v := range change {
			e[name] = v
		}
		return msg(t, 46, at(5, 0x84), groups{"NoMDEntries": {e, e}, "NoOrderIDEntries": {{"OrderID": 1, "MDDisplayQty": 1, "ReferenceID": 1}}})
	}
	order := func(change f) []byte {
		o := f{"OrderID": 1, "MDDisplayQty": 1, "ReferenceID": 1}
		for name, v := range change {
			o[name] = v
		}
		return msg(t, 46, at(5, 0x84), groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 1, "SecurityID": 7, "RptSeq": 1, "MDPriceLevel": 1, "MDEntryType": int('0')}}, "NoOrderIDEntries": {o}})
	}
	one := func(id uint16, root f, group string, e f) []byte { return msg(t, id, root, groups{group: {e}}) }
	good := level(nil)
	for _, tc := range []struct {
		name string
		m    []byte
	}{
		{"root block longer than the message", edit(good, 2, 0xFF, 0xFF)},
		{"root block shorter than its fields", edit(good, 2, 8, 0)},
		{"group blocks shorter than their fields", edit(good, 21, 26, 0)},
		{"group blocks longer than the message", edit(good, 21, 0xFF, 0xFF)},
		{"more entries than the message has", edit(good, 23, 200)},
		{"null number of entries", msg(t, 37, at(5, 0x80), groups{"NoMDEntries": make([]f, 255)})},
		{"more order entries than the message has", edit(good, 21+3+64+7, 2)},
		{"blocks of no bytes", edit(good, 21, 0, 0)},
		{"update action 9", level(f{"MDUpdateAction": 9})},
		{"entry type x'7F'", level(f{"MDEntryType": 0x7F})},
		{"level 0", level(f{"MDPriceLevel": 0})},
		{"new level without price", level(f{"MDEntryPx": nil})},
		{"new level without size", level(f{"MDEntrySize": nil})},
		{"negative size", level(f{"MDEntrySize": -5})},
		{"order that refers to nothing", order(f{"ReferenceID": 0})},
		{"order without reference", order(f{"ReferenceID": nil})},
		{"order that refers behind the last entry", order(f{"ReferenceID": 2})},
		{"order action 3", order(f{"OrderUpdateAction": 3})},
		{"order without size", order(f{"MDDisplayQty": nil})},
		{"order of negative size", order(f{"MDDisplayQty": -1})},
		{"order without id", one(47, at(5, 0x84), "NoMDEntries", f{"MDEntryPx": px(1), "MDDisplayQty": 1, "MDEntryType": int('0')})},
		{"order without price", one(47, at(5, 0x84), "NoMDEntries", f{"OrderID": 1, "MDDisplayQty": 1, "MDEntryType": int('0')})},
		{"order of an implied level", one(47, at(5, 0x84), "NoMDEntries", f{"OrderID": 1, "MDEntryPx": px(1), "MDDisplayQty": 1, "MDEntryType": int('E')})},
		{"order update action 5", one(47, at(5, 0x84), "NoMDEntries", f{"OrderID": 1, "MDEntryPx": px(1), "MDDisplayQty": 1, "MDEntryType": int('0'), "MDUpdateAction": 5})},
		{"level of 2^63 lots", one(64, at(5, 0x84), "NoMDEntries", f{"MDEntryPx": px(1), "MDEntrySize": uint64(1 << 63), "SecurityID": 7, "MDPriceLevel": 1, "MDEntryType": int('0')})},
		{"trade of negative size", one(48, at(5, 0x81), "NoMDEntries", f{"MDEntryPx": px(1), "MDEntrySize": -1, "SecurityID": 7})},
		{"trade without price", one(48, at(5, 0x81), "NoMDEntries", f{"MDEntryPx": uint64(1<<63 - 1), "MDEntrySize": 1, "SecurityID": 7})},
		{"trade with action 5", one(48, at(5, 0x81), "NoMDEntries", f{"MDEntryPx": px(1), "MDEntrySize": 1, "SecurityID": 7, "MDUpdateAction": 5})},
		{"fill of negative size", msg(t, 48, at(5, 0x81), groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 1, "SecurityID": 7, "NumberOfOrders": 1}}, "NoOrderIDEntries": {{"OrderID": 1, "LastQty": -1}}})},
		{"statistics of no type", one(49, at(5, 0x80), "NoMDEntries", f{"MDEntryPx": px(1), "SecurityID": 7, "MDEntryType": int('0')})},
		{"volume that is null", one(66, at(5, 0x80), "NoMDEntries", f{"MDEntrySize": uint64(1<<64 - 1), "SecurityID": 7})},
		{"state cut off", edit(msg(t, 30, f{"SecurityID": 7}, nil), 2, 29, 0)},
		{"definition cut off", edit(msg(t, 54, future(7, "A", "B", "C"), nil), 2, 100, 0)},
		{"snapshot with a hole", msg(t, 52, f{"SecurityID": 7}, groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 1, "MDPriceLevel": 2, "MDEntryType": int('0')}}})},
		{"snapshot with a level twice", msg(t, 52, f{"SecurityID": 7}, groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 1, "MDPriceLevel": 1, "MDEntryType": int('0')}, {"MDEntryPx": px(1), "MDEntrySize": 1, "MDPriceLevel": 1, "MDEntryType": int('0')}}})},
		{"snapshot with a level without number", msg(t, 52, f{"SecurityID": 7}, groups{"NoMDEntries": {{"MDEntryPx": px(1), "MDEntrySize": 1, "MDEntryType": int('0')}}})},
		{"reset cut off", edit(msg(t, 4, at(5, 0), nil), 2, 4, 0)},
	} {
		d, out := newDecoder(t, onWire), newBatch(t)
		before := msg(t, 47, at(5, 0), groups{"NoMDEntries": {{"OrderID": 1, "MDEntryPx": px(1), "MDDisplayQty": 1, "SecurityID": 7, "MDEntryType": int('0')}}})
		after := msg(t, 47, at(5, 0x84), groups{"NoMDEntries": {{"OrderID": 2, "MDEntryPx": px(1), "MDDisplayQty": 1, "SecurityID": 7, "MDEntryType": int('0')}}})
		feed(t, d, out, packet(1, before, tc.m, after))
		got := strings.Join(rowsOf(out), "\n")
		if want := "add 7 1 B 1 @ 1.00 +\nadd 7 2 B 1 @ 1.00"; got != want || d.Refused() != 1 || out.Sides != (tick.SideCounts{}) {
			t.Errorf("%s: %d refused, rows\n%s\nwant\n%s", tc.name, d.Refused(), got, want)
		}
	}
}

// TestStepsOver: templates, schemas and versions that are not known.
func TestStepsOver(t *testing.T) {
	m := msg(t, 47, at(5, 0x84), groups{"NoMDEntries": {{"OrderID": 1, "MDEntryPx": px(1), "MDDisplayQty": 1, "SecurityID": 7, "MDEntryType": int('0')}}})
	d, out := newDecoder(t, onWire), newBatch(t)
	feed(t, d, out, packet(1, m, edit(m, 4, 0xE7, 3), edit(m, 6, 2), edit(m, 8, 99), msg(t, 12, nil, nil), m))
	if got := strings.Join(rowsOf(out), "\n"); got != strings.Repeat("add 7 1 B 1 @ 1.00\n", 2)+"add 7 1 B 1 @ 1.00" {
		t.Errorf("rows are\n%s", got)
	}
	want := mdp3.Counters{Packets: 1, Messages: 6, Unknown: 1, Foreign: 1, Newer: 1, Admin: 1}
	if d.Counters != want {
		t.Errorf("%+v", d.Counters)
	}
	if h, body, err := mdp3.ParsePacket(packet(9, msg(t, 12, nil, nil))); !h.Heartbeat || len(body) != mdp3.MessageBytes || err != nil {
		t.Errorf("heartbeat is %+v, %v", h, err)
	}
	if h, _, _ := mdp3.ParsePacket(packet(9, msg(t, 12, nil, nil), m)); h.Heartbeat {
		t.Error("a packet with data is a heartbeat")
	}
	var said []string
	_ = mdp3.EachMessage(packet(1, m, edit(m, 4, 0xE7, 3), edit(m, 6, 2), edit(m, 2, 0xFF, 0xFF), m), "", func(_ uint64, typ string, _, fields []byte, err error) bool {
		text := typ
		if err != nil {
			text += ": " + err.Error()
		}
		said = append(said, text)
		return true
	})
	same(t, "said", said, []string{"MDIncrementalRefreshOrderBook47", "999: mdp3: template is not known: template 999, schema 1, version 13", "47: mdp3: template is not known: template 47, schema 2, version 13",
		"MDIncrementalRefreshOrderBook47: mdp3: MDIncrementalRefreshOrderBook47: sbe: root block is longer than its message", "MDIncrementalRefreshOrderBook47"})
}

// TestCut cuts every capture at every byte: the packet is refused by Walk unless messages fill it, and the decoder takes whatever comes.
func TestCut(t *testing.T) {
	for _, v := range vectors(t) {
		ends := map[int]bool{mdp3.PacketBytes: true}
		for _, m := range v.Messages {
			ends[m.Offset+m.Size] = true
		}
		d, out := newDecoder(t, onWire), newBatch(t)
		for n := range v.payload {
			p := slices.Clone(v.payload[:n])
			h, body, err := mdp3.ParsePacket(p)
			if n < mdp3.PacketBytes {
				if !errors.Is(err, mdp3.ErrShort) {
					t.Errorf("%s: %d bytes: %v", v.name, n, err)
				}
				continue
			}
			whole, used := mdp3.Walk(body, 1)
			if ends[n] != (whole == 1) || whole == 1 && used != len(body) || whole == 0 && used != 0 {
				t.Errorf("%s: %d bytes: Walk gives %d, %d", v.name, n, whole, used)
			}
			d.Append(body, uint64(h.Sequence), 1, out)
			out.Reset()
			err = mdp3.EachMessage(p, "", func(uint64, string, []byte, []byte, error) bool { return true })
			if (err == nil) != ends[n] {
				t.Errorf("%s: %d bytes: %v", v.name, n, err)
			}
			if got := mdp3.Looks(p); got == 0 == ends[n] && n > mdp3.PacketBytes {
				t.Errorf("%s: %d bytes: Looks gives %d", v.name, n, got)
			}
		}
		if d.Refused() == 0 {
			t.Errorf("%s: nothing refused", v.name)
		}
	}
}

func TestLooksElse(t *testing.T) {
	for name, p := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 100), "text": []byte(strings.Repeat("8=FIX.4.2|9=100|35=W|", 5)), "a header alone": make([]byte, 12),
		"random lengths": binary.LittleEndian.AppendUint16(make([]byte, 12), 30)} {
		if got := mdp3.Looks(p); got != 0 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// FuzzAppend: any bytes as a packet's body. Rows stay in bounds, and every call gets on.
func FuzzAppend(f *testing.F) {
	f.Add(packet(1, fuzzMessages(f)...)[12:], uint64(1))
	for _, m := range fuzzMessages(f) {
		f.Add(m, uint64(7))
	}
	out, err := tick.NewBatch()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, first uint64) {
		appendAll(t, newDecoder(t, onWire), out, body, first)
		d := newDecoder(t, mdp3.Options{})
		appendAll(t, d, out, body, first)
		appendAside(t, d, out, body)
	})
}

// FuzzAppendNewer: the same by a schema that was given at run time.
func FuzzAppendNewer(f *testing.F) {
	path := schemaFile(f, next)
	s, err := sbe.Load(path)
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range s.Messages {
		gs := groups{}
		for i := range m.Groups {
			gs[m.Groups[i].Name] = []fields{ones(&m.Groups[i].Block)}
		}
		f.Add(message(f, s, m.ID, 14, ones(&m.Block), gs), uint64(1))
	}
	out, err := tick.NewBatch()
	if err != nil {
		f.Fatal(err)
	}
	d := newDecoder(f, mdp3.Options{Prices: mdp3.PricesWire, Schema: path})
	f.Fuzz(func(t *testing.T, body []byte, first uint64) { appendAll(t, d, out, body, first) })
}

// appendAside takes a body's messages as those of the instrument replay feed.
func appendAside(t *testing.T, d *mdp3.Decoder, out *tick.Batch, body []byte) {
	for out.Reset(); ; out.Reset() {
		used, n := d.AppendRefresh(body, 7, 1, out)
		if used < 0 || used > len(body) || n < 0 || n > 1 || (used == 0) != (n == 0) || out.N > 1024 {
			t.Fatalf("AppendRefresh gives %d, %d, %d rows", used, n, out.N)
		}
		for i := range out.N {
			if out.Flags[i]&tick.FlagSnapshot == 0 {
				t.Fatalf("row %d is of no snapshot", i)
			}
		}
		if body = body[used:]; n == 0 {
			break
		}
	}
}

// appendAll takes a body three times, and checks that rows stay in bounds and that every call gets on.
func appendAll(t *testing.T, d *mdp3.Decoder, out *tick.Batch, body []byte, first uint64) {
	for round := range uint64(3) {
		rest := body
		for calls := 0; ; calls++ {
			used, n := d.Append(rest, first+round, 1, out)
			if used < 0 || used > len(rest) || n < 0 || n > 1 || out.N > tick.MaxRows || calls > 1000 {
				t.Fatalf("Append gives %d, %d, %d rows in call %d", used, n, out.N, calls)
			}
			for i := range out.N {
				first, n := tick.SplitSideRows(out.Aux[i])
				if k := out.Kind[i]; k == 0 || k >= tick.KindCount || (k == tick.KindStatistics || k == tick.KindStatus || k == tick.KindDefinition) && n != 1 || k == tick.KindExt && (n > tick.SideRoom || first+n > out.Sides.Exts && n > 0) {
					t.Fatalf("row %d is of kind %d with %d entries", i, k, n)
				}
			}
			rest = rest[used:]
			if n == 1 {
				break
			}
			if out.N == 0 {
				t.Fatal("an empty batch took nothing")
			}
			out.Reset()
		}
	}
	out.Reset()
}

// FuzzEachMessage: any bytes as a packet. What it prints is JSON of a bounded size.
func FuzzEachMessage(f *testing.F) {
	f.Add(packet(1, fuzzMessages(f)...))
	f.Fuzz(func(t *testing.T, p []byte) {
		mdp3.Looks(p)
		_ = mdp3.EachMessage(p, "", func(_ uint64, typ string, raw, fields []byte, err error) bool {
			if typ == "" || len(raw) < mdp3.MessageBytes {
				t.Fatalf("%q, %d bytes", typ, len(raw))
			}
			parse(t, fields)
			return true
		})
	})
}

// fuzzMessages is one message of every template, with an entry in each group.
func fuzzMessages(tb testing.TB) (out [][]byte) {
	for _, m := range mdp3.Schema().Messages {
		gs := groups{}
		for i := range m.Groups {
			gs[m.Groups[i].Name] = []f{ones(&m.Groups[i].Block)}
		}
		out = append(out, msg(tb, m.ID, ones(&m.Block), gs))
	}
	return out
}

func ones(b *sbe.Block) f {
	out := f{}
	for i := range b.Fields {
		switch t := b.Fields[i].Type; {
		case t.Size == 0 || t.Kind == sbe.Composite:
		case t.Kind == sbe.Text:
			out[b.Fields[i].Name] = "A"
		case t.Char:
			out[b.Fields[i].Name] = int(t.Values[0].Name[0])
		default:
			out[b.Fields[i].Name] = 1
		}
	}
	return out
}
