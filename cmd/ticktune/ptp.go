package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/tuning/ptpinfo"
)

// maxLog bounds a log that is given, in bytes: of a longer one, the first so many.
const maxLog = 64 << 20

func ptpCommands() []*cobra.Command {
	var root rootFlag
	var o ptpinfo.Options
	log, asJSON := "", false
	ptp := &cobra.Command{
		Use:   "ptp [IF…] [flags]",
		Short: "how time comes in: the NICs' clocks, ptp4l, phc2sys, the system's clock",
		Long: `ptp tells which clocks there are and how far they are from the system's, what ptp4l says of itself (by its management socket: it is
only asked, never set), which daemons keep time, and what their logs said last. Exit code 0 tells only that it could look: what is not as it
should be is a note.`,
		Example: "  ticktune ptp eth2\n  ticktune ptp --uds /run/ptp4l-eth2 --domain 24\n  journalctl -u phc2sys -n 100 | ticktune ptp --log -",
		Args:    arguments(0, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Domain < -1 || o.Domain > 255 {
				return usage(fmt.Errorf("--domain %d, want 0 to 255", o.Domain))
			}
			h, err := root.host()
			if err != nil {
				return err
			}
			o.NICs = args
			if log != "" {
				from := cmd.InOrStdin()
				if log != "-" {
					file, err := os.Open(log)
					if err != nil {
						return usage(err)
					}
					defer file.Close()
					from = file
				}
				text, err := io.ReadAll(io.LimitReader(from, maxLog))
				if err != nil {
					return usage(err)
				}
				if o.Log = string(text); o.Log == "" {
					o.Log = "\n" // it was given, and says nothing
				}
			}
			r, err := ptpinfo.Look(cmd.Context(), h, o)
			if err != nil {
				return lookError(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return r.Text(cmd.OutOrStdout())
		},
	}
	root.add(ptp)
	f := ptp.Flags()
	f.StringSliceVar(&o.Sockets, "uds", nil, "management `socket` of ptp4l; may be given again (default: as its options say, else /var/run/ptp4l)")
	f.IntVar(&o.Domain, "domain", -1, "PTP domain (default: as ptp4l's options say, else 0)")
	f.StringVar(&log, "log", "", "a log's `file`, or - for the input (default: those of /var/log)")
	f.BoolVar(&asJSON, "json", false, "one JSON document")
	return []*cobra.Command{ptp}
}
