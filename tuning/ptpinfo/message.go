package ptpinfo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// What is asked (IEEE 1588 table 40; 0xc000 and above: linuxptp's own).
const (
	idDefault        = 0x2000
	idCurrent        = 0x2001
	idParent         = 0x2002
	idTimeProperties = 0x2003
	idPort           = 0x2004
	idTimeStatus     = 0xc000
	idPortProperties = 0xc004
)

const (
	headBytes = 54 // of a message with a TLV, up to its data
	actionGet = 0
	actionRes = 2
	tlvManage = 1
	tlvError  = 2
)

// Identity is a clock's, an EUI-64.
type Identity [8]byte

// String is as pmc writes it, 001b21.fffe.aabbcc.
func (i Identity) String() string { return fmt.Sprintf("%x.%x.%x", i[:3], i[3:5], i[5:]) }

// MarshalText makes it text in JSON.
func (i Identity) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// Default is DEFAULT_DATA_SET.
type Default struct {
	Ports     int      `json:"ports"`
	Priority1 int      `json:"priority1"`
	Class     int      `json:"clock_class"`
	Identity  Identity `json:"identity"`
	Domain    int      `json:"domain"`
	SlaveOnly bool     `json:"slave_only"`
}

// Current is CURRENT_DATA_SET.
type Current struct {
	Steps    int     `json:"steps_removed"`
	OffsetNs float64 `json:"offset_from_master_ns"`
	DelayNs  float64 `json:"mean_path_delay_ns"`
}

// Parent is PARENT_DATA_SET.
type Parent struct {
	Identity    Identity `json:"parent"`
	Port        int      `json:"parent_port"`
	Grandmaster Identity `json:"grandmaster"`
	Class       int      `json:"grandmaster_class"`
	Accuracy    int      `json:"grandmaster_accuracy"`
	Priority1   int      `json:"grandmaster_priority1"`
	Priority2   int      `json:"grandmaster_priority2"`
}

// TimeProperties is TIME_PROPERTIES_DATA_SET.
type TimeProperties struct {
	UTCOffset int  `json:"utc_offset_s"` // TAI less UTC
	Valid     bool `json:"utc_offset_valid"`
	Leap61    bool `json:"leap61"`
	Leap59    bool `json:"leap59"`
	PTPScale  bool `json:"ptp_timescale"` // else the grandmaster's time is arbitrary
	Traceable bool `json:"time_traceable"`
	Source    int  `json:"time_source"`
}

// Port is PORT_DATA_SET, with PORT_PROPERTIES_NP where ptp4l gives it (only by the socket that may also set).
type Port struct {
	Number    int     `json:"port"`
	State     string  `json:"state"`
	DelayNs   float64 `json:"peer_mean_path_delay_ns"`
	Version   int     `json:"version"`
	Interface string  `json:"interface,omitempty"`
	Stamping  string  `json:"timestamping,omitempty"`
}

// TimeStatus is TIME_STATUS_NP.
type TimeStatus struct {
	OffsetNs    int64    `json:"master_offset_ns"`
	IngressNs   int64    `json:"ingress_time_ns"` // of the last sync; 0: there was none
	Present     bool     `json:"gm_present"`
	Grandmaster Identity `json:"gm_identity"`
}

var portStates = []string{"", "INITIALIZING", "FAULTY", "DISABLED", "LISTENING", "PRE_MASTER", "MASTER", "PASSIVE", "UNCALIBRATED", "SLAVE", "GRAND_MASTER"}

func portState(b byte) string {
	if int(b) < len(portStates) && b != 0 {
		return portStates[b]
	}
	return fmt.Sprintf("state %d", b)
}

var stampings = []string{"software", "hardware", "legacy hardware", "one-step", "peer one-step"}

// request is a GET for every port, of the sender's number.
func request(id uint16, domain, sequence, sender int) []byte {
	b := make([]byte, headBytes)
	b[0], b[1], b[4] = 0xd, 2, byte(domain)
	binary.BigEndian.PutUint16(b[2:], headBytes)
	binary.BigEndian.PutUint16(b[28:], uint16(sender))
	binary.BigEndian.PutUint16(b[30:], uint16(sequence))
	b[32], b[33] = 4, 0x7f
	for i := 34; i < 44; i++ {
		b[i] = 0xff
	}
	b[46] = actionGet // hops stay 0: it is not passed on into the network
	binary.BigEndian.PutUint16(b[48:], tlvManage)
	binary.BigEndian.PutUint16(b[50:], 2)
	binary.BigEndian.PutUint16(b[52:], id)
	return b
}

var (
	errMessage = errors.New("no answer of the management protocol")
	errShort   = errors.New("an answer that is too short")
)

// refusal is an answer that says no.
type refusal uint16

var refusals = map[refusal]string{1: "response too big", 2: "no such id", 3: "wrong length", 4: "wrong value", 5: "not setable", 6: "not supported", 0xfffe: "general error"}

