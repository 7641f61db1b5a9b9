package exchange

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// Via is how packets leave.
type Via uint8

// Ways to send.
const (
	// Sockets sends by UDP sockets, many datagrams a call: no privileges.
	Sockets Via = iota
	// AFXDP hands whole frames to the driver: CAP_NET_RAW, and an interface that is not lo.
	AFXDP
)

func (v Via) String() string {
	switch v {
	case Sockets:
		return "sockets"
	case AFXDP:
		return "afxdp"
	}
	return fmt.Sprintf("via %d", uint8(v))
}

// ParseVia reads a way's name.
func ParseVia(name string) (Via, error) {
	for _, v := range []Via{Sockets, AFXDP} {
		if name == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("exchange: via %q, want sockets or afxdp", name)
}

// Groups of the lines by default: of the range that stays within a site.
var (
	GroupA = netip.MustParseAddrPort("239.255.77.11:26477")
	GroupB = netip.MustParseAddrPort("239.255.77.12:26477")
)

// Defaults.
const (
	DefaultPace    = "50000/s"    // of a generated session
	DefaultKeep    = 4_000_000    // messages that are sent again
	DefaultSession = "SIM0000001" // the first one's name
	mostDelay      = time.Minute
)

// Options of an exchange. The zero value works: a generated session without end, on lo, without faults and servers.
type Options struct {
	// Path is a BinaryFILE or a capture with MoldUDP64 packets, plain or compressed. The default is none: a generated session.
	Path string
	// Gen is the generated session. One that is paced by a rate has stamps of now; without Messages it has no end. At any other
	// pace it is a whole day with its own times.
	Gen itchgen.Options
	// Pace is "100000/s" (messages), "recorded", "x10" or "max", as package pace has it. The default is 50,000/s for a generated session and
	// recorded for a file.
	Pace string
	// Session is the first session's name, at most 10 characters; the next ones count up from it. A capture brings its own. The default
	// is SIM0000001.
	Session string
	// Restart begins new sessions. The default is none.
	Restart Restart

	// PayloadBytes is the longest packet's, 128 to what the interface's MTU leaves. The default is 1,400.
	PayloadBytes int
	// Together is how long after its first message a packet takes more. The default is 20 µs.
	Together time.Duration
	// Heartbeat is the idle time after which one is sent. The default is a second.
	Heartbeat time.Duration
	// Ends is how often the end of a session is told, a heartbeat's time apart; less than 0: not at all. The default is 3.
	Ends int
	// Linger is how long the end is told at least, and requests are answered after it. The default is what Ends take.
	Linger time.Duration

	// Via is Sockets by default.
	Via Via
	// Interfaces that lines A and B leave by. The default is lo, and A's for B.
	Interfaces [2]string
	// TTL of packets. On lo it is 0: nothing leaves this host. The default on any other interface is 1: nothing is routed.
	TTL int
	// VLAN tags the frames, 1 to 4,094, with AFXDP. The default is 0: no tag.
	VLAN uint16
	// Queue of the interface that AFXDP sends by. The default is 0.
	Queue int
	// Spin burns a core for the last 100 µs before a packet is due, instead of leaving the waking to the kernel. The default is off.
	Spin bool

	// Lines are groups, delays and faults, with their seed. Delays are taken as they are, and may have up to a minute. The default groups are GroupA and
	// GroupB.
	Lines mold.LinesOptions

	// Requests is the re-request server; the default is none.
	Requests Requests
	// Snapshots is the snapshot server; the default is none.
	Snapshots Snapshots

	// Expect is a file that is written with all messages in order, as a BinaryFILE; the sessions after the first go to FILE.2, FILE.3 and so
	// on. The default is none.
	Expect string
}

// Restart says when a session gives way to a new one, which begins with number 1 and the source from its start: a file anew, the
// generator with another seed.
type Restart struct {
	// Every is how many messages a session has; 0: all of them.
	Every uint64
	// After is how long a session lasts; 0: to its end.
	After time.Duration
	// Times is how many restarts there are; less than 0: no end of them. The default is 1 with Every or After, and 0 without. With neither, sessions are
	// played whole.
	Times int
	// Roll tells the end of the session before, as at a change of day. The default is to break off, as a failed site does.
	Roll bool
}

// Requests is the re-request server.
type Requests struct {
	// Addr is where it listens, port 0: any free one. The zero value is no server.
	Addr netip.AddrPort
	// Keep is how many messages of a session it has, the latest ones. The default is 4 million, some 150 MB once there are so many.
	Keep int
	// RequestOptions are its faults, among others.
	mold.RequestOptions
}

// withDefaults fills in defaults.
func (o Options) withDefaults() Options {
	orString := func(p *string, s string) {
		if *p == "" {
			*p = s
		}
	}
	orSpan := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	if o.Path == "" {
		orString(&o.Pace, DefaultPace)
	}
	orString(&o.Pace, "recorded")
	orString(&o.Session, DefaultSession)
	orString(&o.Interfaces[0], "lo")
	orString(&o.Interfaces[1], o.Interfaces[0])
	orSpan(&o.Together, 20*time.Microsecond)
	orSpan(&o.Heartbeat, time.Second)
	if o.Ends == 0 {
		o.Ends = 3
	}
	if o.PayloadBytes == 0 {
		o.PayloadBytes = mold.DefaultPayload
	}
	if o.TTL == 0 && o.Interfaces[0] != "lo" && o.Interfaces[1] != "lo" {
		o.TTL = 1
	}
	if o.Restart.Times == 0 && (o.Restart.Every != 0 || o.Restart.After != 0) {
		o.Restart.Times = 1
	}
	if o.Requests.Keep == 0 {
		o.Requests.Keep = DefaultKeep
	}
	if o.Requests.PayloadBytes == 0 {
		o.Requests.PayloadBytes = o.PayloadBytes
	}
	if o.Requests.Interface == "" && o.Interfaces[0] != "lo" && !o.Requests.Addr.Addr().IsLoopback() {
		o.Requests.Interface = o.Interfaces[0] // answers leave as packets do, whatever the routes say
	}
	for i, l := range []*mold.Line{&o.Lines.A, &o.Lines.B} {
		l.Exact = true
		if !l.Group.IsValid() {
			l.Group = []netip.AddrPort{GroupA, GroupB}[i]
		}
	}
	return o
}

// line is line i's options.
func (o *Options) line(i int) *mold.Line {
	if i == 0 {
		return &o.Lines.A
	}
	return &o.Lines.B
}

// live says that messages are made as they are sent.
func (o *Options) live(p *pace.Pacer) bool { return o.Path == "" && p.Rate() > 0 }

// Validate reports all faults at once. It looks at nothing but the options and at what kind of file Path is.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("exchange: "+format, args...)) }
	also := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	_, err := pace.Parse(o.Pace)
	also(err)
	_, err = mold.SessionID(o.Session)
	also(err)
	also(o.Lines.Validate())
	if o.Path == "" {
		also(o.Gen.Validate())
	} else if kind, err := kindOf(o.Path); err != nil {
		also(err)
	} else if kind != nic.FileBinary && o.Restart.Times != 0 {
		bad("%s is a capture and brings its own sessions: it cannot be restarted", o.Path)
	}
	if o.PayloadBytes < mold.MinPayload || o.PayloadBytes > mold.MaxPayload {
		bad("packets of %d bytes, want %d to %d", o.PayloadBytes, mold.MinPayload, mold.MaxPayload)
	}
	for _, d := range []struct {
		name string
		span time.Duration
		most time.Duration
	}{
		{"together", o.Together, time.Second}, {"heartbeat", o.Heartbeat, time.Minute}, {"linger", o.Linger, 24 * time.Hour},
		{"restart after", o.Restart.After, 24 * time.Hour},
	} {
		if d.span < 0 || d.span > d.most {
			bad("%s: %s is not in 0s … %s", d.name, d.span, d.most)
		}
	}
	for i := range 2 {
		o.validateLine(i, bad)
	}
	if o.Lines.A.Group == o.Lines.B.Group && o.Interfaces[0] == o.Interfaces[1] {
		bad("both lines go to %s on %s: a receiver could not tell them apart", o.Lines.A.Group, o.Interfaces[0])
	}
	if (o.Interfaces[0] == "lo") != (o.Interfaces[1] == "lo") {
		bad("lines on %s and %s: either both are on lo or none, for their TTL is the same", o.Interfaces[0], o.Interfaces[1])
	}
	if o.TTL < 0 || o.TTL > 255 {
		bad("TTL %d is not in 0 … 255", o.TTL)
	}
	if o.VLAN > 4094 || o.VLAN != 0 && o.Via != AFXDP {
		bad("VLAN %d: want 1 to 4094, and AF_XDP; sockets take a VLAN interface instead", o.VLAN)
	}
	if o.Queue < 0 || o.Queue > 1023 {
		bad("queue %d is not in 0 … 1023", o.Queue)
	}
	if o.Via > AFXDP {
		bad("%v does not exist", o.Via)
	}
	if o.Requests.Keep < 0 {
		bad("re-requests: %d messages kept", o.Requests.Keep)
	}
	o.Snapshots.validate(bad)
	return errors.Join(errs...)
}

