package measure

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// FrequencyLimit is how much of its frequency a core may lose under load.
const FrequencyLimit = 0.01

// FrequencyOptions of Frequency.
type FrequencyOptions struct {
	// Cores that are loaded, all at the same time. nil: all that are online and allowed.
	Cores []int
	// For is how long: a minute tells of heat. The default is 1 s, the least 100 ms.
	For time.Duration
}

// FrequencyResult of Frequency.
type FrequencyResult struct {
	Where
	// Method is "aperf/mperf" where the processor's own counters can be read (root, module msr), else "dependent adds": a chain
	// of instructions that take one cycle each, against the kernel's clock. It tells the frequency even of a guest.
	Method  string          `json:"method"`
	Seconds float64         `json:"seconds"`
	Cores   []CoreFrequency `json:"cores"`
	Missing []string        `json:"missing,omitempty"`
}

// CoreFrequency is one core under load, in pieces of 50 ms.
type CoreFrequency struct {
	Core      int     `json:"core"`
	MHz       Stat    `json:"mhz"`        // by dependent adds
	FirstMHz  float64 `json:"first_mhz"`  // the first piece: lower where it ramps up
	SpreadPPM float64 `json:"spread_ppm"` // between the fastest piece and the slowest, of the median
	Steady    bool    `json:"steady"`     // the spread is within FrequencyLimit
	APERFMHz  float64 `json:"aperf_mhz"`  // over the whole run, by APERF/MPERF and the counter's frequency; 0: not known
}

// Frequency measures what cores run at while all of them work.
func Frequency(ctx context.Context, o FrequencyOptions) (*FrequencyResult, error) {
	if o.For <= 0 {
		o.For = time.Second
	}
	o.For = max(o.For, 2*frequencyPiece)
	cores, err := usable(o.Cores)
	if err != nil {
		return nil, err
	} else if len(cores) == 0 {
		return nil, errors.New("measure: frequency: there is no core to measure on")
	}
	end, err := begin(ctx, len(cores))
	if err != nil {
		return nil, err
	}
	defer end()
	r := &FrequencyResult{Where: where(), Method: "dependent adds", Cores: make([]CoreFrequency, len(cores))}
	began, gate := time.Now(), newGate(len(cores))
	registers := make([]error, len(cores))
	var threads []<-chan error
	for i, core := range cores {
		threads = append(threads, on(core, func() (err error) {
			defer gate.leave()
			if !gate.wait(ctx) {
				return ctx.Err()
			}
			r.Cores[i], registers[i], err = frequency(ctx, core, o.For)
			return err
		}))
	}
	for i, t := range threads {
		if e := <-t; e != nil && err == nil {
			err = fmt.Errorf("measure: frequency of core %d: %w", cores[i], e)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(began).Seconds()
	if i := slices.IndexFunc(registers, func(err error) bool { return err != nil }); i >= 0 {
		r.Missing = append(r.Missing, "APERF and MPERF: "+registers[i].Error())
	} else {
		r.Method = "aperf/mperf"
	}
	return r, nil
}

const (
	frequencyPiece = 50 * time.Millisecond
	chainAdds      = 400_000 // between two looks at the clock: some 100 µs
)

func frequency(ctx context.Context, core int, length time.Duration) (f CoreFrequency, registers error, err error) {
	f.Core = core
	var pieces []float64
	before, registers := perf(core)
	began, x := time.Now(), uint64(1)
	for time.Since(began) < length {
		best, until := 0.0, time.Now().Add(frequencyPiece)
		for now := time.Now(); now.Before(until); {
			x = adds(x, uint64(core)|1, x>>7)
			then := time.Now()
			best = max(best, chainAdds/float64(then.Sub(now).Nanoseconds())) // what is interrupted is slower
			now = then
			if err := ctx.Err(); err != nil {
				return f, nil, err
			}
		}
		pieces = append(pieces, best*1000)
	}
	sink(uintptr(x))
	ns := float64(time.Since(began).Nanoseconds())
	if registers == nil {
		var after perfCounters
		if after, registers = perf(core); registers == nil {
			registers = f.ratio(before, after, ns)
		}
	}
	f.MHz, f.FirstMHz = statOf(pieces), pieces[0]
	f.SpreadPPM = (f.MHz.Max - f.MHz.Min) / f.MHz.Median * 1e6
	f.Steady = f.SpreadPPM <= FrequencyLimit*1e6
	return f, registers, nil
}

// adds takes chainAdds cycles: each instruction needs what the one before came to, and takes one.
//
//go:noinline
func adds(x, y, z uint64) uint64 {
	for range chainAdds / 20 {
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
		x += y
		x ^= z
	}
	return x
}

// perfCounters are APERF, which counts at the frequency a core runs at, and MPERF, which counts at the counter's; both stand
// still while it sleeps.
type perfCounters struct{ aperf, mperf uint64 }

const (
	msrMPERF = 0xe7
	msrAPERF = 0xe8
	msrSMI   = 0x34
)

func perf(core int) (c perfCounters, err error) {
	if c.aperf, err = msr("/", core, msrAPERF); err == nil {
		c.mperf, err = msr("/", core, msrMPERF)
	}
	return c, err
}

// ratio fills in APERFMHz: MPERF ran for ns, since the core did not sleep, so it tells the counter's frequency as well.
func (f *CoreFrequency) ratio(a, b perfCounters, ns float64) error {
	aperf, mperf := b.aperf-a.aperf, b.mperf-a.mperf
	if mperf == 0 || aperf == 0 {
		return errors.New("they stand still: the hypervisor does not give them to its guests")
	}
	f.APERFMHz = float64(aperf) / ns * 1000
	return nil
}

// msr reads a register of a core. Root, and the module msr.
func msr(root string, core int, register int64) (uint64, error) {
	f, err := os.Open(filepath.Join(root, fmt.Sprintf("dev/cpu/%d/msr", core)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var b [8]byte
	if _, err := f.ReadAt(b[:], register); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
