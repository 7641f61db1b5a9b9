package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// follower reads all rings of one lane.
type follower struct {
	s          *Store
	ringDir    string
	entry      ringbuf.Entry // its feed and lane; the kind is of no matter
	rings      []*ringFollow
	venue      uint32
	channel    uint32
	inst       *ringbuf.InstReader
	generation uint64
	names      symbolTable // of the present session
	before     symbolTable // of the one before it: rows of it may still come out of the other rings
	rolledAt   uint64      // ts_recv from which on rows are of the present session
	rolling    bool        // the directory began anew, and the R that tells where has not come yet
	nextNames  time.Time   // when unknown publishers may be looked for again
	spare      []uint64    // a second buffer, for the mbo ring out of its turn
	lastTrades map[uint32]lastTrade
	pending    map[exactKey]exactPlace
	defs       definitionsTail
	rows       uint64
	custom     customFollow
	flush      atomic.Bool // Drain waits for the definitions too

	orders, ticks, trades, depth, status, imbalances, statistics, definitions, gaps *series
	implied, cbbo, cbboVenues                                                       *series
	all                                                                             []*series // those above
}

// ringFollow is one ring of a follower.
type ringFollow struct {
	kind     ringbuf.Kind
	path     string
	r        *ringbuf.Reader
	gate     bool          // a private ring: its writer waits for progress
	progress atomic.Uint64 // number of the record that is taken next
	mu       sync.Mutex    // guards shown: a scan must not look into a ring that is being unmapped
	shown    *ringbuf.Reader
	lost     uint64
	fresh    bool        // the next record is the first of a producer's start: the directory may be another file
	lastSeen tick.Header // of the newest record: a loss is noted at its time
	lastRecv uint64
}

func (x *ringFollow) show(r *ringbuf.Reader) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.shown = r
}

// newest is the number of the newest record that the producer has announced.
func (x *ringFollow) newest() (number uint64, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.shown == nil {
		return 0, false
	}
	number, _ = x.shown.Cursor()
	return number, true
}

// FollowOptions of Follow. Instance empty: every instance below RingDir.
type FollowOptions struct {
	RingDir, Instance string
	// Log is told what goes wrong with a ring. It may be nil.
	Log func(text string, err error)
}

// rescan is how often new rings are looked for.
const rescan = 100 * time.Millisecond

