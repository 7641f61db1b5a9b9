package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/dbn"
)

func decodeCommand() *cobra.Command {
	var in input
	var pretty bool
	var plugs guests
	c := &cobra.Command{
		Use: "decode FILE…", Short: "print every message of captures as JSON, one a line", Args: atLeast(1),
		Long: `decode prints each message as it is on the wire: integers unscaled, padded text trimmed.

FILE is a pcap or pcapng capture, a BinaryFILE day or a DBN file; plain, .gz or .zst. What it is is told from its bytes, and so is
the protocol of each packet of a capture, unless --protocol says it. A parser among the plugins (--plugin) is a protocol too; packets of
none that is known are shown to it, and to the enabled parsers of the installed set. Of such a packet there is a line a row that the
plugin makes of it: its kind as type, the columns that it writes as fields.
Each line has: file, frame (1-based; the message or record in files without frames), protocol, sequence, type, length, raw
(hex), fields.

Bad input does not end the job: what is wrong, and where, goes to standard error, everything else is printed, and the exit
code is 1.`,
		Example: `  tickwire decode day.pcap | head
  tickwire decode day.itch.gz | jq 'select(.type=="P") | .fields.price'`,
		RunE: func(cmd *cobra.Command, paths []string) (err error) {
			if err := plugs.openHere(cmd.ErrOrStderr()); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, plugs.close()) }()
			d := &decoder{guests: &plugs, out: bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16), errs: cmd.ErrOrStderr(), pretty: pretty, version: in.version}
			if in.protocol == "dbn" {
				d.onlyDBN = true
			} else if in.protocol != "auto" {
				if d.protocol, err = plugs.protocol(in.protocol); err != nil {
					return usageError{fmt.Errorf("--protocol: %w, dbn, auto", err)}
				}
			}
			for _, path := range paths {
				if err := d.file(path); err != nil {
					if d.failedWrite != nil {
						return d.failedWrite
					}
					d.complain("%s: %v", path, err)
				}
			}
			if err := d.out.Flush(); err != nil {
				return err
			}
			if d.faults > 0 {
				return errReported
			}
			return nil
		},
	}
	plugs.flags(c)
	in.protocolFlags(c)
	c.Flags().Lookup("protocol").Usage = strings.Join(protocol.Names(), ", ") + ", dbn, or auto: told from the bytes"
	c.Flags().BoolVar(&pretty, "pretty", false, "for people: one aligned line a message, without raw bytes")
	return c
}

// decoder prints messages. One is used for all files of a command line.
type decoder struct {
	out         *bufio.Writer
	errs        io.Writer
	protocol    *protocol.Protocol // nil: told from each packet
	onlyDBN     bool
	guests      *guests
	asked       bool               // others were looked for
	others      []*protocol.Plugin // plugins that may know packets which nobody else does
	version     string
	pretty      bool
	path        string
	line        []byte
	fields      []byte
	faults      int
	failedWrite error
}

func (d *decoder) complain(format string, args ...any) {
	d.faults++
	_ = d.out.Flush() // the complaint belongs behind what came before it
	fmt.Fprintf(d.errs, "tickwire: "+format+"\n", args...)
}

func (d *decoder) file(path string) error {
	kind, _, err := nic.Detect(path)
	if err != nil {
		return err
	}
	d.path = path
	switch {
	case kind == nic.FileEmpty:
		return nic.ErrEmpty
	case kind == nic.FileText:
		return nic.ErrText
	case kind == nic.FileDBN:
		if d.protocol != nil {
			return fmt.Errorf("this is a DBN file, not %s", d.protocol.Name)
		}
		return d.dbn()
	case d.onlyDBN:
		return fmt.Errorf("this is %s, not DBN", kind)
	case kind == nic.FilePcap || kind == nic.FilePcapNG:
		return d.capture()
	case kind == nic.FileFIX:
		if d.protocol != nil && d.protocol != protocol.FIX {
			return fmt.Errorf("this is %s, not %s", kind, d.protocol.Name)
		}
		return d.messages()
	case kind == nic.FileBinary:
		if d.protocol != nil && d.protocol != protocol.ITCH {
			return fmt.Errorf("this is %s, which holds ITCH, not %s", kind, d.protocol.Name)
		}
		return d.binary()
	}
	return errors.New("no known kind of file: want pcap, pcapng, BinaryFILE or DBN, plain or under gzip or zstd")
}

