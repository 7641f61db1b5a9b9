package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"unicode"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// Directory is where symbols come from. It is asked from the goroutine that owns the instance, and not while an instance starts, since a chain makes spares on
// another one.
type Directory interface {
	// Symbol of an instrument as the venue has it, without padding; nil: not known. The bytes are only read, before the next call.
	Symbol(instrument uint32) []byte
}

// Env is what an instance sees of the world.
type Env struct {
	Params    []byte                                      // as Manifest.Values gives them; nil: the defaults
	Directory Directory                                   // nil: no symbols
	Define    func(instrument uint32, symbol []byte) bool // import `define` of parsers, nil: refused. The bytes are valid during the call
	Publisher uint16                                      // column publisher_id
	Lane      bool                                        // the limits of a lane, else those of calls elsewhere
	Now       uint64                                      // time until the first call, ns since the Unix epoch
	Trial     bool                                        // it is only tried: its counters (import metric) stay as they are
}

// Instance is a running plugin. It belongs to one goroutine. Calls do not allocate.
//
// A call that fails returns a *Failure; the instance is dead then (Dead) and its owner closes it and makes another one. Nothing of the call was taken.
type Instance struct {
	Now uint64 // what import `now` says, ns since the Unix epoch; the owner sets it
	Cut uint64 // texts that were cut to their column

	plugin *Plugin
	env    Env
	params map[string]string // for import `config`
	ctx    context.Context
	memory *memory // with its columns: the guest's, or of a command the host's
	own    *memory // the guest's
	module api.Module
	fuel   api.MutableGlobal
	fns    [fnCount]api.Function
	stack  [4]uint64 // arguments, then the result
	units  []unit

	fuelPerRow int64
	mostFuel   int64 // of a call
	used       uint64
	judged     int // unit and rows of the latest batch, for Dead
	judgedRows int
	dead       bool
	started    bool
	random     *rand.Rand
	scratch    []byte
	line       []byte   // of output that is not whole yet
	files      []*file  // by descriptor, from firstFile on; nil: closed
	command    *command // nil: it is called
}

// instanceKey finds the instance in the context that host functions get.
type instanceKey struct{}

type instanceContext struct {
	context.Context
	instance *Instance
}

func (c *instanceContext) Value(key any) any {
	if key == (instanceKey{}) {
		return c.instance
	}
	return nil
}

// Instance makes an instance: linear memory, start functions, tw_init, layouts. Never on a lane: it takes 20 µs (C) to 3 ms (Go).
func (p *Plugin) Instance(env Env) (*Instance, error) {
	if !p.hold() {
		return nil, fmt.Errorf("plugin %s %s: it is closed", p.manifest.Name, p.manifest.Version)
	}
	i := &Instance{Now: env.Now, plugin: p, env: env}
	i.env.Directory, i.env.Define = nil, nil // which are the owner's: whoever makes an instance may be another goroutine
	if err := i.start(); err != nil {
		var f *Failure
		if !errors.As(err, &f) {
			err = fmt.Errorf("plugin %s %s: %w", p.manifest.Name, p.manifest.Version, err)
		}
		return nil, errors.Join(err, i.Close())
	}
	i.started = true
	i.env.Directory, i.env.Define = env.Directory, env.Define
	return i, nil
}

func (i *Instance) start() (err error) {
	m, policy := i.plugin.manifest, &i.plugin.host.policy
	if i.env.Params == nil {
		if i.env.Params, err = m.Values(nil); err != nil {
			return err
		}
	}
	if i.params, err = parameters(i.env.Params); err != nil {
		return err
	}
	i.fuelPerRow = int64(m.Limits.FuelPerRow)
	i.mostFuel = policy.Fuel
	if i.env.Lane && !m.Command {
		i.mostFuel = policy.LaneFuel
	}
	pages := policy.pages(m, i.env.Lane)
	if least := int(i.plugin.compiled.ExportedMemories()["memory"].Min()); least > pages {
		return fmt.Errorf("its memory begins with %d pages, but here it has at most %d", least, pages)
	}
	if i.own, err = mapMemory(pages); err != nil {
		return err
	}
	if m.Command {
		i.command = &command{args: i.plugin.args}
	} else {
		i.memory = i.own
	}
	if m.WASI {
		if err := i.grant(&i.plugin.granted); err != nil {
			return err
		}
	}
	i.ctx = &instanceContext{context.Background(), i}
	ctx := experimental.WithMemoryAllocator(i.ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return i.own }))
	i.module, err = i.plugin.host.runtime.InstantiateModule(ctx, i.plugin.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return &Failure{Plugin: m.Name, Version: m.Version, Call: "start", Trap: true, Err: err}
	}
	i.fuel = i.module.ExportedGlobal(wasm.FuelName).(api.MutableGlobal)
	if m.Command {
		return i.launch(policy.InitFuelWASI)
	}
	for k, e := range exports {
		i.fns[k] = i.module.ExportedFunction(e.name)
	}
	return i.initialize()
}

