package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unsafe"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/dbn"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// where names the shared memory that a command looks at.
type where struct {
	ringDir, instance string
}

func (w *where) flags(c *cobra.Command) {
	dir := os.Getenv("TICKWIRE_INSTANCE__RING_DIR")
	if dir == "" {
		dir = "/dev/shm/tickwire"
	}
	c.Flags().StringVar(&w.ringDir, "ring-dir", dir, "folder of the shared memory")
	c.Flags().StringVar(&w.instance, "instance", "", "only this instance (default: all)")
}

func ringCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "ring", Short: "look into shared-memory rings",
		Long: `Rings are read as any strategy reads them: through a read-only mapping, without the producer noticing.
RING is a path, or <feed>.<lane>.<kind> such as nasdaq.0.mbo.`,
	}
	c.AddCommand(ringList(), ringTail(), ringStat())
	return c
}

// ringInfo is one ring as `ls` and `stat` show it.
type ringInfo struct {
	Instance  string  `json:"instance"`
	Ring      string  `json:"ring"`
	Path      string  `json:"path"`
	Dataset   string  `json:"dataset"`
	Slots     uint64  `json:"slots"`
	SlotBytes int     `json:"slot_bytes"`
	State     string  `json:"state"`
	Stamps    string  `json:"stamps"` // who gave the latest records their ts_recv
	Alive     bool    `json:"alive"`
	BeatMs    float64 `json:"heartbeat_ms"`
	Epoch     uint64  `json:"epoch"`
	PID       int     `json:"pid"`
	Newest    uint64  `json:"newest"`
	Records   uint64  `json:"records_this_epoch"`
	NewestAt  string  `json:"newest_ts_recv,omitempty"`
}

func inspect(e ringbuf.Entry) (ringInfo, error) {
	r, err := ringbuf.Open(e.Path, ringbuf.ReaderOptions{})
	if err != nil {
		return ringInfo{}, err
	}
	defer r.Close()
	s, err := r.Session()
	if err != nil {
		return ringInfo{}, err
	}
	info := ringInfo{
		Instance: e.Instance, Ring: r.Name(), Path: e.Path, Dataset: r.Dataset(), Slots: r.Slots(), SlotBytes: r.Header().SlotBytes,
		State: r.State().String(), Stamps: nic.StampSource(r.Stamps()).String(), Alive: r.Alive(), BeatMs: float64(r.Heartbeat().Microseconds()) / 1e3, Epoch: s.Epoch, PID: s.PID,
	}
	if number, ts := r.Cursor(); number >= s.First {
		info.Newest, info.Records = number, number-s.First+1
		if ts != 0 {
			info.NewestAt = time.Unix(0, int64(ts)).UTC().Format(time.RFC3339Nano)
		}
	}
	return info, nil
}

func ringList() *cobra.Command {
	var at where
	var asJSON bool
	c := &cobra.Command{
		Use: "ls", Short: "list rings with their state", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			entries, err := ringbuf.List(at.ringDir, at.instance)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			infos := []ringInfo{}
			for _, e := range entries {
				info, err := inspect(e)
				if err != nil {
					fmt.Fprintln(cmd.ErrOrStderr(), "tickwire:", err)
					continue
				}
				infos = append(infos, info)
			}
			if asJSON {
				return json.NewEncoder(out).Encode(infos)
			}
			if len(infos) == 0 {
				_, err := fmt.Fprintf(out, "no rings in %s; a feed or the demo makes some\n", at.ringDir)
				return err
			}
			t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(t, "INSTANCE\tRING\tSTATE\tALIVE\tPID\tEPOCH\tRECORDS\tSIZE\tDATASET")
			for _, i := range infos {
				fmt.Fprintf(t, "%s\t%s\t%s\t%v\t%d\t%d\t%d\t%s\t%s\n", i.Instance, i.Ring, i.State, i.Alive, i.PID, i.Epoch, i.Records,
					bytesText(i.Slots*uint64(i.SlotBytes)), i.Dataset)
			}
			return t.Flush()
		},
	}
	at.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func bytesText(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}