// Follow reads every lane's rings below RingDir, those that come later too, until ctx ends.
func (s *Store) Follow(ctx context.Context, o FollowOptions) error {
	if o.Log == nil {
		o.Log = func(string, error) {}
	}
	known := map[string]bool{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		entries, err := ringbuf.List(o.RingDir, o.Instance)
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		for _, e := range entries {
			lane := e.Instance + "/" + e.Feed + "." + e.Lane
			if known[lane] {
				continue
			}
			known[lane] = true
			f := s.newFollower(o.RingDir, e, false)
			wg.Go(func() { f.run(ctx, o.Log) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rescan):
		}
	}
}

// Private is a follower of private rings, whose writers wait for it.
type Private struct {
	f    *follower
	stop context.CancelFunc
	done chan struct{}
}

// FollowPrivate reads the private rings of one lane below ringDir; writers are those of them that are followed get this follower as
// their gate. The lane must not have begun.
func (s *Store) FollowPrivate(ringDir string, e ringbuf.Entry, writers map[ringbuf.Kind]*ringbuf.Writer) (*Private, error) {
	f := s.newFollower(ringDir, e, true)
	for _, x := range f.rings {
		w := writers[x.kind]
		if w == nil {
			continue
		}
		if err := f.open(x); err != nil {
			return nil, errors.Join(err, f.close())
		}
		w.Gate(&x.progress)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Private{f: f, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		f.run(ctx, func(string, error) {})
	}()
	return p, nil
}

// Drain returns when everything that the rings hold has been taken. The lane must have ended.
func (p *Private) Drain() {
	p.f.await(time.Now().Add(time.Hour))
	p.f.flush.Store(true)
	for p.f.flush.Load() {
		time.Sleep(100 * time.Microsecond)
	}
}

// Close ends the follower. Rows stay.
func (p *Private) Close() {
	p.stop()
	<-p.done
}

// ringsOf says which rings feed which tables.
var ringsOf = []struct {
	kind   ringbuf.Kind
	tables []*layout
}{
	{ringbuf.KindMbo, []*layout{ordersLayout}},
	{ringbuf.KindMbp1, []*layout{ticksLayout}},
	{ringbuf.KindTrades, []*layout{tradesLayout}},
	{ringbuf.KindMbp10, []*layout{depthLayout}},
	{ringbuf.KindCbbo, []*layout{cbboLayout, cbboVenuesLayout}},
	{ringbuf.KindEvents, []*layout{statusLayout, imbalancesLayout, statisticsLayout, gapsLayout}},
	// What is referred to comes first: a follower takes ext after the rings it speaks of.
	{ringbuf.KindExt, []*layout{ordersLayout, ticksLayout, tradesLayout, imbalancesLayout, impliedLayout}},
}

// Rings are the kinds of ring that some tables need; an empty list of tables is all of them.
func Rings(tables []string) []ringbuf.Kind {
	var kinds []ringbuf.Kind
	for _, x := range ringsOf {
		for _, l := range x.tables {
			if (len(tables) == 0 || slices.Contains(tables, l.Name)) && !slices.Contains(kinds, x.kind) {
				kinds = append(kinds, x.kind)
			}
		}
	}
	return kinds
}

func (s *Store) newFollower(ringDir string, e ringbuf.Entry, private bool) *follower {
	f := &follower{
		s: s, ringDir: ringDir, entry: e, names: newSymbolTable(), before: newSymbolTable(), lastTrades: map[uint32]lastTrade{},
		pending: map[exactKey]exactPlace{},
		orders:  s.newSeries(ordersLayout), ticks: s.newSeries(ticksLayout), trades: s.newSeries(tradesLayout), depth: s.newSeries(depthLayout),
		status: s.newSeries(statusLayout), imbalances: s.newSeries(imbalancesLayout), statistics: s.newSeries(statisticsLayout),
		definitions: s.newSeries(definitionsLayout), gaps: s.newSeries(gapsLayout),
		implied: s.newSeries(impliedLayout), cbbo: s.newSeries(cbboLayout), cbboVenues: s.newSeries(cbboVenuesLayout),
	}
	f.all = []*series{f.orders, f.ticks, f.trades, f.depth, f.status, f.imbalances, f.statistics, f.definitions, f.gaps, f.implied, f.cbbo, f.cbboVenues}
	for _, x := range ringsOf {
		if slices.ContainsFunc(x.tables, func(l *layout) bool { return s.wanted[l] }) {
			path := ringbuf.Path(ringDir, e.Instance, e.Feed, e.Lane, x.kind)
			f.rings = append(f.rings, &ringFollow{kind: x.kind, path: path, gate: private})
		}
	}
	s.mu.Lock()
	s.followers = append(slices.Clone(s.followers), f) // scans go over the old list without the lock
	s.mu.Unlock()
	return f
}

// open opens a ring and joins it at its oldest record.
func (f *follower) open(x *ringFollow) error {
	r, err := ringbuf.Open(x.path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest, Report: "store"})
	if err != nil {
		return err
	}
	x.r, x.lost, x.fresh = r, 0, true
	x.progress.Store(r.Next())
	x.show(r)
	f.venue = f.s.name(r)
	f.channel = uint32(r.Header().Channel)
	return nil
}

// run reads until ctx ends.
func (f *follower) run(ctx context.Context, log func(string, error)) {
	defer func() {
		f.s.mu.Lock()
		f.s.followers = slices.DeleteFunc(slices.Clone(f.s.followers), func(x *follower) bool { return x == f })
		f.s.mu.Unlock()
		if err := f.close(); err != nil {
			log("closing rings of "+f.entry.Feed, err)
		}
	}()
	buf := make([]uint64, pollBytes/8)
	f.spare = make([]uint64, pollBytes/8)
	next := time.Time{}
	for ctx.Err() == nil {
		if now := time.Now(); now.After(next) {
			next = now.Add(rescan)
			f.attach(log)
		}
		taken := 0
		for _, x := range f.rings {
			if x.r != nil {
				taken += f.take(x, buf, log)
			}
		}
		flush := f.flush.Load()
		if f.definitions != nil {
			f.defs.read(f, flush)
		}
		f.show()
		if flush {
			f.flush.Store(false)
		}
		if taken == 0 {
			f.sleep()
		}
	}
}

// attach opens what is there by now and was not before.
func (f *follower) attach(log func(string, error)) {
	for _, x := range f.rings {
		if x.r != nil {
			continue
		}
		if err := f.open(x); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ringbuf.ErrRestarting) {
			log(x.path, err)
		}
	}
	if f.inst == nil {
		f.restarted()
	}
}