// initialize runs what a module runs once, and reads its layouts.
func (i *Instance) initialize() error {
	m, policy := i.plugin.manifest, &i.plugin.host.policy
	fuel := policy.InitFuel
	if m.WASI {
		fuel = policy.InitFuelWASI
	}
	if i.fns[fnInitialize] != nil {
		if _, err := i.call(fnInitialize, fuel); err != nil {
			return err
		}
	}
	switch abi, err := i.call(fnABI, fuel); {
	case err != nil:
		return err
	case abi != manifest.ABI:
		return fmt.Errorf("tw_abi says %d, but its manifest %d", abi, manifest.ABI)
	}
	if err := i.init(fuel); err != nil {
		return err
	}
	i.units = make([]unit, len(m.Kinds))
	for k := range m.Kinds {
		i.stack[0] = uint64(k)
		at, err := i.call(fnLayout, fuel)
		if err != nil {
			return err
		}
		if err := i.units[k].read(i, &m.Kinds[k], uint32(at)); err != nil {
			return fmt.Errorf("kinds[%d] (%s): %w", k, m.Kinds[k].Kind, err)
		}
	}
	return i.Health()
}

func (i *Instance) init(fuel int64) error {
	if i.fns[fnInit] == nil {
		return nil
	}
	at, n := uint64(0), uint64(0)
	if i.fns[fnAlloc] != nil {
		var err error
		if at, err = i.hand(i.env.Params, fuel); err != nil {
			return err
		}
		n = uint64(len(i.env.Params))
	}
	i.stack[0], i.stack[1] = at, n
	return i.code(fnInit, fuel)
}

// hand gives bytes to the guest, in room that it allocates.
func (i *Instance) hand(b []byte, fuel int64) (at uint64, err error) {
	i.stack[0] = uint64(len(b))
	got, err := i.call(fnAlloc, fuel)
	if err != nil {
		return 0, err
	}
	room := i.memory.view(uint32(got), uint32(len(b)))
	if got == 0 || room == nil {
		return 0, i.wrong(fnAlloc, fmt.Errorf("no room for %d bytes", len(b)))
	}
	copy(room, b)
	return uint64(uint32(got)), nil
}

// Plugin that it is an instance of.
func (i *Instance) Plugin() *Plugin { return i.plugin }

// Dead says that a call failed, so that further ones return ErrDead.
func (i *Instance) Dead() bool { return i.dead }

// Fuel that calls used so far.
func (i *Instance) Fuel() uint64 { return i.used }

// Close frees the instance. Views of its memory are gone then.
func (i *Instance) Close() error {
	if i.plugin == nil {
		return nil
	}
	p := i.plugin
	i.dead = true
	if i.command != nil {
		i.command.end()
	}
	var err error
	if i.module != nil {
		err = i.module.Close(context.Background())
	}
	for _, m := range []*memory{i.memory, i.own} {
		if m != nil {
			err = errors.Join(err, m.unmap())
		}
	}
	err = errors.Join(err, i.closeFiles())
	i.units, i.plugin = nil, nil
	return errors.Join(err, p.release())
}

// call calls an export with the arguments in stack and gives its result, negative ones too. Hot path.
func (i *Instance) call(fn int, fuel int64) (int32, error) {
	if i.command != nil {
		return i.callCommand(fn, fuel)
	}
	i.fuel.Set(uint64(fuel))
	err := i.fns[fn].CallWithStack(i.ctx, i.stack[:])
	left := int64(i.fuel.Get())
	i.used += uint64(fuel - max(left, 0))
	if err != nil || left < 0 {
		return 0, i.trapped(fn, err, left)
	}
	return int32(uint32(i.stack[0])), nil
}

// ask is call for exports whose negative results are errors. Hot path.
func (i *Instance) ask(fn int, fuel int64) (int, error) {
	got, err := i.call(fn, fuel)
	if err == nil && got < 0 {
		return 0, i.wrong(fn, fmt.Errorf("it returned %d", got))
	}
	return int(got), err
}

// code is call for exports that return 0, or an error code.
func (i *Instance) code(fn int, fuel int64) error {
	got, err := i.call(fn, fuel)
	if err == nil && got != 0 {
		return i.wrong(fn, fmt.Errorf("it returned %d", got))
	}
	return err
}

