package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
)

// Places of cbbo's own columns.
const (
	cbboBid = colOwn + iota
	cbboAsk
	cbboBidSz
	cbboAskSz
	cbboBidVenue
	cbboAskVenue
	cbboVenueCount
	cbboLive
	cbboStale
	cbboFlags
	cbboPublish
)

// Places of cbbo_venues' own columns.
const (
	venueRow = colOwn + iota
	venueSource
	venueState
	venueBid
	venueAsk
	venueBidSz
	venueAskSz
	venueAge
)

// consolidated enters a record of a cbbo ring: one row of cbbo, and one of cbbo_venues for each venue that has said something.
func (f *follower) consolidated(c *ringbuf.CbboSlot) {
	symbol := f.symbol(&c.Header, c.TsRecv)
	seq := int64(-1) // cbbo is not wanted: cbbo_venues joins nothing
	if f.cbbo != nil {
		r, ok := f.beginAs(f.cbbo, &c.Header, c.TsRecv, f.channel, symbol)
		if !ok {
			return
		}
		seq = r.seq + int64(r.n)
		l := &c.Levels[0]
		f.price(r, cbboBid, l.BidPx)
		f.price(r, cbboAsk, l.AskPx)
		r.set(cbboBidSz, int64(l.BidSz))
		r.set(cbboAskSz, int64(l.AskSz))
		r.set32(cbboBidVenue, f.publisherName(l.BidPb))
		r.set32(cbboAskVenue, f.publisherName(l.AskPb))
		r.set32(cbboVenueCount, uint32(c.Venues))
		r.set32(cbboLive, uint32(c.Live))
		r.set32(cbboStale, uint32(c.Stale))
		r.set8(cbboFlags, c.Flags)
		r.set(cbboPublish, int64(c.TsPublish))
		f.end(r)
	}
	if f.cbboVenues == nil {
		return
	}
	for i := range c.Quotes[:min(int(c.Venues), len(c.Quotes))] {
		q := &c.Quotes[i]
		if q.State == ringbuf.VenueNone {
			continue
		}
		r, ok := f.beginAs(f.cbboVenues, &c.Header, c.TsRecv, f.channel, symbol)
		if !ok {
			return
		}
		r.set(venueRow, seq)
		r.set32(venueSource, f.publisherName(q.Publisher))
		r.set32(venueState, f.s.dict.add(q.State.String()))
		f.price(r, venueBid, q.BidPx)
		f.price(r, venueAsk, q.AskPx)
		r.set(venueBidSz, int64(q.BidSz))
		r.set(venueAskSz, int64(q.AskSz))
		r.maybe(venueAge, int64(c.TsRecv-q.TsRecv), q.TsRecv != 0 && c.TsRecv >= q.TsRecv)
		f.end(r)
	}
}

// publisherName is the number of a publisher's name in the dictionary: the first part of the dataset of a ring of the instance that carries it, as
// column venue has it, else the publisher's number. 0, no publisher, is NULL.
func (f *follower) publisherName(publisher uint16) uint32 {
	if publisher == 0 {
		return 0
	}
	if code, ok := f.s.publishers.Load(publisher); ok {
		return code.(uint32)
	}
	// Met before a follower of its own has opened that ring: the name must not depend on who comes first.
	if now := time.Now(); now.After(f.nextNames) {
		f.nextNames = now.Add(rescan)
		f.namePublishers()
		if code, ok := f.s.publishers.Load(publisher); ok {
			return code.(uint32)
		}
	}
	return f.s.dict.add(strconv.Itoa(int(publisher)))
}

// namePublishers notes whose datasets the rings of the instance carry.
func (f *follower) namePublishers() {
	entries, err := ringbuf.List(f.ringDir, f.entry.Instance)
	if err != nil {
		return // the followers' own search says so
	}
	for _, e := range entries {
		if e.Kind != ringbuf.KindMbp1 {
			continue
		}
		if r, err := ringbuf.Open(e.Path, ringbuf.ReaderOptions{Join: ringbuf.JoinLive}); err == nil {
			f.s.name(r)
			_ = r.Close()
		}
	}
}

// name notes the name of a ring's publisher, the first part of its dataset, and gives its number in the dictionary.
func (s *Store) name(r *ringbuf.Reader) uint32 {
	dataset, _, _ := strings.Cut(r.Dataset(), ".")
	code := s.dict.add(dataset)
	if publisher := r.Header().Publisher; publisher != 0 {
		s.publishers.Store(publisher, code)
	}
	return code
}
