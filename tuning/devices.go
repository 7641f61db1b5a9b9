package tuning

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Devices answers what is asked by call and not by file. Ask fills in into, the struct of the group (below), for an interface
// or, with nic "", for the machine. Errors are the kernel's numbers: EOPNOTSUPP where a driver cannot.
type Devices interface {
	Ask(nic, group string, into any) error
}

// groups says what is called for each group, as evidence names it.
var groups = map[string]struct{ source string }{
	"driver":   {"ethtool -i (0x3)"},
	"link":     {"ethtool (0x4c)"},
	"fec":      {"ethtool --show-fec (0x50)"},
	"rings":    {"ethtool -g (0x10)"},
	"coalesce": {"ethtool -c (0xe)"},
	"pause":    {"ethtool -a (0x12)"},
	"channels": {"ethtool -l (0x3c)"},
	"features": {"ethtool -k (0x3a)"},
	"eee":      {"ethtool --show-eee (0x44)"},
	"rss":      {"ethtool -x (0x46)"},
	"rules":    {"ethtool -n (0x2e, 0x30, 0x2f)"},
	"private":  {"ethtool --show-priv-flags (0x27)"},
	"stats":    {"ethtool -S (0x1d)"},
	"stamping": {"ethtool -T (0x41)"},
	"hwtstamp": {"SIOCGHWTSTAMP (0x89b1)"},
	"xdp":      {"netdev-genl DEV_GET, IFLA_XDP"},
	"queues":   {"netdev-genl QUEUE_GET"},
	"napis":    {"netdev-genl NAPI_GET"},
	"filters":  {"rtnetlink, filters and qdiscs"},
	"face":     {"rtnetlink link"},
	"hash":     {"ethtool -n rx-flow-hash udp4 (0x29)"},
	"adjtimex": {"adjtimex"},
	"audit":    {"audit netlink AUDIT_GET"},
	"phc":      {"PTP_SYS_OFFSET_EXTENDED"},
	"ptp4l":    {"ptp4l, domain"},
}

// Driver is group "driver".
type Driver struct {
	Driver   string `json:"driver"`
	Version  string `json:"version"`
	Firmware string `json:"firmware"`
	Bus      string `json:"bus"`
}

// LinkMode is group "link".
type LinkMode struct {
	Speed   int  `json:"speed"` // Mbit/s; -1: not known
	Full    bool `json:"full"`
	Autoneg bool `json:"autoneg"`
	Port    int  `json:"port"` // 0 twisted pair, 3 fibre, 5 direct attach
}

// FEC is group "fec": bits of ETHTOOL_FEC_*.
type FEC struct {
	Active     uint32 `json:"active"`
	Configured uint32 `json:"configured"`
}

// Rings is group "rings".
type Rings struct {
	RxMax     int `json:"rx_max"`
	RxPending int `json:"rx_pending"`
	TxMax     int `json:"tx_max"`
	TxPending int `json:"tx_pending"`
}

// Coalesce is group "coalesce".
type Coalesce struct {
	RxUsecs    int  `json:"rx_usecs"`
	RxFrames   int  `json:"rx_frames"`
	TxUsecs    int  `json:"tx_usecs"`
	TxFrames   int  `json:"tx_frames"`
	AdaptiveRx bool `json:"adaptive_rx"`
	AdaptiveTx bool `json:"adaptive_tx"`
}

// Pause is group "pause".
type Pause struct {
	Autoneg bool `json:"autoneg"`
	Rx      bool `json:"rx"`
	Tx      bool `json:"tx"`
}

// Channels is group "channels".
type Channels struct {
	MaxRx       int `json:"max_rx"`
	MaxTx       int `json:"max_tx"`
	MaxCombined int `json:"max_combined"`
	Rx          int `json:"rx"`
	Tx          int `json:"tx"`
	Combined    int `json:"combined"`
}

// RxQueues is how many queues receive.
func (c Channels) RxQueues() int { return c.Rx + c.Combined }

// Feature is one of group "features", a map by the kernel's names.
type Feature struct {
	On    bool `json:"on"`
	Fixed bool `json:"fixed"` // cannot be changed
}

// Features is group "features".
type Features map[string]Feature

// EEE is group "eee".
type EEE struct {
	Active  bool `json:"active"`
	Enabled bool `json:"enabled"`
}

// RSS is group "rss".
type RSS struct {
	Table []int `json:"table"` // queue by hash
}

