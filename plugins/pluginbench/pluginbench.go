// Package pluginbench measures what plugins cost: against the same logic in Go, in one run, so that the machine falls out.
//
// The kernel is that of the specification: for each row the price times 100, and a flag where the size is 100 or more. It reads two columns of a batch and
// writes two, so three are touched.
package pluginbench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/wasm"
	"github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// Rows of a batch.
const Rows = 1024

// Options of a run. The zero value works.
type Options struct {
	Time  time.Duration // of each measurement. The default is 200 ms
	Swaps int           // reloads under load. The default is 1,000
}

// Figures of a run. Times are ns, the least of several rounds.
type Figures struct {
	EmptyBatch  float64 `json:"empty_batch_ns"`   // a pass of 1,024 rows through a plugin without columns
	EmptyOneRow float64 `json:"empty_one_row_ns"` // the same with one row
	KernelRow   float64 `json:"kernel_row_ns"`    // a row of 1,024, three columns touched, copies, checks and counters included
	NativeRow   float64 `json:"native_row_ns"`    // the same in Go
	OverNative  float64 `json:"over_native_row_ns"`
	WideRow     float64 `json:"wide_row_ns"` // as KernelRow, through a plugin that uses 128-bit instructions
	WideOver    float64 `json:"wide_over_native_row_ns"`
	OneRow      float64 `json:"one_row_batch_ns"` // a pass of one row through the kernel
	CopyRow     float64 `json:"copies_row_ns"`    // of KernelRow: price and size into the guest, price back, row_ctl cleared
	FuelRow     float64 `json:"call_with_fuel_row_ns"`
	NoFuelRow   float64 `json:"call_without_fuel_row_ns"` // the call alone, of the module as it was before it was instrumented
	SwapP50     float64 `json:"swap_p50_ns"`              // a pass's way to a new chain, while passes go on: of those in which the thread kept its core
	SwapP99     float64 `json:"swap_p99_ns"`
	SwapMax     float64 `json:"swap_max_ns"`
	SwapWall    float64 `json:"swap_wall_ns"` // the longest of all, with what the kernel gave others meanwhile
	Disturbed   int     `json:"disturbed"`    // swaps in which the thread lost its core
	PassMax     float64 `json:"pass_max_ns"`  // the longest pass while chains are swapped: with what the machine takes for others
	Swaps       int     `json:"swaps"`
}

// Run measures.
func Run(o Options) (f Figures, err error) {
	if o.Time == 0 {
		o.Time = 200 * time.Millisecond
	}
	if o.Swaps == 0 {
		o.Swaps = 1000
	}
	b, err := tick.NewBatch()
	if err != nil {
		return f, err
	}
	defer b.Free()
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		return f, err
	}
	defer host.Close()
	empty, err := host.Compile(wasmtest.Empty())
	if err != nil {
		return f, err
	}
	defer empty.Close()
	kernel, err := host.Compile(wasmtest.Kernel())
	if err != nil {
		return f, err
	}
	defer kernel.Close()
	wide, err := host.Compile(wasmtest.WideKernel())
	if err != nil {
		return f, err
	}
	defer wide.Close()

	chain, err := host.NewChain([]plugins.Stage{{Plugin: empty}}, plugins.Env{})
	if err != nil {
		return f, err
	}
	defer chain.Close()
	Fill(b, Rows)
	f.EmptyBatch = least(o.Time, func() { chain.Pass(b, 1) })
	b.N = 1
	f.EmptyOneRow = least(o.Time, func() { chain.Pass(b, 1) })

	if chain, err = host.NewChain([]plugins.Stage{{Plugin: kernel}}, plugins.Env{}); err != nil {
		return f, err
	}
	defer chain.Close()
	Fill(b, Rows)
	verdict := new([tick.MaxRows]plugins.Verdict)
	f.KernelRow, f.NativeRow = beside(o.Time, func() { chain.Pass(b, 1) }, func() { Native(b, verdict) })
	f.KernelRow, f.NativeRow = f.KernelRow/Rows, f.NativeRow/Rows
	f.OverNative = f.KernelRow - f.NativeRow
	b.N = 1
	f.OneRow = least(o.Time, func() { chain.Pass(b, 1) })
	if s := chain.Stats()[0]; s.Traps+s.Errors+s.Bypassed > 0 {
		return f, fmt.Errorf("pluginbench: the kernel failed: %+v", s)
	}
	wideChain, err := host.NewChain([]plugins.Stage{{Plugin: wide}}, plugins.Env{})
	if err != nil {
		return f, err
	}
	defer wideChain.Close()
	Fill(b, Rows)
	native := 0.0
	f.WideRow, native = beside(o.Time, func() { wideChain.Pass(b, 1) }, func() { Native(b, verdict) })
	f.WideRow, f.WideOver = f.WideRow/Rows, (f.WideRow-native)/Rows
	if s := wideChain.Stats()[0]; s.Traps+s.Errors+s.Bypassed > 0 {
		return f, fmt.Errorf("pluginbench: the wide kernel failed: %+v", s)
	}
	guest := new(struct {
		price [Rows]int64
		size  [Rows]uint64
		ctl   [Rows]byte
	})
	f.CopyRow = least(o.Time, func() {
		clear(guest.ctl[:])
		copy(guest.price[:], b.Price[:Rows])
		copy(guest.size[:], b.Size[:Rows])
		copy(b.Price[:Rows], guest.price[:])
	}) / Rows
	if f.FuelRow, f.NoFuelRow, err = fuel(o.Time); err != nil {
		return f, err
	}
	return f, f.swaps(host, kernel, b, o.Swaps)
}

