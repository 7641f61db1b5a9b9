// Package config is tickwire's configuration: one TOML file, overridden by the environment, checked as a whole.
//
//	[instance]            name, run_dir, ring_dir, group
//	[[feed]]              name, protocol, publisher, dataset, source, path, pace, idle, date, depth
//	[feed.rings]          slots of each kind of ring
//	[[feed.lane]]         name, core, max_pass, sched, priority
//	[[feed.channel]]      name, lane, id
//	[[feed.channel.service]] kind, interface, group, source_ip
//	[[feed.channel.line]] name, interface, group, source_ip, queue, vlan
//	[feed.afxdp]          mode, least, frame_size, frames, ring
//	[feed.runtime]        lock_memory, gc, release
//	[[feed.plugin]]       path, name, version, params, max_failures, on_trap
//	[feed.fix]            version, address, sender, target, symbols, …
//	[feed.recovery]       wait, hold_max, hold_packets, hold_messages, servers, interface, retry, tries, silent_after, snapshot…
//	[consolidate]         name, feeds, stale_after, slots
//	[plugins]             dir, cache_dir, watch, keep_failures, unsigned
//	[[plugins.key]]       name, public, plugins
//	[[plugins.grant]]     plugin, signer, env
//	[[plugins.grant.dir]] path, at, write
//	[serve.fix]           address, sender, clients, …
//	[serve]               sql, metrics, memory, threads, plugin_aggregates
//	[[serve.plugin]]      path, name, version, params
//
// A variable TICKWIRE_SERVE__SQL overrides serve.sql; two underscores go one level down, a number picks from a list:
// TICKWIRE_FEED__0__SOURCE. Load reports every fault at once, with line or key.
package config

import (
	"net/netip"
	"time"
)

// Config is a whole file. Its zero value, after Defaults, is an instance without feeds.
type Config struct {
	Instance Instance `toml:"instance"`
	Feed     []Feed   `toml:"feed"`
	Serve    Serve    `toml:"serve"`
	// Consolidate joins several feeds by symbol. Without feeds there is none.
	Consolidate Consolidate `toml:"consolidate"`
	Plugins     Plugins     `toml:"plugins"`
}

// Instance is what several processes share.
type Instance struct {
	// Name tells instances on one host apart. The default is "tickwire".
	Name string `toml:"name"`
	// RunDir holds what processes leave about themselves. The default is /run/tickwire, or a folder of the user's own.
	RunDir string `toml:"run_dir"`
	// RingDir holds the shared memory. The default is /dev/shm/tickwire.
	RingDir string `toml:"ring_dir"`
	// Group may read the shared memory, by name or number. The default is the process's own.
	Group string `toml:"group"`
}

// Feed is one process and one venue.
type Feed struct {
	Name        string `toml:"name"`
	Protocol    string `toml:"protocol"`    // itch (default), xdp, mdp3, iex, fix, or the name of a parser among the feed's plugins
	Version     string `toml:"version"`     // of the protocol, where there are several; the default is the newest
	Product     string `toml:"product"`     // xdp: integrated, bbo or trades (default: product_id's, else integrated); iex: deep (default) or tops; mdp3: both (default), mbp or mbo; fix: levels (default), prices or orders; a plugin's: orders (default), levels or both
	Market      string `toml:"market"`      // xdp: nyse, arca, american, national or texas; the default is product_id's, else publisher's, else nyse
	Prices      string `toml:"prices"`      // mdp3: conventional (default; the wire's times DisplayFactor, as definitions tell it) or wire
	Definitions string `toml:"definitions"` // mdp3, of a file source: another capture, whose definitions are learned first
	Schema      string `toml:"schema"`      // mdp3: path of an SBE schema newer than the one built in
	Publisher   uint16 `toml:"publisher"`   // DBN publisher id; the default is the protocol's, or the market's: 2, XNAS.ITCH
	Dataset     string `toml:"dataset"`     // the default is the protocol's: XNAS.ITCH; what stands before the dot is column venue
	Source      string `toml:"source"`      // udp (default), afxdp, auto (afxdp where it may, else udp) or file
	Path        string `toml:"path"`        // of a file source
	Pace        string `toml:"pace"`        // of a file source: "recorded", "x10", "50000/s" or "max" (default)
	Idle        string `toml:"idle"`        // block (default), spin, or busy-poll
	// Stamps says whose time of arrival is taken: auto (default; the NIC's where it stamps every packet already, else the kernel's), hardware
	// (the NIC is told to stamp), kernel, or loop (the lane's own clock when it polls: with source afxdp that saves the core of the
	// driver's poll a fifth).
	Stamps   string    `toml:"stamps"`
	Date     string    `toml:"date"`  // of a file source, YYYY-MM-DD; the default is told from the file's name
	Depth    []string  `toml:"depth"` // symbols that ten levels are published of
	Rings    Rings     `toml:"rings"`
	Lane     []Lane    `toml:"lane"`
	Channel  []Channel `toml:"channel"`
	AFXDP    AFXDP     `toml:"afxdp"`
	Runtime  Runtime   `toml:"runtime"`
	Recovery Recovery  `toml:"recovery"`
	FIX      FIX       `toml:"fix"`
	Plugin   []Plugin  `toml:"plugin"` // rows pass them, in this order
}

