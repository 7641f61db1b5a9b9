package xdp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/tick"
)

// capture is one packet of a vector and what is expected of it.
type capture struct {
	file    string
	payload []byte
	Header  struct {
		Size     uint16 `json:"pkt_size"`
		Flag     uint8  `json:"delivery_flag"`
		Count    uint8  `json:"number_msgs"`
		Sequence uint32 `json:"seq_num"`
		Time     uint32 `json:"send_time"`
		TimeNs   uint32 `json:"send_time_ns"`
	}
	PayloadLen int `json:"payload_len"`
	Messages   []struct {
		Type     uint16
		Name     string
		Size     int
		Sequence uint64 `json:"seq_num"`
		Fields   json.RawMessage
		Raw      string
	}
}

func captures(t *testing.T) (all []capture) {
	for _, folder := range []string{"integrated.xdp.v2.1", "bbo.xdp.v2.3a"} {
		dir := filepath.Join(testvec.Dir(t, "nyse"), folder)
		text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var files map[string]struct{ Packets []capture }
		if err := json.Unmarshal(text, &files); err != nil {
			t.Fatal(err)
		}
		for name, f := range files {
			if len(f.Packets) != 1 {
				t.Fatalf("%s: %d packets", name, len(f.Packets))
			}
			c := f.Packets[0]
			c.file = folder + "/" + name
			pcap, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			const udp = 24 + 16 + 14 + 20 // heads of the file and of the packet, Ethernet, IPv4 without options
			length := int(binary.BigEndian.Uint16(pcap[udp+4:]))
			c.payload = pcap[udp+8 : udp+length]
			all = append(all, c)
		}
	}
	if len(all) != 11 {
		t.Fatalf("%d captures, want 11", len(all))
	}
	return all
}

func TestVectors(t *testing.T) {
	for _, c := range captures(t) {
		h, blocks, err := ParsePacket(c.payload)
		if err != nil || len(c.payload) != c.PayloadLen {
			t.Errorf("%s: %v, %d bytes", c.file, err, len(c.payload))
			continue
		}
		want := Packet{Size: c.Header.Size, Flag: c.Header.Flag, Count: c.Header.Count, Sequence: c.Header.Sequence,
			SendTime: c.Header.Time, SendTimeNs: c.Header.TimeNs, Kind: h.Kind, Epoch: h.Epoch}
		if h != want {
			t.Errorf("%s: header %+v, want %+v", c.file, h, want)
		}
		if reset := c.Messages[0].Type == 1; reset != (h.Kind == PacketReset) || reset != (h.Epoch != 0) {
			t.Errorf("%s: kind %d, epoch %d", c.file, h.Kind, h.Epoch)
		}
		if whole, used := Walk(blocks, 9); whole != len(c.Messages) || used != len(blocks) {
			t.Errorf("%s: %d messages in %d of %d bytes", c.file, whole, used, len(blocks))
		}
		if n := Looks(c.payload); n != 95 {
			t.Errorf("%s: looks like XDP with %d", c.file, n)
		}
		i := 0
		err = EachMessage(c.payload, "2.1", func(sequence uint64, typ string, raw, fields []byte, err error) bool {
			m := c.Messages[i]
			i++
			var wantFields bytes.Buffer
			if err := json.Compact(&wantFields, m.Fields); err != nil {
				t.Fatal(err)
			}
			if err != nil || typ != m.Name || sequence != m.Sequence || hex.EncodeToString(raw) != m.Raw || len(raw) != m.Size || Type(raw) != m.Type {
				t.Errorf("%s: %s %d %x: %v", c.file, typ, sequence, raw, err)
			}
			if string(fields) != wantFields.String() {
				t.Errorf("%s:\ngot  %s\nwant %s", c.file, fields, wantFields.String())
			}
			return true
		})
		if err != nil || i != len(c.Messages) {
			t.Errorf("%s: %d of %d messages, %v", c.file, i, len(c.Messages), err)
		}
	}
}