// restarted opens the directory anew when the producer made another: before the first record that it published.
func (f *follower) restarted() {
	if f.inst != nil && f.inst.Replaced() {
		_ = f.inst.Close()
		f.inst = nil
	}
	if f.inst == nil {
		in, err := ringbuf.OpenInst(ringbuf.SidePath(f.ringDir, f.entry.Instance, f.entry.Feed, f.entry.Lane, ringbuf.ExtInst))
		if err != nil {
			return // rows have no symbol until it is there
		}
		f.inst, f.generation, f.rolling = in, in.Generation(), false
		f.forgetAll()
	}
}

// symbolTable is the numbers of the instruments' symbols, as far as rows have asked for them, and since when they hold.
type symbolTable struct {
	direct *[1 << 16]symbolEntry // of small numbers
	others map[uint32]symbolEntry
}

type symbolEntry struct {
	since uint64 // ts_recv of the definition: rows before it are not its
	code  uint32 // 0: not known
}

func newSymbolTable() symbolTable {
	return symbolTable{direct: new([1 << 16]symbolEntry), others: map[uint32]symbolEntry{}}
}

func (t *symbolTable) get(id uint32, recv uint64) uint32 {
	var e symbolEntry
	if id < uint32(len(t.direct)) {
		e = t.direct[id]
	} else {
		e = t.others[id]
	}
	if recv < e.since {
		return 0
	}
	return e.code
}

func (t *symbolTable) set(id uint32, e symbolEntry) {
	if id < uint32(len(t.direct)) {
		t.direct[id] = e
		return
	}
	t.others[id] = e
}

func (t *symbolTable) reset() {
	*t.direct = [len(t.direct)]symbolEntry{}
	clear(t.others)
}

// A new session gives instruments other numbers. The directory's generation moves, then R comes for every instrument that
// was known, numbered 0, then the new session's rows: so the first such R is where it begins (cleared), and rows of the
// other rings tell by their time which session they are of. Whoever sees the generation moved takes the mbo
// ring first (awaitRoll), so that no row of the new session is given a symbol of the old one, nor the other way round.

// cleared notes an R of a session's end: with a later time than the last one it is the first of them.
func (f *follower) cleared(recv uint64) {
	if recv <= f.rolledAt || recv == tick.UndefTime {
		return
	}
	f.rolledAt, f.rolling = recv, false
	f.names, f.before = f.before, f.names
	f.names.reset()
	clear(f.lastTrades)
}

// awaitRoll takes the mbo ring up when the directory began anew, before rows of another ring are given symbols.
func (f *follower) awaitRoll(x *ringFollow, log func(string, error)) {
	if f.inst == nil || x.kind == ringbuf.KindMbo {
		return
	}
	g := f.inst.Generation()
	if g == f.generation && !f.rolling {
		return
	}
	moved := g != f.generation
	f.generation, f.rolling = g, true // until the session's R has come: it lies before the first row of the new one
	if mbo := f.rings[0]; mbo.kind == ringbuf.KindMbo && mbo.r != nil {
		for tries := 0; tries < 1000 && f.take(mbo, f.spare, log) > 0; tries++ {
		}
		return
	}
	if moved {
		f.forgetAll() // orders are not wanted here: rows around the change have the present session's symbols, or none
	}
}

func (f *follower) forgetAll() {
	f.names.reset()
	f.before.reset()
}

func (f *follower) trade(id uint32, t lastTrade) { f.lastTrades[id] = t }

