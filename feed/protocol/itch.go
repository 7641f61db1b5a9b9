package protocol

import (
	"fmt"
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/tick"
)

// ITCH is Nasdaq TotalView-ITCH 5.0 over MoldUDP64.
var ITCH = &Protocol{
	Name: "itch", Title: "Nasdaq TotalView-ITCH 5.0", Versions: []string{"5.0"}, Zone: itch.Zone,
	Publisher: tick.PublisherXNAS, Dataset: "XNAS.ITCH", Generated: tick.PublisherSimItch, GenSet: "SIM.ITCH",
	Transports: []string{"moldudp64", "binaryfile", "soupbintcp"}, Recovery: []string{"re-request", "glimpse"},
	Framing: session.Mold, Books: Books{Orders: true},
	New:   func(Options) (pipeline.Decoder, error) { return &itch.Decoder{}, nil },
	Looks: looksITCH, Each: eachITCH,
}

// looksITCH: MoldUDP64 has no magic, so a packet must add up, and its messages be ITCH's.
func looksITCH(payload []byte, _ netip.AddrPort) int {
	h, blocks, err := moldudp64.Parse(payload)
	if err != nil {
		return 0
	}
	if h.Count == 0 || h.Count == moldudp64.EndOfSession {
		if len(blocks) != 0 || h.Sequence == 0 || !printable(h.Session) {
			return 0
		}
		return 40
	}
	whole, used := moldudp64.Walk(blocks, int(h.Count))
	known := 0
	for i, at := 0, 0; i < whole; i++ {
		size := int(blocks[at])<<8 | int(blocks[at+1])
		if size > 0 && itch.Length(blocks[at+2]) != 0 {
			known++
		}
		at += 2 + size
	}
	switch {
	case known == 0:
		return 0
	case whole == int(h.Count) && used == len(blocks) && known == whole:
		return 90
	}
	return 30
}

// printable says that a session's name is text: recorders are known to blank it, venues are not.
func printable(session [10]byte) bool {
	for _, c := range session {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func eachITCH(payload []byte, _ string, fn func(Message) bool) error {
	h, blocks, err := moldudp64.Parse(payload)
	if err != nil {
		return err
	}
	if h.Count == moldudp64.EndOfSession || h.Count == 0 {
		return nil
	}
	var fields []byte
	whole, used := moldudp64.Walk(blocks, int(h.Count))
	for i, at := 0, 0; i < whole; i++ {
		size := int(blocks[at])<<8 | int(blocks[at+1])
		var m Message
		m, fields = ITCHMessage(h.Sequence+uint64(i), blocks[at+2:at+2+size], fields[:0])
		if !fn(m) {
			return nil
		}
		at += 2 + size
	}
	if whole < int(h.Count) {
		return fmt.Errorf("header promises %d messages, byte %d ends the %d there are", h.Count, moldudp64.HeaderBytes+used, whole)
	}
	return nil
}

// ITCHMessage makes a message of an ITCH message's bytes; its fields lie in scratch, which is returned for the next one.
func ITCHMessage(sequence uint64, msg, scratch []byte) (Message, []byte) {
	m := Message{Sequence: sequence, Raw: msg}
	fields, ok := itch.AppendFields(scratch, msg)
	m.Fields = fields
	if len(msg) > 0 {
		m.Type = string(rune(msg[0]))
		if want := itch.Length(msg[0]); !ok && want > len(msg) {
			m.Err = fmt.Errorf("itch: %q has %d bytes, want %d", msg[0], len(msg), want)
		}
	}
	return m, fields
}
