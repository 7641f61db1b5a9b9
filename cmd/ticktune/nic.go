package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/nicinfo"
)

func nicCommands() []*cobra.Command {
	var root rootFlag
	asJSON := false
	nic := &cobra.Command{
		Use:   "nic [IF] [flags]",
		Short: "all about an interface: driver, queues, rings, offloads, rules, stamps, XDP, PCIe",
		Long: `nic tells what decides how an interface's packets come in; without a name, a line for each interface of the network namespace.
What a driver cannot tell is named with the reason. It needs no root.`,
		Example: "  ticktune nic\n  ticktune nic eth2\n  ticktune nic set eth2 rings.rx=2048 coalesce.adaptive-rx=off features.lro=off",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := root.host()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				all, err := nicinfo.List(h)
				if err != nil {
					return lookError(err)
				}
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), map[string]any{"schema": nicinfo.Schema + "-list", "nics": all})
				}
				return nicinfo.Table(cmd.OutOrStdout(), all)
			}
			in, err := nicinfo.Look(h, args[0])
			if err != nil {
				return lookError(err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), in)
			}
			return in.Text(cmd.OutOrStdout())
		},
	}
	root.add(nic)
	nic.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	nic.AddCommand(nicSet())
	return []*cobra.Command{nic, flowCommand()}
}

func nicSet() *cobra.Command {
	var root rootFlag
	var change changeFlags
	keep := false
	set := &cobra.Command{
		Use:   "set IF NAME=VALUE… [flags]",
		Short: "set rings, channels, coalescing, offloads of an interface",
		Long: `set changes settings of a driver by the journal of apply, and reads back what the driver made of them: a driver that rounds or
ignores a value fails the run, and everything is as before. Names:

  rings.rx|tx   channels.combined|rx|tx   pause.autoneg|rx|tx
  coalesce.rx-usecs|rx-frames|tx-usecs|tx-frames|adaptive-rx|adaptive-tx
  features.NAME, the kernel's names or gro, lro, ntuple, rxvlan, …   private.NAME, the driver's own flags

A link may flap and packets may be lost. Unless confirmed (ticktune confirm), the changes undo themselves.`,
		Example: "  ticktune nic set eth2 rings.rx=2048 --dry-run\n  ticktune nic set eth2 channels.combined=4 --keep",
		Args:    arguments(2, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, in, err := root.nic(args[0])
			if err != nil {
				return err
			}
			changes, err := in.Set(args[1:], keep)
			if err != nil {
				return usage(err)
			}
			return change.carryOut(cmd, h, changes, nil)
		},
	}
	root.add(set)
	change.addNIC(set)
	set.Flags().BoolVar(&keep, "keep", false, "for the next boot, too: in a .link file, where it can hold the setting")
	return set
}

func flowCommand() *cobra.Command {
	var root rootFlag
	asJSON := false
	flow := &cobra.Command{
		Use:   "flow [command]",
		Short: "steer a multicast group to a queue",
		Long: `flow shows and makes rules by which a NIC gives the packets of a group and port to one queue (ntuple). Where the driver cannot, it
says why, and what is left.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("there is no command flow %s (see: ticktune flow --help)", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{
		Use:   "list IF [flags]",
		Short: "the rules of an interface",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, in, err := root.nic(args[0])
			if err != nil {
				return err
			}
			return showFlows(cmd, in, asJSON)
		},
	}
	root.add(list)
	list.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	flow.AddCommand(list, flowAdd(), flowDelete())
	return flow
}

// flows is what `flow list` tells as JSON.
type flows struct {
	Schema string       `json:"schema"`
	NIC    string       `json:"nic"`
	Ntuple bool         `json:"ntuple"`
	Rules  tuning.Rules `json:"rules"`
	Cannot string       `json:"cannot,omitempty"` // why no UDP flow can be steered
}

func showFlows(cmd *cobra.Command, in *nicinfo.Info, asJSON bool) error {
	doc := flows{Schema: "ticktune.flow/1", NIC: in.Name, Ntuple: in.Features["rx-ntuple-filter"].On, Rules: in.Rules}
	if doc.Rules == nil {
		doc.Rules = tuning.Rules{}
	}
	if err := in.Steerable(); err != nil {
		doc.Cannot = err.Error()
	}
	w := cmd.OutOrStdout()
	if asJSON {
		return writeJSON(w, doc)
	}
	var lines []string
	for _, r := range doc.Rules {
		lines = append(lines, nicinfo.RuleText(r))
	}
	switch {
	case doc.Cannot != "":
		lines = append(lines, doc.Cannot)
	case len(lines) == 0:
		lines = append(lines, in.Name+": no rules")
	}
	if len(doc.Rules) > 0 && !doc.Ntuple {
		lines = append(lines, "ntuple is off: the rules do nothing")
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, tuning.Printable(line)); err != nil {
			return err
		}
	}
	return nil
}

func flowAdd() *cobra.Command {
	var root rootFlag
	var change changeFlags
	add := &cobra.Command{
		Use:     "add IF GROUP:PORT QUEUE [flags]",
		Short:   "give a group's packets to a queue",
		Example: "  ticktune flow add eth2 233.54.12.111:26477 4",
		Args:    arguments(3, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			group, err := nicinfo.ParseGroup(args[1])
			if err != nil {
				return usage(err)
			}
			queue, err := strconv.ParseUint(args[2], 10, 16)
			if err != nil {
				return usage(fmt.Errorf("queue %q is no number", args[2]))
			}
			h, in, err := root.nic(args[0])
			if err != nil {
				return err
			}
			changes, notes, err := in.AddFlow(group, int(queue))
			if errors.Is(err, nicinfo.ErrSteer) {
				return exitError{tuning.ExitPlatform, err}
			} else if err != nil {
				return usage(err)
			}
			return change.carryOut(cmd, h, changes, notes)
		},
	}
	root.add(add)
	change.addNIC(add)
	return add
}

func flowDelete() *cobra.Command {
	var root rootFlag
	var change changeFlags
	del := &cobra.Command{
		Use:     "delete IF GROUP:PORT|PLACE [flags]",
		Short:   "take a rule away",
		Long:    "delete takes away the rule of a group and port, or the one at a place that flow list shows. Rules that could not be put back are left alone.",
		Example: "  ticktune flow delete eth2 233.54.12.111:26477",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, in, err := root.nic(args[0])
			if err != nil {
				return err
			}
			changes, err := in.DeleteFlow(args[1])
			if err != nil {
				return usage(err)
			}
			return change.carryOut(cmd, h, changes, nil)
		},
	}
	root.add(del)
	change.addNIC(del)
	return del
}
