package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/ringbuf"
)

// Defaults fills in what the file left out.
func (c *Config) Defaults() {
	if c.Instance.Name == "" {
		c.Instance.Name = "tickwire"
	}
	if c.Instance.RingDir == "" {
		c.Instance.RingDir = "/dev/shm/tickwire"
	}
	if c.Instance.RunDir == "" {
		c.Instance.RunDir = defaultRunDir()
	}
	if c.Serve.SQL == "" {
		c.Serve.SQL = "127.0.0.1:5433"
	}
	orString(&c.Serve.FIX.Address, "127.0.0.1:5201")
	orString(&c.Serve.FIX.Sender, "TICKWIRE")
	if c.Serve.Threads == 0 {
		c.Serve.Threads = max(1, runtime.NumCPU()/2)
	}
	if c.Serve.Memory == 0 {
		c.Serve.Memory = quarter()
	}
	orString(&c.Consolidate.Name, "consolidated")
	orSlots(&c.Consolidate.Slots, ringbuf.KindCbbo.DefaultSlots())
	c.Plugins.defaults()
	for i := range c.Feed {
		c.Feed[i].defaults()
	}
}

const leastMemory = 64 << 20

// quarter is a fourth of the machine's memory, in whole MiB.
func quarter() Size {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return leastMemory
	}
	return max(leastMemory, Size(uint64(info.Totalram)*uint64(info.Unit)/4>>20<<20))
}

func defaultRunDir() string {
	if os.Geteuid() == 0 || unix.Access("/run/tickwire", unix.W_OK) == nil { // systemd-tmpfiles makes it the user's
		return "/run/tickwire"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "tickwire")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("tickwire-%d", os.Geteuid()))
}

func (f *Feed) defaults() {
	if f.Protocol == "" {
		f.Protocol = "itch"
	}
	if f.Protocol == "xdp" {
		f.nyseDefaults()
	}
	if d, ok := protocols[f.Protocol]; ok {
		if f.Publisher == 0 {
			f.Publisher = d.publisher
		}
		orString(&f.Dataset, d.dataset)
	}
	f.foreignDefaults()
	if f.Source == "" {
		f.Source = "udp"
		if f.Protocol == "fix" {
			f.Source = "tcp"
		}
	}
	orString(&f.FIX.Version, "4.4")
	orSpan(&f.FIX.Heartbeat, 30*time.Second)
	if f.Idle == "" {
		f.Idle = "block"
	}
	orString(&f.Stamps, "auto")
	if f.Pace == "" {
		f.Pace = "max"
	}
	f.Rings.defaults()
	if len(f.Lane) == 0 {
		f.Lane = []Lane{{Name: "0"}}
	}
	for i := range f.Lane {
		if f.Lane[i].Name == "" {
			f.Lane[i].Name = fmt.Sprint(i)
		}
		orString(&f.Lane[i].Sched, "other")
		orInt(&f.Lane[i].Priority, 10)
		orInt(&f.Lane[i].MaxPass, 64)
	}
	for i := range f.Channel {
		ch := &f.Channel[i]
		if ch.Name == "" {
			ch.Name = fmt.Sprint(i)
		}
		if ch.Lane == "" {
			ch.Lane = f.Lane[0].Name
		}
		for j := range ch.Line {
			if ch.Line[j].Name == "" && j < 2 {
				ch.Line[j].Name = "AB"[j : j+1]
			}
		}
		for j := range ch.Service {
			if len(ch.Line) > 0 {
				orString(&ch.Service[j].Interface, ch.Line[0].Interface)
			}
		}
	}
	f.AFXDP.defaults()
	f.Runtime.defaults(f.Idle)
	if f.Protocol == "mdp3" {
		orSpan(&f.Recovery.SilentAfter, cmeSilence)
	}
	f.Recovery.defaults()
}