// Fill makes rows of the kinds of an opening minute's prices and sizes: a quarter of them is flagged.
func Fill(b *tick.Batch, n int) {
	for r := range n {
		b.Kind[r], b.Side[r], b.Flags[r] = tick.KindAdd, 'B', 0
		b.Instrument[r], b.Price[r], b.Size[r] = uint32(r%100+1), int64(r+1)*10_000_000, uint64(r*37%133)
	}
	b.N = n
}

// Native is the kernel in Go, with what a chain makes of a verdict.
func Native(b *tick.Batch, verdict *[tick.MaxRows]plugins.Verdict) {
	clear(verdict[:b.N])
	for r := range b.N {
		r &= tick.RowMask
		b.Price[r] *= 100
		if b.Size[r] >= 100 {
			b.Flags[r] |= tick.FlagPublisherSpecific
			verdict[r] = plugins.Flagged
		}
	}
}

// least is the shortest time of a call, in ns, over rounds of 64 calls.
func least(d time.Duration, call func()) float64 {
	best, _ := beside(d, call, func() {})
	return best
}

// beside measures two calls in turns.
func beside(d time.Duration, a, b func()) (leastA, leastB float64) {
	const calls = 64
	round := func(call func()) float64 {
		at := time.Now()
		for range calls {
			call()
		}
		return float64(time.Since(at)) / calls
	}
	leastA, leastB = round(a), round(b)
	for end := time.Now().Add(d); time.Now().Before(end); {
		leastA, leastB = min(leastA, round(a)), min(leastB, round(b))
	}
	return leastA, leastB
}

// fuel measures the call alone, with and without instrumentation.
func fuel(d time.Duration) (with, without float64, err error) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	defer r.Close(ctx)
	module := wasmtest.Kernel()
	code, err := wasm.Instrument(module)
	if err != nil {
		return 0, 0, err
	}
	caller := func(module []byte, fuel bool) (func(), error) {
		m, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			return nil, err
		}
		f, stack := m.ExportedFunction("tw_transform"), make([]uint64, 2)
		global, _ := m.ExportedGlobal(wasm.FuelName).(api.MutableGlobal)
		return func() {
			if fuel {
				global.Set(400_000)
			}
			stack[0], stack[1] = 0, Rows
			_ = f.CallWithStack(ctx, stack) // it was seen to work by Run
		}, nil
	}
	a, err := caller(code, true)
	if err != nil {
		return 0, 0, err
	}
	b, err := caller(module, false)
	if err != nil {
		return 0, 0, err
	}
	with, without = beside(d, a, b)
	return with / Rows, without / Rows, nil
}

// swaps replaces a chain over and over while passes of 16 rows go on.
func (f *Figures) swaps(host *plugins.Host, kernel *plugins.Plugin, b *tick.Batch, n int) error {
	Fill(b, 16)
	var seat plugins.Seat
	set := make(chan struct{}) // one at a time: the next chain is made while passes go on
	done := make(chan error, 1)
	go func() {
		for range n {
			c, err := host.NewChain([]plugins.Stage{{Plugin: kernel}}, plugins.Env{})
			if err != nil {
				done <- err
				return
			}
			seat.Set(c)
			<-set
		}
		done <- nil
	}()
	var have *plugins.Chain
	took := make([]time.Duration, 0, n)
	longest, wall := time.Duration(0), time.Duration(0)
	runtime.LockOSThread() // the kernel counts by thread
	defer runtime.UnlockOSThread()
	finish := func() {
		seat.Set(nil)
		seat.Take()
		if have != nil {
			<-have.Closed()
		}
	}
	for {
		if seat.Waiting() {
			before := switches()
			at := time.Now()
			have = seat.Take()
			pause := time.Since(at)
			if wall = max(wall, pause); switches() == before {
				took = append(took, pause)
			} else {
				f.Disturbed++
			}
			set <- struct{}{}
		}
		if have != nil {
			at := time.Now()
			have.Pass(b, 1)
			longest = max(longest, time.Since(at))
		}
		select {
		case err := <-done:
			finish()
			if err != nil {
				return err
			}
			slices.Sort(took)
			f.Swaps, f.SwapWall, f.PassMax = len(took)+f.Disturbed, float64(wall), float64(longest)
			if len(took) == 0 { // in each one the core was gone
				took = append(took, wall)
			}
			f.SwapP50, f.SwapP99, f.SwapMax = float64(took[len(took)/2]), float64(took[len(took)*99/100]), float64(took[len(took)-1])
			return nil
		default:
		}
	}
}

// switches is how often the kernel took this thread's core away, or it gave it up.
func switches() int64 {
	var use unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &use) // it has no errors that could be
	return use.Nvcsw + use.Nivcsw
}