// Queues are those that the table leads to, each with how many entries do.
func (r RSS) Queues() map[int]int {
	m := map[int]int{}
	for _, q := range r.Table {
		m[q]++
	}
	return m
}

// Rule is one of group "rules": an exact UDP flow where Group is not empty.
type Rule struct {
	Location int    `json:"location"`
	Queue    int    `json:"queue"`          // -1: drop
	Group    string `json:"group"`          // group:port; empty: another kind of rule
	Text     string `json:"text,omitempty"` // what it takes, in words
}

// Rules is group "rules".
type Rules []Rule

// Private is group "private": a driver's own flags.
type Private map[string]bool

// Stats is group "stats": a driver's counters.
type Stats map[string]uint64

// Stamping is group "stamping".
type Stamping struct {
	PHC     int    `json:"phc"` // index of /dev/ptpN; -1: none
	Modes   uint32 `json:"modes"`
	Filters uint32 `json:"filters"`
}

// HWTstamp is group "hwtstamp".
type HWTstamp struct {
	TxType   int `json:"tx_type"`
	RxFilter int `json:"rx_filter"` // 1: all packets
}

// XDP is group "xdp".
type XDP struct {
	Features   uint64 `json:"features"`
	Metadata   uint64 `json:"metadata"`
	ZCSegments uint32 `json:"zc_max_segs"`
	Attached   bool   `json:"attached"`
	Mode       uint32 `json:"mode"` // 1 native, 2 generic, 3 offloaded, 4 several
	Program    uint32 `json:"program"`
}

// Queue is one receive queue of group "queues".
type Queue struct {
	ID   int  `json:"id"`
	NAPI int  `json:"napi"` // 0: the driver does not say
	XSK  bool `json:"xsk"`
}

// NAPI is one poller of group "napis".
type NAPI struct {
	ID       int  `json:"id"`
	IRQ      int  `json:"irq"` // 0: not told
	PID      int  `json:"pid"` // of its thread; 0: none
	Defer    int  `json:"defer"`
	Flush    int  `json:"flush"` // ns
	Threaded bool `json:"threaded"`
}

// Filters is group "filters".
type Filters struct {
	Qdiscs  []string `json:"qdiscs"`
	Ingress int      `json:"ingress"` // filters on the way in
}

// Adjtimex is group "adjtimex".
type Adjtimex struct {
	Status   int32 `json:"status"`
	State    int   `json:"state"`
	OffsetNs int64 `json:"offset_ns"`
	FreqPPB  int64 `json:"freq_ppb"`
	MaxErrUs int64 `json:"maxerror_us"`
	EstErrUs int64 `json:"esterror_us"`
	TAI      int   `json:"tai"`
}

// Audit is group "audit".
type Audit struct {
	Enabled uint32 `json:"enabled"`
	Rules   int    `json:"rules"`
}

// PHC is group "phc": a NIC's clock against the system's.
type PHC struct {
	OffsetNs int64 `json:"offset_ns"` // PHC less CLOCK_REALTIME
	WindowNs int64 `json:"window_ns"` // the reading took so long
}

// fakeDevices answers from files of a tree: nic/<name>.json for an interface, system.json for the machine, each an object by
// group. A group that is not there is EOPNOTSUPP, and {"errno": "EPERM"} in its place is that error.
type fakeDevices struct{ dir string }

func (f fakeDevices) Ask(nic, group string, into any) error {
	name := "system.json"
	if nic != "" {
		if !interfaceName.MatchString(nic) {
			return unix.ENODEV
		}
		name = filepath.Join("nic", nic+".json")
	}
	text, err := os.ReadFile(filepath.Join(f.dir, name))
	if errors.Is(err, fs.ErrNotExist) && nic != "" {
		return unix.ENODEV
	} else if err != nil {
		return unix.EOPNOTSUPP
	}
	var byGroup map[string]json.RawMessage
	if err := json.Unmarshal(text, &byGroup); err != nil {
		return fmt.Errorf("fake/%s: %w", name, err)
	}
	answer, ok := byGroup[group]
	if !ok {
		return unix.EOPNOTSUPP
	}
	var refused struct {
		Errno string `json:"errno"`
	}
	if strings.HasPrefix(strings.TrimSpace(string(answer)), "{") && json.Unmarshal(answer, &refused) == nil && refused.Errno != "" {
		if e := errnoOf(refused.Errno); e != 0 {
			return e
		}
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("fake/%s, %s: %w", name, group, err)
	}
	return nil
}