func (r *Rings) defaults() {
	for kind, slots := range map[ringbuf.Kind]*uint64{
		ringbuf.KindMbo: &r.Mbo, ringbuf.KindMbp1: &r.Mbp1, ringbuf.KindTrades: &r.Trades, ringbuf.KindEvents: &r.Events, ringbuf.KindExt: &r.Ext,
		ringbuf.KindMbp10: &r.Mbp10,
	} {
		orSlots(slots, kind.DefaultSlots())
	}
	orSlots(&r.Instruments, ringbuf.DefaultInstruments)
	orSlots(&r.Snapshot, 1<<16)
}

func (a *AFXDP) defaults() {
	orString(&a.Mode, "zerocopy")
	orString(&a.Least, "generic")
	orInt(&a.FrameSize, 2048)
	orInt(&a.Ring, 4096)
	orInt(&a.Frames, 2*a.Ring)
}

func (r *Runtime) defaults(idle string) {
	orString(&r.LockMemory, "auto")
	if idle == "block" {
		orString(&r.GC, "on")
	}
	orString(&r.GC, "off")
	orSpan(&r.Release, 50*time.Millisecond)
}

func (r *Recovery) defaults() {
	orSpan(&r.Wait, 2*time.Millisecond)
	orSpan(&r.HoldMax, 50*time.Millisecond)
	orSpan(&r.Retry, 5*time.Millisecond)
	orInt(&r.Tries, 5)
	orInt(&r.HoldPackets, 4096)
	orInt(&r.HoldMessages, 100_000)
	orString(&r.SnapshotSession, SnapshotSame)
	orString(&r.Natural, NaturalOn)
	orSpan(&r.SilentAfter, 3*time.Second)
}

func orString(p *string, value string) {
	if *p == "" {
		*p = value
	}
}

func orInt(p *int, value int) {
	if *p == 0 {
		*p = value
	}
}

func orSlots(p *uint64, value uint64) {
	if *p == 0 {
		*p = value
	}
}

func orSpan(p *Duration, value time.Duration) {
	if *p == 0 {
		*p = Duration(value)
	}
}

// faults collects everything that is wrong.
type faults []error

func (fs *faults) add(key, format string, args ...any) {
	*fs = append(*fs, fmt.Errorf("config: %s "+format, append([]any{key}, args...)...))
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var fs faults
	name(&fs, "instance.name", c.Instance.Name)
	if !filepath.IsAbs(c.Instance.RingDir) {
		fs.add("instance.ring_dir", "= %q is no absolute path", c.Instance.RingDir)
	}
	hostPort(&fs, "serve.sql", c.Serve.SQL)
	if c.Serve.Metrics != "" {
		hostPort(&fs, "serve.metrics", c.Serve.Metrics)
	}
	if c.Serve.Threads < 0 {
		fs.add("serve.threads", "= %d is negative", c.Serve.Threads)
	}
	if c.Serve.Memory < leastMemory {
		fs.add("serve.memory", "= %d bytes are less than 64MiB", int64(c.Serve.Memory))
	}
	c.Serve.FIX.validate(&fs, c.Feed)
	c.Serve.validatePlugins(&fs)
	if (c.Serve.TLSCert == "") != (c.Serve.TLSKey == "") {
		fs.add("serve.tls_cert", "and serve.tls_key go together")
	}
	for i, u := range c.Serve.Users {
		if u.Name == "" || u.PasswordFile == "" {
			fs.add(fmt.Sprintf("serve.user[%d]", i), "needs a name and a password_file")
		}
	}
	var names []string
	for i := range c.Feed {
		f := &c.Feed[i]
		key := fmt.Sprintf("feed[%d]", i)
		if slices.Contains(names, f.Name) {
			fs.add(key+".name", "= %q is taken by another feed", f.Name)
		}
		names = append(names, f.Name)
		f.validate(&fs, key)
	}
	c.Consolidate.validate(&fs, c.Feed)
	c.Plugins.validate(&fs)
	return errors.Join(fs...)
}

