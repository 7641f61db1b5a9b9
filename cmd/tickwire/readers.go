package main

import (
	"fmt"
	"io"
	"os/user"
	"strconv"
	"text/tabwriter"

	"github.com/tickwire/tickwire/ringbuf"
)

// readerInfo is one reader of one ring, as status and `ring stat` show it.
type readerInfo struct {
	Instance string  `json:"instance"`
	Ring     string  `json:"ring"`
	UID      uint32  `json:"uid"`
	User     string  `json:"user"`
	PID      int     `json:"pid"`
	Name     string  `json:"name"`
	Reports  bool    `json:"reports"`
	Lag      *uint64 `json:"lag"`  // null: it does not report
	Lost     *uint64 `json:"lost"` // null: it does not report
	BeatMs   float64 `json:"heartbeat_ms,omitempty"`
}

// readersOf finds the readers of rings.
func readersOf(ringDir string, rings []ringbuf.Entry) []readerInfo {
	users := map[uint32]string{}
	infos := []readerInfo{}
	for _, a := range ringbuf.AttachedTo(ringDir, rings) {
		name, ok := users[a.UID]
		if !ok {
			name = strconv.FormatUint(uint64(a.UID), 10)
			if u, err := user.LookupId(name); err == nil {
				name = u.Username
			}
			users[a.UID] = name
		}
		i := readerInfo{Instance: a.Instance, Ring: a.Ring, UID: a.UID, User: name, PID: a.PID, Name: a.Name, Reports: a.Reports}
		if a.Reports {
			i.Lag, i.Lost, i.BeatMs = &a.Lag, &a.Lost, float64(a.Silence.Microseconds())/1e3
		}
		infos = append(infos, i)
	}
	return infos
}

// printReaders prints a table; with rings, each line names its ring.
func printReaders(out io.Writer, readers []readerInfo, rings bool) error {
	if len(readers) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := "READER\tUSER\tUID\tPID\tLAG\tLOST"
	if rings {
		head = "RING\t" + head
	}
	fmt.Fprintln(t, head)
	text := func(v *uint64) string {
		if v == nil {
			return "-"
		}
		return strconv.FormatUint(*v, 10)
	}
	for _, r := range readers {
		if rings {
			fmt.Fprintf(t, "%s/%s\t", r.Instance, r.Ring)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", r.Name, r.User, r.UID, r.PID, text(r.Lag), text(r.Lost))
	}
	return t.Flush()
}
