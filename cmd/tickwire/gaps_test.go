//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/store"
	"github.com/tickwire/tickwire/tick"
)

// mostAsked is the largest hole that lossyFeed asks the venue for: what is larger is lost.
const mostAsked = 40

// lossyFeed is a lane behind a channel of two lossy lines, with a re-request server and snapshots, whose rings a store reads.
type lossyFeed struct {
	t       *testing.T
	lane    *pipeline.Lane
	channel *session.Channel
	out     pipeline.Outputs

	mu    sync.Mutex
	logs  map[[10]byte]*mold.Log
	venue glimpse.State
	sent  map[[10]byte][][]byte // messages by number, the first of them 1
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLossyFeed(t *testing.T, dir string) (*lossyFeed, map[ringbuf.Kind]*ringbuf.Writer) {
	l := &lossyFeed{t: t, logs: map[[10]byte]*mold.Log{}, sent: map[[10]byte][][]byte{}}
	writers := map[ringbuf.Kind]*ringbuf.Writer{}
	for kind, place := range map[ringbuf.Kind]**ringbuf.Writer{
		ringbuf.KindMbo: &l.out.Mbo, ringbuf.KindMbp1: &l.out.Mbp1, ringbuf.KindTrades: &l.out.Trades, ringbuf.KindEvents: &l.out.Events, ringbuf.KindExt: &l.out.Ext,
	} {
		w, err := ringbuf.Create(ringbuf.Path(dir, "t", "f", "0", kind), ringbuf.Options{Kind: kind, Slots: 1 << 14, Dataset: "XNAS.ITCH", Private: true})
		fatal(t, err)
		t.Cleanup(func() { _ = w.Close() })
		*place, writers[kind] = w, w
	}
	var err error
	l.out.Instruments, err = ringbuf.CreateInst(ringbuf.SidePath(dir, "t", "f", "0", ringbuf.ExtInst), 1024, ringbuf.SideOptions{})
	fatal(t, err)
	t.Cleanup(func() { _ = l.out.Instruments.Close() })
	books, err := book.New(book.Options{MaxInstruments: 1 << 10, MaxOrders: 1 << 16, MaxReference: 1 << 24})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, books.Close()) })
	directory, err := symbols.New(0)
	fatal(t, err)
	rs, err := resync.New(resync.Options{Books: books, LogBytes: 1 << 20, Retry: time.Millisecond, MaxRetry: 10 * time.Millisecond, Fetch: l.fetch})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, rs.Close()) })
	l.lane, err = pipeline.New(pipeline.Config{
		Publisher: 2, Books: books, Symbols: directory, Out: l.out, Resync: rs,
		Midnight: func(uint64) (uint64, error) { return itchgen.Date{Year: 2026, Month: 1, Day: 5}.Midnight() },
	})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, l.lane.Close()) })
	server, err := mold.NewRequestServer(func(id [10]byte) *mold.Log {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.logs[id]
	}, netip.MustParseAddrPort("127.0.0.1:0"), mold.RequestOptions{LossPPM: 100_000, WrongPPM: 100_000, Seed: 1})
	fatal(t, err)
	t.Cleanup(func() { _ = server.Close() })
	asker, err := session.NewRequester([]netip.AddrPort{server.Addr()}, session.RequesterOptions{Interface: "lo"})
	fatal(t, err)
	t.Cleanup(func() { _ = asker.Close() })
	l.channel = session.NewChannel(session.Config{
		Wait: time.Millisecond, HoldMax: time.Hour, Tries: 32, MostAsked: mostAsked, Link: asker.Link(),
	}, l.lane)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { rs.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return l, writers
}

// fetch is the venue's snapshot, as of what it has sent.
func (l *lossyFeed) fetch(_ context.Context, _ string, fn func(blocks []byte, count int) error) (uint64, error) {
	l.mu.Lock()
	blocks, next := l.venue.Snapshot(nil)
	l.mu.Unlock()
	count := 0
	for rest := blocks; len(rest) > 0; count++ {
		rest = rest[2+int(binary.BigEndian.Uint16(rest)):]
	}
	return next, fn(blocks, count)
}

// until lets time pass on the lane.
func (l *lossyFeed) until(what string, done func() bool) {
	l.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			l.t.Fatalf("still waiting for %s: %+v, %+v, %+v", what, l.channel.Session, l.channel.Ask, l.lane.Resync().Counters)
		}
		l.pass()
	}
}

func (l *lossyFeed) pass() {
	now := uint64(time.Now().UnixNano())
	l.lane.SetNow(now)
	l.channel.Tick(now)
	l.lane.EndPass()
}

