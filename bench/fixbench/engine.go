package fixbench

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tickwire/tickwire/parsers/fix"
)

// The C++ peer is compiled when it is measured: it needs the engine's library, which nothing else of tickwire does.
//
//go:embed testdata/engine.cpp
var engineSource []byte

// errMissing says why the engine is not measured.
type errMissing struct{ why string }

func (e errMissing) Error() string { return "fixbench: the C++ engine is missing: " + e.why }

// engine is the peer at work.
type engine struct {
	dir  string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer
}

// startEngine builds the peer and has it read the day.
func startEngine(d *Day, core int) (_ *engine, err error) {
	cc, err := exec.LookPath("g++")
	if err != nil {
		return nil, errMissing{"there is no C++ compiler (g++)"}
	}
	e := &engine{}
	if e.dir, err = os.MkdirTemp("", "tickwire-fixbench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	args, err := e.files(d, core)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(e.dir, "engine")
	if out, err := exec.Command(cc, "-std=c++14", "-O2", "-march=native", "-w", "-o", bin, filepath.Join(e.dir, "engine.cpp"), "-lquickfix", "-lpthread").CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(string(out), "\n")
		return nil, errMissing{fmt.Sprintf("g++ cannot build it: %s (Debian: libquickfix-dev)", line)}
	}
	e.cmd = exec.Command(bin, args...)
	e.cmd.Stderr = &e.said
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	var n int
	if line, err := e.out.ReadString('\n'); err != nil {
		return nil, errMissing{"it does not start: " + strings.TrimSpace(e.said.String())}
	} else if _, err := fmt.Sscanf(line, "ready %d", &n); err != nil || n != d.Messages() {
		return nil, fmt.Errorf("fixbench: the C++ engine has %d messages of %d", n, d.Messages())
	}
	return e, nil
}

// files lays down what the peer reads, and gives its arguments.
func (e *engine) files(d *Day, core int) (args []string, err error) {
	at := func(name string) string { return filepath.Join(e.dir, name) }
	args = []string{fmt.Sprint(core), at("messages")}
	errs := []error{os.WriteFile(at("engine.cpp"), engineSource, 0o600), os.WriteFile(at("messages"), d.Bytes, 0o600)}
	names := map[string][]string{"FIX.4.2": {"FIX42.xml"}, "FIX.4.4": {"FIX44.xml"}, "FIX.5.0SP2": {"FIXT11.xml", "FIX50SP2.xml"}}
	for _, name := range names[d.Version] {
		text, err := fs.ReadFile(fix.BuiltinDir(), name)
		errs = append(errs, err, os.WriteFile(at(name), text, 0o600))
		args = append(args, at(name))
	}
	return args, errors.Join(errs...)
}

// run has it read all messages once: plain, or with the dictionary.
func (e *engine) run(how string) (took time.Duration, taken int, err error) {
	if _, err := io.WriteString(e.in, how+"\n"); err != nil {
		return 0, 0, fmt.Errorf("fixbench: the C++ engine has ended: %w: %s", err, strings.TrimSpace(e.said.String()))
	}
	var ns int64
	var seen uint64
	if _, err := fmt.Fscanf(e.out, "%d %d %d\n", &ns, &taken, &seen); err != nil {
		return 0, 0, fmt.Errorf("fixbench: the C++ engine: %w: %s", err, strings.TrimSpace(e.said.String()))
	}
	return time.Duration(ns), taken, nil
}

func (e *engine) close() error {
	if e.in != nil {
		_ = e.in.Close() // it ends with its input
	}
	if e.cmd != nil && e.cmd.Process != nil {
		_ = e.cmd.Wait()
	}
	return os.RemoveAll(e.dir)
}
