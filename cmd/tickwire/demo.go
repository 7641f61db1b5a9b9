package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
)

// demoOptions are the command line's.
type demoOptions struct {
	span   time.Duration
	plain  bool
	rate   int
	seed   uint64
	source string
	names  int
}

func demoCommand() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use: "demo", Short: "everything at once on a generated session: packets, books, rings, SQL", Args: exactly(0),
		Long: `demo needs no configuration and no privileges. It generates an ITCH session with stamps of now, sends it as multicast lines
A and B on the loopback interface (TTL 0: nothing leaves this host), runs a feed process that turns them into books and
shared-memory rings and a serve process that answers SQL, and shows what goes through:

  generator ──A, B──► feed ──rings──► serve ──► psql -h 127.0.0.1 -p 5433
                        └──rings──► this screen

With --source afxdp, as root, it makes two network namespaces (tickwire-…) joined by two veth pairs, one a line, and the feed takes
its packets from the driver by AF_XDP. Neither namespace has a way out.

All of it is invented (publisher 40000, SIM.ITCH). Everything is removed at the end; what a killed demo left is removed by
the next one.`,
		Example: "  tickwire demo\n  tickwire demo --for 10s --plain\n  sudo tickwire demo --source afxdp",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rate < 100 || o.rate > 5_000_000 {
				return usageError{fmt.Errorf("--rate %d is not in 100 … 5000000 messages a second", o.rate)}
			}
			if o.source != "udp" && o.source != "afxdp" && o.source != "replay" {
				return usageError{fmt.Errorf("--source %s is unknown here; known: udp, afxdp, replay", o.source)}
			}
			if f, ok := cmd.OutOrStdout().(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
				o.plain = true
			}
			return demo(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.DurationVar(&o.span, "for", 0, "end after this time (default: at Control-C)")
	f.BoolVar(&o.plain, "plain", false, "lines for scripts instead of a screen (default: when the output is no terminal)")
	f.IntVar(&o.rate, "rate", 50_000, "messages a second")
	f.Uint64Var(&o.seed, "seed", 1, "of the generated session")
	f.IntVar(&o.names, "symbols", 500, "instruments")
	f.StringVar(&o.source, "source", "udp", "udp: multicast on lo; afxdp: from the driver, over veth pairs in namespaces of its own (root); replay: a file, without any network")
	return c
}

const (
	demoPrefix   = "tickwire-demo-"
	demoFeed     = "sim"
	demoInstance = "demo"
	demoWait     = 30 * time.Second // for a child to be there
)

// demoRun is a running demo.
type demoRun struct {
	*demoOptions
	out, errs io.Writer
	dir       string // everything lies under it
	config    string
	sql       string
	wires     *netns.Pair // of source afxdp
	groups    [2]netip.AddrPort
	feed      *child
	serve     *child
	log       *os.File
	binary    string // of the children: this one
}

func demo(ctx context.Context, o *demoOptions, out, errs io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return demoWith(ctx, self, o, out, errs)
}

// demoWith runs a demo whose children are the given binary.
func demoWith(ctx context.Context, binary string, o *demoOptions, out, errs io.Writer) (err error) {
	d := &demoRun{demoOptions: o, out: out, errs: errs, binary: binary}
	if err := d.place(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.clean()) }()
	switch o.source {
	case "afxdp":
		if err := d.plug(); err != nil {
			return err
		}
	case "udp":
		if why := d.multicast(); why != nil {
			fmt.Fprintf(errs, "tickwire demo: multicast on lo is not possible here (%v): replaying a file instead\n", why)
			o.source = "replay"
		}
	}
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return d.explain(err)
	}
	if err := d.watch(ctx); err != nil {
		return d.explain(err)
	}
	return nil
}

// place makes the demo's folder, after removing those of demos that are gone.
func (d *demoRun) place() error {
	parent := "/dev/shm"
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		parent = os.TempDir()
	}
	process.ClearDead(parent, demoPrefix)
	d.dir = filepath.Join(parent, demoPrefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return fmt.Errorf("a folder for the demo's shared memory: %w", err)
	}
	var err error
	d.log, err = os.Create(filepath.Join(d.dir, "log"))
	return err
}

