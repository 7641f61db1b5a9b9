package fix_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	codec "github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// testLog is a log that a failed test shows.
func testLog(t testing.TB) *slog.Logger {
	var mu sync.Mutex
	var b bytes.Buffer
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		if t.Failed() || os.Getenv("SHOWLOG") != "" {
			text := b.String()
			if len(text) > 6000 {
				text = text[:3000] + "\n…\n" + text[len(text)-3000:]
			}
			t.Log(text)
		}
	})
	return slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// patience is how long a test waits for what comes at once on a machine that has nothing else to do.
const patience = 30 * time.Second

// whileMoving waits for something that must come true as long as there is progress: a machine may be slow, but a minute without any is a fault.
func whileMoving(t testing.TB, what string, progress func() int, good func() bool) {
	t.Helper()
	was, end := progress(), time.Now().Add(time.Minute)
	for ; !good(); time.Sleep(2 * time.Millisecond) {
		if is := progress(); is != was {
			was, end = is, time.Now().Add(time.Minute)
		}
		if time.Now().After(end) {
			t.Fatalf("nothing has moved for a minute, at %d: not yet %s", was, what)
		}
	}
}

// until waits for something that must come true soon.
func until(t testing.TB, limit time.Duration, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !good(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: not yet %s", limit, what)
		}
	}
}

// reader rebuilds books from W and X, by price, and checks what it reads: that is what a client of ours does, written again and slowly.
type reader struct {
	mu     sync.Mutex
	dict   *codec.Dictionary
	m      codec.Message
	books  map[string]*priceBook
	trades int
	w, x   int
	lines  int           // entries of X
	soft   int           // entries that are not firm
	gaps   func() uint64 // how many gaps were filled without their messages; nil: none may be
	filled uint64
	seq    uint64 // MsgSeqNum of the last message
	faults []string
}

type priceBook struct {
	bids, offers map[int64]uint32
	rpt          uint64
	doubt        bool // messages of it may have been among those of a gap: until its next W nothing is to be said of it
}

func newReader(t testing.TB, v session.Version) *reader {
	t.Helper()
	d, err := codec.Builtin(codec.Versions[v])
	if err != nil {
		t.Fatal(err)
	}
	return &reader{dict: d, books: map[string]*priceBook{}}
}

func (r *reader) fault(format string, args ...any) {
	if len(r.faults) < 10 {
		r.faults = append(r.faults, fmt.Sprintf(format, args...))
	}
}

// take reads one whole message.
func (r *reader) take(raw []byte, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.m
	if err := m.Parse(raw, r.dict); err != nil {
		r.fault("%q: %v", raw, err)
		return
	}
	if err := m.Validate(codec.Checks{}); err != nil {
		r.fault("%q: %v", raw, err)
	}
	seq, _ := codec.Uint(m.Get(34))
	if seq <= r.seq {
		r.fault("number %d behind %d", seq, r.seq)
	}
	r.seq = seq
	if r.gaps != nil {
		if n := r.gaps(); n != r.filled {
			r.filled = n
			for _, b := range r.books {
				b.doubt = true
			}
		}
	}
	switch string(m.MsgType()) {
	case "W":
		r.w++
		b := &priceBook{bids: map[int64]uint32{}, offers: map[int64]uint32{}}
		r.books[string(m.Get(55))] = b
		for _, e := range m.Entries(nil, 268) {
			r.apply(b, e, '0')
		}
	case "X":
		r.x++
		for _, e := range m.Entries(nil, 268) {
			symbol := string(m.In(e, 55))
			b := r.books[symbol]
			if b == nil {
				r.fault("X of %s before its W", symbol)
				return
			}
			if text := m.In(e, 83); text != nil {
				rpt, _ := codec.Uint(text)
				if rpt != b.rpt+1 && b.rpt != 0 && !b.doubt {
					r.fault("%s: RptSeq %d behind %d", symbol, rpt, b.rpt)
				}
				b.rpt = rpt
			}
			r.lines++
			r.apply(b, e, m.In(e, 279)[0])
		}
	}
}

func (r *reader) apply(b *priceBook, e codec.Entry, action byte) {
	m := &r.m
	px, err := codec.Price(m.In(e, 270))
	if err != nil {
		r.fault("price %q: %v", m.In(e, 270), err)
	}
	size, _ := codec.Uint(m.In(e, 271))
	if string(m.In(e, 276)) == "I" {
		r.soft++
	}
	side := b.bids
	switch string(m.In(e, 269)) {
	case "0":
	case "1":
		side = b.offers
	default:
		r.trades++
		return
	}
	_, have := side[px]
	if have == (action == '0') && !b.doubt {
		r.fault("action %c of %d: had it is %v", action, px, have)
	}
	if action == '2' {
		delete(side, px)
	} else {
		side[px] = uint32(size)
	}
}

// same compares a book with what the market says.
func (r *reader) same(symbol string, b *session.Book, levels int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.books[symbol]
	if have == nil {
		return fmt.Errorf("%s: no book came", symbol)
	}
	bids, offers := map[int64]uint32{}, map[int64]uint32{}
	for _, p := range b.Pairs[:levels] {
		if p.BidPx != tick.UndefPrice {
			bids[p.BidPx] = p.BidSz
		}
		if p.AskPx != tick.UndefPrice {
			offers[p.AskPx] = p.AskSz
		}
	}
	if got, want := fmt.Sprint(have.bids, have.offers), fmt.Sprint(bids, offers); got != want {
		return fmt.Errorf("%s:\n got %s\nwant %s", symbol, got, want)
	}
	return nil
}

func (r *reader) counts() (w, x, trades int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.w, r.x, r.trades
}

func (r *reader) entryCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

func (r *reader) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Error(f)
	}
}

// plain shows a message for people.
func plain(raw []byte) string { return strings.ReplaceAll(string(raw), "\x01", "|") }

// wire makes a whole message of fields written with '|', from 35= on.
func wire(begin, fields string) []byte {
	body := strings.ReplaceAll(fields, "|", "\x01")
	b := []byte("8=" + begin + "\x019=" + strconv.Itoa(len(body)) + "\x01" + body)
	return fmt.Appendf(b, "10=%03d\x01", codec.Sum(b))
}

func now() string { return time.Now().UTC().Format("20060102-15:04:05.000") }