func (f *Feed) validate(fs *faults, key string) {
	name(fs, key+".name", f.Name)
	if !f.Foreign() {
		oneOf(fs, key+".protocol", f.Protocol, Protocols()...)
	}
	if f.Protocol == "fix" {
		oneOf(fs, key+".source", f.Source, "tcp", "file")
		f.FIX.validate(fs, key+".fix", f.Source)
	} else {
		oneOf(fs, key+".source", f.Source, "udp", "afxdp", "auto", "file")
	}
	oneOf(fs, key+".idle", f.Idle, "block", "spin", "busy-poll")
	oneOf(fs, key+".stamps", f.Stamps, "auto", "hardware", "kernel", "loop")
	if f.Source == "file" && f.Path == "" {
		fs.add(key+".path", "is missing: a file source reads one")
	}
	if _, err := pace.Parse(f.Pace); err != nil {
		fs.add(key+".pace", "= %q is none of max, recorded, x10, 50000/s", f.Pace)
	}
	if f.Source != "file" && f.Source != "tcp" && len(f.Channel) == 0 {
		fs.add(key+".channel", "is missing: source %s joins the groups of its channels' lines", f.Source)
	}
	f.AFXDP.validate(fs, key+".afxdp")
	f.validatePlugins(fs, key)
	oneOf(fs, key+".runtime.lock_memory", f.Runtime.LockMemory, "auto", "on", "off")
	oneOf(fs, key+".runtime.gc", f.Runtime.GC, "on", "off")
	if f.Runtime.Release < Duration(time.Millisecond) || f.Runtime.Release > Duration(time.Second) {
		fs.add(key+".runtime.release", "= %s is not in 1ms … 1s", time.Duration(f.Runtime.Release))
	}
	if f.Date != "" {
		if _, err := time.Parse(time.DateOnly, f.Date); err != nil {
			fs.add(key+".date", "= %q is no date such as 2026-01-05", f.Date)
		}
	}
	if len(f.Dataset) > 15 {
		fs.add(key+".dataset", "= %q has more than 15 characters", f.Dataset)
	}
	f.Rings.validate(fs, key+".rings")
	var lanes []string
	for i, lane := range f.Lane {
		at := fmt.Sprintf("%s.lane[%d]", key, i)
		name(fs, at+".name", lane.Name)
		if slices.Contains(lanes, lane.Name) {
			fs.add(at+".name", "= %q is taken by another lane", lane.Name)
		}
		lanes = append(lanes, lane.Name)
		if lane.Core != nil && (*lane.Core < 0 || *lane.Core >= 1024) {
			fs.add(at+".core", "= %d is no core", *lane.Core)
		}
		oneOf(fs, at+".sched", lane.Sched, "other", "fifo")
		if lane.Priority < 1 || lane.Priority > 99 {
			fs.add(at+".priority", "= %d is not in 1 … 99", lane.Priority)
		}
		if lane.MaxPass < 1 || lane.MaxPass > 4096 {
			fs.add(at+".max_pass", "= %d is not in 1 … 4096", lane.MaxPass)
		}
	}
	for i := range f.Channel {
		f.Channel[i].validate(fs, fmt.Sprintf("%s.channel[%d]", key, i), lanes)
	}
	f.Recovery.validate(fs, key+".recovery")
	f.validateVenue(fs, key)
	if f.Recovery.Snapshot != "" {
		for _, name := range lanes {
			channels := 0
			for i := range f.Channel {
				if f.Channel[i].Lane == name {
					channels++
				}
			}
			if channels > 1 {
				fs.add(key+".recovery.snapshot", "needs a lane for each channel, but lane %q has %d", name, channels)
			}
		}
	}
}

func (a *AFXDP) validate(fs *faults, key string) {
	oneOf(fs, key+".mode", a.Mode, "zerocopy", "copy", "generic")
	oneOf(fs, key+".least", a.Least, "zerocopy", "copy", "generic")
	if a.FrameSize != 2048 && a.FrameSize != 4096 {
		fs.add(key+".frame_size", "= %d is neither 2048 nor 4096", a.FrameSize)
	}
	if n := a.Frames; n < 256 || n > 1<<20 || n&(n-1) != 0 {
		fs.add(key+".frames", "= %d is no power of two from 256 to 1048576", n)
	}
	if n := a.Ring; n < 64 || n > 1<<16 || n&(n-1) != 0 {
		fs.add(key+".ring", "= %d is no power of two from 64 to 65536", n)
	}
	if a.Frames < 2*a.Ring {
		fs.add(key+".frames", "= %d: at least twice ring (%d), or the driver runs out of them", a.Frames, a.Ring)
	}
}

