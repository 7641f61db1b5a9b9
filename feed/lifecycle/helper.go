package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

const (
	helpWithin = time.Minute // the largest module takes some seconds
	helpNice   = 10
	mostSaid   = 4 << 10
)

// help has another process compile a module into the cache: its memory, its time and its faults are not this one's.
func (s *Set) help(ctx context.Context, module []byte) error {
	asked := ctx
	ctx, end := context.WithTimeout(ctx, helpWithin)
	defer end()
	args := append(s.o.Helper[1:len(s.o.Helper):len(s.o.Helper)], s.o.Config.CacheDir)
	c := exec.CommandContext(ctx, s.o.Helper[0], args...)
	c.Stdin = bytes.NewReader(module)
	runtime.LockOSThread() // the kernel looks at the thread that started the process
	defer runtime.UnlockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // Control-C comes to us alone, and it ends with us
	var said bytes.Buffer
	c.Stderr = &said
	err := c.Run()
	if err == nil {
		return nil
	}
	if asked.Err() != nil {
		return fmt.Errorf("plugins: compiling it was given up, since whoever asked for it did not wait: %w", context.Cause(asked))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("plugins: compiling it took longer than %v; given up", helpWithin)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && said.Len() > 0 {
		return errors.New(strings.TrimSpace(said.String()[:min(said.Len(), mostSaid)])) // its own words
	}
	return fmt.Errorf("plugins: the process that compiles ended with %w: %.200s", err, said.String())
}

// HelperMain is the helper's work: the module on in is compiled into the cache. The error's text is for standard error, with exit code 1.
func HelperMain(cacheDir string, in io.Reader) error {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, helpNice) // it may not: then it does not
	module, err := io.ReadAll(io.LimitReader(in, manifest.MostModuleBytes+1))
	if err != nil {
		return err
	}
	h, err := plugins.New(plugins.Options{CacheDir: cacheDir})
	if err != nil {
		return err
	}
	p, err := h.Compile(module)
	if err == nil {
		err = p.Close()
	}
	return errors.Join(err, h.Close())
}

// Self is the command line by which a program runs itself with args.
func Self(args ...string) []string {
	path, err := os.Executable()
	if err != nil {
		return nil // modules are compiled here then
	}
	return append([]string{path}, args...)
}