func (r refusal) Error() string {
	if text, ok := refusals[r]; ok {
		return "ptp4l refuses: " + text
	}
	return fmt.Sprintf("ptp4l refuses: error 0x%x", uint16(r))
}

// answer is one response, as it came. data is a part of what was read.
type answer struct {
	id       uint16
	sequence int
	domain   int
	port     int
	data     []byte
	refused  error
}

// parse reads one datagram.
func parse(b []byte) (a answer, err error) {
	if len(b) < headBytes || b[0]&0xf != 0xd || b[1]&0xf != 2 {
		return a, errMessage
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < headBytes || length > len(b) {
		return a, errShort
	}
	b = b[:length]
	if b[46]&0xf != actionRes {
		return a, errMessage
	}
	a.domain, a.port, a.sequence = int(b[4]), int(binary.BigEndian.Uint16(b[28:])), int(binary.BigEndian.Uint16(b[30:]))
	n := int(binary.BigEndian.Uint16(b[50:]))
	if n < 2 || 52+n > len(b) {
		return a, errShort
	}
	body := b[52 : 52+n]
	switch binary.BigEndian.Uint16(b[48:]) {
	case tlvManage:
		a.id, a.data = binary.BigEndian.Uint16(body), body[2:]
	case tlvError:
		if len(body) < 4 {
			return a, errShort
		}
		a.id, a.refused = binary.BigEndian.Uint16(body[2:]), refusal(binary.BigEndian.Uint16(body))
	default:
		return a, errMessage
	}
	return a, nil
}

// need cuts data to what a data set has; a newer ptp4l may send more.
func need(b []byte, n int) error {
	if len(b) < n {
		return fmt.Errorf("%w: %d bytes, want %d", errShort, len(b), n)
	}
	return nil
}

// interval is a TimeInterval, ns in units of 1/65536.
func interval(b []byte) float64 { return float64(int64(binary.BigEndian.Uint64(b))) / 65536 }

func (d *Default) decode(b []byte) error {
	if err := need(b, 20); err != nil {
		return err
	}
	*d = Default{SlaveOnly: b[0]&2 != 0, Ports: int(binary.BigEndian.Uint16(b[2:])), Priority1: int(b[4]), Class: int(b[5]), Identity: Identity(b[10:18]), Domain: int(b[18])}
	return nil
}

func (c *Current) decode(b []byte) error {
	if err := need(b, 18); err != nil {
		return err
	}
	*c = Current{Steps: int(binary.BigEndian.Uint16(b)), OffsetNs: interval(b[2:]), DelayNs: interval(b[10:])}
	return nil
}

func (p *Parent) decode(b []byte) error {
	if err := need(b, 32); err != nil {
		return err
	}
	*p = Parent{Identity: Identity(b[:8]), Port: int(binary.BigEndian.Uint16(b[8:])), Priority1: int(b[18]), Class: int(b[19]), Accuracy: int(b[20]), Priority2: int(b[23]), Grandmaster: Identity(b[24:32])}
	return nil
}

func (t *TimeProperties) decode(b []byte) error {
	if err := need(b, 4); err != nil {
		return err
	}
	*t = TimeProperties{UTCOffset: int(int16(binary.BigEndian.Uint16(b))), Leap61: b[2]&1 != 0, Leap59: b[2]&2 != 0, Valid: b[2]&4 != 0, PTPScale: b[2]&8 != 0, Traceable: b[2]&16 != 0, Source: int(b[3])}
	return nil
}

func (p *Port) decode(b []byte) error {
	if err := need(b, 26); err != nil {
		return err
	}
	*p = Port{Number: int(binary.BigEndian.Uint16(b[8:])), State: portState(b[10]), DelayNs: interval(b[12:]), Version: int(b[25] & 0xf)}
	return nil
}

func (t *TimeStatus) decode(b []byte) error {
	if err := need(b, 50); err != nil {
		return err
	}
	*t = TimeStatus{OffsetNs: int64(binary.BigEndian.Uint64(b)), IngressNs: int64(binary.BigEndian.Uint64(b[8:])), Present: binary.BigEndian.Uint32(b[38:]) != 0, Grandmaster: Identity(b[42:50])}
	return nil
}

// properties is PORT_PROPERTIES_NP: which interface a port is.
func properties(b []byte) (port int, stamping, face string, err error) {
	if err := need(b, 13); err != nil {
		return 0, "", "", err
	}
	n := int(b[12])
	if err := need(b[13:], n); err != nil {
		return 0, "", "", err
	}
	name := string(b[13 : 13+n])
	if !utf8.ValidString(name) || strings.ContainsAny(name, "/\x00") {
		return 0, "", "", errMessage
	}
	stamping = fmt.Sprintf("kind %d", b[11])
	if int(b[11]) < len(stampings) {
		stamping = stampings[b[11]]
	}
	return int(binary.BigEndian.Uint16(b[8:])), stamping, name, nil
}
