package ringbuf

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// The Go side of the conformance test: this binary, started with the role "conform", reads commands, a line each, and
// answers with lines that end with ".". What the other languages do is a transliteration of this.

type conformer struct {
	r   *Reader
	dir *InstReader
}

func conform() {
	var c conformer
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		text, err := c.answer(strings.Fields(in.Text()))
		if err != nil {
			text = "error " + conformError(err)
		}
		fmt.Printf("%s\n.\n", text)
	}
}

func conformError(err error) string {
	for _, e := range []struct {
		err  error
		name string
	}{
		{ErrShort, "short"}, {ErrMagic, "magic"}, {ErrOtherFile, "magic"}, {ErrByteOrder, "byte order"}, {ErrVersion, "version"}, {ErrHeaderSize, "header size"}, {ErrSlotSize, "slot size"},
		{ErrCapacity, "capacity"}, {ErrOffset, "offset"}, {ErrFileSize, "file size"}, {ErrDBNVersion, "dbn version"}, {ErrRestarting, "restarting"},
		{ErrTooOld, "too old"}, {ErrTooFar, "too far"}, {fs.ErrNotExist, "open"}, {fs.ErrPermission, "open"}, {errConformNotFound, "not found"}, {errConformReplaced, "replaced"},
	} {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return err.Error()
}

var errConformNotFound, errConformReplaced = errors.New("not found"), errors.New("replaced")

func conformJoin(name string) JoinMode {
	return map[string]JoinMode{"live": JoinLive, "half": JoinHalf, "oldest": JoinOldest}[name]
}

func (c *conformer) answer(a []string) (string, error) {
	num := func(i int) uint64 {
		n, err := strconv.ParseUint(a[i], 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	switch a[0] {
	case "open":
		if c.r != nil {
			_ = c.r.Close()
			c.r = nil
		}
		r, err := Open(a[1], ReaderOptions{Join: conformJoin(a[2]), StaleAfter: time.Duration(num(3)) * time.Millisecond})
		if err != nil {
			return "", err
		}
		c.r = r
		h := r.Header()
		return fmt.Sprintf("open kind %d slot %d slots %d name %s dataset %s uuid %x minor %d publisher %d channel %d next %d epoch %d", h.Kind, h.SlotBytes, h.Slots, h.Name,
			h.Dataset, h.UUID, h.ABIMinor, h.Publisher, h.Channel, r.Next(), r.Epoch()), nil
	case "instopen":
		d, err := OpenInst(a[1])
		if err != nil {
			return "", err
		}
		c.dir = d
		return fmt.Sprintf("instopen capacity %d count %d", d.Capacity(), d.Count()), nil
	case "lookup":
		e, ok := c.dir.Lookup(uint16(num(1)), uint32(num(2)))
		return c.instrument(&e, ok)
	case "find":
		var found *Inst
		c.dir.Each(func(_ uint64, e *Inst) {
			if e.PublisherID == uint16(num(1)) && e.Symbol() == a[2] {
				found = new(*e)
			}
		})
		return c.instrument(found, found != nil)
	case "drain":
		return c.drain(int(num(1)), false), nil
	case "typed":
		return c.drain(16, true), nil
	case "follow":
		return c.follow(time.Duration(num(1))*time.Millisecond, a[2] == "1"), nil
	case "speed":
		return c.speed(int(num(1)), time.Duration(num(2))*time.Millisecond)
	case "latency":
		return c.latency(num(1) * 1e6), nil
	case "join":
		err := c.r.Join(conformJoin(a[1]))
		return fmt.Sprintf("join next %d epoch %d", c.r.Next(), c.r.Epoch()), err
	case "seek":
		err := c.r.Seek(num(1))
		return fmt.Sprintf("seek next %d", c.r.Next()), err
	case "state":
		alive := 0
		if c.r.Alive() {
			alive = 1
		}
		return fmt.Sprintf("state %d stamps %d alive %d lag %d", c.r.State(), c.r.Stamps(), alive, c.r.Lag()), nil
	case "wait":
		return fmt.Sprintf("wait %v", c.r.Wait(time.Duration(num(1))*time.Millisecond)), nil
	case "stale":
		c.r.stale = num(1) * 1e6
		return "ok", nil
	}
	panic("no command " + a[0])
}

func (c *conformer) instrument(e *Inst, ok bool) (string, error) {
	if c.dir.Replaced() {
		return "", errConformReplaced
	}
	if !ok {
		return "", errConformNotFound
	}
	return fmt.Sprintf("inst %d %d %d %d %s %d %d %d %d %d %d %s %d", e.InstrumentID, e.PublisherID, e.Class, e.Flags, e.Symbol(), e.MinPriceIncr, e.RoundLot, e.Multiplier,
		e.Decimals, e.StatusAction, e.Channel, cstring(e.MIC[:]), e.DefOffset), nil
}

// drain reads until a look at the header gave nothing new.
func (c *conformer) drain(batch int, typed bool) string {
	words := c.r.Kind().PayloadBytes() / 8
	recs := make([]uint64, batch*words)
	var out, events strings.Builder
	var read, bad, sum uint64
	for looked := false; ; {
		n, first, st := c.r.PollInto(unsafe.Pointer(unsafe.SliceData(recs)), batch)
		switch {
		case st == OK:
			for i := range n {
				rec := recs[i*words : (i+1)*words]
				if typed {
					fmt.Fprintf(&out, "%d %s\n", first+uint64(i), conformText(c.r.Kind(), unsafe.Pointer(unsafe.SliceData(rec))))
				}
				bad += uint64(countBad(rec, words, first+uint64(i)))
				for _, w := range rec {
					sum = (sum ^ w) * 0x100000001b3
				}
			}
			read += uint64(n)
			looked = false
		case st == Overrun || st == EpochChanged:
			fmt.Fprintf(&events, "%s@%d ", conformStatus(st), c.r.Next())
			looked = false
		case st == None && !looked:
			c.r.Wait(0)
			looked = true
		default:
			if typed {
				out.WriteString("typed ")
			} else {
				fmt.Fprintf(&out, "drain read %d bad %d sum %x ", read, bad, sum)
			}
			fmt.Fprintf(&out, "lost %d next %d epoch %d events %send %s", c.r.Lost(), c.r.Next(), c.r.Epoch(), events.String(), conformStatus(st))
			return out.String()
		}
	}
}

func conformStatus(st Status) string {
	if st == EpochChanged {
		return "epoch"
	}
	return st.String()
}

func (c *conformer) follow(d time.Duration, sleep bool) string {
	var s seen
	words := c.r.Kind().PayloadBytes() / 8
	recs := make([]uint64, 16*words)
	until := time.Now().Add(d)
	for turn := 1; ; turn++ {
		n, first, st := c.r.PollInto(unsafe.Pointer(unsafe.SliceData(recs)), turn%16+1)
		switch st {
		case OK:
			s.read += uint64(n)
			s.bad += uint64(countBad(recs[:n*words], words, first))
		case Overrun:
			s.overruns++
		case EpochChanged:
			s.epochs++
		default:
			if sleep {
				c.r.Wait(time.Millisecond)
			}
		}
		if st == Replaced || turn%256 == 0 && time.Now().After(until) {
			return fmt.Sprintf("follow read %d bad %d overruns %d epochs %d lost %d next %d epoch %d", s.read, s.bad, s.overruns, s.epochs, c.r.Lost(), c.r.Next(), c.r.Epoch())
		}
	}
}

// speed reads all that the ring has, again and again.
func (c *conformer) speed(batch int, d time.Duration) (string, error) {
	words := c.r.Kind().PayloadBytes() / 8
	recs := make([]uint64, batch*words)
	var read, sum uint64
	begin := time.Now()
	for time.Since(begin) < d {
		if err := c.r.Join(JoinOldest); err != nil {
			return "", err
		}
		for {
			n, _, _ := c.r.PollInto(unsafe.Pointer(unsafe.SliceData(recs)), batch)
			if n == 0 {
				break
			}
			read += uint64(n)
			for i := range n {
				sum += recs[i*words+3]
			}
		}
	}
	return fmt.Sprintf("speed %d %d %x", read, time.Since(begin).Nanoseconds(), sum), nil
}

// latency is ns from the time in each record's first word to the clock after it was validated.
func (c *conformer) latency(span uint64) string {
	runtime.LockOSThread()
	rec := make([]uint64, c.r.Kind().PayloadBytes()/8)
	ns := make([]uint64, 0, 1<<20)
	until := MonotonicNow() + span
	for now := uint64(0); now < until; {
		n, _, _ := c.r.PollInto(unsafe.Pointer(unsafe.SliceData(rec)), 1)
		now = MonotonicNow()
		if n == 1 {
			ns = append(ns, max(now, rec[0])-rec[0])
		}
	}
	slices.Sort(ns)
	if len(ns) == 0 {
		return "latency 0 0 0"
	}
	return fmt.Sprintf("latency %d %d %d", len(ns), ns[len(ns)/2], ns[len(ns)*9/10])
}

// conformText is a record, field by field.
func conformText(k Kind, p unsafe.Pointer) string {
	head := func(h *tick.Header) string {
		return fmt.Sprintf("%d %d %d %d %d", h.RType, h.Length, h.PublisherID, h.InstrumentID, h.TsEvent)
	}
	trade := func(t *tick.Trade) string {
		return fmt.Sprintf("%s %d %d %d %d %d %d %d %d %d", head(&t.Header), t.Price, t.Size, t.Action, t.Side, t.Flags, t.Depth, t.TsRecv, t.TsInDelta, t.Sequence)
	}
	h := (*tick.Header)(p)
	switch {
	case k == KindTrades:
		t := (*TradeSlot)(p)
		return fmt.Sprintf("trade %s %d", trade(&t.Trade), t.MatchID)
	case k == KindMbp1:
		m := (*Mbp1Slot)(p)
		l, c := &m.Levels[0], &m.Plugin
		return fmt.Sprintf("mbp1 %s %d %d %d %d %d %d %d %d %d %d %d", trade(&m.Trade), l.BidPx, l.AskPx, l.BidSz, l.AskSz, l.BidCt, l.AskCt, m.TsPublish, c[0], c[1], c[2], c[3])
	case h.RType == tick.RTypeStatus:
		s := (*tick.Status)(p)
		return fmt.Sprintf("status %s %d %d %d %d %d %d %d", head(h), s.TsRecv, s.Action, s.Reason, s.TradingEvent, s.IsTrading, s.IsQuoting, s.IsShortSellRestricted)
	case h.RType == tick.RTypeGap:
		g := (*tick.Gap)(p)
		return fmt.Sprintf("gap %s %d %d %d %d %d %d %d", head(h), g.First, g.Last, g.TsRecv, g.State, g.ChannelID, g.Line, g.Messages)
	case k == KindMbo:
		m := (*tick.Mbo)(p)
		return fmt.Sprintf("mbo %s %d %d %d %d %d %d %d %d %d %d", head(h), m.OrderID, m.Price, m.Size, m.Flags, m.ChannelID, m.Action, m.Side, m.TsRecv, m.TsInDelta, m.Sequence)
	}
	return ""
}