func (r *Recovery) validate(fs *faults, key string) {
	if r.Wait < 0 || r.HoldMax < 0 || r.HoldPackets < 0 || r.HoldMessages < 0 || r.Retry < 0 || r.Tries < 0 || r.SilentAfter < 0 {
		fs.add(key, "has a negative value")
	}
	if len(r.Servers) > 0 && r.HoldMax <= r.Wait {
		fs.add(key+".hold_max", "= %s leaves no time to ask the servers: both count from when a hole is noticed, and wait is %s", time.Duration(r.HoldMax), time.Duration(r.Wait))
	}
	if len(r.Servers) > 16 {
		fs.add(key+".servers", "has %d entries, at most 16", len(r.Servers))
	}
	for i, server := range r.Servers {
		hostPort(fs, fmt.Sprintf("%s.servers[%d]", key, i), server)
	}
	if r.Snapshot != "" {
		hostPort(fs, key+".snapshot", r.Snapshot)
	}
	oneOf(fs, key+".snapshot_session", r.SnapshotSession, SnapshotSame, SnapshotAny)
	oneOf(fs, key+".natural", r.Natural, NaturalOn, NaturalOff)
	if len(r.SnapshotUser) > 6 {
		fs.add(key+".snapshot_user", "= %q has more than 6 characters", r.SnapshotUser)
	}
}

func hostPort(fs *faults, key, value string) {
	if _, _, err := net.SplitHostPort(value); err != nil {
		fs.add(key, "= %q is no host:port", value)
	}
}

func (ch *Channel) validate(fs *faults, key string, lanes []string) {
	if !slices.Contains(lanes, ch.Lane) {
		fs.add(key+".lane", "= %q is none of the feed's lanes (%s)", ch.Lane, strings.Join(lanes, ", "))
	}
	if len(ch.Line) == 0 || len(ch.Line) > 2 {
		fs.add(key+".line", "has %d entries, want line A and, where there is one, B", len(ch.Line))
	}
	for i, line := range ch.Line {
		at := fmt.Sprintf("%s.line[%d]", key, i)
		if line.Queue < -1 || line.Queue >= 1024 {
			fs.add(at+".queue", "= %d is no receive queue", line.Queue)
		}
		if line.VLAN > 4094 {
			fs.add(at+".vlan", "= %d is no VLAN", line.VLAN)
		}
		if line.Interface == "" {
			fs.add(at+".interface", "is missing: a group is joined on a named interface, never by a default route")
		}
		if !line.Group.IsValid() || !line.Group.Addr().IsMulticast() || line.Group.Port() == 0 {
			fs.add(at+".group", "= %q is no multicast address with a port", line.Group)
		}
	}
}

func (r *Rings) validate(fs *faults, key string) {
	for _, ring := range []struct {
		name  string
		slots uint64
	}{{"mbo", r.Mbo}, {"mbp1", r.Mbp1}, {"trades", r.Trades}, {"events", r.Events}, {"ext", r.Ext}, {"mbp10", r.Mbp10}} {
		if n := ring.slots; n < 1024 || n&(n-1) != 0 || n > 1<<32 {
			fs.add(key+"."+ring.name, "= %d is no power of two from 1024", n)
		}
	}
	if r.Instruments > 1<<26 {
		fs.add(key+".instruments", "= %d is more than 2^26", r.Instruments)
	}
}

func oneOf(fs *faults, key, value string, known ...string) {
	if !slices.Contains(known, value) {
		fs.add(key, "= %q is unknown; known: %s", value, strings.Join(known, ", "))
	}
}

// name checks what becomes part of a file's name.
func name(fs *faults, key, value string) {
	ok := value != "" && len(value) <= 32
	for _, r := range value {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if !ok {
		fs.add(key, "= %q: 1 to 32 letters, digits, - or _", value)
	}
}
