package plugins

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// Goal: a command that is not what it should be is an error, and no wait without end. Method: modules by hand; programs that work are plugins/build's (Python).

// program is a command whose code gets the number of fd_read.
func program(start bool, units string, code func(read int) Code) []byte {
	m := NewModule()
	read := m.Import(wasiModuleName, "fd_read", "iiii:i")
	m.Memory(1, 1)
	m.Data(8, []byte{64, 0, 0, 0, 4, 0, 0, 0}) // a buffer: 4 bytes at 64
	body := code(read)
	if start {
		m.Start(m.Func("", ":", "", body))
		body = nil
	}
	m.Func("_start", ":", "", body)
	m.Custom(manifest.SectionName, []byte(`{"name": "program", "version": "1.0.0", "abi": 1, "wasi": true, "command": true, "limits": {"max_rows": 4096}, "kinds": [`+units+`]}`))
	return m.Bytes()
}

const oneFunction = `{"kind": "function", "name": "f", "args": ["i64"], "returns": "i64"}`

// soon makes an instance, which must be over in good time.
func soon(t *testing.T, module []byte) error {
	t.Helper()
	h, _ := newHost(t, Policy{})
	p := compile(t, h, module)
	done := make(chan error, 1)
	go func() {
		i, err := p.Instance(Env{})
		if err == nil {
			err = i.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it waits for ever")
		return nil
	}
}

func TestCommandsThatAreNone(t *testing.T) {
	readOnce := func(read int) Code { return Seq(I32(0), I32(8), I32(1), I32(32), Call(read), Drop) }
	for _, tc := range []struct {
		name  string
		start bool
		code  func(read int) Code
		want  string
	}{
		{"it ends at once", false, func(int) Code { return nil }, "it ended"},
		{"it ends behind a read", false, readOnce, "it ended"},
		{"it reads and reads, and answers nothing", false, func(read int) Code { return Loop(readOnce(read), Br(0)) }, "answered with 0"},
		{"it reads before it is started", true, readOnce, "before it is started"},
		{"it never reads", false, func(int) Code { return Loop(Br(0)) }, errFuel.Error()},
	} {
		if err := soon(t, program(tc.start, oneFunction, tc.code)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// Columns of a command are the host's memory, so they are bounded as a guest's is.
func TestCommandColumnsAreBounded(t *testing.T) {
	args, _ := json.Marshal(strings.Split(strings.Repeat("str ", manifest.MostArgs-1)+"str", " "))
	var units []string
	for k := range 8 {
		units = append(units, fmt.Sprintf(`{"kind": "function", "name": "f%d", "args": %s, "returns": "i64"}`, k, args))
	}
	err := soon(t, program(false, strings.Join(units, ", "), func(int) Code { return nil }))
	if err == nil || !strings.Contains(err.Error(), "its columns take") {
		t.Errorf("120 columns of texts: %v", err)
	}
}
