package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addOrder is an add of 100 shares at 100.0000, at a time of day that tells it from others.
func addOrder(ref uint64) []byte {
	b := []byte{'A', 0, 7, 0, 0}
	b = append(b, binary.BigEndian.AppendUint64(nil, 34_200_000_000_000+ref)[2:]...)
	b = binary.BigEndian.AppendUint64(b, ref)
	b = append(b, 'B')
	b = binary.BigEndian.AppendUint32(b, 100)
	b = append(b, "TEST    "...)
	return binary.BigEndian.AppendUint32(b, 1_000_000)
}

func packet(first uint64, count int) []byte {
	b := moldudp64.AppendHeader(nil, moldudp64.Header{Session: [10]byte([]byte("SESSION001")), Sequence: first, Count: uint16(count)})
	for i := range count {
		b, _ = moldudp64.AppendBlock(b, addOrder(first+uint64(i)))
	}
	return b
}

func freePort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// TestFeedOverLoopback runs a whole feed process on two multicast lines on lo, line B of which lacks packets, and both of
// which lack one: the rings have every message once, in order, the gap as a record, and .snap the book of it all.
func TestFeedOverLoopback(t *testing.T) {
	port := freePort(t)
	groups := []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("239.255.72.1"), port), netip.AddrPortFrom(netip.MustParseAddr("239.255.72.2"), port),
	}
	dir := t.TempDir()
	c, err := config.Parse(fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "nq"
idle = "block"
[feed.rings]
mbo = 65536
[feed.recovery]
wait = "30ms"
[[feed.channel]]
[[feed.channel.line]]
interface = "lo"
group = "%s"
[[feed.channel.line]]
interface = "lo"
group = "%s"
`, dir, groups[0], groups[1]), nil)
	must(t, err)
	p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()

	var lines [2]*udp.Sender
	for i := range lines {
		lines[i], err = udp.NewSender(groups[i], "lo", 0)
		must(t, err)
		defer lines[i].Close()
	}
	send := func(line int, b []byte) {
		_, err := lines[line].Send([][]byte{b})
		must(t, err)
	}
	const packets, each = 200, 10
	const lost = 100 // the packet that neither line carries
	for n := range packets {
		b := packet(uint64(n*each+1), each)
		if n != lost {
			send(0, b)
			if n%3 != 0 {
				send(1, b)
			}
		}
		if n%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	r, err := ringbuf.Open(ringbuf.Path(dir, "t", "nq", "0", ringbuf.KindMbo), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()
	var orders, gaps int
	next := uint64(1)
	for end := time.Now().Add(5 * time.Second); orders < (packets-1)*each && time.Now().Before(end); {
		var recs [256]tick.Mbo
		n, _, st := ringbuf.PollSlice(r, recs[:])
		if st == ringbuf.Overrun {
			t.Fatal("overrun")
		}
		for i := range recs[:n] {
			rec := &recs[i]
			if rec.RType == tick.RTypeGap {
				g := ringbuf.GapOfMbo(rec)
				if g.First != lost*each+1 || g.Last != lost*each+each || g.State != tick.GapLost {
					t.Errorf("gap %d-%d state %d", g.First, g.Last, g.State)
				}
				gaps++
				next = g.Last + 1
				continue
			}
			if rec.OrderID != next || uint64(rec.Sequence) != next || rec.Action != tick.ActionAdd {
				t.Fatalf("order %d sequence %d, want %d", rec.OrderID, rec.Sequence, next)
			}
			if after := next > lost*each; after != (rec.Flags&tick.FlagMaybeBadBook != 0) {
				t.Fatalf("sequence %d: flags %#x", next, rec.Flags)
			}
			next++
			orders++
		}
		if n == 0 {
			r.Wait(10 * time.Millisecond)
		}
	}
	if orders != (packets-1)*each || gaps != 1 {
		t.Fatalf("%d orders, %d gaps", orders, gaps)
	}
	checkSnapshot(t, ringbuf.SidePath(dir, "t", "nq", "0", ringbuf.ExtSnap), orders)
	checkStats(t, ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtStats), map[string]uint64{
		"0.channel.0.lost_messages": each, "0.channel.0.messages": uint64(orders), "0.lane.gaps": 1, "0.udp.kernel_drops": 0,
		"0.itch.type.A": uint64(orders), "0.book.orders": uint64(orders),
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	must(t, p.Close())
	if st := r.State(); st != ringbuf.StateStopped {
		t.Errorf("ring says %s after the end", st)
	}
}

// checkSnapshot waits for a snapshot that has all orders, in their queue's order.
func checkSnapshot(t *testing.T, path string, orders int) {
	t.Helper()
	r, err := ringbuf.OpenSnap(path)
	must(t, err)
	defer r.Close()
	var s ringbuf.Snapshot
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r.Replaced() {
			must(t, r.Close())
			if r, err = ringbuf.OpenSnap(path); err != nil {
				t.Fatal(err)
			}
		}
		if err = r.Read(&s); err == nil && len(s.Records) == orders+1 {
			break
		}
	}
	if err != nil || len(s.Records) != orders+1 {
		t.Fatalf("snapshot has %d records, %v; want R and %d orders", len(s.Records), err, orders)
	}
	if s.Records[0].Action != tick.ActionClear || s.Records[orders].Flags&tick.FlagLast == 0 {
		t.Error("a snapshot begins with R and ends with F_LAST")
	}
	for i := 2; i <= orders; i++ {
		if s.Records[i].OrderID <= s.Records[i-1].OrderID {
			t.Fatalf("order %d behind %d: not the queue's order", s.Records[i].OrderID, s.Records[i-1].OrderID)
		}
	}
}

func checkStats(t *testing.T, path string, want map[string]uint64) {
	t.Helper()
	r, err := ringbuf.OpenStats(path)
	must(t, err)
	defer r.Close()
	time.Sleep(50 * time.Millisecond) // counters are copied out each 10 ms
	seen := map[string]uint64{}
	for _, s := range r.Append(nil) {
		seen[s.Name] = s.Value
	}
	for name, v := range want {
		if got, ok := seen[name]; !ok || got != v {
			t.Errorf("counter %s is %d (there: %v), want %d", name, got, ok, v)
		}
	}
}

// player is a lane for captures, with an mbo ring that is large enough for all of it.
func player(t *testing.T, c *Capture) (*pipeline.Lane, *ringbuf.Reader) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.0.mbo.ring")
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 18})
	must(t, err)
	books, err := book.New(book.Options{})
	must(t, err)
	directory, err := symbols.New(0)
	must(t, err)
	lane, err := pipeline.New(pipeline.Config{
		Publisher: 2, Books: books, Symbols: directory, Out: pipeline.Outputs{Mbo: w}, Midnight: c.Midnight, FileStamps: c.Stampless(),
		MaxPass: pipeline.PassReplay,
	})
	must(t, err)
	r, err := ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	t.Cleanup(func() {
		must(t, r.Close())
		must(t, lane.Close())
		must(t, books.Close())
		must(t, w.Close())
	})
	return lane, r
}

func orders(t *testing.T, r *ringbuf.Reader) (recs []tick.Mbo) {
	t.Helper()
	for {
		var some [1024]tick.Mbo
		n, _, _ := ringbuf.PollSlice(r, some[:])
		if n == 0 {
			return recs
		}
		recs = append(recs, some[:n]...)
	}
}

// TestPlayDay plays the public sample: its orders come out as many as the sample's own description says, in order.
func TestPlayDay(t *testing.T) {
	c, err := OpenCapture(filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz"), CaptureOptions{})
	must(t, err)
	defer c.Close()
	lane, r := player(t, c)
	var stop atomic.Bool
	must(t, c.Run(lane, PlayOptions{}, &stop))
	recs := orders(t, r)
	count := map[byte]int{}
	last := uint64(0)
	for i := range recs {
		if recs[i].RType != tick.RTypeMbo {
			continue
		}
		count[recs[i].Action]++
		if recs[i].TsRecv < last {
			t.Fatalf("record %d: time goes back", i)
		}
		last = recs[i].TsRecv
	}
	if lane.Counters().Messages != 12012 || count[tick.ActionAdd] == 0 || count[tick.ActionFill] == 0 {
		t.Errorf("%d messages, actions %v", lane.Counters().Messages, count)
	}
	day := time.Unix(0, int64(recs[0].TsEvent)).UTC().Format(time.DateOnly)
	if day != "2010-12-24" || c.DayNote() != "" {
		t.Errorf("day %s, note %q: the file's name says 2010-12-24", day, c.DayNote())
	}
	if recs[0].Flags&tick.FlagBadTsRecv == 0 && recs[0].RType == tick.RTypeMbo {
		t.Error("a file has no time of arrival: F_BAD_TS_RECV is missing")
	}
}

// TestPlayPackets: a capture of both lines with a hole in A and none in both gives everything once.
func TestPlayPackets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two-lines.pcap")
	f, err := os.Create(path)
	must(t, err)
	w := pcap.NewWriter(f)
	src := netip.MustParseAddrPort("192.0.2.1:40000")
	groups := []netip.AddrPort{netip.MustParseAddrPort("233.54.12.111:26477"), netip.MustParseAddrPort("233.49.196.111:26477")}
	at := uint64(1_767_623_400_000_000_000) // 2026-01-05 09:30 in New York
	for n := range 51 {                     // line B is a packet and a half behind
		if n < 50 && n%5 != 2 {
			must(t, w.WriteUDP(at+uint64(n*1000), src, groups[0], 0, packet(uint64(n*4+1), 4)))
		}
		if m := n - 1; m >= 0 && (m%7 != 3 || m%5 == 2) {
			must(t, w.WriteUDP(at+uint64(n*1000+500), src, groups[1], 0, packet(uint64(m*4+1), 4)))
		}
	}
	must(t, w.Flush())
	must(t, f.Close())
	c, err := OpenCapture(path, CaptureOptions{})
	must(t, err)
	defer c.Close()
	lane, r := player(t, c)
	var stop atomic.Bool
	must(t, c.Run(lane, PlayOptions{}, &stop))
	recs := orders(t, r)
	if len(recs) != 200 {
		t.Fatalf("%d records, want 200", len(recs))
	}
	for i := range recs {
		if recs[i].OrderID != uint64(i+1) || recs[i].Flags&tick.FlagMaybeBadBook != 0 {
			t.Fatalf("record %d: order %d flags %#x", i, recs[i].OrderID, recs[i].Flags)
		}
	}
	if day := time.Unix(0, int64(recs[0].TsEvent)).UTC(); day.Format(time.DateTime) != "2026-01-05 14:30:00" {
		t.Errorf("first event at %s", day)
	}
	if s := c.Channels()[0].Session; s.Gaps == 0 || s.Lost != 0 || s.Filled != s.Gaps {
		t.Errorf("%+v", s)
	}
}

// TestPaced: a day paced at so many messages a second takes its time, and comes out whole.
func TestPaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "20260105.itch")
	var b []byte
	for i := range uint64(300) {
		m := addOrder(i + 1)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	must(t, os.WriteFile(path, b, 0o600))
	for _, tc := range []struct {
		pace  string
		least time.Duration
	}{{"max", 0}, {"3000/s", 90 * time.Millisecond}, {"recorded", 0}, {"x1000", 0}} {
		c, err := OpenCapture(path, CaptureOptions{})
		must(t, err)
		lane, r := player(t, c)
		var stop atomic.Bool
		began := time.Now()
		must(t, c.Run(lane, PlayOptions{Pace: tc.pace}, &stop))
		if took := time.Since(began); took < tc.least || took > tc.least+5*time.Second {
			t.Errorf("%s took %v", tc.pace, took)
		}
		if n := len(orders(t, r)); n != 300 {
			t.Errorf("%s: %d orders", tc.pace, n)
		}
		must(t, c.Close())
	}
}

// TestBadCaptures: what is wrong, where, and what was kept.
func TestBadCaptures(t *testing.T) {
	dir := t.TempDir()
	day := append(binary.BigEndian.AppendUint16(nil, 36), addOrder(1)...)
	day = append(day, day[:20]...)
	for name, tc := range map[string]struct {
		content []byte
		want    string
		kept    int
	}{
		"empty":          {nil, "empty", 0},
		"text":           {bytes.Repeat([]byte("hello, world\n"), 100), "text", 0},
		"cut-20260105":   {day, "message 2 at byte 38: the file ends within a message", 1},
		"noise-20260105": {bytes.Repeat([]byte{0xFF, 0xFE, 1}, 100), "", 0},
	} {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, tc.content, 0o600))
		c, err := OpenCapture(path, CaptureOptions{})
		kept := 0
		if err == nil {
			lane, r := player(t, c)
			var stop atomic.Bool
			err = c.Run(lane, PlayOptions{}, &stop)
			kept = len(orders(t, r))
			must(t, c.Close())
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), name) || kept != tc.kept {
			t.Errorf("%s: %v with %d records kept, want %q and %d", name, err, kept, tc.want, tc.kept)
		}
	}
	if _, err := OpenCapture(filepath.Join(dir, "cut-20260105"), CaptureOptions{Date: "5.1.2026"}); err == nil {
		t.Error("a date that is none")
	}
}

func TestDayOfName(t *testing.T) {
	for name, want := range map[string]string{
		"ex20101224.TEST_ITCH_50.gz": "2010-12-24", "01302019.NASDAQ_ITCH50.gz": "2019-01-30", "S08132021-v50.txt.gz": "2021-08-13",
		"day.itch": "", "99999999.itch": "",
	} {
		got := ""
		if d, ok := dayOfName(name); ok {
			got = d.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestSnapshotAfterOverrun: a reader that was overtaken writes no snapshot until a new session has cleared every book; then
// its books are the lane's again.
func TestSnapshotAfterOverrun(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	w, err := ringbuf.Create(path("f.0.mbo.ring"), ringbuf.Options{Kind: ringbuf.KindMbo, TestSlots: 64})
	must(t, err)
	defer w.Close()
	inst, err := ringbuf.CreateInst(path("f.0.inst"), 16, ringbuf.SideOptions{})
	must(t, err)
	defer inst.Close()
	last, err := ringbuf.CreateLast(path("f.0.last"), inst, 2, ringbuf.SideOptions{})
	must(t, err)
	defer last.Close()
	s, err := newSnapshotter(path("f.0.mbo.ring"), path("f.0.snap"), path("f.0.inst"), path("f.0.last"), 1024, 0, 2, book.Options{}, ringbuf.SideOptions{})
	must(t, err)
	defer s.close()
	publish := func(action byte, from, to uint64) {
		for id := from; id <= to; id++ {
			ringbuf.PublishSlice(w, []tick.Mbo{{
				Header:  tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: 7, TsEvent: 1},
				OrderID: id, Price: 1e9, Size: 10, Action: action, Side: tick.SideBid, TsRecv: 1,
			}})
		}
		w.PublishHint()
	}
	drain := func() {
		for range 3000 { // the header is looked at only after many empty polls
			s.follow(1 << 16)
		}
	}
	publish(tick.ActionAdd, 1, 300) // laps the reader
	drain()
	if !s.Stopped {
		t.Fatal("not stopped by an overrun")
	}
	must(t, s.write(time.Now().Add(time.Hour)))
	if s.Written != 0 {
		t.Error("a snapshot of books that are not the lane's")
	}
	inst.Reset()
	publish(tick.ActionClear, 0, 0)
	last.Reset()
	publish(tick.ActionAdd, 1001, 1003)
	drain()
	if s.Stopped {
		t.Fatal("a new session does not start it again")
	}
	must(t, s.write(time.Now().Add(2*time.Hour)))
	r, err := ringbuf.OpenSnap(path("f.0.snap"))
	must(t, err)
	defer r.Close()
	var snap ringbuf.Snapshot
	must(t, r.Read(&snap))
	if snap.Orders != 3 || snap.Seq != w.Next()-1 {
		t.Errorf("%d orders at record %d, want 3 at %d", snap.Orders, snap.Seq, w.Next()-1)
	}
}

var _ nic.Source = (*pacedSource)(nil)
