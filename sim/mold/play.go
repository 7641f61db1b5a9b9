package mold

// Source gives messages, one after the other.
type Source interface {
	// Next appends a message without a length; ok is false, and nothing appended, after the last one.
	Next(dst []byte) (out []byte, ok bool)
	// Time is that of the message given last, ns since midnight. It does not go back.
	Time() uint64
}

// PlayOptions say how packets are cut. The zero value works.
type PlayOptions struct {
	// Session is the session's name, at most 10 characters. The default is "SIM0000001".
	Session string
	// PayloadBytes is the longest packet's length. The default is 1,400.
	PayloadBytes int
	// TogetherNs is how long after its first message a packet takes more, as long as they fit. Packets have one message on a calm
	// feed, and are full in a burst. The default is 20 µs.
	TogetherNs uint64
	// HeartbeatNs is the idle time after which a heartbeat is sent. The default is a second, as the protocol has it.
	HeartbeatNs uint64
	// Ends is how often the end of the session is told, a heartbeat's time apart; less than 0: not at all. The default is 3.
	Ends int
	// Progress is called now and then with the messages so far, and at the end. It may be nil.
	Progress func(messages uint64)
}

func (o *PlayOptions) defaults() {
	if o.Session == "" {
		o.Session = "SIM0000001"
	}
	if o.TogetherNs == 0 {
		o.TogetherNs = 20_000
	}
	if o.HeartbeatNs == 0 {
		o.HeartbeatNs = 1_000_000_000
	}
	if o.Ends == 0 {
		o.Ends = endPackets
	}
}

// endPackets is how often the end of the session is told by default.
const endPackets = 3

// Play sends all of a source's messages as packets. ts is ns since the source's midnight, of the packet's last message: it was not
// finished before, and waits for nothing after. end tells the packets at the end of the session from all others. A packet is valid for
// the call. Play ends with send's first error.
func Play(src Source, o PlayOptions, send func(ts uint64, packet []byte, end bool) error) error {
	o.defaults()
	id, err := SessionID(o.Session)
	if err != nil {
		return err
	}
	p, err := NewPacker(id, o.PayloadBytes)
	if err != nil {
		return err
	}
	pl := player{o: &o, p: p, send: send}
	buf := make([]byte, 0, 64)
	for {
		b, ok := src.Next(buf[:0])
		if !ok {
			break
		}
		buf = b
		if err := pl.message(b, src.Time()); err != nil {
			return err
		}
	}
	return pl.end()
}

type player struct {
	o     *PlayOptions
	p     *Packer
	send  func(ts uint64, packet []byte, end bool) error
	began uint64 // time of the packet's first message
	last  uint64 // time of the latest message, heartbeat or end
	sent  bool   // there was one
}

// message sends what is due before a message, and takes it.
func (pl *player) message(b []byte, ts uint64) error {
	if pl.p.Pending() > 0 && ts > pl.began+pl.o.TogetherNs {
		if err := pl.leave(pl.p.Flush()); err != nil {
			return err
		}
	}
	if pl.p.Pending() == 0 {
		for pl.sent && ts > pl.last+pl.o.HeartbeatNs {
			pl.last += pl.o.HeartbeatNs
			if err := pl.send(pl.last, pl.p.Heartbeat(), false); err != nil {
				return err
			}
		}
		pl.began = ts
	}
	full, err := pl.p.Add(b)
	if err != nil {
		return err
	}
	if full != nil {
		if err := pl.leave(full); err != nil {
			return err
		}
		pl.began = ts
	}
	pl.last = ts
	if pl.o.Progress != nil && pl.p.Next()%(1<<16) == 0 {
		pl.o.Progress(pl.p.Next() - 1)
	}
	return nil
}

// leave sends a packet at the time of its last message.
func (pl *player) leave(packet []byte) error {
	pl.sent = true
	return pl.send(pl.last, packet, false)
}

func (pl *player) end() error {
	if packet := pl.p.Flush(); packet != nil {
		if err := pl.leave(packet); err != nil {
			return err
		}
	}
	for range max(pl.o.Ends, 0) {
		pl.last += pl.o.HeartbeatNs
		if err := pl.send(pl.last, pl.p.EndOfSession(), true); err != nil {
			return err
		}
	}
	if pl.o.Progress != nil {
		pl.o.Progress(pl.p.Next() - 1)
	}
	return nil
}
