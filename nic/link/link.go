// Package link tells of interfaces that go down, come up and vanish, so that whoever receives from them joins its groups anew: after a link
// that was down the network may have forgotten us.
//
//	kernel ──rtnetlink, RTNLGRP_LINK──► Watch's goroutine ──► C: an Event for each change
//
// A watch sees the network namespace it was opened in.
package link

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// State is what an interface can do.
type State uint8

// States.
const (
	Up   State = iota // it is up and has a carrier
	Down              // it was set down, or the cable is out
	Gone              // there is no interface of that index any more
)

func (s State) String() string { return [...]string{"up", "down", "gone"}[min(s, Gone)] }

// Event is a change of one interface, or a new interface.
type Event struct {
	Index int
	Name  string
	State State
}

// Watch tells of changes until it is closed.
type Watch struct {
	sub    *nl.NetlinkSocket
	list   *netlink.Handle
	events chan Event
	done   chan struct{}
	once   sync.Once
	known  map[int]Event
	err    error
}

// Open watches the interfaces of the caller's network namespace from now on: how they are is known, how they change is told.
func Open() (_ *Watch, err error) {
	w := &Watch{events: make(chan Event), done: make(chan struct{}), known: map[int]Event{}}
	if w.sub, err = nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK); err != nil {
		return nil, fmt.Errorf("link: subscribing to rtnetlink: %w", err)
	}
	if w.list, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		w.sub.Close()
		return nil, fmt.Errorf("link: rtnetlink: %w", err)
	}
	now, err := w.look() // after subscribing: no change falls between
	if err != nil {
		w.sub.Close()
		w.list.Close()
		return nil, err
	}
	w.known = now
	go w.run()
	return w, nil
}

// C gets each change, in order; it is closed when the watch ends. When changes come faster than they are taken, those between an interface's
// first and its last may be left out.
func (w *Watch) C() <-chan Event { return w.events }

// Err is why the watch ended; nil when it was closed. To be asked when C is closed.
func (w *Watch) Err() error { return w.err }

// Close ends the watch.
func (w *Watch) Close() {
	w.once.Do(func() {
		close(w.done)
		w.sub.Close()
	})
}

func (w *Watch) run() {
	defer close(w.events)
	defer w.list.Close()
	for lost := false; ; {
		// Messages were lost: what is now is what counts. But not before what waits was taken: until then the kernel drops further ones, and says so no more.
		if lost && !w.waiting() {
			lost = false
			if err := w.compare(); err != nil {
				w.end(err)
				return
			}
		}
		messages, from, err := w.sub.Receive()
		select {
		case <-w.done:
			return
		default:
		}
		switch {
		case errors.Is(err, unix.ENOBUFS):
			lost, err = true, nil
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) || err == nil && from.Pid != nl.PidKernel:
			continue
		case err == nil:
			for i := range messages {
				if !w.message(messages[i].Header.Type, messages[i].Data) {
					return
				}
			}
		}
		if err != nil {
			w.end(err)
			return
		}
	}
}

func (w *Watch) end(err error) {
	w.err = fmt.Errorf("link: %w: interfaces are not watched any more", err)
	w.sub.Close()
}

// waiting says that messages wait to be taken.
func (w *Watch) waiting() bool {
	fds := []unix.PollFd{{Fd: int32(w.sub.GetFd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
}

// message takes one message; false: the watch was closed.
func (w *Watch) message(kind uint16, data []byte) bool {
	if kind != unix.RTM_NEWLINK && kind != unix.RTM_DELLINK {
		return true
	}
	l, err := netlink.LinkDeserialize(nil, data)
	if err != nil {
		return true // none that we know
	}
	e := eventOf(l.Attrs())
	if kind == unix.RTM_DELLINK {
		if nl.DeserializeIfInfomsg(data).Family != unix.AF_UNSPEC {
			return true // it left a bridge
		}
		e.State = Gone
	}
	return w.tell(e)
}

// tell passes on what changed; false: the watch was closed.
func (w *Watch) tell(e Event) bool {
	before, ok := w.known[e.Index]
	w.known[e.Index] = e // its name may have changed
	if e.State == Gone {
		delete(w.known, e.Index)
	}
	if ok && before.State == e.State || !ok && e.State == Gone {
		return true
	}
	select {
	case w.events <- e:
		return true
	case <-w.done:
		return false
	}
}

// compare tells what changed since the last message that was not lost.
func (w *Watch) compare() error {
	now, err := w.look()
	if err != nil {
		return err
	}
	for index, e := range w.known {
		if _, ok := now[index]; !ok {
			e.State = Gone
			w.tell(e)
		}
	}
	for _, e := range now {
		w.tell(e)
	}
	return nil
}

func (w *Watch) look() (map[int]Event, error) {
	links, err := w.list.LinkList()
	for tries := 0; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 10; tries++ {
		links, err = w.list.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("link: listing the interfaces: %w", err)
	}
	now := map[int]Event{}
	for _, l := range links {
		e := eventOf(l.Attrs())
		now[e.Index] = e
	}
	return now, nil
}

func eventOf(a *netlink.LinkAttrs) Event {
	e := Event{Index: a.Index, Name: a.Name}
	if a.Flags&net.FlagUp == 0 || a.RawFlags&unix.IFF_RUNNING == 0 {
		e.State = Down
	}
	return e
}