// session plays one, of which nothing is sent before message from, and returns what neither line brought, as runs of first and last.
func (l *lossyFeed) session(name string, seed uint64, from int) (missing [][2]uint64) {
	l.t.Helper()
	id, err := mold.SessionID(name)
	fatal(l.t, err)
	g, err := itchgen.New(itchgen.Options{Messages: 12_000, Symbols: 20, Seed: seed})
	fatal(l.t, err)
	log := mold.NewLog(id, 0)
	l.mu.Lock()
	l.logs[id] = log
	l.venue.Begin(name)
	l.mu.Unlock()
	r := rand.New(rand.NewPCG(seed, 5))
	number, outage := uint64(1), 0 // packets that neither line will have
	for more := true; more; {
		packet := moldudp64.AppendHeader(nil, moldudp64.Header{Session: id, Sequence: number})
		first := number
		for n := 1 + r.IntN(10); n > 0; n-- {
			var m []byte
			if m, more = g.Next(nil); !more {
				break
			}
			packet, _ = moldudp64.AppendBlock(packet, m)
			l.mu.Lock()
			l.venue.Apply(m)
			fatal(l.t, log.Append(m))
			l.mu.Unlock()
			l.sent[id] = append(l.sent[id], m)
			number++
		}
		if number == first {
			break
		}
		binary.BigEndian.PutUint16(packet[18:], uint16(number-first))
		if outage == 0 && r.IntN(200) == 0 {
			outage = 1 + r.IntN(20)
		}
		came := false
		for line := range uint8(2) {
			if len(l.sent[id]) >= from && outage == 0 && r.IntN(100) >= 7 {
				now := uint64(time.Now().UnixNano())
				l.channel.Packet(&nic.Packet{Data: packet, TsRecv: now, Stamp: nic.StampKernel, Line: line}, now)
				came = true
			}
		}
		outage = max(0, outage-1)
		if n := len(missing); !came && n > 0 && missing[n-1][1] == first-1 {
			missing[n-1][1] = number - 1
		} else if !came {
			missing = append(missing, [2]uint64{first, number - 1})
		}
		l.pass()
		if came {
			l.until("the hole to be filled or given up", func() bool { return !l.channel.HoleOpen() })
		}
	}
	end := moldudp64.AppendHeader(nil, moldudp64.Header{Session: id, Sequence: number, Count: moldudp64.EndOfSession})
	l.channel.Packet(&nic.Packet{Data: end}, uint64(time.Now().UnixNano()))
	l.until("the session's end", l.channel.Ended)
	l.until("the books", func() bool { return l.lane.Resync().Counters.LiveState == 0 })
	return missing
}