// clean ends the children and removes everything.
func (d *demoRun) clean() error {
	d.serve.stop()
	d.feed.stop()
	var err error
	if d.wires != nil {
		err = d.wires.Close()
	}
	if d.log != nil {
		_ = d.log.Close()
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

// plug makes the namespaces and wires of source afxdp.
func (d *demoRun) plug() (err error) {
	if missing := afxdp.Missing(); missing != "" {
		why, _, _ := strings.Cut(missing, ". ")
		return fmt.Errorf("--source afxdp makes network namespaces and loads a program into the kernel: run it as root, or leave --source away (%s)", why)
	}
	if d.wires, err = netns.NewPair("demo", netns.Options{Pairs: 2}); err != nil {
		return fmt.Errorf("source afxdp: %w", err)
	}
	d.groups = [2]netip.AddrPort{exchange.GroupA, exchange.GroupB}
	return nil
}

// live says that packets go over a network.
func (d *demoRun) live() bool { return d.source != "replay" }

// interfaces are those of the receiving and of the sending end, a line each.
func (d *demoRun) interfaces() (rx, tx [2]string) {
	if d.source == "afxdp" {
		return [2]string{"feed0", "feed1"}, [2]string{"gen0", "gen1"}
	}
	return [2]string{"lo", "lo"}, [2]string{"lo", "lo"}
}

// inside runs f where an end of the wires is: in a namespace of its own, or here.
func (d *demoRun) inside(end func(*netns.Pair) *netns.NS, f func() error) error {
	if d.wires == nil {
		return f()
	}
	return end(d.wires).Do(f)
}

func receiving(p *netns.Pair) *netns.NS { return p.Rx }
func sending(p *netns.Pair) *netns.NS   { return p.Tx }

// explain adds what the children said to an error.
func (d *demoRun) explain(err error) error {
	text, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	if len(text) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%w\nthe processes said:\n  %s", err, strings.Join(lines[max(0, len(lines)-10):], "\n  "))
}

// multicast finds a free port for the groups and tries them.
func (d *demoRun) multicast() error {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if err := c.Close(); err != nil {
		return err
	}
	d.groups = [2]netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("239.255.77.1"), port), netip.AddrPortFrom(netip.MustParseAddr("239.255.77.2"), port),
	}
	s, err := udp.Open(udp.Options{Groups: []udp.Group{{Group: d.groups[0], Interface: "lo"}}})
	if err != nil {
		return err
	}
	defer s.Close()
	w, err := udp.NewSender(d.groups[0], "lo", 0)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Send([][]byte{[]byte("here?")}); err != nil {
		return err
	}
	if err := s.Wait(time.Second); err != nil {
		return err
	}
	if n, err := s.Poll(make([]nic.Packet, 1)); n != 1 {
		return errors.Join(errors.New("a datagram that was sent did not come back"), err)
	}
	return nil
}

// demoConfig is the configuration of both processes: small rings, and sleeping instead of spinning, for this machine
// has other work to do.
const demoConfig = `[instance]
name = "demo"
run_dir = %[1]q
ring_dir = %[1]q

[[feed]]
name = "sim"
publisher = 40000
dataset = "SIM.ITCH"
idle = "block"
%[2]s
[feed.rings]
mbo = 262144
mbp1 = 131072
trades = 16384
events = 16384
ext = 65536
instruments = 16384
%[3]s
[serve]
memory = "1GiB"
`