func (i *Instance) trapped(fn int, err error, left int64) error {
	i.dead = true
	i.fuel.Set(wasm.InitialFuel) // for the line: there is no guest to be trapped
	i.flush(slog.LevelWarn)
	m := i.plugin.manifest
	f := &Failure{Plugin: m.Name, Version: m.Version, Call: exports[fn].name, Trap: true, Err: err}
	if mark := i.module.ExportedGlobal(wasm.MarkName); mark != nil && i.plugin.host.mark {
		f.At = int(uint32(mark.Get()))
	}
	if left < 0 {
		f.Fuel, f.Err = true, errors.Join(errFuel, err)
	}
	return f
}

// wrong is the failure of an answer that cannot be.
func (i *Instance) wrong(fn int, err error) error {
	m := i.plugin.manifest
	f := &Failure{Plugin: m.Name, Version: m.Version, Call: exports[fn].name, Err: err}
	if !i.dead && i.fns[fnError] != nil {
		f.Text = i.errorText()
	}
	i.dead = true
	return f
}

// errorText is what tw_error says of the latest error.
func (i *Instance) errorText() string {
	i.fuel.Set(uint64(i.mostFuel))
	if i.fns[fnError].CallWithStack(i.ctx, i.stack[:]) != nil {
		return ""
	}
	at, n := uint32(i.stack[0]>>32), min(uint32(i.stack[0]), mostText)
	return oneLine(i.memory.view(at, n))
}

// oneLine is a plugin's text for terminals, logs and SQL: of one line, and nothing that steers.
func oneLine(b []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b[:min(len(b), mostText)]), "?"))
}

// Health asks whether all is in order; without tw_health it is.
func (i *Instance) Health() error {
	if i.dead {
		return ErrDead
	}
	if i.fns[fnHealth] == nil {
		return nil
	}
	return i.code(fnHealth, i.mostFuel)
}

const mostState = 1 << 20

// Save gives the state to carry over a reload, nil: the plugin has none. Valid until the next call.
func (i *Instance) Save() ([]byte, error) {
	if i.dead {
		return nil, ErrDead
	}
	if i.fns[fnSave] == nil {
		return nil, nil
	}
	if _, err := i.call(fnSave, i.mostFuel); err != nil {
		return nil, err
	}
	at, n := uint32(i.stack[0]>>32), uint32(i.stack[0])
	switch state := i.memory.view(at, n); {
	case int64(i.stack[0]) < 0:
		return nil, i.wrong(fnSave, fmt.Errorf("it returned %d", int64(i.stack[0])))
	case n > mostState:
		return nil, i.wrong(fnSave, fmt.Errorf("a state of %d bytes, but at most %d", n, mostState))
	case state == nil:
		return nil, i.wrong(fnSave, fmt.Errorf("a state of %d bytes at %d, outside of its memory", n, at))
	default:
		return state, nil
	}
}

// Restore hands over what an instance of another version saved; without tw_restore nothing happens.
func (i *Instance) Restore(state []byte) error {
	switch {
	case i.dead:
		return ErrDead
	case i.fns[fnRestore] == nil:
		return nil
	case len(state) > mostState:
		return i.wrong(fnRestore, fmt.Errorf("a state of %d bytes, but at most %d", len(state), mostState))
	}
	at, err := i.hand(state, i.mostFuel)
	if err != nil {
		return err
	}
	i.stack[0], i.stack[1] = at, uint64(len(state))
	return i.code(fnRestore, i.mostFuel)
}

// Shutdown lets the plugin end in good order. Close comes after it.
func (i *Instance) Shutdown() error {
	if i.dead {
		return ErrDead
	}
	if i.fns[fnShutdown] == nil {
		return nil
	}
	_, err := i.call(fnShutdown, i.mostFuel)
	return err
}

// budget is the fuel of a call with so many rows.
func (i *Instance) budget(rows int) int64 {
	return min(fuelBase+int64(rows)*i.fuelPerRow, i.mostFuel)
}

// unitOf is a unit for a call: it must be of the kind.
func (i *Instance) unitOf(n int, kind manifest.Kind) (*unit, error) {
	if i.dead {
		return nil, ErrDead
	}
	if n < 0 || n >= len(i.units) || i.units[n].manifest.Kind != kind {
		return nil, ErrNoUnit
	}
	return &i.units[n], nil
}

// kept says that a unit's layout is what it was: a plugin that overwrites it has lost its memory. Hot path.
func (i *Instance) kept(u *unit, fn int) error {
	if !bytes.Equal(u.image, i.memory.all[u.at:int(u.at)+len(u.image)]) {
		return i.wrong(fn, errors.New("its layout is not what it was: it writes over its own memory"))
	}
	return nil
}

// countIs checks the count that a call returned.
func (i *Instance) countIs(fn, got, want int) error {
	if got != want {
		return i.wrong(fn, fmt.Errorf("it returned %d, want %d", got, want))
	}
	return nil
}
