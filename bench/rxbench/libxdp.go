package rxbench

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic/udp"
)

// The C peer is compiled when it is measured: it needs libxdp, which nothing else of tickwire does.
//
//go:embed testdata/libxdp.c
var libxdpSource []byte

// buildLibxdp compiles the peer into a folder and returns its path.
func buildLibxdp(dir string) (string, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return "", missing("there is no C compiler (cc)")
	}
	src, bin := filepath.Join(dir, "libxdp.c"), filepath.Join(dir, "libxdp")
	if err := os.WriteFile(src, libxdpSource, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command(cc, "-O2", "-march=native", "-o", bin, src, "-lxdp", "-lbpf").CombinedOutput()
	if err != nil {
		first, _, _ := strings.Cut(string(out), "\n")
		return "", missing("cc cannot build it: %s (Debian: libxdp-dev, libbpf-dev)", first)
	}
	return bin, nil
}

// process is the C peer at work.
type process struct {
	cmd     *exec.Cmd
	shared  []byte
	path    string
	members *udp.Members
	latency bool
}

const sharedHead = 40

func startLibxdp(ns *netns.NS, bin string, core int, samples int) (_ *process, err error) {
	r := &process{path: filepath.Join(filepath.Dir(bin), fmt.Sprintf("shared-%d", time.Now().UnixNano())), latency: samples > 0}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("libxdp: %w", err), r.close())
		}
	}()
	file, err := os.Create(r.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(int64(sharedHead + 4*samples)); err != nil {
		return nil, err
	}
	if r.shared, err = unix.Mmap(int(file.Fd()), 0, sharedHead+4*samples, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(bin, "feed0", fmt.Sprint(core), r.path, fmt.Sprint(group.Port()), fmt.Sprint(samples))
	// The interface is this benchmark's alone: without the dispatcher that shares it the peer's program costs less.
	r.cmd.Env = append(os.Environ(), "LIBXDP_SKIP_DISPATCHER=1")
	var said strings.Builder
	r.cmd.Stderr = &said
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := ns.Do(func() error {
		var err error
		if r.members, err = join(); err != nil {
			return err
		}
		return r.cmd.Start()
	}); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		_ = r.cmd.Wait()
		return nil, missing("it does not start: %s", strings.TrimSpace(said.String()))
	}
	return r, nil
}

func (r *process) word(i int) *uint64 { return (*uint64)(unsafe.Pointer(&r.shared[8*i])) }

func (r *process) received() uint64 { return atomic.LoadUint64(r.word(0)) }

func (r *process) stop() (*tally, error) {
	atomic.StoreUint64(r.word(1), 1)
	err := r.cmd.Wait()
	t := &tally{received: *r.word(0), disorder: *r.word(2)}
	if r.latency {
		t.late = hdrhistogram.New(1, mostLate, 3)
		for i := range int(*r.word(3)) {
			_ = t.late.RecordValue(int64(*(*uint32)(unsafe.Pointer(&r.shared[sharedHead+4*i]))))
		}
	}
	r.cmd.Process = nil
	return t, errors.Join(err, r.close())
}

func (r *process) close() error {
	var errs []error
	if r.cmd != nil && r.cmd.Process != nil && r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
	}
	if r.members != nil {
		errs = append(errs, r.members.Close())
	}
	if r.shared != nil {
		errs = append(errs, unix.Munmap(r.shared))
	}
	return errors.Join(append(errs, os.Remove(r.path))...)
}
