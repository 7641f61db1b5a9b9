package plugins

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tickwire/tickwire/plugins/manifest"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// letters is a parser without framing, whose packets are a letter: 'a' a row, '!' a trap, '?' one that it cannot read, '=' what a session's start and a state left behind, as
// the row's price. tw_start adds 1 to that, tw_restore 100 to what it is given.
func letters(version string) []byte {
	g := NewGuest(2)
	n := g.Global(0)
	p := g.Layout(16, 64, 0, Column(1, 1, 2, 0), Column(11, 6, 2, 0))
	letter := func(c byte, then ...Code) Code {
		return Seq(I32(0), Load(I32Load8U, p.In), I32(int32(c)), I32Eq, If(then...))
	}
	const state = 64
	g.Func("tw_parse", "iili:i", "", letter('!', Unreachable), letter('?', I32(-1), Return), I32(0), I32(int32(tick.KindAdd)), Store(I32Store8, p.Col[1]),
		I32(0), I64(7), Store(I64Store, p.Col[11]), letter('=', I32(0), GlobalGet(n), Store(I64Store, p.Col[11])), I32(1))
	g.Func("tw_start", "il:i", "", GlobalGet(n), I64(1), I64Add, GlobalSet(n), I32(0))
	g.Func("tw_alloc", "i:i", "", I32(state))
	g.Func("tw_save", ":l", "", I32(state), GlobalGet(n), Store(I64Store, 0), I64(state<<32|8))
	g.Func("tw_restore", "ii:i", "", LocalGet(0), Load(I64Load, 0), I64(100), I64Add, GlobalSet(n), I32(0))
	return g.Plugin(`{"name": "letters", "version": "` + version + `", "abi": 1, "limits": {"max_rows": 16, "memory_pages": 2}, "kinds": [{"kind": "parser", "name": "letters", "writes": ["kind", "price"]}]}`)
}

func newReader(t *testing.T, h *Host, module []byte, most int) *Chain {
	t.Helper()
	p := compile(t, h, module)
	c, err := h.NewReader(Stage{Plugin: p, MaxFailures: most}, p.Unit(manifest.Parser, "letters"), Env{Lane: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A parser is taken out by packets in a row that kill it; one that it reads begins the count anew, and one that it cannot read counts as neither. What it reads and what not
// is in its figures.
func TestReaderIsTakenOut(t *testing.T) {
	h, book := newHost(t, Policy{})
	c := newReader(t, h, letters("1.0.0"), 3)
	b := newBatch(t, 0)
	read := func(packet string) error {
		t.Helper()
		waitFor(t, "an instance", func() bool { return c.stages[0].ready() || c.stages[0].out.Load() })
		b.Reset()
		_, err := c.Parse([]byte(packet), 0, 1, 1, b)
		return err
	}
	var packet *PacketError
	for range 4 {
		if !errors.As(read("!"), new(*Failure)) || !errors.As(read("?"), &packet) || !errors.As(read("!"), new(*Failure)) {
			t.Fatal("wrong errors")
		}
		if err := read("a"); err != nil || b.N != 1 {
			t.Fatalf("%v, %d rows", err, b.N)
		}
	}
	for range 3 {
		_ = read("!")
		_ = read("?")
	}
	if err := read("a"); err != ErrNoInstance {
		t.Errorf("after three in a row: %v", err)
	}
	if st := c.Stats()[0]; st.Rows != 0 {
		t.Errorf("before they are settled there are %+v", st)
	}
	c.Settle(9)
	if st := c.Stats()[0]; !st.Out || st.Traps != 11 || st.Errors != 0 || st.Rows != 4 || st.Batches != 4 || st.Bypassed != 11+4+3+1 || st.Passes != 4+11+4+3-1 || st.Fuel == 0 {
		t.Errorf("%+v", st)
	}
	waitFor(t, "the log", func() bool { return strings.Count(book.String(), "the plugin is taken out") == 1 })
}

// The next version begins the session that runs, is given the state of the one before, and goes on counting.
func TestReaderFollows(t *testing.T) {
	h, _ := newHost(t, Policy{})
	var seat Seat
	b := newBatch(t, 0)
	price := func(c *Chain) int64 {
		t.Helper()
		b.Reset()
		if _, err := c.Parse([]byte("="), 0, 1, 1, b); err != nil || b.N != 1 {
			t.Fatal(err)
		}
		return b.Price[0]
	}
	one := newReader(t, h, letters("1.0.0"), 0)
	seat.Set(one)
	if seat.Take() != one || price(one) != 0 {
		t.Fatal("no session began")
	}
	one.Begin(1e18)
	if got := price(one); got != 1 {
		t.Errorf("after a start: %d", got)
	}
	two := newReader(t, h, letters("1.1.0"), 0)
	seat.Set(two)
	if seat.Take() != two {
		t.Fatal("it is not taken")
	}
	if got := price(two); got != 101 { // started, then restored
		t.Errorf("the next version: %d", got)
	}
	two.Settle(1)
	if st := two.Stats()[0]; st.Rows != 3 || st.Version != "1.1.0" {
		t.Errorf("%+v", st)
	}
	<-one.Closed()
	// An instance that takes the place of one that failed begins the session too.
	if _, err := two.Parse([]byte("!"), 0, 1, 1, b); err == nil {
		t.Fatal("no trap")
	}
	waitFor(t, "a spare", two.stages[0].ready)
	if got := price(two); got != 1 {
		t.Errorf("a spare: %d", got)
	}
	seat.Set(nil)
	seat.Take()
	<-two.Closed()
}

// What a parser failed on is handed on as a packet, whole.
func TestReaderKeepsThePacket(t *testing.T) {
	var got Dead
	h, err := New(Options{OnFailure: func(d Dead) { got = d }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, err := h.Compile(letters("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := h.NewReader(Stage{Plugin: p}, 0, Env{})
	if err != nil {
		t.Fatal(err)
	}
	packet := []byte("head!")
	if _, err := c.Parse(packet, 4, 1, 1, newBatch(t, 0)); err == nil {
		t.Fatal("no trap")
	}
	clear(packet)
	if err := c.Close(); err != nil || !bytes.Equal(got.Packet, []byte("head!")) || got.Unit != 0 {
		t.Errorf("%v, %+v", err, got)
	}
	if _, err := h.NewReader(Stage{Plugin: p}, 1, Env{}); err != ErrNoUnit {
		t.Errorf("a unit that is none: %v", err)
	}
}

// A lane sets what is wanted while somebody wants another one and sets that: the latter stays, whoever comes first. A chain that is set in the place of one that is not
// taken ends that, so a lane that came late would end the version that was just loaded.
func TestSeatKeepsWhatWasWantedLast(t *testing.T) {
	var seat Seat
	var wanted atomic.Pointer[Chain]
	var turn, taken atomic.Int64
	const turns = 20_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(1); n <= turns; n++ {
			for turn.Load() < n {
				runtime.Gosched()
			}
			seat.SetWanted(&wanted)
			taken.Store(n)
		}
	}()
	for n := int64(1); n <= turns; n++ {
		c := &Chain{keeper: keeper{end: make(chan struct{}), done: make(chan struct{})}}
		close(c.keeper.done)
		turn.Store(n)
		wanted.Store(c)
		seat.Set(c)
		for taken.Load() < n {
			runtime.Gosched()
		}
		if seat.next.Load() != c || c.Taken() {
			t.Fatalf("turn %d: another chain is there than the one that was wanted last, or it was ended: %v", n, c.Taken())
		}
	}
	<-done
}
