package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// view is what is known of the running demo: the screen and the plain lines show it.
type view struct {
	d       *demoRun
	began   time.Time
	mbp1    *ringbuf.Reader
	inst    *ringbuf.InstReader
	stats   *ringbuf.StatsReader
	latency *hdrhistogram.Histogram // ns, kernel stamp to publication, since the start
	books   map[uint32]*topBook
	records uint64
	sent    atomic.Uint64
	rows    atomic.Int64 // queryable, -1: not known
	queryNs atomic.Int64
	sqlErr  atomic.Pointer[string]

	counters map[string]uint64
	last     uint64 // messages as of the line before
	lastAt   time.Time
	rate     float64
}

// topBook is an instrument on the screen.
type topBook struct {
	symbol  string
	records uint64
	top     tick.BidAskPair
	last    int64
	mids    []float64 // one each sparkEvery
}

const (
	sparkPoints = 32
	sparkEvery  = 500 * time.Millisecond
	frameEvery  = 250 * time.Millisecond
	plainEvery  = time.Second
)

func (d *demoRun) openView() (v *view, err error) {
	v = &view{
		d: d, began: time.Now(), lastAt: time.Now(), latency: hdrhistogram.New(1, 60_000_000_000, 3),
		books: map[uint32]*topBook{}, counters: map[string]uint64{},
	}
	v.rows.Store(-1)
	if v.mbp1, err = ringbuf.Open(d.ring(ringbuf.KindMbp1), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest}); err != nil {
		return nil, err
	}
	if v.inst, err = ringbuf.OpenInst(d.side("0", ringbuf.ExtInst)); err == nil {
		v.stats, err = ringbuf.OpenStats(d.side("", ringbuf.ExtStats))
	}
	if err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

func (v *view) close() error {
	errs := []error{v.mbp1.Close()}
	if v.inst != nil {
		errs = append(errs, v.inst.Close())
	}
	if v.stats != nil {
		errs = append(errs, v.stats.Close())
	}
	return errors.Join(errs...)
}

// watch sends the traffic and shows what comes of it, until ctx ends or a process does.
func (d *demoRun) watch(ctx context.Context) error {
	if d.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.span)
		defer cancel()
	}
	v, err := d.openView()
	if err != nil {
		return err
	}
	defer func() { _ = v.close() }()
	traffic := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	defer stop()
	if d.live() {
		go func() { traffic <- d.send(running, &v.sent) }()
	}
	if d.sql != "" {
		go v.ask(running)
	}
	show := v.plainLine
	every := plainEvery
	if d.plain {
		v.plainHead()
	} else {
		show, every = v.draw, frameEvery
		fmt.Fprint(d.out, "\x1b[?1049h\x1b[?25l") // the other screen, without a cursor
	}
	err = v.loop(ctx, every, show, traffic)
	if !d.plain {
		fmt.Fprint(d.out, "\x1b[?25h\x1b[?1049l")
	}
	if err != nil {
		return err
	}
	stop()
	if d.live() {
		if err := <-traffic; err != nil {
			return err
		}
	}
	return v.summary()
}

func (v *view) loop(ctx context.Context, every time.Duration, show func() error, traffic chan error) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	next, spark := time.Now().Add(every), time.Now().Add(sparkEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-traffic:
			return fmt.Errorf("the generator ended: %w", err)
		case err := <-v.d.feed.ended:
			v.d.feed.ended <- err
			if v.d.source == "replay" && err == nil {
				return nil // the file was read to its end
			}
			return fmt.Errorf("the feed process ended: %v", err)
		case err := <-v.served():
			v.d.serve.ended <- err
			return fmt.Errorf("the serve process ended: %v", err)
		case now := <-ticker.C:
			v.follow()
			if now.After(spark) {
				spark = now.Add(sparkEvery)
				v.sample()
			}
			if now.After(next) {
				next = now.Add(every)
				if err := show(); err != nil {
					return err
				}
			}
		}
	}
}

func (v *view) served() chan error {
	if v.d.serve == nil {
		return nil
	}
	return v.d.serve.ended
}

// follow reads the ring as a strategy would.
func (v *view) follow() {
	var slots [512]ringbuf.Mbp1Slot
	for {
		n, _, _ := ringbuf.PollSlice(v.mbp1, slots[:])
		for i := range slots[:n] {
			s := &slots[i]
			b := v.books[s.InstrumentID]
			if b == nil {
				b = &topBook{}
				v.books[s.InstrumentID] = b
			}
			b.records++
			b.top = s.Levels[0]
			if s.Action == tick.ActionTrade {
				b.last = s.Price
			}
			if s.TsPublish >= s.TsRecv {
				_ = v.latency.RecordValue(int64(min(s.TsPublish-s.TsRecv, 59_000_000_000)))
			}
		}
		v.records += uint64(n)
		if n < len(slots) {
			return
		}
	}
}