// Rings are slots of each kind: powers of two from 1,024. The defaults are the kinds' own (ringbuf).
type Rings struct {
	Mbo         uint64 `toml:"mbo"`
	Mbp1        uint64 `toml:"mbp1"`
	Trades      uint64 `toml:"trades"`
	Events      uint64 `toml:"events"`
	Ext         uint64 `toml:"ext"`
	Mbp10       uint64 `toml:"mbp10"`
	Instruments uint64 `toml:"instruments"` // places in the directory; the default is 32,768
	Snapshot    uint64 `toml:"snapshot"`    // records a snapshot starts with; it grows
}

// Lane is one thread of a feed.
type Lane struct {
	Name    string `toml:"name"`
	Core    *int   `toml:"core"`     // the core it is pinned to; the default is none
	MaxPass int    `toml:"max_pass"` // messages of a pass, at most; the default is 64
	// Sched is the scheduling class of a pinned lane: other (default; enough on an isolated core) or fifo.
	Sched    string `toml:"sched"`
	Priority int    `toml:"priority"` // of fifo, 1 to 99; the default is 10
}

// AFXDP is how packets are taken from the driver, for sources afxdp and auto.
type AFXDP struct {
	// Mode is what is tried first: zerocopy (default), copy or generic.
	Mode string `toml:"mode"`
	// Least is the worst of those that is still taken: the default is generic. Source auto goes on to udp behind it.
	Least     string `toml:"least"`
	FrameSize int    `toml:"frame_size"` // bytes of a chunk of the packet memory: 2048 (default) or 4096
	Frames    int    `toml:"frames"`     // chunks of each queue in zero-copy mode, a power of two; the default is twice ring
	Ring      int    `toml:"ring"`       // entries of the receive ring, a power of two; the default is 4,096
}

// Runtime is what a feed does to the Go runtime and its own process so that nothing disturbs a lane.
type Runtime struct {
	// LockMemory keeps every page in memory: auto (default; where it may), on or off.
	LockMemory string `toml:"lock_memory"`
	// GC is off (default for idle = spin and busy-poll; collections run in the lanes' release windows) or on.
	GC string `toml:"gc"`
	// Release is how long a lane may keep its processor from the runtime, at most. The default is 50 ms.
	Release Duration `toml:"release"`
}

// Channel is one sequence of numbers.
type Channel struct {
	Name string `toml:"name"`
	Lane string `toml:"lane"` // the default is the first lane
	// ID is the venue's own number of the channel, where what is missing is asked for by it (xdp, mdp3).
	ID      uint16    `toml:"id"`
	Line    []Line    `toml:"line"`
	Service []Service `toml:"service"` // groups that what is missing, or the whole state, comes by
}

// Line is one of the two copies of a channel.
type Line struct {
	Name      string         `toml:"name"`      // A or B
	Interface string         `toml:"interface"` // by name
	Group     netip.AddrPort `toml:"group"`     // such as 233.54.12.111:26477
	SourceIP  netip.Addr     `toml:"source_ip"` // only packets from there; the default is anybody
	Queue     int            `toml:"queue"`     // receive queue that the group is steered to (source afxdp); the default is 0, -1 is every queue
	VLAN      uint16         `toml:"vlan"`      // 802.1Q tag that the group's packets carry, 0: none (source afxdp)
}

