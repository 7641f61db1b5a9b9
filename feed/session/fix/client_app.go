package fix

import (
	"fmt"

	qf "github.com/quickfixgo/quickfix"

	codec "github.com/tickwire/tickwire/parsers/fix"
)

// clientApp is what the library calls: all of it on the session's goroutine, ToApp and ToAdmin also on that which sends.
type clientApp struct{ *Client }

func (a clientApp) OnCreate(qf.SessionID) {}

func (a clientApp) OnLogon(qf.SessionID) {
	a.counters.Logons.Add(1)
	a.retry.worked()
	a.mu.Lock()
	a.up = true
	out := a.subs.logon()
	a.mu.Unlock()
	if a.source != nil {
		a.source.up.Store(true)
	}
	a.c.Log.Info("fix: logged on", "version", a.c.Version.String(), "symbols", len(a.c.Symbols))
	a.send(out)
}

func (a clientApp) OnLogout(qf.SessionID) {
	a.mu.Lock()
	was := a.up
	a.up = false
	a.mu.Unlock()
	if !was {
		return
	}
	a.counters.Logouts.Add(1)
	if a.source != nil {
		a.source.up.Store(false)
	}
	a.lost("session ended")
	a.c.Log.Warn("fix: session ended", "last", a.Status().LastText)
}

func (a clientApp) ToAdmin(m *qf.Message, _ qf.SessionID) {
	switch typ, _ := m.MsgType(); typ {
	case "A":
		if a.user != "" {
			m.Body.SetString(553, a.user)
			m.Body.SetString(554, a.password)
		}
	case "4": // not earlier: a request made before the fill has its end would be a number that it fills
		first, _ := m.Header.GetInt(34)
		behind, _ := m.Body.GetInt(36)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.up && a.subs.filled(uint64(max(0, first)), uint64(max(0, behind))) {
			a.subs.stale = true // what was asked has to be asked again
		}
	}
}

// ToApp notes the number of a request: a Reject names it by that.
func (a clientApp) ToApp(m *qf.Message, _ qf.SessionID) error {
	seq, err := m.Header.GetInt(34)
	if err != nil {
		return nil
	}
	id, err := m.Body.GetString(262)
	if err != nil {
		if id, err = m.Body.GetString(320); err != nil {
			return nil
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subs.sent(id, uint64(seq))
	return nil
}

func (a clientApp) FromAdmin(m *qf.Message, _ qf.SessionID) qf.MessageRejectError {
	typ, _ := m.MsgType()
	switch typ {
	case "2":
		a.counters.Resends.Add(1)
	case "3":
		seq, _ := m.Body.GetInt(45)
		text, _ := m.Body.GetString(58)
		reason, _ := m.Body.GetString(373)
		a.refused("", uint64(max(0, seq)), fmt.Sprintf("%s (373=%s)", text, reason))
	case "4":
		a.counters.Gaps.Add(1)
		a.lost("the venue filled a gap without its messages")
	case "5":
		a.saying(m)
	}
	return nil
}

// saying keeps the text with which the venue ends something.
func (a clientApp) saying(m *qf.Message) {
	if text, err := m.Body.GetString(58); err == nil {
		a.mu.Lock()
		a.last = text
		a.mu.Unlock()
	}
}

// refused ends a request that got no: one by its id, or that of the message seq. It keeps why.
func (a clientApp) refused(id string, seq uint64, text string) {
	a.counters.Rejects.Add(1)
	a.mu.Lock()
	r := a.subs.requests[id]
	if id == "" {
		r = a.subs.bySeq[seq]
	}
	symbols, over := a.subs.refuse(r)
	a.last = text
	a.mu.Unlock()
	a.c.Log.Warn("fix: the venue refuses a request", "request", id, "number", seq, "symbols", symbols, "text", text)
	if over {
		a.lost("the venue does not have an instrument twice")
	}
}

// FromApp hands out the frame that an envelope stands for.
func (a clientApp) FromApp(env *qf.Message, _ qf.SessionID) qf.MessageRejectError {
	f, ok := a.kept.take(numberIn(env))
	if !ok {
		a.lost("a message was no longer there") // cannot be while connections take turns
		return nil
	}
	if f.bad != fieldGood {
		a.counters.Malformed.Add(1)
		a.lost("a message breaks the rules of tag=value")
		return reject(f)
	}
	if a.dict != nil {
		if rejected := against(&a.strict, f.frame, a.dict); rejected != nil {
			a.counters.Malformed.Add(1)
			a.lost("a message breaks the dictionary")
			return rejected
		}
	}
	typ, _ := env.MsgType()
	if !a.look(typ, f.frame) {
		a.counters.Stale.Add(1)
		return nil
	}
	a.counters.Messages.Add(1)
	a.sink(f.frame, f.recv)
	return nil
}

// numberIn is the number of a kept frame in an envelope.
func numberIn(env *qf.Message) uint64 {
	text, err := env.Body.GetBytes(58)
	if err != nil {
		return 0
	}
	n, _ := codec.Uint(text)
	return n
}

func reject(f keptFrame) qf.MessageRejectError {
	text := map[int]string{
		rejectTag: "Invalid tag number", rejectEmpty: "Tag specified without a value", rejectFormat: "Incorrect data format for value",
		rejectOrder: "Tag specified out of required order",
	}[f.bad]
	if f.badTag == 0 {
		return qf.NewMessageRejectError(text, f.bad, nil)
	}
	tag := qf.Tag(f.badTag)
	return qf.NewMessageRejectError(text, f.bad, &tag)
}

// against checks a frame with a dictionary; nil: it is good, and m has it.
func against(m *codec.Message, frame []byte, d *codec.Dictionary) qf.MessageRejectError {
	err := m.Parse(frame, d)
	if err == nil {
		err = m.Validate(codec.Checks{AllowUserTags: true, AllowAnyOrder: true})
	}
	fault, bad := err.(*codec.Fault)
	if !bad {
		return nil
	}
	tag := qf.Tag(fault.Tag)
	if tag == 0 {
		return qf.NewMessageRejectError(fault.Text(), int(fault.Reason), nil)
	}
	return qf.NewMessageRejectError(fault.Text(), int(fault.Reason), &tag)
}

// look reads what concerns requests; false: the message belongs to one that is over.
func (a clientApp) look(typ string, raw []byte) bool {
	switch typ {
	case "W", "X", "Y", "y", "d", "BK", "BP", "j":
	default:
		return true
	}
	m := &a.read
	m.read(raw)
	a.mu.Lock()
	id := m.value(262)
	good := true
	switch typ {
	case "W":
		good = id == nil || a.subs.snapshot(id, m.value(55))
	case "X":
		good = id == nil || a.subs.good(id, m)
	case "y", "d":
		a.subs.listed(m, typ == "d")
	case "BK", "BP":
		a.subs.reported(m)
	}
	a.mu.Unlock()
	switch typ {
	case "Y":
		a.refused(string(id), 0, fmt.Sprintf("%s (281=%s)", m.value(58), m.value(281)))
	case "j":
		seq, _ := m.count(45)
		a.refused("", seq, fmt.Sprintf("%s (380=%s)", m.value(58), m.value(380)))
	}
	return good
}