// sample notes the middle of each book for its sparkline.
func (v *view) sample() {
	for _, b := range v.books {
		if b.top.BidPx == tick.UndefPrice || b.top.AskPx == tick.UndefPrice {
			continue
		}
		b.mids = append(b.mids, float64(b.top.BidPx+b.top.AskPx)/2)
		if len(b.mids) > sparkPoints {
			b.mids = b.mids[1:]
		}
	}
}

// count reads the feed's counters and reckons the rate.
func (v *view) count() {
	for _, s := range v.stats.Append(nil) {
		v.counters[s.Name] = s.Value
	}
	now, messages := time.Now(), v.counters["0.lane.messages"]
	if span := now.Sub(v.lastAt); span > 500*time.Millisecond {
		v.rate = float64(messages-v.last) / span.Seconds()
		v.last, v.lastAt = messages, now
	}
}

// ask counts the rows that SQL sees, once a second.
func (v *view) ask(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.askOnce(ctx); err != nil && ctx.Err() == nil {
			text := err.Error()
			v.sqlErr.Store(&text)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

const demoCount = "SELECT count(*) FROM orders"

func (v *view) askOnce(ctx context.Context) error {
	r, err := dial(ctx, v.d.sql)
	if err != nil {
		return err
	}
	defer r.close()
	for ctx.Err() == nil {
		began := time.Now()
		n, err := countRows(ctx, r.conn)
		if err != nil {
			return err
		}
		v.queryNs.Store(time.Since(began).Nanoseconds())
		v.rows.Store(n)
		v.sqlErr.Store(nil)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// caughtUp counts until the store has what the rings had: a replay is faster than it, on a busy machine by far. Half of ctx's time at most.
func caughtUp(ctx context.Context, c *pgconn.PgConn) (int64, error) {
	deadline, _ := ctx.Deadline()
	half := time.Now().Add(time.Until(deadline) / 2)
	n, err := countRows(ctx, c)
	for same := 0; err == nil && same < 3 && time.Now().Before(half); {
		time.Sleep(50 * time.Millisecond)
		before := n
		if n, err = countRows(ctx, c); n == before && n > 0 {
			same++
		} else {
			same = 0
		}
	}
	return n, err
}

func countRows(ctx context.Context, c *pgconn.PgConn) (n int64, err error) {
	result := c.ExecParams(ctx, demoCount, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return 0, result.Err
	}
	if len(result.Rows) != 1 {
		return 0, errors.New("count(*) gave no row")
	}
	_, err = fmt.Sscan(string(result.Rows[0][0]), &n)
	return n, err
}

// gaps and lost are what neither line brought.
func (v *view) gaps() (gaps, lost uint64) {
	return v.counters["0.channel.0.lost"], v.counters["0.channel.0.lost_messages"]
}

func (v *view) micros(quantile float64) float64 {
	return float64(v.latency.ValueAtQuantile(quantile)) / 1e3
}

func (v *view) plainHead() {
	source := map[string]string{"udp": "multicast lines A and B on lo", "replay": "a file, in process"}[v.d.source]
	if v.d.source == "afxdp" {
		source = fmt.Sprintf("multicast lines A and B on veth pairs, AF_XDP in mode %s", v.mode())
	}
	fmt.Fprintf(v.d.out, "demo: generated ITCH session, %d messages/s, %s\n", v.d.rate, source)
	if v.d.sql != "" {
		fmt.Fprintln(v.d.out, "sql: "+v.psql())
	}
}

// mode is how AF_XDP takes packets, as the feed tells.
func (v *view) mode() afxdp.Mode {
	v.count()
	return afxdp.Mode(v.counters["0.afxdp.interface.feed0.queue.0.mode"])
}

func (v *view) psql() string {
	host, port, _ := strings.Cut(v.d.sql, ":")
	return fmt.Sprintf("psql -h %s -p %s -U demo tickwire", host, port)
}

func (v *view) plainLine() error {
	v.count()
	gaps, lost := v.gaps()
	_, err := fmt.Fprintf(v.d.out, "t=%.0fs messages=%d rate=%.0f/s records=%d latency_us_p50=%.1f p99=%.1f p99.9=%.1f gaps=%d lost=%d rows=%d query_ms=%.1f\n",
		time.Since(v.began).Seconds(), v.counters["0.lane.messages"], v.rate, v.records, v.micros(50), v.micros(99), v.micros(99.9),
		gaps, lost, v.rows.Load(), float64(v.queryNs.Load())/1e6)
	return err
}

// summary says what the demo came to; without a row in SQL it has failed.
func (v *view) summary() error {
	time.Sleep(50 * time.Millisecond) // counters are copied out each 10 ms
	v.follow()
	v.count()
	if v.d.sql != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r, err := dial(ctx, v.d.sql)
		if err != nil {
			return err
		}
		n, err := caughtUp(ctx, r.conn)
		if err = errors.Join(err, r.close()); err != nil {
			return err
		}
		v.rows.Store(n)
	}
	gaps, lost := v.gaps()
	messages := v.counters["0.lane.messages"]
	fmt.Fprintf(v.d.out, "messages received: %d, %.0f/s\n", messages, float64(messages)/time.Since(v.began).Seconds())
	if v.d.live() {
		fmt.Fprintf(v.d.out, "messages sent: %d on each line; packets used of A: %d, of B: %d\n", v.sent.Load(),
			v.counters["0.channel.0.line.A.won"], v.counters["0.channel.0.line.B.won"])
	}
	fmt.Fprintf(v.d.out, "gaps: %d (%d messages lost)\n", gaps, lost)
	fmt.Fprintf(v.d.out, "arrival to shared memory: p50 %.1f us, p99 %.1f us, p99.9 %.1f us\n", v.micros(50), v.micros(99), v.micros(99.9))
	if v.d.source == "afxdp" {
		k := v.counters
		fmt.Fprintf(v.d.out, "AF_XDP: mode %s; packets redirected %d and %d, passed to the kernel %d and %d\n", v.mode(),
			k["0.xdp.interface.feed0.redirected"], k["0.xdp.interface.feed1.redirected"],
			k["0.xdp.interface.feed0.seen"]-k["0.xdp.interface.feed0.redirected"], k["0.xdp.interface.feed1.seen"]-k["0.xdp.interface.feed1.redirected"])
	}
	if v.d.sql != "" {
		fmt.Fprintf(v.d.out, "rows queryable: %d orders, last count took %.1f ms\n", v.rows.Load(), float64(v.queryNs.Load())/1e6)
		if v.rows.Load() <= 0 {
			return errors.New("SQL saw no rows")
		}
	}
	if messages == 0 {
		return errors.New("no message was received")
	}
	return nil
}

// draw shows one frame of the screen.
func (v *view) draw() error {
	v.count()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\x1b[K\r\n", args...) }
	gaps, lost := v.gaps()
	b.WriteString("\x1b[H")
	line("\x1b[1mtickwire demo\x1b[0m   a generated ITCH session: nothing here is real   Control-C ends it")
	line("")
	line("  messages  %12d   %9.0f/s        lines A/B used  %d / %d packets", v.counters["0.lane.messages"], v.rate,
		v.counters["0.channel.0.line.A.won"], v.counters["0.channel.0.line.B.won"])
	line("  gaps      %12d   %d messages lost    orders resting  %d in %d price levels", gaps, lost, v.counters["0.book.orders"], v.counters["0.book.levels"])
	line("  arrival to shared memory   p50 %.1f µs   p99 %.1f µs   p99.9 %.1f µs", v.micros(50), v.micros(99), v.micros(99.9))
	if v.d.sql != "" {
		state := fmt.Sprintf("%d rows in orders, counted in %.1f ms", v.rows.Load(), float64(v.queryNs.Load())/1e6)
		if text := v.sqlErr.Load(); text != nil {
			state = *text
		}
		line("  SQL       %s", state)
	}
	line("")
	line("  \x1b[4m%-8s %10s %12s %12s %-10s %10s  %-*s\x1b[0m", "symbol", "bid size", "bid", "ask", "ask size", "last", sparkPoints, "last quarter minute")
	busiest := make([]*topBook, 0, len(v.books))
	for id, book := range v.books {
		if book.symbol == "" {
			if e, ok := v.inst.Lookup(tick.PublisherSimItch, id); ok {
				book.symbol = e.Symbol()
			}
		}
		busiest = append(busiest, book)
	}
	slices.SortFunc(busiest, func(x, y *topBook) int { return cmp.Compare(y.records, x.records) })
	for _, book := range busiest[:min(12, len(busiest))] {
		line("  %-8s %10d %12s %12s %-10d %10s  %s", book.symbol, book.top.BidSz, priceText(book.top.BidPx), priceText(book.top.AskPx),
			book.top.AskSz, priceText(book.last), sparkline(book.mids))
	}
	line("")
	if v.d.sql != "" {
		line("  Ask it:   %s", v.psql())
		line("            SELECT symbol, count(*), min(price), max(price) FROM trades GROUP BY symbol ORDER BY 2 DESC LIMIT 5;")
	}
	line("  Rings:    %s", v.d.dir+"/"+demoInstance)
	b.WriteString("\x1b[J")
	_, err := io.WriteString(v.d.out, b.String())
	return err
}

func priceText(p int64) string {
	if p == tick.UndefPrice || p == 0 {
		return "-"
	}
	return fmt.Sprintf("%.4f", float64(p)/1e9)
}

// sparkline draws values as bars of eight heights, between their least and greatest.
func sparkline(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	low, high := slices.Min(values), slices.Max(values)
	bars := []rune("▁▂▃▄▅▆▇█")
	out := make([]rune, len(values))
	for i, x := range values {
		at := 0
		if high > low {
			at = int((x - low) / (high - low) * float64(len(bars)-1))
		}
		out[i] = bars[at]
	}
	return string(out)
}
