package fix

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	qf "github.com/quickfixgo/quickfix"
	"github.com/quickfixgo/quickfix/config"
	"github.com/quickfixgo/quickfix/store/file"
)

// Schedule is when a session may be up. The zero value is always.
type Schedule struct {
	Start, End       string // HH:MM:SS in Zone; numbers begin anew with each window
	StartDay, EndDay string // Monday … Sunday, both or none: a window of a week
	Zone             string // IANA name. The default is UTC.
}

// Session is what both sides of a session, initiator and acceptor, are told of it.
type Session struct {
	Version      Version
	SenderCompID string // ours
	TargetCompID string // theirs
	SenderSubID  string
	TargetSubID  string

	// DefaultApplVerID of FIXT. The default is 9, 5.0 SP2.
	DefaultApplVerID string
	// StoreDir is the folder in which numbers outlive the process, made if missing. Default: none, in memory.
	StoreDir string
	// Sync makes each number durable before the message is sent or acted on: they outlive the machine too, at the cost of an fsync a message. The
	// default is off: they outlive the process.
	Sync bool
	// Schedule of the session. The default is always.
	Schedule Schedule
	// MaxLatency is by how much SendingTime may differ from our clock. The default is 120 s.
	MaxLatency time.Duration
	// MaxBody is the longest message that is taken, bytes. The default is 64 KiB.
	MaxBody int
	// FrameTimeout is how long a message may take from its first byte to its last. The default is 30 s.
	FrameTimeout time.Duration
	// LogonTimeout is how long a Logon may take. The default is 10 s.
	LogonTimeout time.Duration
	// MostKept is how many bytes of messages may wait for a gap to be filled. The default is 64 MiB.
	MostKept int
	// Patience is how long a gap may stay as it is before it is asked for again; after that twice as long, and so on, 32 times at most. The default is 3 s.
	Patience time.Duration
	// Log is told what happens. The default is silence.
	Log *slog.Logger
}

func (s *Session) check(where string, fault func(string, ...any)) {
	for _, f := range []struct{ name, value string }{
		{"sender_comp_id", s.SenderCompID}, {"target_comp_id", s.TargetCompID}, {"sender_sub_id", s.SenderSubID}, {"target_sub_id", s.TargetSubID},
	} {
		if f.value == "" && strings.HasSuffix(f.name, "comp_id") {
			fault("%s: %s is missing", where, f.name)
		}
		if strings.ContainsFunc(f.value, func(r rune) bool { return r < ' ' || r > '~' || r == '/' || r == '=' }) || len(f.value) > 64 {
			fault("%s: %s is %q, want at most 64 printable ASCII characters without / and =", where, f.name, f.value)
		}
	}
	if int(s.Version) >= len(Versions) {
		fault("%s: version %d is not spoken", where, s.Version)
	}
	if s.MaxBody < 0 || s.MaxBody > 16<<20 {
		fault("%s: max_body is %d, want at most %d bytes", where, s.MaxBody, 16<<20)
	}
	if (s.Schedule.Start == "") != (s.Schedule.End == "") {
		fault("%s: of the schedule's start and end one is missing", where)
	}
	if (s.Schedule.StartDay == "") != (s.Schedule.EndDay == "") || s.Schedule.StartDay != "" && s.Schedule.Start == "" {
		fault("%s: a weekly schedule needs start_day, end_day, start and end", where)
	}
	for _, t := range []string{s.Schedule.Start, s.Schedule.End} {
		if t != "" {
			if _, err := time.Parse("15:04:05", t); err != nil {
				fault("%s: schedule %q, want HH:MM:SS", where, t)
			}
		}
	}
	if _, err := time.LoadLocation(s.Schedule.Zone); err != nil {
		fault("%s: schedule: %v", where, err)
	}
	if n, err := strconv.Atoi(s.DefaultApplVerID); s.DefaultApplVerID != "" && (err != nil || n < 2 || n > 9) {
		fault("%s: default_appl_ver_id is %q, want 2 to 9", where, s.DefaultApplVerID)
	}
}

