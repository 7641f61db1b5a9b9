package plugins

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// A command is a module that cannot be called: a program, whose main function runs for as long as the instance lives, and which gets batches by its standard
// input and answers by its standard output (ABI.md, Commands). It is how interpreters run that export nothing, such as CPython.
//
//	instance                        command (a goroutine, running only while the instance waits)
//	  columns in host memory
//	  call: input, resume  ───────►   read(0) … write(1)
//	        wait           ◄───────   read(0) with nothing left
//	  output into columns
//
// Columns live in memory of the host's own, laid out as a guest would, so that all that is checked and taken from there is the same. Two hand-overs between
// goroutines are no matter beside an interpreter; a lane may not wait so, and gets no commands (feed/lifecycle).

const (
	mostArgs    = 1 << 20 // bytes
	mostMessage = 64 << 10
)

var (
	errEnded  = errors.New("it ended")
	errClosed = errors.New("its instance is closed")
	errEarly  = errors.New("it reads standard input before it is started: in a start function")
)

// command is the other end of an instance.
type command struct {
	args   []string
	input  []byte // what it has not read yet
	output []byte // since it was resumed
	most   int    // of output
	resume chan struct{}
	paused chan error // nil: it wants input; else it has ended
	ended  error
	closed bool
}

// argsOf reads a command's arguments.
func argsOf(module []byte) ([]string, error) {
	text, err := wasm.Custom(module, manifest.ArgsSection)
	if err != nil {
		return nil, err
	}
	if len(text) > mostArgs {
		return nil, fmt.Errorf("section %s has %d bytes, but at most %d", manifest.ArgsSection, len(text), mostArgs)
	}
	var args []string
	if len(text) > 0 {
		if err := json.Unmarshal(text, &args); err != nil {
			return nil, fmt.Errorf("section %s: %w", manifest.ArgsSection, err)
		}
	}
	if slices.ContainsFunc(args, func(a string) bool { return slices.Contains([]byte(a), 0) }) {
		return nil, fmt.Errorf("section %s: an argument with a NUL", manifest.ArgsSection)
	}
	return args, nil
}

// commandUnit is what a command is told of a unit.
type commandUnit struct {
	Kind    manifest.Kind   `json:"kind"`
	Name    string          `json:"name,omitempty"`
	MaxRows int             `json:"max_rows"`
	Columns []commandColumn `json:"columns"`
}

type commandColumn struct {
	ID      uint16 `json:"id"`
	Name    string `json:"name,omitempty"`
	Type    string `json:"type"`
	Stride  int    `json:"stride"`
	Sent    bool   `json:"sent"`    // it comes with a call
	Written bool   `json:"written"` // it is part of the answer
}

// Strides of texts in the columns of commands.
var commandStrides = map[uint16]int{columnSymbol: 72, columnMPID: 8}

const commandTextStride = 256

// launch lays out columns and starts the program, which says whether it is ready.
func (i *Instance) launch(fuel int64) error {
	m := i.plugin.manifest
	if err := i.commandColumns(); err != nil {
		return err
	}
	hello := struct {
		Params json.RawMessage `json:"params"`
		Units  []commandUnit   `json:"units"`
	}{i.env.Params, make([]commandUnit, len(m.Kinds))}
	most := 0
	for k := range m.Kinds {
		hello.Units[k] = i.commandUnit(k)
		size := 4
		for _, c := range hello.Units[k].Columns {
			size += c.Stride * i.units[k].maxRows
		}
		most = max(most, size)
	}
	text, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	c := i.command
	c.most = max(most, 8+mostMessage)
	c.resume, c.paused = make(chan struct{}), make(chan error)
	start := i.module.ExportedFunction("_start")
	i.fuel.Set(uint64(fuel))
	go func() {
		if _, ok := <-c.resume; !ok {
			c.paused <- errClosed
			return
		}
		_, err := start.Call(i.ctx)
		c.paused <- errors.Join(errEnded, err)
	}()
	got, err := i.exchange(fnInit, append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...), fuel)
	if err == nil && got != 0 {
		err = i.wrong(fnInit, fmt.Errorf("it answered %d", got))
	}
	return err
}

// commandColumns makes the columns of all units in memory of the host's, and reads them as any layout.
func (i *Instance) commandColumns() (err error) {
	m := i.plugin.manifest
	i.units = make([]unit, len(m.Kinds))
	at, all, layouts := pageBytes, make([][]wanted, len(m.Kinds)), make([]int, len(m.Kinds))
	place := func(bytes int) int {
		here := at
		at = (at + bytes + 63) &^ 63
		return here
	}
	type column struct{ at, stride int }
	columns := make([][]column, len(m.Kinds))
	for k := range m.Kinds {
		all[k], _, _ = wants(&m.Kinds[k])
		layouts[k] = place(layoutHeader + layoutColumn*len(all[k]))
		for j := range all[k] {
			w := &all[k][j]
			stride := w.typ.Bytes()
			switch {
			case w.typ == 0: // a custom column of a plugin before it, whose type the chain knows
				w.typ, stride = manifest.I64, 8
			case w.typ.Wire() == manifest.Str:
				stride = orElse(commandStrides[w.id], commandTextStride)
			}
			columns[k] = append(columns[k], column{place(stride * m.Limits.MaxRows), stride})
		}
	}
	pages := at/pageBytes + 1
	if most := i.plugin.host.policy.Pages; pages > most { // which are the host's, but there for the guest: bounded as its own
		return fmt.Errorf("its columns take %d pages of 64 KiB, but here they have at most %d: limits.max_rows is %d", pages, most, m.Limits.MaxRows)
	}
	if i.memory, err = mapMemory(pages); err != nil {
		return err
	}
	i.memory.size = len(i.memory.all)
	for k := range m.Kinds {
		b := i.memory.all[layouts[k]:]
		for j, v := range []uint32{layoutMagic, uint32(m.Limits.MaxRows), 0, 0, 0, 0, uint32(len(all[k])), 0} {
			binary.LittleEndian.PutUint32(b[4*j:], v)
		}
		for j, w := range all[k] {
			c := b[layoutHeader+layoutColumn*j:]
			binary.LittleEndian.PutUint16(c, w.id)
			c[2], c[3] = byte(w.typ.Wire()), w.access
			binary.LittleEndian.PutUint32(c[4:], uint32(columns[k][j].at))
			binary.LittleEndian.PutUint32(c[8:], uint32(columns[k][j].stride))
		}
		if err := i.units[k].read(i, &m.Kinds[k], uint32(layouts[k])); err != nil {
			return fmt.Errorf("kinds[%d] (%s): %w", k, m.Kinds[k].Kind, err)
		}
	}
	return nil
}

