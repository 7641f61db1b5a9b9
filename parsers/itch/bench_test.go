package itch_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/itchgen"
)

const (
	benchMessages = 10_000_000 // far more than a branch predictor keeps or a cache holds
	benchChunk    = 1 << 20    // bytes timed at once: some 0.2 ms, so that most of them see no interruption
	benchPass     = 512        // messages of a batch
)

// BenchmarkDecode is the decoder alone, every way this machine has, on days from memory.
//
//	budget  7 ns/msg realistic, 9 hostile, aim 4; faster than both C loops of testdata/columns.c in the same run; 0 allocs
//	seen    ns/msg realistic / hostile: walk 3.2 / 3.2, portable 9.3 / 11.2, AVX2 4.1 / 3.9, AVX-512 3.8 / 3.7, C table 7.0 / 6.7,
//	        C switch 9.0 / 11.3 (two-core EPYC (Zen 4) VM with other work on the other core, Go 1.26, gcc -O3, 2026-11-25)
//
// All ways take turns through the day, five runs each. A day is timed by the chunk, and what counts is a chunk's median over
// the runs: what else the machine does hits some runs of a chunk, seldom most of them. Pin it (taskset -c 1). The C loops give
// rows of seldom types no more than their common columns, so the comparison is kind to them.
func BenchmarkDecode(b *testing.B) {
	for _, profile := range []itchgen.Profile{itchgen.Realistic, itchgen.Hostile} {
		day := generate(b, profile)
		ways := append(inGo(b, day), inC(b, day)...)
		b.Run(profile.String(), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for _, d := range ways {
				d.run(b, nil) // warm up
				d.runs = nil
			}
			for b.Loop() {
				for range 5 {
					for _, d := range ways {
						d.runs = append(d.runs, d.run(b, make([]int64, 0, len(day)/benchChunk+2)))
					}
				}
			}
			for _, d := range ways {
				b.ReportMetric(d.median()/benchMessages, d.name+"-ns/msg")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkPackets is what a call costs: so many messages each, as they come in packets, from second-level cache. A day's branches can
// be learnt here, so the portable way looks better than it is.
//
//	budget  from 8 messages a call on no slower than the portable way
//	seen    ns/msg portable / AVX2 / AVX-512 at 8: 8.8 / 8.4 / 7.5, at 12: 8.8 / 7.2 / 6.1, at 40: 8.7 / 4.1 / 3.5, at 512: 8.6 / 3.1 / 2.5
func BenchmarkPackets(b *testing.B) {
	g, err := itchgen.New(itchgen.Options{Messages: 400_000, Symbols: 8000, Seed: 42})
	if err != nil {
		b.Fatal(err)
	}
	day := itchgen.AppendAll(nil, g, nil)
	day = day[boundary(day, len(day)/2):]
	out := itch.NewBatch(b)
	for _, n := range []int{1, 4, 8, 12, 40, 512} {
		var packets [][]byte
		for rest := day; n*len(packets) < 16_000; {
			_, used := moldudp64.Walk(rest, n)
			packets, rest = append(packets, rest[:used]), rest[used:]
		}
		for _, v := range itch.Variants() {
			b.Run(fmt.Sprint(n, "/", v.Name), func(b *testing.B) {
				var c itch.Counters
				b.ReportAllocs()
				for b.Loop() {
					for _, p := range packets {
						if out.N+n > benchPass {
							out.Reset()
						}
						v.Append(p, 1, c.Messages, n, out, &c)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.Messages), "ns/msg")
			})
		}
	}
}

// decoder is one way: a run over the day gives the ns of each chunk.
type decoder struct {
	name string
	run  func(b *testing.B, times []int64) []int64
	runs [][]int64
}

// median is the sum of the chunks' medians.
func (d *decoder) median() (ns float64) {
	for i := range d.runs[0] {
		var of []int64
		for _, run := range d.runs {
			of = append(of, run[i])
		}
		slices.Sort(of)
		ns += float64(of[len(of)/2])
	}
	return ns
}

func generate(b *testing.B, profile itchgen.Profile) []byte {
	g, err := itchgen.New(itchgen.Options{Messages: benchMessages, Symbols: 8000, Seed: 42, Profile: profile})
	if err != nil {
		b.Fatal(err)
	}
	return itchgen.AppendAll(make([]byte, 0, benchMessages*36), g, nil)
}

// inGo is the walk and the decoders of this package.
func inGo(b *testing.B, day []byte) []*decoder {
	out := itch.NewBatch(b)
	all := []*decoder{{name: "walk", run: func(b *testing.B, times []int64) []int64 {
		for rest := day; len(rest) > 0; {
			began := time.Now()
			_, used := moldudp64.Walk(rest[:min(benchChunk, len(rest))], 1<<30)
			times = append(times, time.Since(began).Nanoseconds())
			rest = rest[used:]
		}
		return times
	}}}
	for _, v := range itch.Variants() {
		all = append(all, &decoder{name: v.Name, run: func(b *testing.B, times []int64) []int64 {
			var c itch.Counters
			for rest := day; len(rest) > 0; {
				began := time.Now()
				for chunk := rest[:min(benchChunk, len(rest))]; len(chunk) > 0; {
					out.Reset()
					used, n := v.Append(chunk, 1, c.Messages, benchPass, out, &c)
					if n == 0 {
						break
					}
					chunk, rest = chunk[used:], rest[used:]
				}
				times = append(times, time.Since(began).Nanoseconds())
			}
			if c.Messages != benchMessages {
				b.Fatalf("%s: %d messages", v.Name, c.Messages)
			}
			return times
		}})
	}
	return all
}

// inC is the C loops as decoders: a process that runs when it is told to. Without a compiler there are none.
func inC(b *testing.B, day []byte) (all []*decoder) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Log("no gcc: nothing to compare with")
		return nil
	}
	prog := filepath.Join(b.TempDir(), "columns")
	if out, err := exec.Command(gcc, "-O3", "-march=native", "-o", prog, "testdata/columns.c").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	fd, err := unix.MemfdCreate("day", 0)
	if err != nil {
		b.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "day")
	defer file.Close()
	if _, err := file.Write(day); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(prog, "/proc/self/fd/3", fmt.Sprint(benchChunk), fmt.Sprint(benchPass))
	cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		b.Fatal(err1, err2)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	lines := bufio.NewReaderSize(out, 1<<20)
	for _, name := range []string{"switch", "table"} {
		all = append(all, &decoder{name: "C-" + name, run: func(b *testing.B, times []int64) []int64 {
			if _, err := io.WriteString(in, name+"\n"); err != nil {
				b.Fatal(err)
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				b.Fatal(err)
			}
			words := strings.Fields(line)
			for _, w := range words[:len(words)-1] {
				var ns int64
				fmt.Sscan(w, &ns)
				times = append(times, ns)
			}
			if words[len(words)-1] != fmt.Sprint(benchMessages) {
				b.Fatalf("C: %s messages", words[len(words)-1])
			}
			return times
		}})
	}
	return all
}