// symbol is the number of an instrument's symbol, 0 when the directory does not know it.
func (f *follower) symbol(h *tick.Header, recv uint64) uint32 {
	id := h.InstrumentID
	if recv < f.rolledAt {
		return f.before.get(id, recv)
	}
	if code := f.names.get(id, recv); code != 0 {
		return code
	}
	if id == 0 || f.inst == nil {
		return 0
	}
	e, ok := f.inst.Lookup(h.PublisherID, id)
	if e.Updated == tick.UndefTime {
		e.Updated = 0 // whoever wrote it does not say
	}
	if !ok || e.Updated > recv && recv != 0 {
		f.s.Unnamed.Add(1) // not defined, or only after this row came in: then what it says may be of another session
		return 0
	}
	code := f.s.dict.add(e.Symbol())
	f.names.set(id, symbolEntry{since: e.Updated, code: code})
	return code
}

const (
	pollBytes = 1 << 16
	mostPolls = 16 // of one ring before the others have their turn
)

// take reads a ring until it is empty, or others should have their turn.
func (f *follower) take(x *ringFollow, buf []uint64, log func(string, error)) (taken int) {
	size := x.r.Kind().PayloadBytes()
	most := len(buf) * 8 / size
	for range mostPolls {
		n, first, st := x.r.PollInto(unsafe.Pointer(&buf[0]), most)
		if n > 0 {
			if x.fresh {
				x.fresh = false
				f.restarted()
			}
			f.awaitRoll(x, log)
			if x.kind == ringbuf.KindMbp1 && (f.s.options.Learn != nil || len(f.s.options.Custom) > 0) {
				f.lookCustom(log)
			}
			f.records(x, unsafe.Pointer(&buf[0]), n, first)
			f.show()
			x.progress.Store(x.r.Next())
			taken += n
			continue
		}
		x.fresh = x.fresh || st == ringbuf.EpochChanged
		f.noteLoss(x)
		f.show()
		x.progress.Store(x.r.Next())
		if st == ringbuf.Replaced {
			x.show(nil)
			_ = x.r.Close()
			x.r = nil
			if err := f.open(x); err != nil && !errors.Is(err, fs.ErrNotExist) {
				log(x.path, err)
			}
		}
		if st != ringbuf.Overrun && st != ringbuf.EpochChanged {
			break
		}
	}
	return taken
}

// noteLoss makes records that were overwritten before they were read a row of gaps.
func (f *follower) noteLoss(x *ringFollow) {
	lost := x.r.Lost() - x.lost
	if lost == 0 {
		return
	}
	x.lost = x.r.Lost()
	f.s.LostRecords.Add(lost)
	h := x.lastSeen
	h.InstrumentID = 0
	f.missing("reader", &h, x.lastRecv, f.channel, x.r.Next()-lost, x.r.Next()-1, lost)
}

// records enters n records of a ring.
func (f *follower) records(x *ringFollow, at unsafe.Pointer, n int, first uint64) {
	switch x.kind {
	case ringbuf.KindMbo:
		recs := unsafe.Slice((*tick.Mbo)(at), n)
		for i := range recs {
			f.order(&recs[i], first+uint64(i))
		}
		x.lastSeen, x.lastRecv = recs[n-1].Header, recs[n-1].TsRecv
	case ringbuf.KindMbp1:
		recs := unsafe.Slice((*ringbuf.Mbp1Slot)(at), n)
		for i := range recs {
			f.tick(&recs[i], first+uint64(i))
		}
		x.lastSeen, x.lastRecv = recs[n-1].Header, recs[n-1].TsRecv
	case ringbuf.KindTrades:
		recs := unsafe.Slice((*ringbuf.TradeSlot)(at), n)
		for i := range recs {
			f.print(&recs[i], first+uint64(i))
		}
		x.lastSeen, x.lastRecv = recs[n-1].Header, recs[n-1].TsRecv
	case ringbuf.KindMbp10:
		recs := unsafe.Slice((*ringbuf.Mbp10Slot)(at), n)
		for i := range recs {
			f.depthRow(&recs[i])
		}
		x.lastSeen, x.lastRecv = recs[n-1].Header, recs[n-1].TsRecv
	case ringbuf.KindCbbo:
		recs := unsafe.Slice((*ringbuf.CbboSlot)(at), n)
		for i := range recs {
			f.consolidated(&recs[i])
		}
		x.lastSeen, x.lastRecv = recs[n-1].Header, recs[n-1].TsRecv
	case ringbuf.KindEvents:
		recs := unsafe.Slice((*ringbuf.EventSlot)(at), n)
		for i := range recs {
			f.event(&recs[i], first+uint64(i))
		}
		x.lastSeen = *recs[n-1].Header()
	case ringbuf.KindExt:
		recs := unsafe.Slice((*tick.Ext)(at), n)
		for i := range recs {
			f.extension(&recs[i])
		}
		x.lastSeen = recs[n-1].Header
	}
}