// show is a row as text: what its kind has.
func show(b *tick.Batch, i int) string {
	head := fmt.Sprintf("%d @%d #%d ", b.Instrument[i], b.TsEvent[i], b.Sequence[i])
	px := func(p int64) string { return tick.FormatPrice(p) }
	first, n := tick.SplitSideRows(b.Aux[i])
	body := ""
	switch b.Kind[i] {
	case tick.KindAdd:
		body = fmt.Sprintf("add %d %c %s x%d firm %x", b.OrderID[i], b.Side[i], px(b.Price[i]), b.Size[i], b.Aux[i])
	case tick.KindModify:
		body = fmt.Sprintf("modify %d %c %s x%d sub %d", b.OrderID[i], b.Side[i], px(b.Price[i]), b.Size[i], b.Sub[i])
	case tick.KindDelete:
		body = fmt.Sprintf("delete %d", b.OrderID[i])
	case tick.KindExecAt:
		body = fmt.Sprintf("exec %d %s x%d trade %d %c", b.OrderID[i], px(b.Price[i]), b.Size[i], b.Aux[i], b.Sub[i])
	case tick.KindReplace:
		body = fmt.Sprintf("replace %d by %d %s x%d", b.OrderID[i], b.Aux[i], px(b.Price[i]), b.Size[i])
	case tick.KindTrade:
		body = fmt.Sprintf("trade %d %c %s x%d", b.Aux[i], b.Side[i], px(b.Price[i]), b.Size[i])
	case tick.KindCross:
		body = fmt.Sprintf("cross %d %q %s x%d", b.Aux[i], b.Sub[i], px(b.Price[i]), b.Size[i])
	case tick.KindBreak:
		body = fmt.Sprintf("break %d", b.Aux[i])
	case tick.KindClear:
		body = "clear"
	case tick.KindQuote:
		body = fmt.Sprintf("quote bid %s x%d ask %s x%d aux %d", px(b.Price[i]), b.Size[i], px(b.OldPrice[i]), b.OldSize[i], b.Aux[i])
	case tick.KindStatus:
		for _, s := range b.Statuses[first : first+n] {
			body += fmt.Sprintf("status action %d reason %d event %d %c%c%c", s.Action, s.Reason, s.TradingEvent, s.IsTrading, s.IsQuoting, s.IsShortSellRestricted)
		}
	case tick.KindImbalance:
		for _, m := range b.Imbalances[first : first+n] {
			body += fmt.Sprintf("imbalance ref %s at %d clear %s/%s ssr %s ind %s collar %s/%s paired %d total %d market %d unpaired %d%c type %c %c status %d%d%d sig %c, exact %d %d",
				px(m.RefPrice), m.AuctionTime, px(m.ContBookClrPrice), px(m.AuctInterestClrPrice), px(m.SsrFillingPrice), px(m.IndMatchPrice), px(m.LowerCollar),
				px(m.UpperCollar), m.PairedQty, m.TotalImbalanceQty, m.MarketImbalanceQty, m.UnpairedQty, m.UnpairedSide, m.AuctionType, m.Side,
				m.AuctionStatus, m.FreezeStatus, m.NumExtensions, m.SignificantImbalance, b.Size[i], b.OrderID[i])
		}
	case tick.KindDefinition:
		for k := first; k < first+n; k++ {
			d := &b.Definitions[k]
			body += fmt.Sprintf("definition %s %s class %c match %q type %s lot %d/%d increment %s %c",
				text(d.RawSymbol[:]), text(d.Exchange[:]), d.InstrumentClass, d.MatchAlgorithm, text(d.SecurityType[:]), d.MinLotSizeRoundLot, d.MinLotSize,
				px(d.MinPriceIncrement), d.SecurityUpdateAction)
		}
	case tick.KindStatistics:
		body = "statistics"
		for _, s := range b.Statistics[first : first+n] {
			body += fmt.Sprintf(" %d: %s", s.StatType, px(s.Price))
			if s.Quantity != tick.UndefQuantity {
				body += fmt.Sprintf(" x%d", s.Quantity)
			}
		}
	case tick.KindExt:
		for _, e := range b.Exts[first : first+n] {
			body += fmt.Sprintf("ext %d %d %d %d", e.Kind, e.A, e.B, int64(e.C))
		}
	default:
		body = fmt.Sprintf("kind %d", b.Kind[i])
	}
	for _, f := range []struct {
		bit  uint8
		name string
	}{{tick.FlagMore, " more"}, {tick.FlagSnapshot, " snapshot"}, {tick.FlagTOB, " tob"}} {
		if b.Flags[i]&f.bit != 0 {
			body += f.name
		}
	}
	return head + body
}

func text(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }

func showAll(b *tick.Batch) (all []string) {
	for i := range b.N {
		all = append(all, show(b, i))
	}
	return all
}