func (s *Session) defaults() {
	if s.DefaultApplVerID == "" {
		s.DefaultApplVerID = "9"
	}
	if s.MaxLatency <= 0 {
		s.MaxLatency = 120 * time.Second
	}
	if s.LogonTimeout <= 0 {
		s.LogonTimeout = 10 * time.Second
	}
	if s.Patience <= 0 {
		s.Patience = 3 * time.Second
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
}

func (s *Session) limits() limits {
	return limits{maxBody: s.MaxBody, frame: s.FrameTimeout, logon: s.LogonTimeout}
}

// settings of the library for this session.
func (s *Session) settings() *qf.SessionSettings {
	q := qf.NewSessionSettings()
	q.Set(config.BeginString, s.Version.BeginString())
	q.Set(config.SenderCompID, s.SenderCompID)
	q.Set(config.TargetCompID, s.TargetCompID)
	for name, value := range map[string]string{config.SenderSubID: s.SenderSubID, config.TargetSubID: s.TargetSubID, config.FileStorePath: s.StoreDir} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if s.Version == V50SP2 {
		q.Set(config.DefaultApplVerID, s.DefaultApplVerID)
	}
	q.Set(config.FileStoreSync, yesNo(s.Sync))
	q.Set(config.MaxLatency, strconv.Itoa(max(1, int(s.MaxLatency/time.Second))))
	q.Set(config.InChanCapacity, "64")
	q.Set(config.ValidateFieldsHaveValues, "N") // the gate has seen to it
	q.Set(config.ValidateFieldsOutOfOrder, "N")
	if s.Schedule.Start != "" {
		q.Set(config.StartTime, s.Schedule.Start)
		q.Set(config.EndTime, s.Schedule.End)
		if s.Schedule.Zone != "" {
			q.Set(config.TimeZone, s.Schedule.Zone)
		}
	}
	if s.Schedule.StartDay != "" {
		q.Set(config.StartDay, s.Schedule.StartDay)
		q.Set(config.EndDay, s.Schedule.EndDay)
	}
	return q
}

// store is where numbers are kept; next gives the place at which a session's awaited number is told, sent where the messages are kept that it sends.
func (s *Session) store(all *qf.Settings, next func(qf.SessionID) *atomic.Uint64, sent func(qf.SessionID) *sentMessages) qf.MessageStoreFactory {
	if s.StoreDir == "" {
		return stores{qf.NewMemoryStoreFactory(), next, sent}
	}
	return stores{file.NewStoreFactory(all), next, sent}
}

func yesNo(yes bool) string {
	if yes {
		return "Y"
	}
	return "N"
}

// Config of a client. Address, CompIDs and something to ask for have no default.
type Config struct {
	Session
	// Name tells this client from others of the same CompIDs in this process, and is in the log. Default none.
	Name string
	// Address of the venue, host:port.
	Address string
	// Heartbeat that is asked of the venue. The default is 30 s.
	Heartbeat time.Duration
	// ResetOnLogon sends ResetSeqNumFlag: both sides begin with 1. The default is off: what was missed is asked for.
	ResetOnLogon bool
	// TLS of the connection. The default is none.
	TLS TLS
	// CredentialsFile has the user's name in its first line and the password in its second; only its owner may read it. They are sent in Logon as
	// 553 and 554. Default none.
	CredentialsFile string
	// RetryLeast and RetryMost bound the time between attempts to connect, which doubles. The defaults are 1 s and 60 s.
	RetryLeast, RetryMost time.Duration

	// Symbols to subscribe to. With List, what the venue's security list has is added.
	Symbols []string
	// List asks for the security list (x; c in 4.2). The default is off.
	List bool
	// ListPatience is how long a list may be without its next fragment before what came is taken for all: marks of the end are optional. The default is 0.5 s.
	ListPatience time.Duration
	// Depth is MarketDepth: 0 full, 1 top of book, N levels. The default is 0.
	Depth int
	// FullRefresh asks for W each time (MDUpdateType 0). The default is off: X.
	FullRefresh bool
	// Orders asks for an entry per order (AggregatedBook N). The default is off: one per price.
	Orders bool
	// EntryTypes are the MDEntryTypes asked for. The default is 0, 1, 2: bids, offers, trades.
	EntryTypes []string
	// Strict rejects application messages that break the version's dictionary, as the public engines do: a few microseconds each. The default is off: what can
	// be read is handed out.
	Strict bool
	// PerRequest is how many symbols a request names. The default is 50.
	PerRequest int
	// RingBytes is the room of the ring to the lane, a power of two. The default is 8 MiB.
	RingBytes int
	// Dial makes connections. The default is net.Dialer's.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Validate reports all faults at once.
func (c *Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("fix: "+format, args...)) }
	c.check("client "+c.Name, fault)
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		fault("address %q: want host:port", c.Address)
	}
	if c.Heartbeat < 0 || c.Heartbeat > 0 && c.Heartbeat < time.Second || c.Heartbeat > time.Hour {
		fault("heartbeat is %v, want 1 s to 1 h", c.Heartbeat)
	}
	if len(c.Symbols) == 0 && !c.List {
		fault("there are neither symbols nor a list to ask for")
	}
	for _, symbol := range c.Symbols {
		if !goodText(symbol) {
			fault("symbol %q: want 1 to 64 bytes without control characters", symbol)
		}
	}
	for _, typ := range c.EntryTypes {
		if len(typ) != 1 || typ[0] <= ' ' || typ[0] > '~' {
			fault("entry type %q: want one character", typ)
		}
	}
	if c.Depth < 0 || c.Depth > 1<<20 {
		fault("depth is %d, want 0 (full) or more", c.Depth)
	}
	if n := c.RingBytes; n != 0 && (n < 1<<17 || n&(n-1) != 0) {
		fault("ring of %d bytes, want a power of two from %d on", n, 1<<17)
	}
	if least := 4 * max(c.MaxBody, DefaultMaxBody); c.RingBytes != 0 && c.RingBytes < least {
		fault("ring of %d bytes is too small for messages of %d: want %d", c.RingBytes, max(c.MaxBody, DefaultMaxBody), least)
	}
	if c.RetryMost != 0 && c.RetryMost < c.RetryLeast {
		fault("retry_most %v is below retry_least %v", c.RetryMost, c.RetryLeast)
	}
	if c.CredentialsFile != "" {
		if _, _, err := readCredentials(c.CredentialsFile); err != nil {
			faults = append(faults, err)
		}
	}
	if _, err := c.TLS.client(c.Address); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// goodText says that a symbol or an identifier can be the value of a field.
