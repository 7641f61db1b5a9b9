package pipeline

import (
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/tick"
)

// Stream is one channel's way into a lane: the sink of its session, and its decoder. All streams of a lane write the same rings, in the order
// in which their packets come. It belongs to the lane.
type Stream struct {
	l       *Lane
	decoder Decoder
	plain   bool          // the decoder leaves Flags to the lane
	strict  bool          // the decoder stops behind a message that it refuses
	sent    sentDecoder   // the decoder, where it wants to know when a packet was sent
	next    uint64        // number behind those that came last
	naming  namingDecoder // the decoder, where it knows whose messages it lacks
	doubts  uint64        // its Doubts when it was last looked at
	id      uint8         // channel_id of its records
	suspect uint8         // FlagMaybeBadBook after a loss, where the lane has other channels besides
	refused uint64        // messages that the decoder had refused when it was last looked at
	losing  lossDecoder   // the decoder, where it knows which instruments lack something
	losses  uint64        // instruments that had lost something when it was last looked at

	natural             *resync.Natural // nil: price books do not come back from the stream
	entries             entryDecoder    // the decoder, where it counts entries
	unsure              bool            // instruments that are met for the first time are suspect
	skip                bool            // the batch has rows from before a message that could not be read,
	lacked              []uint32        // or of these instruments from before one that is missing
	lostFirst, lostLast uint64          // what was lost since books were certain
}

// Stream makes a further channel's way into the lane. decoder becomes the lane's.
func (l *Lane) Stream(decoder Decoder, channelID uint8) *Stream {
	s := l.stream(decoder, channelID)
	s.learns(l.learning)
	return &s
}

func (l *Lane) stream(decoder Decoder, channelID uint8) Stream {
	l.streams++
	_, plain := decoder.(*itch.Decoder)
	_, strict := decoder.(strictDecoder)
	sent, _ := decoder.(sentDecoder)
	naming, _ := decoder.(namingDecoder)
	losing, _ := decoder.(lossDecoder)
	if d, ok := decoder.(passDecoder); ok {
		l.passes = append(l.passes, d)
	}
	return Stream{l: l, decoder: decoder, plain: plain, strict: strict, sent: sent, naming: naming, losing: losing, id: channelID}
}

// Decoder is the stream's. Read its counters on the lane, or when it has ended.
func (s *Stream) Decoder() Decoder { return s.decoder }

// Main is the channel that the lane itself is the sink of.
func (l *Lane) Main() *Stream { return &l.main }

// begin has the batch be this stream's: rows of one batch are of one channel.
func (s *Stream) begin() {
	l := s.l
	if l.current == s {
		return
	}
	if l.batch.N != 0 {
		l.endBatch()
	}
	l.current, l.channelID = s, s.id
}

// Messages takes count messages in order; see session.Sink. Rows become records when the pass is full or EndPass is called.
func (s *Stream) Messages(blocks []byte, first uint64, count int, at session.Arrival) {
	l := s.l
	s.begin()
	if s.sent != nil {
		s.sent.SetSendTime(at.Sent)
	}
	begin := first
	s.next = first + uint64(count)
	if l.rebuild != nil {
		l.rebuild.delivered(blocks, first, count)
	}
	for count > 0 {
		from := l.batch.N
		used, n := s.decoder.Append(blocks, first, min(count, l.maxPass-l.inPass), l.batch)
		s.stamp(from, at)
		blocks, first, count = blocks[used:], first+uint64(n), count-n
		l.inPass += n
		l.counters.Messages += uint64(n)
		s.doubt(begin, first-1)
		if used == 0 && n == 0 && l.inPass == 0 && l.batch.N == 0 {
			// An empty batch took nothing: what is left is no message. The session checked the lengths, so this is
			// a defect of one of the two, and it must not be silent.
			l.counters.Refused += uint64(count)
			s.refuse(first, first+uint64(count)-1)
			break
		}
		if n == 0 || l.inPass >= l.maxPass || l.batch.Full() {
			l.endBatch()
		}
	}
	if r := l.rebuild; r != nil && (r.doubted || len(r.lacking) > 0) {
		l.doubtful()
	}
}

// Span takes messages of a file, the first of which has number first, and returns how many bytes it
// could use: all of them, unless what is left is no message.
func (s *Stream) Span(span []byte, first uint64) (used int) {
	l := s.l
	s.begin()
	for used < len(span) {
		from := l.batch.N
		n, messages := s.decoder.Append(span[used:], first, l.maxPass-l.inPass, l.batch)
		s.stamp(from, session.Arrival{})
		used += n
		first += uint64(messages)
		l.inPass += messages
		l.counters.Messages += uint64(messages)
		s.doubt(first-uint64(messages), first-1)
		if n == 0 && messages == 0 && l.inPass == 0 && l.batch.N == 0 {
			l.counters.Refused++
			return used
		}
		if messages == 0 || l.inPass >= l.maxPass || l.batch.Full() {
			l.EndPass()
		}
	}
	return used
}