// The captures have no mapping of their data's symbols: one of scale 4 and engine 7, whose second is 1504123199, is put before them.
func TestRowsOfVectors(t *testing.T) {
	want := map[string]string{
		"AddOrderMessage.pcap":            "2511 @1504123199726504000 #1243006 add 1390859 B 48.87 x61 firm 0",
		"ReplaceOrderMessage.pcap":        "7786 @1504123199444580000 #2422789 replace 2581418 by 2581507 23.01 x100",
		"OrderExecutionMessage.pcap":      "2705 @1504123199999220000 #2422938 exec 2522503 12.64 x100 trade 96403 Y",
		"ImbalanceMessage.pcap":           "1387 @1504123200069952000 #3825213 imbalance ref 25.29 at 1504123200000000000 clear 25.29/- ssr - ind - collar -/- paired 15600 total 500 market 0 unpaired 4294967295N type C B status 000 sig ~, exact 15600 500",
		"SecurityStatusMessage.pcap":      "43254 @1504760601038886000 #242 status action 1 reason 0 event 2 N~N",
		"SymbolIndexMappingMessage.pcap":  "1169 @1506694823087795899 #2 definition ABG XNYS class K match ' ' type A lot 100/1 increment 0.05 A",
		"SequenceResetMessage.pcap":       "",
		"SourceTimeReferenceMessage.pcap": "",

		"QuoteMessage.pcap":               "6589 @1504123199767927000 #19618 quote bid 10.32 x300 ask 10.38 x100 aux 0 tob",
		"SequenceNumberResetMessage.pcap": "",
	}
	for _, c := range captures(t) {
		d := newDecoder(t, Options{Version: "2.1"})
		d.Start(1504065600 * second) // 2017-08-30, New York
		b := newBatch(t)
		typ := c.Messages[0].Type
		if typ >= 32 {
			at := MessageHeaderBytes + 4
			if typ == 105 || typ == 34 {
				at += 4
			}
			index := binary.LittleEndian.Uint32(c.payload[PacketHeaderBytes+at:])
			d.Append(append(mapped(index, "SYM", 7, 4), clock(7, 1504123199)...), 1, 2, b)
			b.Reset()
		}
		h, blocks, _ := ParsePacket(c.payload)
		if typ < 32 {
			d.SetSendTime(h.SendNs())
		}
		d.due = uint64(h.Sequence)
		if used, n := d.Append(blocks, uint64(h.Sequence), int(h.Count), b); used != len(blocks) || n != 1 || d.Refused() != 0 {
			t.Errorf("%s: used %d, %d messages, %d refused", c.file, used, n, d.Refused())
			continue
		}
		name := filepath.Base(c.file)
		expect := want[name]
		if typ == 3 && Type(blocks) == 3 && blocks[8+1] == 'C' {
			expect = "36439 @1507047420110745545 #2 definition ACP XNYS class K match ' ' type P lot 100/1 increment 0.0001 A"
		}
		got := ""
		if b.N > 0 {
			got = show(b, 0)
		}
		if got != expect {
			t.Errorf("%s:\ngot  %s\nwant %s", c.file, got, expect)
		}
		if typ == 3 {
			if b.N != 2 {
				t.Fatalf("%s: %d rows, want a definition and what it has no field for", c.file, b.N)
			}
			var f struct {
				Exchange string `json:"exchange_code"`
				RoundLot string `json:"round_lot"`
				Close    int64  `json:"prev_close_price"`
				Volume   uint64 `json:"prev_close_volume"`
				Scale    int    `json:"price_scale_code"`
			}
			if err := json.Unmarshal(c.Messages[0].Fields, &f); err != nil || f.Scale != 4 {
				t.Fatalf("%s: %v, scale %d", c.file, err, f.Scale)
			}
			want := fmt.Sprintf(" ext %d %d %d %d", tick.ExtListing, int(f.Exchange[0])|int(f.RoundLot[0])<<8, f.Close*100_000, f.Volume)
			if got := show(b, 1); !strings.HasSuffix(got, want) {
				t.Errorf("%s: %q, want%s", c.file, got, want)
			}
			continue
		}
		if wantRows := map[bool]int{true: 1}[expect != ""]; typ != 140 && b.N != wantRows {
			t.Errorf("%s: %d rows", c.file, b.N)
		}
		if typ == 140 {
			if b.N != 2 || show(b, 1) != "6589 @1504123199767927000 #19618 ext 8 65 0 0" {
				t.Errorf("%s: %q", c.file, showAll(b))
			}
		}
	}
}