// capture prints the messages of all packets in a capture.
func (d *decoder) capture() error {
	r, err := pcap.Open(d.path)
	if err != nil {
		return err
	}
	defer r.Close()
	packets := make([]nic.Packet, 64)
	for {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			if err := d.packet(&packets[i]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	c := r.Counters()
	if c.Truncated > 0 || c.Malformed > 0 || c.Fragments > 0 {
		d.complain("%s: %d frames cut short when recorded, %d malformed, %d IP fragments: not decoded",
			d.path, c.Truncated, c.Malformed, c.Fragments)
	}
	return nil
}

func (d *decoder) packet(p *nic.Packet) error {
	proto := d.protocol
	if proto == nil {
		if proto = protocol.Recognise(p.Data, p.Group); proto == nil {
			var err error
			if proto, err = d.foreign(p.Data); err != nil {
				return err
			}
		}
		if proto == nil {
			d.complain("%s: packet %d to %s: %d bytes of no protocol that is known (%s), beginning % x; skipped", d.path, p.Frame, p.Group,
				len(p.Data), strings.Join(protocol.Names(), ", "), p.Data[:min(16, len(p.Data))])
			return nil
		}
	}
	err := proto.Each(p.Data, d.version, func(m protocol.Message) bool { return d.message(proto.Name, p.Frame, &m) == nil })
	if d.failedWrite != nil {
		return d.failedWrite
	}
	if err != nil {
		d.complain("%s: packet %d: %v; the rest of the capture is read on", d.path, p.Frame, err)
	}
	return nil
}

// foreign is the plugin's protocol of a packet that is of none of ours, nil: no plugin claims it.
func (d *decoder) foreign(packet []byte) (best *protocol.Protocol, err error) {
	if !d.asked {
		d.asked = true
		if d.others, err = d.guests.others(); err != nil {
			return nil, err
		}
	}
	most := 0
	for _, p := range d.others {
		if n := p.Claims(packet); n > most {
			best, most = &p.Protocol, n
		}
	}
	return best, nil
}

// message prints one message, and says what is wrong with it.
func (d *decoder) message(name string, frame uint64, m *protocol.Message) error {
	if m.Err != nil {
		d.complain("%s: frame %d sequence %d: %v; message refused, its neighbours kept", d.path, frame, m.Sequence, m.Err)
	}
	return d.print(frame, name, m.Sequence, m.Type, m.Raw, m.Fields)
}

// messages prints a file of FIX messages.
func (d *decoder) messages() error {
	m, err := process.OpenMessages(d.path)
	if err != nil {
		return err
	}
	defer m.Close()
	for n := uint64(1); ; n++ {
		msg, err := m.Next()
		if err != nil {
			if c := m.Counters(); c.Skipped > 0 {
				d.complain("%s: %d bytes belong to no message, and in %d places begins one whose length or sum is wrong: passed over", d.path, c.Skipped, c.Garbled)
			}
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}
		if err := protocol.FIX.Each(msg, d.version, func(one protocol.Message) bool { return d.message("fix", n, &one) == nil }); err != nil {
			d.complain("%s: message %d: %v", d.path, n, err)
		}
		if d.failedWrite != nil {
			return d.failedWrite
		}
	}
}

// binary prints the messages of a BinaryFILE.
func (d *decoder) binary() error {
	r, err := file.Open(d.path)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		span, first, count, err := r.Next(4096)
		for i := range count {
			size := int(span[0])<<8 | int(span[1])
			if err := d.itch(first+uint64(i), first+uint64(i), span[2:2+size]); err != nil {
				return err
			}
			span = span[2+size:]
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *decoder) itch(frame, sequence uint64, msg []byte) error {
	m, fields := protocol.ITCHMessage(sequence, msg, d.fields[:0])
	d.fields = fields
	return d.message("itch", frame, &m)
}

// dbn prints the records of a DBN file.
func (d *decoder) dbn() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := dbn.NewReader(f)
	if err != nil {
		return err
	}
	defer r.Close()
	for n := uint64(1); ; n++ {
		rec, err := r.NextRaw()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		fields, _ := dbn.AppendFields(d.fields[:0], rec, r.Version(), r.TsOut())
		d.fields = fields
		if err := d.print(n, "dbn", n, dbn.TypeName(dbn.Header(rec).RType), rec, fields); err != nil {
			return err
		}
	}
}

func (d *decoder) print(frame uint64, protocol string, sequence uint64, typ string, raw, fields []byte) error {
	b := d.line[:0]
	if d.pretty {
		b = fmt.Appendf(b, "%-8d %-12d %-2s ", frame, sequence, typ)
		b = appendPretty(b, fields)
	} else {
		b = append(b, `{"file":`...)
		b = appendJSONText(b, d.path)
		b = append(b, `,"frame":`...)
		b = strconv.AppendUint(b, frame, 10)
		b = append(b, `,"protocol":"`...)
		b = append(b, protocol...)
		b = append(b, `","sequence":`...)
		b = strconv.AppendUint(b, sequence, 10)
		b = append(b, `,"type":`...)
		b = appendJSONText(b, typ)
		b = append(b, `,"length":`...)
		b = strconv.AppendInt(b, int64(len(raw)), 10)
		b = append(b, `,"raw":"`...)
		b = hex.AppendEncode(b, raw)
		b = append(b, `","fields":`...)
		b = append(b, fields...)
		b = append(b, '}')
	}
	b = append(b, '\n')
	d.line = b
	_, d.failedWrite = d.out.Write(b)
	return d.failedWrite
}

func appendJSONText(dst []byte, s string) []byte {
	text, _ := json.Marshal(s) // a string always has one
	return append(dst, text...)
}

// appendPretty writes a JSON object as name=value pairs; the object is our own and so is well-formed.
func appendPretty(dst, object []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	depth, name := 0, true
	for {
		t, err := dec.Token()
		if err != nil {
			return bytes.TrimRight(dst, " ")
		}
		switch v := t.(type) {
		case json.Delim:
			switch {
			case v == '{' || v == '[':
				if depth > 0 {
					dst = append(dst, byte(v))
				}
				depth++
			default:
				depth--
				if depth > 0 {
					dst = append(bytes.TrimRight(dst, " "), byte(v), ' ')
				}
			}
			name = true
			continue
		default:
			dst = fmt.Append(dst, v)
		}
		if name {
			dst = append(dst, '=')
		} else {
			dst = append(dst, ' ')
		}
		name = !name
	}
}