// find turns a ring's path or short name into its entry.
func (w *where) find(name string) (ringbuf.Entry, error) {
	entries, err := ringbuf.List(w.ringDir, w.instance)
	if err != nil {
		return ringbuf.Entry{}, err
	}
	var found []ringbuf.Entry
	for _, e := range entries {
		if e.Path == name || strings.TrimSuffix(filepath.Base(e.Path), ".ring") == strings.TrimSuffix(name, ".ring") {
			found = append(found, e)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if _, err := os.Stat(name); err == nil {
			return ringbuf.Entry{Path: name}, nil
		}
		return ringbuf.Entry{}, usageError{fmt.Errorf("no ring %s in %s; `tickwire ring ls` lists them", name, w.ringDir)}
	}
	return ringbuf.Entry{}, usageError{fmt.Errorf("%d instances have a ring %s; choose one with --instance", len(found), name)}
}

func ringStat() *cobra.Command {
	var at where
	var asJSON bool
	c := &cobra.Command{
		Use: "stat RING", Short: "one ring in detail, and who reads it", Args: exactly(1),
		Long: `stat prints what the ring's header says, then its readers. Those that report themselves have a name, and how many records
lie ahead of them (LAG) and were missed (LOST); the others are found by their mappings, as far as this user may look into
other processes.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := at.find(args[0])
			if err != nil {
				return err
			}
			info, err := inspect(e)
			if err != nil {
				return err
			}
			if e.Instance == "" { // given by its path
				e.Instance = filepath.Base(filepath.Dir(e.Path))
			}
			readers := readersOf(filepath.Dir(filepath.Dir(e.Path)), []ringbuf.Entry{e})
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					ringInfo
					Readers []readerInfo `json:"readers"`
				}{info, readers})
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			for _, row := range [][2]any{
				{"ring", info.Ring}, {"path", info.Path}, {"dataset", info.Dataset},
				{"slots", fmt.Sprintf("%d of %d bytes", info.Slots, info.SlotBytes)},
				{"state", fmt.Sprintf("%s (alive: %v, last heartbeat %.1f ms ago)", info.State, info.Alive, info.BeatMs)},
				{"producer", fmt.Sprintf("pid %d, epoch %d", info.PID, info.Epoch)},
				{"records", fmt.Sprintf("%d in this epoch, newest has number %d", info.Records, info.Newest)}, {"newest", info.NewestAt},
			} {
				fmt.Fprintf(t, "%v\t%v\n", row[0], row[1])
			}
			if err := t.Flush(); err != nil {
				return err
			}
			return printReaders(cmd.OutOrStdout(), readers, false)
		},
	}
	at.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func ringTail() *cobra.Command {
	var at where
	var count uint64
	var from string
	c := &cobra.Command{
		Use: "tail RING", Short: "print records as they come, one JSON object a line", Args: exactly(1),
		Long: `tail joins the ring and prints each record with its number. A reader that is overtaken learns exactly how many
records it missed; that is printed as an object too.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			mode, ok := map[string]ringbuf.JoinMode{"live": ringbuf.JoinLive, "half": ringbuf.JoinHalf, "oldest": ringbuf.JoinOldest}[from]
			if !ok {
				return usageError{fmt.Errorf("--from %q is none of live, half, oldest", from)}
			}
			e, err := at.find(args[0])
			if err != nil {
				return err
			}
			r, err := ringbuf.Open(e.Path, ringbuf.ReaderOptions{Join: mode, Report: "ring tail"})
			if err != nil {
				return err
			}
			defer r.Close()
			return tail(cmd, r, count)
		},
	}
	at.flags(c)
	c.Flags().Uint64VarP(&count, "count", "n", 0, "stop after so many records (0: go on)")
	c.Flags().StringVar(&from, "from", "live", "where to begin: live, half (a ring of history), oldest")
	return c
}

func tail(cmd *cobra.Command, r *ringbuf.Reader, count uint64) error {
	payload := r.Kind().PayloadBytes()
	buf := make([]byte, 64*payload)
	var line []byte
	lost := uint64(0)
	for printed := uint64(0); count == 0 || printed < count; {
		if cmd.Context().Err() != nil {
			return nil
		}
		n, first, status := r.Poll(buf, 64)
		if r.Lost() != lost {
			fmt.Fprintf(cmd.OutOrStdout(), "{\"lost\":%d}\n", r.Lost()-lost)
			lost = r.Lost()
		}
		for i := range n {
			if count != 0 && printed == count {
				break
			}
			line = append(line[:0], fmt.Sprintf(`{"number":%d,"record":`, first+uint64(i))...)
			line = append(appendRecord(line, buf[i*payload:(i+1)*payload]), '}', '\n')
			if _, err := cmd.OutOrStdout().Write(line); err != nil {
				return err
			}
			printed++
		}
		if n > 0 {
			continue
		}
		switch status {
		case ringbuf.Replaced, ringbuf.Stopped:
			fmt.Fprintf(cmd.ErrOrStderr(), "tickwire: %s: the ring is %s\n", r.Name(), status)
			return nil
		}
		r.Wait(100 * time.Millisecond)
	}
	return nil
}

// appendRecord prints the DBN record in a slot, or one of ours.
func appendRecord(dst, payload []byte) []byte {
	h := (*tick.Header)(unsafe.Pointer(&payload[0]))
	size := min(int(h.Length)*4, len(payload))
	switch h.RType {
	case tick.RTypeGap:
		g := (*tick.Gap)(unsafe.Pointer(&payload[0]))
		return append(dst, fmt.Sprintf(`{"struct":"Gap","instrument_id":%d,"first":%d,"last":%d,"state":%d,"ts_recv":"%d"}`, g.InstrumentID, g.First, g.Last, g.State, g.TsRecv)...)
	case tick.RTypeExt:
		e := (*tick.Ext)(unsafe.Pointer(&payload[0]))
		return append(dst, fmt.Sprintf(`{"struct":"Ext","kind":%d,"instrument_id":%d,"ring":%d,"ref_seq":%d,"a":"%d","b":"%d","c":"%d"}`,
			e.Kind, e.InstrumentID, e.Ring, e.RefSeq, e.A, e.B, e.C)...)
	}
	out, ok := dbn.AppendFields(dst, payload[:size], 3, false)
	if !ok {
		return append(dst, `{"struct":"cut off"}`...)
	}
	if h.RType == tick.RTypeCmbp1 && len(payload) == int(unsafe.Sizeof(ringbuf.CbboSlot{})) {
		return appendQuotes(out, (*ringbuf.CbboSlot)(unsafe.Pointer(&payload[0])))
	}
	return out
}

// appendQuotes puts what each venue shows into a consolidated record's object.
func appendQuotes(object []byte, c *ringbuf.CbboSlot) []byte {
	dst := append(object[:len(object)-1], fmt.Sprintf(`,"live":%d,"stale":%d,"venues":[`, c.Live, c.Stale)...)
	for i := range c.Quotes[:min(int(c.Venues), len(c.Quotes))] {
		q := &c.Quotes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, fmt.Sprintf(`{"publisher":%d,"state":%q,"bid_px":"%d","bid_sz":%d,"ask_px":"%d","ask_sz":%d,"ts_recv":"%d"}`,
			q.Publisher, q.State, q.BidPx, q.BidSz, q.AskPx, q.AskSz, q.TsRecv)...)
	}
	return append(dst, ']', '}')
}