// nap bounds a sleep on one ring's doorbell: what comes only into another ring waits no longer than this.
const nap = 500 * time.Microsecond

// sleep waits for the producer's doorbell.
func (f *follower) sleep() {
	for _, x := range f.rings {
		if x.r != nil {
			x.r.Wait(nap)
			return
		}
	}
	time.Sleep(nap)
}

// await returns when what the rings hold now has been taken, or at end.
func (f *follower) await(end time.Time) {
	for _, x := range f.rings {
		newest, ok := x.newest()
		for spins := 0; ok && int64(newest-x.progress.Load()) >= 0 && time.Now().Before(end); spins++ {
			if spins < 200 {
				runtime.Gosched()
			} else {
				time.Sleep(50 * time.Microsecond)
			}
		}
	}
}

func (f *follower) close() error {
	var errs []error
	for _, x := range f.rings {
		x.show(nil)
		if x.r != nil {
			errs = append(errs, x.r.Close())
			x.r = nil
		}
	}
	if f.inst != nil {
		errs = append(errs, f.inst.Close())
		f.inst = nil
	}
	f.defs.close()
	return errors.Join(errs...)
}

// storeValue changes a value that scans may be reading.
func storeValue(p *int64, v int64) { atomic.StoreInt64(p, v) }

// definitionsTail reads a lane's definitions file as it grows: a DBN header, then records of one size.
type definitionsTail struct {
	file   *os.File
	offset int64
	next   time.Time
	buf    []byte
}

const (
	definitionBytes = int(unsafe.Sizeof(tick.Definition{}))
	definitionsPoll = 5 * time.Millisecond
)

// read takes what came, when it is time to look again or at once.
func (t *definitionsTail) read(f *follower, atOnce bool) {
	now := time.Now()
	if now.Before(t.next) && !atOnce {
		return
	}
	t.next = now.Add(definitionsPoll)
	path := ringbuf.SidePath(f.ringDir, f.entry.Instance, f.entry.Feed, f.entry.Lane, ringbuf.ExtDefinitions)
	if t.file != nil {
		if here, err := os.Stat(path); err == nil {
			if mine, err := t.file.Stat(); err == nil && !os.SameFile(here, mine) {
				t.records(f) // what was written before the file was replaced
				t.close()
			}
		}
	}
	if t.file == nil {
		file, err := os.Open(path)
		if err != nil {
			return
		}
		var head [8]byte
		if _, err := file.ReadAt(head[:], 0); err != nil || string(head[:4]) != "DBN\x03" {
			_ = file.Close()
			return
		}
		t.file = file
		t.offset = 8 + int64(uint32(head[4])|uint32(head[5])<<8|uint32(head[6])<<16|uint32(head[7])<<24)
	}
	t.records(f)
}

func (t *definitionsTail) records(f *follower) {
	if t.buf == nil {
		t.buf = make([]byte, 128*definitionBytes)
	}
	for {
		n, _ := t.file.ReadAt(t.buf, t.offset)
		whole := n / definitionBytes
		for i := range whole {
			var d tick.Definition
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&d)), definitionBytes), t.buf[i*definitionBytes:])
			f.definition(&d)
		}
		t.offset += int64(whole * definitionBytes)
		if whole*definitionBytes < len(t.buf) {
			return
		}
	}
}

func (t *definitionsTail) close() {
	if t.file != nil {
		_ = t.file.Close()
	}
	*t = definitionsTail{buf: t.buf}
}
