package fix

import (
	"fmt"
	"sync/atomic"
	"time"

	qf "github.com/quickfixgo/quickfix"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// serverSession is one client in one version. It outlives connections.
type serverSession struct {
	s     *Server
	id    qf.SessionID
	v     Version
	gate  atomic.Pointer[gate]
	epoch atomic.Uint64 // logons so far: requests of one before are void
	next  atomic.Uint64 // MsgSeqNum that is awaited

	short atomic.Bool // it asked for a message that is no longer kept: books are due

	resending atomic.Bool   // what it asked for again is being sent: the library takes nothing else until that is done
	held      []*qf.Message // pump's: what waits for that, in its order

	gap stall // watch's

	m codec.Message // the session's goroutine
}

func newServerSession(s *Server, id qf.SessionID, v Version) *serverSession {
	x := &serverSession{s: s, id: id, v: v}
	x.gap.next = &x.next
	return x
}

// sentMessages is where the session keeps what it sends. A resend holds back what is sent meanwhile, so that books are asked for from elsewhere: see watch.
func (x *serverSession) sentMessages() *sentMessages {
	return &sentMessages{begin: x.id.BeginString, most: x.s.c.ResendMessages, bytes: x.s.c.ResendBytes, short: func() {
		x.s.counters.ResendsShort.Add(1)
		x.short.Store(true)
	}, room: x.room, resending: &x.resending}
}

// room waits until the client has taken most of what was sent to it: a resend may be longer than what may wait, and is not to make the client congested. A client
// that takes nothing is dropped (send).
func (x *serverSession) room() {
	for {
		g := x.gate.Load()
		if g == nil || g.isDone() || g.queue.waiting() <= x.s.c.QueueBytes/4 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// mostHeld is how many messages wait for a resend before changes are no longer sent one by one.
const mostHeld = 1024

// give sends a message, or holds it until a resend is over: the pump, which has other clients, does not wait for this one. Pump's.
func (x *serverSession) give(m *qf.Message) {
	if len(x.held) > 0 || x.resending.Load() {
		x.held = append(x.held, m)
		return
	}
	x.send(m)
}

// release sends what was held. Pump's.
func (x *serverSession) release() {
	n := 0
	for n < len(x.held) && !x.resending.Load() {
		x.send(x.held[n])
		n++
	}
	left := copy(x.held, x.held[n:])
	clear(x.held[left:])
	x.held = x.held[:left]
}

// congested says that much waits for the client. Pump's.
func (x *serverSession) congested() bool {
	g := x.gate.Load()
	if g == nil || len(x.held) > mostHeld {
		return true
	}
	under := g.given.Load() - min(g.passed.Load(), g.given.Load()) // on their way to the queue, each at most as long as the longest so far, mostly
	return under > uint64(x.s.c.QueueMessages) || uint64(g.queue.waiting())+under*g.widest.Load() > uint64(x.s.c.QueueBytes/2)
}

func (x *serverSession) send(m *qf.Message) {
	if err := qf.SendToTarget(m, x.id); err != nil {
		x.s.c.Log.Debug("fix: message not sent", "session", x.id.String(), "err", err)
	}
}

// serverApp is what the library calls, on each session's goroutine; ToApp and ToAdmin also on that which sends.
type serverApp struct{ *Server }

func (a serverApp) OnCreate(qf.SessionID) {}

func (a serverApp) OnLogon(id qf.SessionID) {
	a.counters.Logons.Add(1)
	x := a.session(id)
	x.epoch.Add(1)
	if g := x.gate.Load(); g != nil { // what was given before Logon, the library has dropped
		g.given.Store(g.passed.Load())
	}
	a.ask(serverRequest{kind: askLogon, x: x})
	a.c.Log.Info("fix: client logged on", "session", id.String())
}

func (a serverApp) OnLogout(id qf.SessionID) {
	a.counters.Logouts.Add(1)
	x := a.session(id)
	x.epoch.Add(1)
	a.ask(serverRequest{kind: askLogout, x: x})
	a.c.Log.Info("fix: client's session ended", "session", id.String())
}

// ask gives a request to the pump. It waits when there are many: the client's next message does, then.
func (a serverApp) ask(r serverRequest) {
	r.epoch = r.x.epoch.Load()
	select {
	case a.requests <- r:
	case <-a.done:
	}
}

func (a serverApp) ToAdmin(m *qf.Message, id qf.SessionID) {
	switch typ, _ := m.MsgType(); typ {
	case "A":
		if g := a.session(id).gate.Load(); g != nil && g.silent.Load() {
			m.Body.SetInt(108, 0)
		}
	case "4":
		// Not earlier: books sent anew before the fill has its end would be numbers that it fills.
		if !a.c.Resend {
			a.ask(serverRequest{kind: askRefresh, x: a.session(id)})
		}
	}
}

func (a serverApp) ToApp(_ *qf.Message, id qf.SessionID) error {
	if g := a.session(id).gate.Load(); g != nil {
		g.given.Add(1)
	}
	return nil
}

func (a serverApp) FromAdmin(m *qf.Message, id qf.SessionID) qf.MessageRejectError {
	typ, _ := m.MsgType()
	switch typ {
	case "A":
		return a.mayLogon(m, id)
	case "2":
		a.counters.Resends.Add(1)
	case "3":
		a.counters.Rejects.Add(1)
		text, _ := m.Body.GetString(58)
		a.c.Log.Warn("fix: the client rejects a message", "session", id.String(), "text", text)
	case "4":
		a.counters.Gaps.Add(1)
	}
	return nil
}

// mayLogon looks at what the library takes as it comes.
func (a serverApp) mayLogon(m *qf.Message, id qf.SessionID) qf.MessageRejectError {
	heartbeat, err := m.Body.GetInt(108)
	if err != nil {
		return qf.RequiredTagMissing(108) // no answer: the connection is closed
	}
	if heartbeat < 1 || heartbeat > silentHeartbeat {
		return qf.RejectLogon{Text: fmt.Sprintf("HeartBtInt is %d, want 0 to %d seconds", heartbeat, silentHeartbeat)}
	}
	if method, err := m.Body.GetString(98); err == nil && method != "0" {
		return qf.RejectLogon{Text: "EncryptMethod is " + method + ", want 0"}
	}
	if !id.IsFIXT() {
		return nil
	}
	switch version, err := m.Body.GetString(1137); {
	case err != nil:
		return qf.RequiredTagMissing(1137)
	case version != "7" && version != "8" && version != "9":
		return qf.RejectLogon{Text: "DefaultApplVerID is " + version + ", want 9 (5.0 SP2)"}
	}
	return nil
}

// FromApp takes the frame that an envelope stands for: a request, or something to be rejected.
func (a serverApp) FromApp(env *qf.Message, id qf.SessionID) qf.MessageRejectError {
	x := a.session(id)
	g := x.gate.Load()
	if g == nil {
		return nil
	}
	f, ok := g.kept.take(numberIn(env))
	if !ok {
		return nil // of a connection that is no more
	}
	a.counters.Messages.Add(1)
	if f.bad != fieldGood {
		a.counters.Malformed.Add(1)
		return reject(f)
	}
	m := &x.m
	if rejected := against(m, f.frame, a.dicts[x.v]); rejected != nil {
		a.counters.Malformed.Add(1)
		return rejected
	}
	switch string(m.MsgType()) {
	case "V":
		return a.marketData(x)
	case "x", "c":
		return a.list(x)
	case "e":
		return a.status(x)
	}
	return qf.UnsupportedMessageType()
}

// marketData reads V.
func (a serverApp) marketData(x *serverSession) qf.MessageRejectError {
	m := &x.m
	r := serverRequest{kind: askMarketData, x: x, id: string(m.Get(262)), how: m.Get(263)[0], depth: -1, update: '1'}
	if depth, ok := codec.Uint(m.Get(264)); ok && depth <= 1<<20 {
		r.depth = int(depth)
	}
	if update := m.Get(265); len(update) == 1 {
		r.update = update[0]
	} else if r.how == '1' {
		return qf.ConditionallyRequiredFieldMissing(265)
	}
	r.orders = string(m.Get(266)) == "N"
	entries := m.Entries(nil, 267)
	for _, e := range entries {
		r.types = append(r.types, string(m.In(e, 269)))
	}
	for _, e := range m.Entries(entries[:0], 146) {
		r.symbols = append(r.symbols, string(m.In(e, 55)))
	}
	a.ask(r)
	return nil
}

// list reads x, or c of 4.2, where only a list of all is had.
func (a serverApp) list(x *serverSession) qf.MessageRejectError {
	m := &x.m
	r := serverRequest{kind: askList, x: x, id: string(m.Get(320))}
	if symbol := m.Get(55); symbol != nil {
		r.symbols = []string{string(symbol)}
	}
	a.ask(r)
	return nil
}

// status reads e.
func (a serverApp) status(x *serverSession) qf.MessageRejectError {
	m := &x.m
	a.ask(serverRequest{kind: askStatus, x: x, id: string(m.Get(324)), how: m.Get(263)[0], symbols: []string{string(m.Get(55))}})
	return nil
}