// doubt makes the channel's books suspect once the decoder refused a message, one of those from first to last: what it said, and of whom, is not known. A strict
// decoder refused the last one, and so that is a loss, with a record of its own.
func (s *Stream) doubt(first, last uint64) {
	if s.naming != nil {
		if n := s.naming.Doubts(); n != s.doubts {
			s.doubts = n
			s.lacks(first, last)
		}
		return
	}
	if s.losing != nil && s.losing.Losses() != s.losses {
		s.losses = s.losing.Losses()
		s.miss(last)
	}
	refused := s.decoder.Refused()
	if refused == s.refused {
		return
	}
	s.refused = refused
	if s.strict {
		s.refuse(last, last)
		return
	}
	s.distrust(first, last, true)
	if s.l.rebuild != nil {
		s.l.rebuild.doubt(first, last)
	}
}

// lacks makes the books suspect of which the decoder says that messages are missing, as it noticed between first and last.
func (s *Stream) lacks(first, last uint64) {
	l := s.l
	lacking, _ := s.decoder.(lackingDecoder)
	named := s.naming.TakeDoubts(func(id uint32) {
		s.unlearnOne(id)
		l.setSuspect(id, true)
		l.distrustLast(id)
		if l.rebuild != nil && (lacking == nil || !lacking.Hopeless(id)) {
			l.rebuild.doubtOf(id)
		}
	})
	if named {
		return
	}
	s.distrust(first, last, true)
	if r := l.rebuild; r != nil && (!r.logging || len(r.only) > 0) { // else what came is in the log, and whoever decodes that notices, too
		r.doubt(first, last)
	}
}

// Aside takes count messages that are outside the channel's sequence, such as a mapping that was asked for, where the decoder knows such: between two passes.
// Their rows are published, as of the number of the last message.
func (s *Stream) Aside(blocks []byte, count int) {
	d, ok := s.decoder.(asideDecoder)
	if !ok {
		return
	}
	l := s.l
	l.endBatch()
	s.begin()
	for count > 0 {
		used, n := d.AppendRefresh(blocks, s.last(), count, l.batch)
		s.stamp(0, session.Arrival{})
		if n == 0 {
			l.counters.Refused += uint64(count)
			break
		}
		blocks, count = blocks[used:], count-n
		l.endBatch()
	}
	s.doubt(s.last(), s.last())
	if r := l.rebuild; r != nil && (r.doubted || len(r.lacking) > 0) {
		l.doubtful()
	}
}

// last is the number of the message that came last.
func (s *Stream) last() uint64 { return max(s.next, 1) - 1 }

// miss makes what the venue's own count says is missing of single instruments a loss of theirs alone: a record that names each, and its book suspect
// until its next whole state. It showed in message last, whose rows the decoder has flagged.
func (s *Stream) miss(last uint64) {
	l := s.l
	if l.inPass != 0 || l.batch.N != 0 {
		l.endBatch()
	}
	s.losing.Lost(func(id uint32, _ string) bool {
		if l.suspected(id) {
			return true
		}
		l.setSuspect(id, true)
		l.distrustLast(id)
		l.gapRecord(session.Gap{First: last, Last: last, State: tick.GapLost}, 0, id)
		return true
	})
}

// refuse makes messages that came, and of which nobody knows what they said, and of whom, a loss like those that did not come: a record in their
// place, and every book of the channel suspect from there on.
func (s *Stream) refuse(first, last uint64) {
	l := s.l
	if l.inPass != 0 || l.batch.N != 0 {
		l.endBatch()
	}
	s.distrust(first, last, true)
	l.gapRecord(session.Gap{First: first, Last: last, State: tick.GapLost}, 0, 0)
	if l.rebuild != nil {
		l.rebuild.doubt(first, last)
	}
}

// distrust makes the channel's books suspect, all of the lane's when it has no other channel: messages from first to last are missing. refused: they came, and could not be read.
func (s *Stream) distrust(first, last uint64, refused bool) {
	l := s.l
	if s.natural != nil {
		s.unlearn(first, last, refused)
		return
	}
	if l.streams == 1 && !l.mends {
		l.distrust()
		return
	}
	if !l.mends { // else an instrument that is met later begins with its whole state
		s.suspect = tick.FlagMaybeBadBook
	}
	s.decoder.Instruments(func(id uint32) bool {
		l.setSuspect(id, true)
		l.distrustLast(id)
		return true
	})
}

// stamp fills in when the rows from on came in. Time never goes back on a lane, hence not within an instrument.
func (s *Stream) stamp(from int, at session.Arrival) {
	l := s.l
	b := l.batch
	flags := l.suspect | s.suspect
	if s.unsure {
		s.markNew(from)
	}
	ts := at.TsRecv
	switch {
	case l.files:
		s.stampFile(from)
		return
	case ts == 0:
		ts = l.now
	}
	if ts < l.lastRecv {
		ts = l.lastRecv
		flags |= tick.FlagBadTsRecv
		l.counters.BadTsRecv++
	}
	l.lastRecv = ts
	s.sentAt(from, at.Sent)
	if s.plain {
		for i := from; i < b.N; i++ {
			b.TsRecv[i&tick.RowMask] = ts
			b.Flags[i&tick.RowMask] = flags
		}
		return
	}
	for i := from; i < b.N; i++ {
		b.TsRecv[i&tick.RowMask] = ts
		b.Flags[i&tick.RowMask] |= flags
	}
}