// Kinds of Service.
const (
	ServiceRetransmission = "retransmission" // xdp: what was asked for again
	ServiceRefresh        = "refresh"        // xdp: states of symbols, as asked for
	ServiceLevels         = "levels"         // mdp3: the loop of price books
	ServiceOrders         = "orders"         // mdp3: the loop of order books
	ServiceDefinitions    = "definitions"    // mdp3: the loop of instruments
)

// Service is a multicast group beside a channel's lines, which recovery listens to. It is joined by ordinary sockets, off the lane.
type Service struct {
	Kind      string         `toml:"kind"`      // retransmission, refresh; levels, orders, definitions
	Interface string         `toml:"interface"` // by name; the default is line A's
	Group     netip.AddrPort `toml:"group"`
	SourceIP  netip.Addr     `toml:"source_ip"` // only packets from there; the default is anybody
}

// Recovery is what happens when numbers are missing.
type Recovery struct {
	Wait         Duration `toml:"wait"`          // for the other line; the default is 2 ms
	HoldMax      Duration `toml:"hold_max"`      // how long a hole may stay open when the venue is asked, from when it was noticed; the default is 50 ms
	HoldPackets  int      `toml:"hold_packets"`  // the default is 4,096
	HoldMessages int      `toml:"hold_messages"` // the default is 100,000
	// Servers answer requests for what is missing, host:port each, asked in turn: MoldUDP64 re-requests (itch), gap fill (iex), request servers
	// (xdp), TCP replay (mdp3). The default is none.
	Servers []string `toml:"servers"`
	// User names us to the servers: source id (xdp), logon (mdp3). The default is none.
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"` // of mdp3's logon: first line, without its line end
	ProductID    uint8  `toml:"product_id"`    // xdp: the venue's number of the feed, which requests name
	// Interface is the one that requests leave by. The default is where the routes to the servers lead.
	Interface string   `toml:"interface"`
	Retry     Duration `toml:"retry"` // before the same is asked again, doubled each time; the default is 5 ms
	Tries     int      `toml:"tries"` // requests for the same messages, at most; the default is 5
	// SilentAfter is the time without a packet after which a line counts as silent: heartbeats come each second. The default is 3 s;
	// of mdp3, whose heartbeats are rarer, 35 s.
	SilentAfter Duration `toml:"silent_after"`
	// Snapshot is a GLIMPSE server, host:port: books are rebuilt from it after a loss or a late start. The default is none.
	Snapshot             string `toml:"snapshot"`
	SnapshotUser         string `toml:"snapshot_user"`
	SnapshotPasswordFile string `toml:"snapshot_password_file"` // first line, without its line end
	// SnapshotSession is "same" (default: a snapshot whose session is named otherwise than the channel's is not taken) or "any".
	SnapshotSession string `toml:"snapshot_session"`
	// Natural is "on" (default: price books that are suspect after a loss are learnt anew from the feed itself, as far as they come back so) or "off". Of mdp3.
	Natural string `toml:"natural"`
}

// Values of Recovery.SnapshotSession.
const (
	SnapshotSame = "same"
	SnapshotAny  = "any"
)

// Values of Recovery.Natural.
const (
	NaturalOn  = "on"
	NaturalOff = "off"
)

// Consolidate is the process that joins the best prices of several feeds.
type Consolidate struct {
	// Name is what its ring is called, as a feed's. The default is "consolidated".
	Name string `toml:"name"`
	// Feeds are the names of the feeds, at most eight; of equal prices and sizes the one named first has the best. The default is none.
	Feeds []string `toml:"feeds"`
	// StaleAfter is how long a quote may stand without a change before it counts no more. The default, 0, is for ever.
	StaleAfter Duration `toml:"stale_after"`
	// Slots of its ring, a power of two. The default is 65,536.
	Slots uint64 `toml:"slots"`
}

