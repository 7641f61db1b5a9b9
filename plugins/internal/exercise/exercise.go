// Package exercise has the host run a plugin for tests: every call of its kinds, with as many rows as there may be and awkward values in them. What the host
// refuses, and fuel that does not suffice, fail the test; what comes out is for other tests.
package exercise

import (
	"fmt"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Module compiles a module and exercises it, on a lane where its kinds run on lanes.
func Module(t *testing.T, module []byte) {
	t.Helper()
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	plugin, err := host.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	defer plugin.Close()
	Plugin(t, plugin)
}

// Plugin exercises a plugin that is compiled.
func Plugin(t *testing.T, plugin *plugins.Plugin) {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	for unit, u := range plugin.Manifest().Kinds {
		if err := one(plugin.Host(), plugin, unit, u.Kind, b); err != nil {
			t.Errorf("%s %s: %v", u.Kind, u.Name, err)
		}
	}
}

// symbols are as long as there are.
type symbols struct{}

func (symbols) Symbol(uint32) []byte {
	return []byte("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z-A-B-C-D-E-F-G-H-I")
}

func one(host *plugins.Host, plugin *plugins.Plugin, unit int, kind manifest.Kind, b *tick.Batch) error {
	lane := kind == manifest.Transform || kind == manifest.Validator || kind == manifest.Parser
	i, err := plugin.Instance(plugins.Env{Directory: symbols{}, Lane: lane})
	if err != nil {
		return err
	}
	defer i.Close()
	n := plugin.Manifest().Limits.MaxRows
	batch(b, n)
	for _, id := range []uint16{manifest.ColumnArg, manifest.ColumnArg + 1, manifest.ColumnArg + 2, manifest.ColumnArg + 3} {
		view, _ := i.Column(unit, id)
		for at := range view {
			view[at] = byte(at * 131 >> 3)
		}
	}
	switch kind {
	case manifest.Transform, manifest.Validator:
		return chain(host, plugin, b)
	case manifest.Function:
		return i.Function(unit, n)
	case manifest.Aggregate:
		return aggregate(i, unit, n)
	case manifest.Parser:
		return parse(i, unit, b)
	case manifest.Serializer:
		return serialize(i, unit, n, b)
	case manifest.TypeKind:
		for op := plugins.TypeValidate; op <= plugins.TypeHash; op++ {
			if err := i.Type(unit, op, n); err != nil {
				return fmt.Errorf("op %d: %w", op, err)
			}
		}
		return nil
	case manifest.Codec:
		return code(i, unit, n)
	case manifest.Index:
		return index(i, unit, n)
	case manifest.Partition:
		_, err := i.Partition(unit, b, 0, n)
		return err
	}
	return fmt.Errorf("exercise does not know the kind")
}

// batch fills rows with numbers as long as there are.
func batch(b *tick.Batch, n int) {
	b.Reset()
	for r := range n {
		b.Kind[r], b.Side[r], b.Price[r], b.Size[r] = tick.KindAdd, 'B', -1<<63, 1<<64-1
		b.Instrument[r], b.Sequence[r], b.TsEvent[r] = uint32(r+1)*2654435761|1, 1<<64-1, 1<<64-1
		if r%3 == 0 {
			b.Kind[r], b.Price[r] = tick.KindTrade, int64(r)*1_000_000_007
		}
	}
	b.N = n
}

func chain(host *plugins.Host, plugin *plugins.Plugin, b *tick.Batch) error {
	c, err := host.NewChain([]plugins.Stage{{Plugin: plugin}}, plugins.Env{Directory: symbols{}})
	if err != nil {
		return err
	}
	defer c.Close()
	c.Pass(b, 1)
	if s := c.Stats()[0]; s.Errors+s.Traps+s.Bypassed != 0 {
		return fmt.Errorf("%+v", s)
	}
	return nil
}

func aggregate(i *plugins.Instance, unit, n int) error {
	groups := i.AggGroups(unit)
	if err := i.AggStart(unit, groups); err != nil {
		return err
	}
	if err := i.AggUpdate(unit, n, groups); err != nil {
		return err
	}
	copy(i.In(unit), i.Out(unit))
	if err := i.AggMerge(unit, groups); err != nil {
		return err
	}
	return i.AggResult(unit, groups)
}

// parse hands over zeros of many lengths: a parser refuses packets, it does not fail.
func parse(i *plugins.Instance, unit int, b *tick.Batch) error {
	if err := i.Start(unit, 1); err != nil {
		return err
	}
	packet := make([]byte, 1500)
	for n := range packet {
		b.Reset()
		f, err := i.Frame(unit, packet[:n])
		if err == nil {
			_, err = i.Parse(unit, packet[f.At:n], f.Sequence, int(f.Count), b)
		}
		if i.Dead() {
			return err
		}
	}
	return nil
}

func serialize(i *plugins.Instance, unit, n int, b *tick.Batch) error {
	if _, err := i.Begin(unit); err != nil {
		return err
	}
	if _, err := i.Serialize(unit, b, 0, n, nil); err != nil {
		return err
	}
	_, err := i.End(unit)
	return err
}

func code(i *plugins.Instance, unit, n int) error {
	block, err := i.Encode(unit, n)
	if err != nil {
		return err
	}
	rows, err := i.Decode(unit, append([]byte(nil), block...))
	if err == nil && rows != n {
		err = fmt.Errorf("%d rows come back, want %d", rows, n)
	}
	return err
}

func index(i *plugins.Instance, unit, n int) error {
	if _, err := i.IndexAdvise(unit, n); err != nil {
		return err
	}
	b, err := i.IndexBuild(unit, n)
	if err != nil {
		return err
	}
	_, err = i.IndexProbe(unit, append([]byte(nil), b...), make([]byte, 8), []byte{0xff, 0xff, 0, 0, 0, 0, 0, 0}, nil)
	return err
}
