package process

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/iex"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// Capture is a file that a lane can play: a capture of packets, or a BinaryFILE day.
type Capture struct {
	proto       *protocol.Protocol
	options     protocol.Options
	path        string
	packets     *pcap.Reader
	day         *file.Reader
	messages    *Messages
	channels    *channels
	market      uint16              // that its first packets are of; 0: they do not say
	decoders    []pipeline.Decoder  // of Run's channels
	told        map[uint64]struct{} // hashes of the messages that aside took
	seed        maphash.Seed
	definitions string

	midnight uint64 // 0: told by the packets' own time
	note     string
}

// CaptureOptions say how a capture is read. The zero value works.
type CaptureOptions struct {
	// Date (YYYY-MM-DD) is the venue's day. The default is told from the file's name, else from the packets' time, else guessed from the file's own.
	Date string
	// Protocol is its name in the registry. The default, also for "auto", is told from the first packets.
	Protocol string
	// Version, Product, Prices and Schema are the decoder's: protocol.Options.
	Version, Product, Prices, Schema string
	// Definitions is the path of another capture of CME's, whose definitions are learned first. The default is none.
	Definitions string
	// Market is the decoder's likewise, 0: whichever it is.
	Market uint16
	// Plugin is the protocol where a plugin speaks it, in the place of Protocol. It stays the caller's. The default is none.
	Plugin *protocol.Plugin
	// Others are asked for when no protocol of ours knows the packets and none was named: plugins that may. The one that is surest of the first packet that any claims is
	// the protocol. They stay the caller's. The default is none.
	Others func() ([]*protocol.Plugin, error)
}