// FIX is a session at a venue that speaks FIX, for protocol fix and source tcp.
type FIX struct {
	Version string `toml:"version"` // 4.2, 4.4 (default) or 5.0SP2
	Address string `toml:"address"` // host:port of the venue
	Sender  string `toml:"sender"`  // SenderCompID: ours
	Target  string `toml:"target"`  // TargetCompID: the venue's
	// Heartbeat is HeartBtInt. The default is 30 s.
	Heartbeat Duration `toml:"heartbeat"`
	Reset     bool     `toml:"reset"`     // ResetSeqNumFlag at each logon; the default is that numbers go on
	StoreDir  string   `toml:"store_dir"` // where numbers outlive the process; the default is none: they begin with 1 each time
	// CredentialsFile has user and password, a line each; only its owner may read it. The default is none.
	CredentialsFile string   `toml:"credentials_file"`
	Symbols         []string `toml:"symbols"`      // to subscribe to
	List            bool     `toml:"list"`         // ask for the security list, and subscribe to all of it
	Depth           int      `toml:"depth"`        // MarketDepth: 0 full (default), 1 top of book, N levels
	FullRefresh     bool     `toml:"full_refresh"` // MDUpdateType 0: a whole book each time
	TLS             TLS      `toml:"tls"`
	// Start and End bound the session each day, HH:MM:SS in Zone (default UTC); StartDay and EndDay, both, make it one of a week. The default is always.
	Start    string `toml:"start"`
	End      string `toml:"end"`
	StartDay string `toml:"start_day"`
	EndDay   string `toml:"end_day"`
	Zone     string `toml:"zone"`
}

// TLS of a FIX connection. The zero value is none.
type TLS struct {
	Use        bool   `toml:"use"`
	Cert       string `toml:"cert"` // PEM: our certificate
	Key        string `toml:"key"`
	CA         string `toml:"ca"`          // PEM: the other side's authorities; a server with it wants certificates of its clients
	ServerName string `toml:"server_name"` // in the venue's certificate; the default is the address's host
}

// ServeFIX is a port at which FIX clients subscribe to what the feeds publish.
type ServeFIX struct {
	Address  string   `toml:"address"` // the default is 127.0.0.1:5201
	Sender   string   `toml:"sender"`  // SenderCompID: ours; the default is TICKWIRE
	Clients  []string `toml:"clients"` // CompIDs that may log on; without any there is no port
	Feed     string   `toml:"feed"`    // whose instruments are offered; the default is all feeds'
	StoreDir string   `toml:"store_dir"`
	TLS      TLS      `toml:"tls"`
	// Resend keeps what was sent last for clients that ask for it again. The default is that gaps are filled without messages, and books sent anew.
	Resend         bool `toml:"resend"`
	ResendMessages int  `toml:"resend_messages"` // kept of each session, at most; the default is 100,000
	ResendBytes    Size `toml:"resend_bytes"`    // of theirs; the default is 16 MiB
	// Start and End bound sessions each day, HH:MM:SS in Zone (default UTC); StartDay and EndDay, both, make it one of a week. The default is always.
	Start    string `toml:"start"`
	End      string `toml:"end"`
	StartDay string `toml:"start_day"`
	EndDay   string `toml:"end_day"`
	Zone     string `toml:"zone"`
}

// Serve is the process that owns the store and every query port.
type Serve struct {
	// SQL is the address of the PostgreSQL port. The default is 127.0.0.1:5433.
	SQL string `toml:"sql"`
	// Metrics is the address of the Prometheus port. The default is none.
	Metrics string `toml:"metrics"`
	// Memory bounds the hot columns. The default is a quarter of the machine's.
	Memory Size `toml:"memory"`
	// Threads bounds DuckDB's. The default is half the machine's cores, at least one.
	Threads int `toml:"threads"`
	// FIX is the port at which FIX clients subscribe. Without clients there is none.
	FIX ServeFIX `toml:"fix"`
	// Plugin are those whose functions and aggregates SQL has. The default is none.
	Plugin []Plugin `toml:"plugin"`
	// PluginAggregates is "on" (default) or "off": their aggregates are left out. Where there are some, statements may not have query() and some blanks, since by DuckDB's C
	// interface an aggregate cannot refuse what it does not support.
	PluginAggregates string `toml:"plugin_aggregates"`
	// Users may log in; without any, whoever reaches the port may ask. Passwords are SCRAM verifiers or read from a file.
	Users []User `toml:"user"`
	// TLSCert and TLSKey are PEM files. Without them the port speaks clear text.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
}

// Values of Serve.PluginAggregates.
const (
	AggregatesOn  = "on"
	AggregatesOff = "off"
)

// User may log in at the SQL port.
type User struct {
	Name         string `toml:"name"`
	PasswordFile string `toml:"password_file"` // first line, without its line end
}

// Duration is a time span written as in "2ms" or "1m30s".
type Duration time.Duration

// Size is a number of bytes written as in "4GiB", "512MiB" or "1000000".
type Size int64
