package trial

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// Profile says where a plugin's fuel and time go, by function. Fuel is exact, and the same on every machine; being told of each call takes time, and more of it in
// functions that are called often, so time is for comparing functions that are.
type Profile struct {
	Batches   int        `json:"batches"`
	Rows      int        `json:"rows"` // or packets
	Fuel      uint64     `json:"fuel"`
	Ns        int64      `json:"ns"`
	Functions []Function `json:"functions"` // those with the most fuel of their own first

	stacks map[string]*Function // by functions from the export on, with ; between them
}

// Function of a profile. Its own is without the functions that it calls.
type Function struct {
	Name      string `json:"name"`
	Calls     int    `json:"calls"`
	Fuel      uint64 `json:"fuel"` // its own
	TotalFuel uint64 `json:"fuel_with_called"`
	Ns        int64  `json:"ns"` // its own
	TotalNs   int64  `json:"ns_with_called"`
}

// NewProfile gives the profile of a module, which gets what trust grants it (nil: nothing), on cases, again and again for a time. A module without names of functions has their numbers.
func NewProfile(module []byte, trust *sign.Policy, cases func(*plugins.Plugin) ([]*Case, error), d time.Duration) (*Profile, error) {
	t := &tracer{epoch: time.Now(), stacks: map[string]*Function{}}
	var err error
	if t.functions, err = wasm.FunctionCount(module); err != nil {
		return nil, err
	}
	host, err := plugins.New(plugins.Options{Trace: t, Trust: trust})
	if err != nil {
		return nil, err
	}
	defer host.Close()
	p, err := host.Compile(module)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	all, err := cases(p)
	if err != nil {
		return nil, err
	}
	pr := &Profile{stacks: t.stacks}
	for _, c := range all {
		if err := pr.one(p, t, c, d/time.Duration(len(all))); err != nil {
			return nil, err
		}
	}
	pr.sum()
	return pr, nil
}

// one runs a case over and over on the same instance; its first run is not counted.
func (pr *Profile) one(p *plugins.Plugin, t *tracer, c *Case, d time.Duration) error {
	r, err := newRunner(p, c)
	if err != nil {
		return err
	}
	defer r.close()
	t.on = false
	if _, err := r.run(0); err != nil {
		return err
	}
	for end, first := time.Now().Add(d), true; first || time.Now().Before(end); first = false {
		if err := r.load(); err != nil {
			return err
		}
		r.out = Result{}
		t.on = true
		_, err := r.run(0)
		t.on = false
		if err != nil {
			return err
		}
		pr.Batches++
		pr.Rows += max(len(c.In.Rows), len(c.Packets))
	}
	return nil
}

// sum makes functions of stacks.
func (pr *Profile) sum() {
	all := map[string]*Function{}
	for stack, s := range pr.stacks {
		pr.Fuel, pr.Ns = pr.Fuel+s.Fuel, pr.Ns+s.Ns
		names := strings.Split(stack, ";")
		for k, name := range names {
			if all[name] == nil {
				all[name] = &Function{Name: name}
			}
			f := all[name]
			if k == len(names)-1 {
				f.Calls, f.Fuel, f.Ns = f.Calls+s.Calls, f.Fuel+s.Fuel, f.Ns+s.Ns
			}
			if slices.Index(names, name) == k { // a function that calls itself counts once
				f.TotalFuel, f.TotalNs = f.TotalFuel+s.Fuel, f.TotalNs+s.Ns
			}
		}
	}
	for _, f := range all {
		pr.Functions = append(pr.Functions, *f)
	}
	slices.SortFunc(pr.Functions, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Fuel, a.Fuel), cmp.Compare(b.TotalFuel, a.TotalFuel), strings.Compare(a.Name, b.Name))
	})
}

// Folded is the profile as flame graph tools read it: a line a stack, functions from the outermost on with ; between them, and its own fuel, or ns.
func (pr *Profile) Folded(ns bool) []byte {
	var b bytes.Buffer
	stacks := make([]string, 0, len(pr.stacks))
	for s := range pr.stacks {
		stacks = append(stacks, s)
	}
	slices.Sort(stacks)
	for _, s := range stacks {
		v := pr.stacks[s].Fuel
		if ns {
			v = uint64(max(pr.stacks[s].Ns, 0))
		}
		fmt.Fprintf(&b, "%s %d\n", s, v)
	}
	return b.Bytes()
}

// tracer is told of each function's beginning and end. What went by since it was told last belongs to the function on top.
type tracer struct {
	on        bool
	functions int // of the module; what the host added is behind them
	epoch     time.Time
	open      []frame
	ns        int64
	fuel      int64
	stacks    map[string]*Function
}

type frame struct {
	stack string
	at    *Function
}

const mostStacks = 100_000 // more of them are counted with the function that called

// NewFunctionListener makes it listen to all.
func (t *tracer) NewFunctionListener(api.FunctionDefinition) experimental.FunctionListener { return t }

func (t *tracer) name(def api.FunctionDefinition) string {
	name := def.Name()
	switch {
	case int(def.Index()) >= t.functions:
		return "(bulk memory)"
	case name == "" && len(def.ExportNames()) > 0:
		name = def.ExportNames()[0]
	case name == "":
		return fmt.Sprintf("function %d", def.Index())
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == ';' || r == 0x7f {
			return '_'
		}
		return r
	}, name)
}

// spend gives the function on top what went by.
func (t *tracer) spend(mod api.Module) {
	ns, fuel := int64(time.Since(t.epoch)), t.fuel
	if g := mod.ExportedGlobal(wasm.FuelName); g != nil {
		fuel = int64(g.Get())
	}
	if n := len(t.open); n > 0 {
		top := t.open[n-1].at
		top.Ns += ns - t.ns
		top.Fuel += uint64(max(t.fuel-fuel, 0))
	}
	t.ns, t.fuel = ns, fuel
}

// Before a function begins.
func (t *tracer) Before(_ context.Context, mod api.Module, def api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if !t.on {
		return
	}
	t.spend(mod)
	stack := t.name(def)
	if n := len(t.open); n > 0 {
		stack = t.open[n-1].stack + ";" + stack
	}
	at := t.stacks[stack]
	if at == nil && len(t.stacks) >= mostStacks && len(t.open) > 0 {
		stack = t.open[len(t.open)-1].stack
		at = t.stacks[stack]
	}
	if at == nil {
		at = &Function{}
		t.stacks[stack] = at
	}
	at.Calls++
	t.open = append(t.open, frame{stack, at})
	t.ns = int64(time.Since(t.epoch)) // without what this took
}

// After a function ended.
func (t *tracer) After(_ context.Context, mod api.Module, _ api.FunctionDefinition, _ []uint64) {
	if t.on && len(t.open) > 0 {
		t.spend(mod)
		t.open = t.open[:len(t.open)-1]
		t.ns = int64(time.Since(t.epoch))
	}
}

// Abort of a function that trapped.
func (t *tracer) Abort(ctx context.Context, mod api.Module, def api.FunctionDefinition, _ error) {
	t.After(ctx, mod, def, nil)
}