// OpenCapture opens a file.
func OpenCapture(path string, o CaptureOptions) (*Capture, error) {
	kind, _, err := nic.Detect(path)
	if err != nil {
		return nil, err
	}
	c := &Capture{path: path, options: protocol.Options{Definitions: new(mdp3.Definitions), Version: o.Version, Product: o.Product, Prices: o.Prices, Schema: o.Schema, Market: o.Market}}
	var product string
	switch {
	case o.Plugin == nil:
		c.proto, product, err = protocolOf(path, kind, o.Protocol)
		if unknown := (*unknownError)(nil); errors.As(err, &unknown) && o.Others != nil {
			c.proto, err = unknown.ask(path, o.Others)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	case kind != nic.FilePcap && kind != nic.FilePcapNG && kind != nic.FileEmpty:
		return nil, fmt.Errorf("%s: this is %s; protocol %s is a plugin's, which reads captures of packets", path, kind, o.Plugin.Name)
	default:
		c.proto = &o.Plugin.Protocol
	}
	if o.Product == "" {
		c.options.Product = product
	}
	if c.definitions = o.Definitions; c.definitions != "" && c.proto != protocol.MDP3 {
		return nil, fmt.Errorf("%s: protocol %s has no use for definitions of another capture: %s", path, c.proto.Name, o.Definitions)
	}
	switch kind {
	case nic.FilePcap, nic.FilePcapNG:
		c.packets, err = pcap.Open(path)
	case nic.FileBinary:
		c.day, err = file.Open(path)
	case nic.FileFIX:
		c.messages, err = OpenMessages(path)
	case nic.FileEmpty:
		err = nic.ErrEmpty
	case nic.FileText:
		err = nic.ErrText
	default:
		err = fmt.Errorf("this is %s; want a pcap or pcapng capture, a BinaryFILE day or a file of FIX messages, plain or under gzip or zstd", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.packets != nil && c.proto.Market != nil {
		c.market, err = marketOf(path, c.proto)
	}
	if err := errors.Join(err, c.tellDay(o.Date)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Records are the publisher and dataset of the market and the product that the capture is of, as far as its first packets say; else the protocol's.
func (c *Capture) Records() (publisher uint16, dataset string) {
	return c.proto.RecordsOf(c.market, c.options.Product)
}

// RecordsOf are the protocol of a capture, and the publisher and dataset of its records, as the capture itself tells them.
func RecordsOf(path string, o CaptureOptions) (p *protocol.Protocol, publisher uint16, dataset string, err error) {
	c, err := OpenCapture(path, o)
	if err != nil {
		return nil, 0, "", err
	}
	publisher, dataset = c.Records()
	return c.proto, publisher, dataset, c.Close()
}

// marketOf is the market that the first packet which names one is of: the one that is followed (channels.foreign). 0: none names one.
func marketOf(path string, p *protocol.Protocol) (market uint16, err error) {
	err = firstPackets(path, func(k *nic.Packet) bool {
		if p.Looks(k.Data, k.Group) > 0 {
			market = p.Market(k.Data)
		}
		return market == 0
	})
	return market, err
}

// mostLooked bounds the packets that are looked at before a capture counts as being of no protocol that is known.
const mostLooked = 4096

// protocolOf finds a file's protocol, the one that is asked for, else the one that its first packets are recognised as; and which of the
// venue's products they are of, where packets tell.
func protocolOf(path string, kind nic.FileKind, name string) (p *protocol.Protocol, product string, err error) {
	if name != "" && name != "auto" {
		if p, err = protocol.Find(name); err != nil || p.Product == nil {
			return p, "", err
		}
	}
	if kind != nic.FilePcap && kind != nic.FilePcapNG {
		holds := protocol.ITCH
		if kind == nic.FileFIX {
			holds = protocol.FIX
		}
		if p != nil && p != holds && (kind == nic.FileFIX || kind == nic.FileBinary) {
			return nil, "", fmt.Errorf("this is %s, which holds %s, not %s", kind, holds.Name, p.Name)
		}
		return holds, "", nil
	}
	first := "" // what the first packet that is nobody's begins with
	err = firstPackets(path, func(k *nic.Packet) bool {
		if p == nil {
			p = protocol.Recognise(k.Data, k.Group)
		}
		if p == nil && first == "" {
			first = fmt.Sprintf("packet %d to %s, %d bytes, begins with % x", k.Frame, k.Group, len(k.Data), k.Data[:min(16, len(k.Data))])
		}
		if p != nil && p.Product != nil {
			product = p.Product(k.Data)
		}
		return p == nil || p.Product != nil && product == ""
	})
	switch {
	case err != nil:
		return nil, "", err
	case p != nil:
		return p, product, nil
	case first == "": // whoever plays it says what is wrong, or that nothing is in it
		return protocol.ITCH, "", nil
	}
	return nil, "", &unknownError{first: first}
}

// unknownError is a capture whose first packets are of no protocol that is known.
type unknownError struct {
	first string   // what the first of them begins with
	asked []string // plugins that did not know it either
}

func (e *unknownError) Error() string {
	text := fmt.Sprintf("no packet is of a protocol that is known (%s", strings.Join(protocol.Names(), ", "))
	if len(e.asked) > 0 {
		text += "; plugins that were asked: " + strings.Join(e.asked, ", ")
	}
	return text + "): " + e.first + "; --protocol says which it is"
}

// ask asks plugins: the first packet that one claims is the surest one's.
func (e *unknownError) ask(path string, others func() ([]*protocol.Plugin, error)) (best *protocol.Protocol, err error) {
	all, err := others()
	if err != nil {
		return nil, err
	}
	err = firstPackets(path, func(k *nic.Packet) bool {
		most := 0
		for _, p := range all {
			if n := p.Claims(k.Data); n > most {
				best, most = &p.Protocol, n
			}
		}
		return best == nil
	})
	if best != nil || err != nil {
		return best, err
	}
	for _, p := range all {
		e.asked = append(e.asked, p.Name)
	}
	return nil, e
}

// firstPackets calls fn with a capture's first packets until it returns false.
func firstPackets(path string, fn func(*nic.Packet) bool) error {
	r, err := pcap.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	packets := make([]nic.Packet, 64)
	for looked := 0; looked < mostLooked; {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			if !fn(&packets[i]) {
				return nil
			}
		}
		if looked += n; err != nil {
			return nil // whoever plays the capture says what is wrong with it
		}
	}
	return nil
}

var eightDigits = regexp.MustCompile(`\d{8}`)

// dayOfName reads eight digits as a year-first date, else as the month-first one that the venue's own files carry.
func dayOfName(name string) (time.Time, bool) {
	for _, digits := range eightDigits.FindAllString(name, -1) {
		for _, layout := range []string{"20060102", "01022006"} {
			if t, err := time.Parse(layout, digits); err == nil && t.Year() >= 1990 && t.Year() < 2100 {
				return t, true
			}
		}
	}
	return time.Time{}, false
}

func (c *Capture) tellDay(date string) error {
	var t time.Time
	name, named := dayOfName(filepath.Base(c.path))
	switch {
	case date != "":
		var err error
		if t, err = time.Parse(time.DateOnly, date); err != nil {
			return fmt.Errorf("date %q is none such as 2026-01-05", date)
		}
	case named:
		t = name
	case c.packets != nil:
		return nil
	case c.messages != nil:
		ns, err := firstSent(c.path)
		if err == nil {
			c.midnight, err = c.proto.MidnightBefore(ns)
		}
		return err
	default:
		st, err := os.Stat(c.path)
		if err != nil {
			return err
		}
		zone, err := time.LoadLocation(c.proto.Zone)
		if err != nil {
			return err
		}
		t = st.ModTime().In(zone)
		c.note = fmt.Sprintf("%s names no day: taking that of the file, %s (--date YYYY-MM-DD says another)", c.path, t.Format(time.DateOnly))
	}
	var err error
	c.midnight, err = c.proto.Midnight(t.Year(), t.Month(), t.Day())
	return err
}

// DayNote is a sentence about a guessed day, empty when it was not guessed.
func (c *Capture) DayNote() string { return c.note }

// Midnight gives the start of the capture's day, ns since the Unix epoch.
func (c *Capture) Midnight(now uint64) (uint64, error) {
	if c.midnight != 0 {
		return c.midnight, nil
	}
	return c.proto.MidnightBefore(now)
}

// Stampless says that the file has no times of arrival.
func (c *Capture) Stampless() bool { return c.packets == nil }

// Progress is how many bytes of the file have been read.
func (c *Capture) Progress() (done int64) {
	switch {
	case c.day != nil:
		return c.day.Offset()
	case c.messages != nil:
		return c.messages.read
	}
	return c.packets.Consumed()
}

// Bytes is the size of the file.
func (c *Capture) Bytes() int64 {
	st, err := os.Stat(c.path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// Protocol is what the capture holds.
func (c *Capture) Protocol() *protocol.Protocol { return c.proto }

// Decoder makes the decoder that the lane that plays the capture is to be made with.
func (c *Capture) Decoder() (pipeline.Decoder, error) { return c.proto.New(c.options) }

// Channels is the session state of a capture of packets by channel, none for a BinaryFILE or before Run.
func (c *Capture) Channels() []*session.Channel {
	if c.channels == nil {
		return nil
	}
	return c.channels.sessions()
}

// Strangers are how many packets of a capture were of no channel that is followed: of another protocol, of channels beyond the most there may be, of
// another session or market beside the one that is followed, of loops that repeat what is known.
func (c *Capture) Strangers() (unrecognised, beyond, elsewhere, loops uint64) {
	if c.channels == nil {
		return 0, 0, 0, 0
	}
	return c.channels.Unrecognised, c.channels.Beyond, c.channels.Elsewhere, c.channels.Loops
}

// Refused are how many messages the decoders could not take: what they said, and of whom, is not known.
func (c *Capture) Refused() (n uint64) {
	for _, d := range c.decoders {
		n += d.Refused()
	}
	return n
}

// Undefined are how many messages entries were left out of, and of how many instruments, because no definition said what their prices mean.
func (c *Capture) Undefined() (messages, instruments uint64) {
	for _, d := range c.decoders {
		if d, ok := d.(*mdp3.Decoder); ok {
			messages += d.Counters.Undefined
			instruments += d.Counters.UndefinedInstruments
		}
	}
	return messages, instruments
}

// Unknown are how many messages were of a type that is not known.
func (c *Capture) Unknown() (n uint64) {
	for _, d := range c.decoders {
		switch d := d.(type) {
		case *itch.Decoder:
			n += d.Counters.Unknown
		case *xdp.Decoder:
			n += d.Counters().Unknown
		case *iex.Decoder:
			n += d.Counters.Unknown
		case *mdp3.Decoder:
			n += d.Counters.Unknown
		}
	}
	return n
}

// Packets are the counters of a capture of packets, nil for a BinaryFILE.
func (c *Capture) Packets() *nic.Counters {
	if c.packets == nil {
		return nil
	}
	return c.packets.Counters()
}

// Close closes the file.
func (c *Capture) Close() error {
	switch {
	case c.packets != nil:
		return c.packets.Close()
	case c.day != nil:
		return c.day.Close()
	case c.messages != nil:
		return c.messages.Close()
	}
	return nil
}