// start makes the configuration and both processes.
func (d *demoRun) start(ctx context.Context) (err error) {
	source, channels := "", ""
	if d.live() {
		source = fmt.Sprintf("source = %q\n", d.source)
		channels = "[[feed.channel]]\n"
		rx, _ := d.interfaces()
		for i, g := range d.groups {
			channels += fmt.Sprintf("[[feed.channel.line]]\ninterface = %q\ngroup = %q\n", rx[i], g)
		}
	} else {
		day := filepath.Join(d.dir, time.Now().UTC().Format("20060102")+".itch")
		if err := d.record(day); err != nil {
			return err
		}
		source = fmt.Sprintf("source = \"file\"\npath = %q\npace = \"%d/s\"\n", day, d.rate)
	}
	d.config = filepath.Join(d.dir, "tickwire.toml")
	if err := os.WriteFile(d.config, fmt.Appendf(nil, demoConfig, d.dir, source, channels), 0o600); err != nil {
		return err
	}
	if d.feed, err = d.spawn("feed", demoFeed); err != nil {
		return err
	}
	if err := d.await(ctx, d.feed, "its rings", func() bool {
		r, err := ringbuf.Open(d.ring(ringbuf.KindMbp1), ringbuf.ReaderOptions{})
		if err != nil {
			return false
		}
		defer r.Close()
		for _, side := range []string{d.side("0", ringbuf.ExtInst), d.side("", ringbuf.ExtStats)} { // they come after the rings
			if _, err := os.Stat(side); err != nil {
				return false
			}
		}
		return r.Alive()
	}); err != nil {
		return err
	}
	if !haveDuckDB {
		fmt.Fprintln(d.errs, "tickwire demo: this binary was built without cgo: no SQL port")
		d.sql = ""
		return nil
	}
	return d.startServe(ctx)
}

// startServe finds a port that nobody has and starts the SQL port on it. Between looking and listening somebody else may take
// it: then the next one.
func (d *demoRun) startServe(ctx context.Context) (err error) {
	for port := 5433; port < 5533; port++ {
		d.sql = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", d.sql)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return err
		}
		if d.serve, err = d.spawn("serve"); err != nil {
			return err
		}
		err = d.await(ctx, d.serve, "its SQL port", func() bool {
			r, err := ringbuf.OpenStats(ringbuf.SidePath(d.dir, demoInstance, "serve", "", ringbuf.ExtStats)) // it is there once the port is ours
			if err != nil {
				return false
			}
			return r.Close() == nil
		})
		if err == nil || ctx.Err() != nil {
			return err
		}
		if text, _ := os.ReadFile(filepath.Join(d.dir, "log")); !strings.Contains(string(text), d.sql+": bind: address already in use") {
			return err
		}
	}
	return errors.New("no port from 5433 to 5532 is free on 127.0.0.1 for SQL")
}

func (d *demoRun) ring(k ringbuf.Kind) string {
	return ringbuf.Path(d.dir, demoInstance, demoFeed, "0", k)
}

func (d *demoRun) side(lane, ext string) string {
	return ringbuf.SidePath(d.dir, demoInstance, demoFeed, lane, ext)
}

// await waits until a child is ready.
func (d *demoRun) await(ctx context.Context, c *child, what string, ready func() bool) error {
	for end := time.Now().Add(demoWait); ; {
		if ready() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-c.ended:
			c.ended <- err
			return fmt.Errorf("the %s process ended before %s was there: %v", c.name, what, err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			return fmt.Errorf("the %s process did not bring up %s within %s", c.name, what, demoWait)
		}
	}
}

// child is one of the two processes.
type child struct {
	name  string
	cmd   *exec.Cmd
	ended chan error
}

func (d *demoRun) spawn(name string, args ...string) (*child, error) {
	c := &child{name: name, ended: make(chan error, 1)}
	c.cmd = exec.Command(d.binary, append(append([]string{name}, args...), "--config", d.config)...)
	c.cmd.Stdout, c.cmd.Stderr = d.log, d.log
	c.cmd.Env = demoEnvironment(os.Environ())
	if name == "serve" {
		c.cmd.Env = append(c.cmd.Env, "TICKWIRE_SERVE__SQL="+d.sql)
	}
	started := make(chan error, 1)
	go func() {
		start := func() error { spawnAndWait(c.cmd, started, c.ended); return nil }
		if name != "feed" {
			_ = start()
		} else if err := d.inside(receiving, start); err != nil { // it could not be entered: nothing was started
			started <- err
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the %s process: %w", name, err)
	}
	return c, nil
}

// demoEnvironment is ours without overrides of the configuration: the demo has its own.
func demoEnvironment(environ []string) (kept []string) {
	for _, v := range environ {
		if !strings.HasPrefix(v, "TICKWIRE_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// stop ends a child: by asking, then by force.
func (c *child) stop() {
	if c == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.ended
	}
}
