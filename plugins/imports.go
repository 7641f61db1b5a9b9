package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tickwire/tickwire/plugins/wasm"
)

// importModule is the name under which the host gives its functions.
const importModule = "tickwire"

const (
	importFuel    = 16   // what an import takes; one more for each 64 bytes
	mostText      = 1024 // bytes of a log line or an error
	mostSymbol    = 71   // bytes of a symbol in a definition, the last one a NUL
	notThere      = ^uint64(0)
	longLogFactor = 8 // a line that is written costs more than one that is counted
)

var errPointer = errors.New("an address outside of its memory")

// imported is a function for guests: arguments and the result are in the stack.
type imported struct {
	name      string
	signature string
	call      func(i *Instance, stack []uint64)
}

var imports = []imported{
	{"log", "iii:", (*Instance).importLog},
	{"config", "iiii:i", (*Instance).importConfig},
	{"metric", "iil:", (*Instance).importMetric},
	{"now", ":l", func(i *Instance, stack []uint64) { i.charge(importFuel); stack[0] = i.Now }},
	{"lookup", "iii:i", (*Instance).importLookup},
	{"define", "iii:i", (*Instance).importDefine},
}

func importNamed(name string) *imported {
	for i := range imports {
		if imports[i].name == name {
			return &imports[i]
		}
	}
	return nil
}

// importsInto gives a runtime the module tickwire.
func importsInto(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(importModule)
	for _, f := range imports {
		exportTo(b, f.name, f.signature, f.call)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func exportTo(b wazero.HostModuleBuilder, name, signature string, call func(*Instance, []uint64)) {
	params, results, _ := strings.Cut(signature, ":")
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		i := ctx.Value(instanceKey{}).(*Instance)
		if i.fuel == nil { // in a start function
			i.fuel = mod.ExportedGlobal(wasm.FuelName).(api.MutableGlobal)
		}
		call(i, stack)
	}), valueTypes(params), valueTypes(results)).Export(name)
}

func valueTypes(letters string) []api.ValueType {
	var types []api.ValueType
	for _, l := range letters {
		types = append(types, map[rune]api.ValueType{'i': api.ValueTypeI32, 'l': api.ValueTypeI64}[l])
	}
	return types
}

// charge takes fuel for what the host does on a guest's behalf, before it does it. Below zero it traps: what one call of an import asks for may be any amount.
func (i *Instance) charge(fuel int64) {
	left := int64(i.fuel.Get()) - fuel
	i.fuel.Set(uint64(left))
	if left < 0 {
		panic(errFuel)
	}
}

// chargeBytes takes what an import of so many bytes costs.
func (i *Instance) chargeBytes(n uint32) { i.charge(importFuel + int64(n/64)) }

// guest is bytes of the guest's memory. An address outside of it ends the call as a trap does.
func (i *Instance) guest(at, n uint64) []byte {
	b := i.own.view(uint32(at), uint32(n))
	if b == nil {
		panic(errPointer)
	}
	return b
}

func (i *Instance) importLog(stack []uint64) {
	n := min(uint32(stack[2]), mostText)
	i.chargeBytes(n)
	i.write(slog.Level(min(uint32(stack[0]), 3)*4)-4, i.guest(stack[1], uint64(n))) // -4 debug, 0 info, 4 warn, 8 error
}

// write says what a plugin wrote, if it may.
func (i *Instance) write(level slog.Level, text []byte) {
	p := i.plugin
	ok, kept := p.limiter.allow(p.host.policy.LogLines)
	if kept > 0 {
		p.say(slog.LevelWarn, fmt.Sprintf("%d further lines in a second", kept))
	}
	if ok {
		i.charge(longLogFactor * importFuel)
		p.say(level, strings.ToValidUTF8(strings.TrimRight(string(text), "\n\x00"), "?"))
	}
}

// say writes a line about a plugin, off the caller's goroutine.
func (p *Plugin) say(level slog.Level, text string, attrs ...slog.Attr) {
	p.host.speaker.say(level, text, append(attrs, slog.String("plugin", p.manifest.Name), slog.String("version", p.manifest.Version))...)
}

func (i *Instance) importConfig(stack []uint64) {
	i.chargeBytes(uint32(stack[1]))
	key := i.guest(stack[0], stack[1])
	value, ok := i.params[string(key)]
	if !ok {
		stack[0] = notThere
		return
	}
	stack[0] = i.give(stack[2], stack[3], []byte(value))
}

// give copies bytes to a guest's room, as many as fit, and says how many there are.
func (i *Instance) give(at, room uint64, b []byte) uint64 {
	copy(i.guest(at, uint64(min(uint32(room), uint32(len(b))))), b)
	return uint64(len(b))
}

func (i *Instance) importMetric(stack []uint64) {
	i.chargeBytes(uint32(stack[1]))
	if n := uint32(stack[1]); n == 0 || n > 64 {
		return
	}
	if key := i.guest(stack[0], stack[1]); !i.env.Trial {
		i.plugin.metrics.add(key, int64(stack[2]))
	}
}

func (i *Instance) importLookup(stack []uint64) {
	i.charge(importFuel)
	var symbol []byte
	if i.env.Directory != nil && i.started {
		symbol = i.env.Directory.Symbol(uint32(stack[0]))
	}
	if symbol == nil {
		stack[0] = notThere
		return
	}
	stack[0] = i.give(stack[1], stack[2], symbol)
}

func (i *Instance) importDefine(stack []uint64) {
	n := uint32(stack[2])
	i.chargeBytes(n)
	if i.env.Define == nil || !i.started || uint32(stack[0]) == 0 || n == 0 || n >= mostSymbol || !i.env.Define(uint32(stack[0]), i.guest(stack[1], uint64(n))) {
		stack[0] = notThere
		return
	}
	stack[0] = 0
}

// parameters are the values of tw_init's JSON as `config` gives them: text without quotes.
func parameters(params []byte) (map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(params, &raw); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	out := make(map[string]string, len(raw))
	for key, v := range raw {
		text := string(v)
		var s string
		if json.Unmarshal(v, &s) == nil {
			text = s
		}
		out[key] = text
	}
	return out, nil
}
