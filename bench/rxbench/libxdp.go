package rxbench

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
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
	program *steering // of ours, for a peer that does not take every frame
	latency bool
}

// steering is package bpf's program with the kernel's stamps: the C peer behind it does the same work as nic/afxdp.
type steering struct {
	c    *ebpf.Collection
	link link.Link
	id   ebpf.MapID
}

func newSteering() (_ *steering, err error) {
	s := &steering{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	spec, err := bpf.Spec()
	if err != nil {
		return nil, err
	}
	for name := range spec.Programs {
		if name != bpf.ProgramXDP {
			delete(spec.Programs, name)
		}
	}
	if s.c, err = ebpf.NewCollection(spec); err != nil {
		return nil, err
	}
	key, err := bpf.Key(group, 0)
	if err != nil {
		return nil, err
	}
	if err := bpf.NewFlows(s.c.Maps[bpf.MapFlows]).Add(key, bpf.Flow{Queue: bpf.AnyQueue}); err != nil {
		return nil, err
	}
	info, err := s.c.Maps[bpf.MapXsks].Info()
	if err != nil {
		return nil, err
	}
	s.id, _ = info.ID()
	face, err := net.InterfaceByName("feed0")
	if err != nil {
		return nil, err
	}
	s.link, err = link.AttachXDP(link.XDPOptions{Program: s.c.Programs[bpf.ProgramXDP], Interface: face.Index, Flags: link.XDPDriverMode})
	return s, err
}

func (s *steering) close() {
	if s.link != nil {
		_ = s.link.Close()
	}
	if s.c != nil {
		s.c.Close()
	}
}

const sharedHead = 40

func startLibxdp(ns *netns.NS, bin string, core, samples int, stamped bool) (_ *process, err error) {
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
	var said strings.Builder
	var out io.ReadCloser
	if err := ns.Do(func() error {
		var id ebpf.MapID
		var err error
		if stamped {
			if r.program, err = newSteering(); err != nil {
				return err
			}
			id = r.program.id
		}
		if r.members, err = join(); err != nil {
			return err
		}
		r.cmd = exec.Command(bin, "feed0", fmt.Sprint(core), r.path, fmt.Sprint(group.Port()), fmt.Sprint(samples), fmt.Sprint(id))
		// The interface is this benchmark's alone: without the dispatcher that shares it the peer's own program costs less.
		r.cmd.Env = append(os.Environ(), "LIBXDP_SKIP_DISPATCHER=1")
		r.cmd.Stderr = &said
		if out, err = r.cmd.StdoutPipe(); err != nil {
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
	if r.program != nil {
		r.program.close()
	}
	if r.shared != nil {
		errs = append(errs, unix.Munmap(r.shared))
	}
	return errors.Join(append(errs, os.Remove(r.path))...)
}