func (o *Options) validateLine(i int, bad func(string, ...any)) {
	l, name := o.line(i), 'A'+i
	if !l.Group.Addr().Is4() || !l.Group.Addr().IsMulticast() || l.Group.Port() == 0 {
		bad("line %c: %s is no IPv4 multicast address with a port", name, l.Group)
	}
	if l.DelayNs > uint64(mostDelay) || l.JitterNs > uint64(mostDelay) {
		bad("line %c: delayed by %s and up to %s more, want at most %s each", name, time.Duration(l.DelayNs), time.Duration(l.JitterNs), mostDelay)
	}
	if o.Interfaces[i] == "lo" && o.TTL != 0 {
		bad("line %c: TTL %d on lo, want 0; another TTL takes an interface that is named", name, o.TTL)
	}
	if o.Interfaces[i] == "lo" && o.Via == AFXDP {
		bad("line %c: AF_XDP transmit takes an interface other than lo", name)
	}
}

// kindOf is what a file is, if it can be played.
func kindOf(path string) (nic.FileKind, error) {
	kind, _, err := nic.Detect(path)
	if err != nil {
		return kind, err
	}
	switch kind {
	case nic.FileBinary, nic.FilePcap, nic.FilePcapNG:
		return kind, nil
	}
	return kind, fmt.Errorf("exchange: %s is neither a BinaryFILE nor a capture, it is %v", path, kind)
}