func goodText(text string) bool {
	return len(text) > 0 && len(text) <= 64 && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7F })
}

func (c *Config) defaults() {
	c.Session.defaults()
	if c.Heartbeat == 0 {
		c.Heartbeat = 30 * time.Second
	}
	if c.FrameTimeout <= 0 {
		c.FrameTimeout = max(10*time.Second, c.Heartbeat)
	}
	if c.RetryLeast <= 0 {
		c.RetryLeast = time.Second
	}
	if c.RetryMost <= 0 {
		c.RetryMost = max(time.Minute, c.RetryLeast)
	}
	if len(c.EntryTypes) == 0 {
		c.EntryTypes = []string{"0", "1", "2"}
	}
	if c.PerRequest <= 0 {
		c.PerRequest = 50
	}
	if c.ListPatience <= 0 {
		c.ListPatience = 500 * time.Millisecond
	}
	if c.RingBytes == 0 {
		c.RingBytes = 8 << 20
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
		}
	}
}

// readCredentials reads two lines: user, password.
func readCredentials(path string) (user, password string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("fix: credentials: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", "", fmt.Errorf("fix: credentials: %s has mode %#o: others may read it, want 0600", path, st.Mode().Perm())
	}
	if st.Size() > 4096 {
		return "", "", fmt.Errorf("fix: credentials: %s has %d bytes, want two lines", path, st.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", fmt.Errorf("fix: credentials: %w", err)
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r", ""), "\n"), "\n")
	if len(lines) != 2 || !goodText(lines[0]) || !goodText(lines[1]) {
		return "", "", fmt.Errorf("fix: credentials: %s has %d lines, want the user's name and the password, each in a line", path, len(lines))
	}
	return lines[0], lines[1], nil
}