// sentAt notes when the venue sent the rows from on, where any of the lane's venues says that.
func (s *Stream) sentAt(from int, sent uint64) {
	l := s.l
	if sent == 0 && !l.tells {
		return
	}
	l.tells = true
	for i := from; i < l.batch.N; i++ {
		l.sent[i&tick.RowMask] = sent
	}
}

// stampFile is stamp for files without times of arrival.
func (s *Stream) stampFile(from int) {
	l := s.l
	b := l.batch
	s.sentAt(from, 0) // times of sending are no times of arrival's
	for i := from; i < b.N; i++ {
		l.lastRecv = max(l.lastRecv, b.TsEvent[i&tick.RowMask])
		b.TsRecv[i&tick.RowMask] = l.lastRecv
		if s.plain {
			b.Flags[i&tick.RowMask] = 0
		}
		b.Flags[i&tick.RowMask] |= l.suspect | s.suspect | tick.FlagBadTsRecv
	}
}

// Gap makes a hole in the sequence a record in the rings, in its place in the order of events; see session.Sink.
// Sequence numbers count all of a channel's instruments, so after a loss all its books are suspect.
func (s *Stream) Gap(g session.Gap) {
	l := s.l
	l.EndPass()
	s.begin()
	if g.State == tick.GapLost {
		s.distrust(g.First, g.Last, false)
	}
	came := g.Last - g.First + 1
	if g.State == tick.GapLost {
		came = 0
	}
	l.gapRecord(g, came, 0)
	if g.State == tick.GapLost && l.rebuild != nil {
		l.lost(g.First, g.Last)
	}
}

// SessionStart empties the channel's books and its part of the directory, and tells every reader so; see session.Sink. The rings go on. The directory stays where
// the venue does not send it again.
func (s *Stream) SessionStart(id [10]byte) {
	l := s.l
	l.EndPass()
	s.begin()
	day, err := l.midnight(l.now)
	if err != nil {
		l.err = err
		return
	}
	s.next = 0
	k, ok := s.decoder.(keepingDecoder)
	kept := ok && k.Keeps(day)
	if l.streams > 1 {
		s.suspect = 0
		s.forget()
		s.trust(!kept)
		s.decoder.Start(day)
		return
	}
	s.decoder.Start(day)
	s.trust(!kept)
	l.day, l.suspect = day, 0
	if l.rebuild != nil {
		l.forget()
		l.rebuild.half.Session(id)
	}
	// The directory's generation moves before the first R, that of the last values after the last: readers tell by them.
	if l.out.Instruments != nil && !kept {
		l.out.Instruments.Reset()
	}
	l.clearAll()
	l.clearImplied()
	l.books.Reset()
	if kept {
		l.depth.empty()
	} else {
		l.symbols.Reset()
		l.depth.reset()
		l.only.reset()
		l.forgetPlugins()
	}
	if l.out.Last != nil {
		l.out.Last.Reset()
	}
}

// forget empties the books of the channel's instruments, one row each, as the venue's own message would. Definitions stay until the channel's
// new ones replace them: other channels' instruments lie beside them. So the generations of the directory and of the latest values stay; the values themselves, which a row
// that changes no price would leave as they were, print and doubt included, say that nothing is known of the session that begins.
func (s *Stream) forget() {
	l, b := s.l, s.l.batch
	s.decoder.Instruments(func(id uint32) bool {
		i := b.N & tick.RowMask
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i] = tick.KindClear, 0, tick.SideNone, 0
		b.Instrument[i], b.TsEvent[i], b.TsRecv[i], b.Sequence[i] = id, l.lastTime, max(l.now, l.lastRecv), 0
		l.sent[i] = 0
		b.N++
		if b.Full() {
			l.endBatch()
		}
		l.setSuspect(id, false)
		l.putLast(id, tick.ActionClear, 0, tick.EmptyPair)
		return true
	})
	l.endBatch()
}

// SessionEnd publishes what is left; see session.Sink.
func (s *Stream) SessionEnd([10]byte) { s.l.EndPass() }

// The lane is the sink of its main channel.

// Messages is Stream.Messages of the main channel.
func (l *Lane) Messages(blocks []byte, first uint64, count int, at session.Arrival) {
	l.main.Messages(blocks, first, count, at)
}

// Span is Stream.Span of the main channel.
func (l *Lane) Span(span []byte, first uint64) (used int) { return l.main.Span(span, first) }

// Gap is Stream.Gap of the main channel.
func (l *Lane) Gap(g session.Gap) { l.main.Gap(g) }

// SessionStart is Stream.SessionStart of the main channel.
func (l *Lane) SessionStart(id [10]byte) { l.main.SessionStart(id) }

// SessionEnd is Stream.SessionEnd of the main channel.
func (l *Lane) SessionEnd(id [10]byte) { l.main.SessionEnd(id) }

var _, _ session.Sink = (*Lane)(nil), (*Stream)(nil)
