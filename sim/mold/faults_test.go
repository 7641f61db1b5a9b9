package mold

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// numbers sends n packets of one message each, a microsecond apart, and gives the numbers that come on each line, and those lost.
func numbers(t *testing.T, n uint64, o LinesOptions) (came [2][]uint64, lost []uint64, c Counters) {
	t.Helper()
	o.A.Exact, o.B.Exact = true, true
	o.Lost = func(_ [10]byte, first uint64, count int) {
		for i := range uint64(count) {
			lost = append(lost, first+i)
		}
	}
	l, err := NewLinesWith(o, func(line int, _ uint64, packet []byte) error {
		came[line] = append(came[line], binary.BigEndian.Uint64(packet[10:]))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b, _ := moldudp64.AppendBlock(moldudp64.AppendHeader(nil, moldudp64.Header{Sequence: i + 1, Count: 1}), []byte("x"))
		if err := l.Send(i*1000, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	return came, lost, l.Counters()
}

// absent are the numbers from 1 to n that are not there.
func absent(n uint64, there ...[]uint64) (out []uint64) {
	all := slices.Concat(there...)
	slices.Sort(all)
	for i := range n {
		if _, ok := slices.BinarySearch(all, i+1); !ok {
			out = append(out, i+1)
		}
	}
	return out
}

// TestBursts: losses come in runs of whole bursts; those of both lines are the same numbers.
func TestBursts(t *testing.T) {
	const n = 100_000
	runs := func(gone []uint64) (lengths []int) {
		for i, x := range gone {
			if i == 0 || gone[i-1]+1 != x {
				lengths = append(lengths, 0)
			}
			lengths[len(lengths)-1]++
		}
		return lengths
	}
	came, lost, c := numbers(t, n, LinesOptions{A: Line{BurstPPM: 500, BurstPackets: 7}, Seed: 3})
	gone := absent(n, came[0])
	lengths := runs(gone)
	if len(lengths) < 30 || len(lengths) > 70 || slices.ContainsFunc(lengths[:len(lengths)-1], func(l int) bool { return l%7 != 0 }) {
		t.Errorf("bursts of %v", lengths)
	}
	if len(lost) != 0 || c.Lines[0].InBursts != uint64(len(gone)) || c.Lines[0].Lost != c.Lines[0].InBursts || c.Lines[1].Lost != 0 {
		t.Errorf("%d gone, %+v", len(gone), c)
	}
	came, lost, c = numbers(t, n, LinesOptions{BothPPM: 500, BothPackets: 7, A: Line{LossPPM: 1000}, Seed: 3})
	gone = absent(n, came[1])
	if len(gone) == 0 || !slices.Equal(gone, lost) || slices.ContainsFunc(runs(gone)[:5], func(l int) bool { return l%7 != 0 }) {
		t.Errorf("%d gone on B, %d on both", len(gone), len(lost))
	}
	if c.Lines[1].InBoth != uint64(len(gone)) || c.Lines[0].InBoth != c.Lines[1].InBoth || c.LostMessages != uint64(len(lost)) || c.Lines[0].Lost <= c.Lines[0].InBoth {
		t.Errorf("%+v", c)
	}
}

// TestSilences: exactly the packets of a time are lost, on the line named or on both.
func TestSilences(t *testing.T) {
	came, lost, c := numbers(t, 1000, LinesOptions{Silences: []Silence{
		{Line: 0, AfterNs: 100_000, ForNs: 10_000, EveryNs: 300_000}, {Line: Both, AfterNs: 500_000, ForNs: 3_000},
	}})
	var a []uint64
	for _, from := range []uint64{101, 401, 701} {
		for i := range uint64(10) {
			a = append(a, from+i)
		}
	}
	a = append(a, 501, 502, 503)
	slices.Sort(a)
	if got := absent(1000, came[0]); !slices.Equal(got, a) {
		t.Errorf("A lacks %v, want %v", got, a)
	}
	if got := absent(1000, came[1]); !slices.Equal(got, []uint64{501, 502, 503}) || !slices.Equal(lost, got) {
		t.Errorf("B lacks %v, both %v", got, lost)
	}
	if c.Lines[0].InSilence != 33 || c.Lines[1].InSilence != 3 {
		t.Errorf("%+v", c)
	}
}

// TestSeedsStay: the faults that a seed gives are the same in every version, and further faults do not move them.
func TestSeedsStay(t *testing.T) {
	of := func(o LinesOptions) string {
		o.Seed = 42
		came, _, _ := numbers(t, 50_000, o)
		h := sha256.New()
		for _, n := range came[0] {
			h.Write(binary.BigEndian.AppendUint64(nil, n))
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	a := Line{DelayNs: 1, JitterNs: 1, LossPPM: 50_000, DuplicatePPM: 20_000, ReorderPPM: 20_000}
	const want = "bd415d788d53e260"
	if got := of(LinesOptions{A: a}); got != want {
		t.Errorf("line A: %s, want %s", got, want)
	}
	damaged := a
	damaged.CorruptPPM, damaged.Corrupt = 1000, CorruptPayload
	if got := of(LinesOptions{A: damaged, B: Line{BurstPPM: 5000, BurstPackets: 3}}); got != want {
		t.Errorf("line A with damage, and bursts on B: %s, want %s", got, want)
	}
}

// TestCorruption: each way damages as it says, and what it says that a receiver still has is there.
func TestCorruption(t *testing.T) {
	whole := moldudp64.AppendHeader(nil, moldudp64.Header{Session: [10]byte([]byte("SESSION   ")), Sequence: 1000, Count: 5})
	for _, m := range []string{"one", "two", "", "four", "five"} {
		whole, _ = moldudp64.AppendBlock(whole, []byte(m))
	}
	beat := moldudp64.AppendHeader(nil, moldudp64.Header{Sequence: 1000})
	for _, way := range corruptions {
		for how := range uint64(2000) {
			for _, packet := range [][]byte{whole, beat} {
				b, d := corrupt(slices.Clone(packet), way.way, how)
				same := slices.Equal(b, packet)
				h, blocks, err := moldudp64.Parse(b)
				usable, used := 0, 0
				if err == nil && h.Sequence == 1000 && h.Session == [10]byte(packet[:10]) {
					usable, used = moldudp64.Walk(blocks, int(h.Count))
				}
				told := err != nil || h.Sequence > 1<<32 || h.Session != [10]byte(packet[:10]) || usable < int(h.Count) || used < len(blocks)
				switch {
				case same && !(way.way == CorruptPayload && d.whole == 5 && !d.poisoned):
					t.Fatalf("%s, %d: nothing happened", way.name, how)
				case usable != d.whole:
					t.Fatalf("%s, %d: %d messages are usable, said %d", way.name, how, usable, d.whole)
				case !same && !told && way.way != CorruptPayload:
					t.Fatalf("%s, %d: nobody can tell", way.name, how)
				}
			}
		}
	}
	all, err := ParseCorruption("header,length, truncate,payload,count")
	if err != nil || all != everyCorruption || all.String() != "header,length,truncate,payload,count" {
		t.Errorf("%v: %v", all, err)
	}
	if _, err := ParseCorruption(""); err == nil || !strings.Contains((Corruption(64)).String(), "0x40") {
		t.Error("no damage at all was taken")
	}
}

// TestLinesOptions: all faults at once.
func TestLinesOptions(t *testing.T) {
	o := LinesOptions{
		A: Line{BurstPPM: 5}, B: Line{CorruptPPM: perMillion + 1, Corrupt: 64}, BothPPM: perMillion + 1, Silences: []Silence{{Line: 2}, {ForNs: 5, EveryNs: 3}},
	}
	_, err := NewLinesWith(o, nil)
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"line A: bursts", "line B: 1000001", "line B: damage 0x40", "both lines: 1000001", "both lines: loss needs", "silence on line 2", "each 3 ns"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing about %q in %v", want, err)
		}
	}
}

// TestLinesSteady: once warm, lines do not allocate.
func TestLinesSteady(t *testing.T) {
	l, err := NewLinesWith(LinesOptions{
		A: Line{LossPPM: 1000, CorruptPPM: 1000, DuplicatePPM: 1000}, B: Line{DelayNs: 1_000_000, JitterNs: 1000, Exact: true}, BothPPM: 100, BothPackets: 2,
	}, func(int, uint64, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	packet, ts := make([]byte, 500), uint64(0)
	send := func() {
		ts += 1000
		_ = l.Send(ts, packet)
	}
	for range 20_000 {
		send()
	}
	if n := testing.AllocsPerRun(20_000, send); n != 0 {
		t.Errorf("%g allocations a packet", n)
	}
}

// TestLinesBound: a delay that keeps too many packets up is refused, not paid for with all memory.
func TestLinesBound(t *testing.T) {
	l, err := NewLinesWith(LinesOptions{A: Line{LossPPM: perMillion}, B: Line{DelayNs: 1 << 60, Exact: true}}, func(int, uint64, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	l.free = make([][]byte, 0, mostFlights)
	for n := 0; ; n++ {
		l.free = append(l.free, make([]byte, 0, 1)) // not 1,400 bytes for each
		if err := l.Send(uint64(n), []byte("x")); err != nil {
			if n != mostFlights || !strings.Contains(err.Error(), "too long for this rate") {
				t.Errorf("after %d packets: %v", n, err)
			}
			return
		}
	}
}

// FuzzCorrupt: whatever the packet, damage stays within it.
func FuzzCorrupt(f *testing.F) {
	f.Add([]byte("SESSION   \x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x01x"), uint64(1), byte(31))
	f.Fuzz(func(t *testing.T, packet []byte, how uint64, ways byte) {
		w := Corruption(ways) & everyCorruption
		if w == 0 {
			w = everyCorruption
		}
		b, d := corrupt(slices.Clone(packet), w, how)
		if len(b) > len(packet) || d.whole > messages(packet) || d.whole < 0 {
			t.Errorf("%d of %d bytes, %+v of %d messages", len(b), len(packet), d, messages(packet))
		}
	})
}
