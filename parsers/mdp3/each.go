package mdp3

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
)

// ErrTemplate is a message of a template or a schema that is not known.
var ErrTemplate = errors.New("mdp3: template is not known")

// Versions of the schema that EachMessage and decoders know. The version stands in every message, so it is never asked for.
var Versions = []string{"13", "9", "8"}

// EachMessage calls fn with the messages of a packet, until it returns false: its number, which is the packet's, the name of its template, its bytes,
// and its fields as sbe.Message.AppendJSON prints them. err of a message says what is wrong with it; its neighbours are whole. raw and fields are valid
// for the call. An error says where the packet stops making sense; what came before was given. version is not needed.
func EachMessage(payload []byte, version string, fn func(sequence uint64, typ string, raw, fields []byte, err error) bool) error {
	return EachMessageBy(nil, payload, fn)
}

// EachMessageBy is EachMessage with a schema for versions later than the built-in one, and for its own; nil: there is none.
func EachMessageBy(newer *sbe.Schema, payload []byte, fn func(sequence uint64, typ string, raw, fields []byte, err error) bool) error {
	h, body, err := ParsePacket(payload)
	if err != nil {
		return err
	}
	var fields []byte
	for used := 0; used < len(body); {
		m, size := Next(body[used:])
		if size == 0 {
			return fmt.Errorf("mdp3: byte %d: %w", PacketBytes+used, cut(body[used:]))
		}
		var typ string
		typ, fields, err = describe(newer, m, fields[:0])
		if !fn(uint64(h.Sequence), typ, m, fields, err) {
			return nil
		}
		used += size
	}
	return nil
}

// cut says why what is left of a packet is no message.
func cut(rest []byte) error {
	if len(rest) < MessageBytes {
		return fmt.Errorf("%d bytes are left, a message has %d or more", len(rest), MessageBytes)
	}
	size := int(rest[0]) | int(rest[1])<<8
	if size < MessageBytes {
		return fmt.Errorf("MsgSize is %d, want %d or more", size, MessageBytes)
	}
	return fmt.Errorf("MsgSize is %d, and %d bytes are left", size, len(rest))
}

func describe(newer *sbe.Schema, m Message, dst []byte) (typ string, fields []byte, err error) {
	t := templateOf(newer, m)
	if t == nil {
		return strconv.Itoa(int(m.Template())), append(dst, "{}"...), fmt.Errorf("%w: template %d, schema %d, version %d", ErrTemplate, m.Template(), m.Schema(), m.Version())
	}
	if least := t.Required(t.Since); m.BlockLength() < least {
		err = fmt.Errorf("mdp3: %s: blockLength is %d, its fields take %d", t.Name, m.BlockLength(), least)
	}
	fields, _, wrong := t.AppendJSON(dst, m.Body(), m.BlockLength(), m.Version())
	if wrong != nil {
		err = fmt.Errorf("mdp3: %s: %w", t.Name, wrong)
	}
	return t.Name, fields, err
}

// templateOf finds a message's template; nil: it is not known.
func templateOf(newer *sbe.Schema, m Message) *sbe.Message {
	if newer != nil && newer.ID == m.Schema() && (m.Version() > builtin || m.Version() == newer.Version) {
		return newer.Message(m.Template())
	}
	if m.Schema() != SchemaID {
		return nil
	}
	return wire.Schema().Message(m.Template())
}

// Looks says how much a datagram looks like a packet of MDP 3.0: 0 not at all, 95 beyond doubt. There is no magic, but messages must fill the packet,
// with CME's schema and templates that are known.
func Looks(payload []byte) int {
	_, body, err := ParsePacket(payload)
	if err != nil || len(body) == 0 {
		return 0
	}
	if whole, _ := Walk(body, 1); whole == 0 {
		return 0
	}
	known, all := 0, 0
	for len(body) > 0 {
		m, size := Next(body)
		body = body[size:]
		all++
		t := templateOf(nil, m)
		if m.Schema() != SchemaID || m.BlockLength() > len(m)-MessageBytes || m.Version() == 0 || m.Version() > 99 {
			return 0
		}
		if t != nil && m.BlockLength() >= t.Required(t.Since) {
			known++
		}
	}
	switch known {
	case all:
		return 95
	case 0:
		return 0
	}
	return 50
}