// TestGapsInSQL: two sessions of a feed that loses, recovers and rebuilds, read by SQL: gaps names what never came and nothing else, what came again is
// told as such, what came is in the tables once, and a rebuild adds no rows.
func TestGapsInSQL(t *testing.T) {
	dir := t.TempDir()
	l, writers := newLossyFeed(t, dir)
	s, err := store.Open(store.Options{Memory: 256 << 20})
	fatal(t, err)
	follower, err := s.FollowPrivate(dir, ringbuf.Entry{Instance: "t", Feed: "f", Lane: "0"}, writers)
	fatal(t, err)
	missing := [2][][2]uint64{l.session("MONDAY", 1, 500)}
	split := uint64(time.Now().UnixNano())
	missing[1] = l.session("TUESDAY", 2, 0)
	follower.Drain()
	follower.Close()
	engine, err := engineOver(s, 1, nil, &guests{})
	fatal(t, err)
	conn, err := engine.Connect(t.Context())
	fatal(t, err)
	sql := &local{engine: engine, conn: conn, store: s}
	defer func() { fatal(t, sql.close()) }()
	ask := func(statement string, args ...any) string {
		t.Helper()
		var out bytes.Buffer
		_, err := answer(t.Context(), sql, &out, "csv", fmt.Sprintf(statement, args...))
		fatal(t, err)
		_, rows, _ := strings.Cut(out.String(), "\n")
		return rows
	}
	for day, when := range []string{fmt.Sprintf("ts_recv_ns < %d", split), fmt.Sprintf("ts_recv_ns >= %d", split)} {
		var lost, recovered strings.Builder
		gone := map[uint64]bool{}
		for _, m := range missing[day] {
			if m[1]-m[0] < mostAsked {
				fmt.Fprintf(&recovered, "%d,%d,%d\n", m[0], m[1], m[1]-m[0]+1)
				continue
			}
			fmt.Fprintf(&lost, "%d,%d,%d\n", m[0], m[1], m[1]-m[0]+1)
			for n := m[0]; n <= m[1]; n++ {
				gone[n] = true
			}
		}
		if lost.Len() == 0 || recovered.Len() == 0 {
			t.Fatal("nothing was lost, or nothing recovered: this test shows nothing")
		}
		const columns = "SELECT first, last, messages FROM gaps WHERE "
		if got := ask(columns+"kind = 'lost' AND %s ORDER BY seq", when); got != lost.String() {
			t.Errorf("day %d: lost\n%swant\n%s", day, got, lost.String())
		}
		for _, kind := range []string{"'recovering'", "'closed' AND messages > 0"} {
			if got := ask(columns+"kind = "+kind+" AND %s ORDER BY seq", when); got != recovered.String() {
				t.Errorf("day %d: %s\n%swant\n%s", day, kind, got, recovered.String())
			}
		}
		if got := ask("SELECT count(*) > 0, bool_and(first IN (SELECT first FROM gaps WHERE kind = 'lost' AND %[1]s)) FROM gaps WHERE kind = 'closed' AND messages = 0 AND %[1]s", when); got != "t,t\n" {
			t.Errorf("day %d: rebuilds %q", day, got)
		}
		// What was sent and not lost is there, once: orders that were added, and prints that no break took back.
		adds, prints := []uint64{}, []uint64{}
		id, _ := mold.SessionID([]string{"MONDAY", "TUESDAY"}[day])
		broken := map[string]bool{}
		for i, m := range l.sent[id] {
			if m[0] == 'B' && !gone[uint64(i+1)] {
				broken[string(m[11:19])] = true
			}
		}
		for i, m := range l.sent[id] {
			switch n := uint64(i + 1); {
			case gone[n]:
			case m[0] == 'A' || m[0] == 'F':
				adds = append(adds, n)
			case m[0] == 'P' && !broken[string(m[36:44])]:
				prints = append(prints, n)
			}
		}
		numbers := func(statement string) (all []uint64) {
			t.Helper()
			for line := range strings.Lines(ask(statement+" AND %s ORDER BY seq", when)) {
				n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
				fatal(t, err)
				all = append(all, n)
			}
			return all
		}
		isAdd := map[uint64]bool{}
		for _, n := range adds {
			isAdd[n] = true
		}
		got := slices.DeleteFunc(numbers("SELECT sequence FROM orders WHERE action = 'A'"), func(n uint64) bool { return !isAdd[n] })
		if len(adds) == 0 || !slices.Equal(got, adds) {
			t.Errorf("day %d: %d orders were added in table orders, want %d", day, len(got), len(adds))
		}
		if got := numbers("SELECT sequence FROM trades WHERE side = 'N'"); len(prints) == 0 || !containsAll(got, prints) {
			t.Errorf("day %d: %d prints of no order, want at least the %d that came", day, len(got), len(prints))
		}
		if got := ask("SELECT count(*) FROM orders WHERE sequence IN (%s) AND %s", list(gone), when); got != "0\n" {
			t.Errorf("day %d: table orders has %s rows of messages that never came", day, got)
		}
	}
	for _, table := range []string{"orders", "ticks", "trades"} {
		if got := ask("SELECT count(*) > 1000, count(*) FILTER (WHERE flags & %d <> 0) FROM %s", tick.FlagSnapshot, table); got != "t,0\n" && !(table == "trades" && strings.HasSuffix(got, ",0\n")) {
			t.Errorf("%s: %q: want many rows, none of them a snapshot's", table, got)
		}
	}
	if got := ask("SELECT count(*) FROM gaps WHERE kind NOT IN ('lost', 'recovering', 'closed')"); got != "0\n" {
		t.Errorf("%s other gaps", got)
	}
	if c := l.lane.Resync().Counters; c.Rebuilt < 2 || c.Republished == 0 {
		t.Errorf("%+v: too little was rebuilt to show anything", c)
	}
}

func list(numbers map[uint64]bool) string {
	var all []string
	for n := range numbers {
		all = append(all, strconv.FormatUint(n, 10))
	}
	return strings.Join(all, ",")
}

// containsAll says that all of want is in got, once.
func containsAll(got, want []uint64) bool {
	seen := map[uint64]int{}
	for _, n := range got {
		seen[n]++
	}
	return !slices.ContainsFunc(want, func(n uint64) bool { return seen[n] != 1 })
}
