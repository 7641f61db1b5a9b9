package main

import (
	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/tuning/numainfo"
)

func numaCommands() []*cobra.Command {
	var f planFlags
	asJSON := false
	numa := &cobra.Command{
		Use:     "numa [flags]",
		Short:   "how the machine is laid out: nodes, cores, memory, huge pages, caches, NICs",
		Long:    "numa shows the nodes of the machine. With --cores and --nic, or a plan, it says what is far from what it works with.",
		Example: "  ticktune numa\n  ticktune numa --nic eth2 --cores 9-11 --napi 8",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := f.host()
			if err != nil {
				return err
			}
			r := numainfo.Look(h)
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return r.Text(cmd.OutOrStdout())
		},
	}
	f.add(numa)
	numa.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return []*cobra.Command{numa}
}
