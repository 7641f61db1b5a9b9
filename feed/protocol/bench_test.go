package protocol

import (
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	sim "github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// packets are a day's, and how many messages each one has.
type packets struct {
	of     *Protocol
	bytes  []byte
	ends   []int
	counts []int
}

// BenchmarkPackets is framing, and framing with decode, of XDP packets beside those of ITCH that hold as many messages: one each, as a generated day has
// them, and as many as fit. They take turns, five runs each; a day is timed by the thousand packets, and what counts is those thousands' medians.
//
//	budget  within 2 × of ITCH per byte, however the packets are filled
//	seen    (×ITCH/byte, frame and decode; two-core EPYC (Zen 4) VM, busy with other work, Go 1.26, 2026-11-26)
//	        one 0.75 1.2, day 0.75 1.2 to 1.5, full 0.75 1.7 to 1.9
func BenchmarkPackets(b *testing.B) {
	const messages = 400_000
	for _, tc := range []struct {
		name     string
		together uint64 // ns that a packet waits for more messages
		payload  int
	}{{"one", 1, sim.MinPayload}, {"day", 20_000, 0}, {"full", 1e15, 0}} {
		b.Run(tc.name, func(b *testing.B) {
			ours := nyse(b, messages, sim.PlayOptions{TogetherNs: tc.together, PayloadBytes: tc.payload}, tc.name == "one")
			beside := nasdaq(b, messages, ours.counts)
			var frames, decodes [2][][]float64
			for b.Loop() {
				for range 5 {
					for i, day := range []*packets{ours, beside} {
						frames[i] = append(frames[i], day.run(b, false))
						decodes[i] = append(decodes[i], day.run(b, true))
					}
				}
			}
			per := func(i int, runs [2][][]float64) (ns, byte float64) {
				ns = medians(runs[i])
				return ns / messages, ns / float64(len([]*packets{ours, beside}[i].bytes))
			}
			frame, frameByte := per(0, frames)
			decode, decodeByte := per(0, decodes)
			itchFrame, itchFrameByte := per(1, frames)
			itchDecode, itchDecodeByte := per(1, decodes)
			b.ReportMetric(float64(messages)/float64(len(ours.counts)), "msg/packet")
			b.ReportMetric(frame, "frame-ns/msg")
			b.ReportMetric(itchFrame, "ITCH-frame-ns/msg")
			b.ReportMetric(frameByte/itchFrameByte, "frame×ITCH/byte")
			b.ReportMetric(decode, "ns/msg")
			b.ReportMetric(itchDecode, "ITCH-ns/msg")
			b.ReportMetric(decodeByte/itchDecodeByte, "×ITCH/byte")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// nyse are the packets of a generated session of a channel with a thousand symbols.
func nyse(b *testing.B, messages uint64, o sim.PlayOptions, single bool) *packets {
	b.Helper()
	g, err := xdpgen.New(xdpgen.Options{Messages: messages, Symbols: 1000, Seed: 42, Version: xdp.V25})
	if err != nil {
		b.Fatal(err)
	}
	o.Epoch, o.HeartbeatNs, o.Primes = g.Midnight(), 1e15, 1
	day := &packets{of: XDP}
	err = sim.Play(g, o, func(_ uint64, packet []byte, _ bool) error {
		h, blocks, err := xdp.ParsePacket(packet)
		if err != nil || h.Count == 0 {
			return err
		}
		if !single {
			day.add(packet, int(h.Count))
			return nil
		}
		for i := range uint32(h.Count) {
			var m []byte
			m, blocks = xdp.Next(blocks)
			alone := append(slices.Clone(packet[:xdp.PacketHeaderBytes]), m...)
			xdp.PutHeader(alone, len(alone), h.Flag, 1, h.Sequence+i, h.SendTime, h.SendTimeNs)
			day.add(alone, 1)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return day
}

// nasdaq are the packets of a generated ITCH day, which hold so many messages.
func nasdaq(b *testing.B, messages uint64, counts []int) *packets {
	b.Helper()
	g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 1000, Seed: 42, Profile: itchgen.Realistic})
	if err != nil {
		b.Fatal(err)
	}
	day := &packets{of: ITCH}
	blocks := itchgen.AppendAll(nil, g, nil)
	h := moldudp64.Header{Session: [10]byte([]byte("BENCH     ")), Sequence: 1}
	for i := 0; len(blocks) > 0; i++ {
		whole, used := moldudp64.Walk(blocks, counts[i%len(counts)])
		h.Count = uint16(whole)
		day.add(append(moldudp64.AppendHeader(nil, h), blocks[:used]...), whole)
		h.Sequence, blocks = h.Sequence+uint64(whole), blocks[used:]
	}
	return day
}

func (p *packets) add(packet []byte, count int) {
	p.bytes = append(p.bytes, packet...)
	p.ends, p.counts = append(p.ends, len(p.bytes)), append(p.counts, count)
}

// run takes the whole day and gives the nanoseconds of each thousand packets.
func (p *packets) run(b *testing.B, decode bool) (times []float64) {
	b.Helper()
	out, err := tick.NewBatch()
	if err != nil {
		b.Fatal(err)
	}
	defer out.Free()
	decoder, err := p.of.New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	decoder.Start(1_767_589_200_000_000_000)
	at, began := 0, time.Now()
	for i, end := range p.ends {
		h, blocks, err := p.of.Framing.Parse(p.bytes[at:end])
		if err != nil {
			b.Fatal(err)
		}
		whole, used := p.of.Framing.Walk(blocks, int(h.Count))
		if whole != p.counts[i] || used != len(blocks) {
			b.Fatalf("packet %d: %d messages in %d of %d bytes", i, whole, used, len(blocks))
		}
		for n := 0; decode && n < whole; {
			u, m := decoder.Append(blocks, h.Sequence+uint64(n), whole-n, out)
			blocks, n = blocks[u:], n+m
			if n < whole || out.N >= pipeline.PassReplay || out.Full() {
				out.Reset()
			}
		}
		if at = end; i%1000 == 999 || i == len(p.ends)-1 {
			now := time.Now()
			times = append(times, float64(now.Sub(began).Nanoseconds()))
			began = now
		}
	}
	if decoder.Refused() != 0 {
		b.Fatalf("%d messages refused", decoder.Refused())
	}
	return times
}

// medians is the sum of the chunks' medians over the runs.
func medians(runs [][]float64) (ns float64) {
	for i := range runs[0] {
		var of []float64
		for _, r := range runs {
			of = append(of, r[i])
		}
		slices.Sort(of)
		ns += of[len(of)/2]
	}
	return ns
}