func (i *Instance) commandUnit(k int) commandUnit {
	u := &i.units[k]
	out := commandUnit{Kind: u.manifest.Kind, Name: u.manifest.Name, MaxRows: u.maxRows}
	earlier := earlier(u.manifest)
	for _, c := range u.columns {
		to := commandColumn{
			ID: c.id, Name: manifest.ColumnName(c.id), Type: c.typ.String(), Stride: int(c.stride), Written: c.access&accessWrite != 0,
			Sent: c.access&accessRead != 0 || slices.ContainsFunc(u.ins, func(in column) bool { return in.id == c.id }),
		}
		switch {
		case c.id >= manifest.ColumnEarlier && int(c.id-manifest.ColumnEarlier) < len(earlier):
			to.Name = earlier[c.id-manifest.ColumnEarlier]
		case c.id >= manifest.ColumnCustom && int(c.id-manifest.ColumnCustom) < len(u.manifest.Custom):
			to.Name = u.manifest.Custom[c.id-manifest.ColumnCustom].Name
		}
		out.Columns = append(out.Columns, to)
	}
	return out
}

// callCommand is call for a command: unit and rows are in stack.
func (i *Instance) callCommand(fn int, fuel int64) (int32, error) {
	k, n := int(uint32(i.stack[0])), int(uint32(i.stack[1]))
	u := &i.units[k]
	in := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(i.scratch[:0], uint32(k)), uint32(n))
	want := 4
	for _, c := range u.columns {
		bytes := i.memory.all[c.at : int(c.at)+n*int(c.stride)]
		if c.access&accessWrite != 0 {
			want += len(bytes)
		}
		if c.access&accessRead != 0 || slices.ContainsFunc(u.ins, func(in column) bool { return in.id == c.id }) {
			in = append(in, bytes...)
		}
	}
	i.scratch = in
	got, err := i.exchange(fn, in, fuel)
	if err != nil || got < 0 {
		return got, err
	}
	out := i.command.output
	if len(out) != want {
		return 0, i.wrong(fn, fmt.Errorf("it answered with %d bytes, want %d", len(out), want))
	}
	out = out[4:]
	for _, c := range u.columns {
		if c.access&accessWrite != 0 {
			out = out[copy(i.memory.all[c.at:int(c.at)+n*int(c.stride)], out):]
		}
	}
	return got, nil
}

// exchange gives a command input and waits for its answer: 4 bytes, a count or an error's number, behind which its text is the failure's.
func (i *Instance) exchange(fn int, input []byte, fuel int64) (int32, error) {
	c := i.command
	if c.ended != nil {
		return 0, i.trapped(fn, c.ended, 0)
	}
	c.input, c.output = input, c.output[:0]
	i.fuel.Set(uint64(fuel))
	c.resume <- struct{}{}
	err := <-c.paused
	left := int64(i.fuel.Get())
	i.used += uint64(fuel - max(left, 0))
	switch {
	case err != nil:
		c.ended = err
		return 0, i.trapped(fn, err, left)
	case len(c.input) > 0 || len(c.output) < 4:
		return 0, i.wrong(fn, fmt.Errorf("it left %d bytes of its input and answered with %d", len(c.input), len(c.output)))
	}
	got := int32(binary.LittleEndian.Uint32(c.output))
	if got < 0 {
		return got, i.wrong(fn, fmt.Errorf("it answered %d: %s", got, oneLine(c.output[4:])))
	}
	return got, nil
}

// pause is a read of standard input with nothing left: on the command's goroutine.
func (c *command) pause() {
	if c.paused == nil { // nobody waits for it yet
		panic(errEarly)
	}
	c.paused <- nil
	if _, ok := <-c.resume; !ok {
		panic(errClosed)
	}
}

// read is standard input.
func (c *command) read(to []byte) int {
	if len(to) == 0 {
		return 0
	}
	for len(c.input) == 0 {
		c.pause()
	}
	n := copy(to, c.input)
	c.input = c.input[n:]
	return n
}

// write is standard output.
func (c *command) write(b []byte) {
	if len(c.output)+len(b) > c.most {
		panic(fmt.Errorf("it answers with more than %d bytes", c.most))
	}
	c.output = append(c.output, b...)
}

// end has the command's goroutine end, wherever it is.
func (c *command) end() {
	if c.resume == nil || c.closed {
		return
	}
	c.closed = true
	close(c.resume)
	if c.ended == nil {
		<-c.paused
	}
}
