package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/feed/protocol"
)

// input is how a capture is read: the same flags for every command that reads one.
type input struct {
	protocol, version, product, prices, definitions, schema, date string
}

func (in *input) flags(c *cobra.Command) {
	in.protocolFlags(c)
	in.pricesFlag(c.Flags())
	c.Flags().StringVar(&in.definitions, "definitions", "", "mdp3: another capture, whose definitions are learned first")
	c.Flags().StringVar(&in.date, "date", "", "the venue's day, YYYY-MM-DD (default: told from name or capture)")
}

func (in *input) protocolFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&in.protocol, "protocol", "auto", strings.Join(protocol.Names(), ", ")+", or auto: told from the packets")
	f.StringVar(&in.version, "version", "", "of the protocol, where there are several ("+versions()+"; default: the first)")
	f.StringVar(&in.product, "product", "", "which of the venue's feeds: xdp: integrated, bbo, trades; mdp3: both, mbp, mbo (default: the first, or told)")
	f.StringVar(&in.schema, "schema-file", "", "mdp3: an SBE schema newer than the one built in")
	_ = c.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions(append(slices.Clone(protocol.Names()), "auto"), cobra.ShellCompDirectiveNoFileComp))
}

// pricesFlag is for commands that make records; the messages of tickwire decode are the wire's own.
func (in *input) pricesFlag(f *pflag.FlagSet) {
	f.StringVar(&in.prices, "prices", protocol.PricesConventional, "mdp3: "+protocol.PricesConventional+" (the wire's × DisplayFactor, as definitions tell it) or "+protocol.PricesWire)
}

func versions() string {
	var all []string
	for _, p := range protocol.All {
		if len(p.Versions) > 1 {
			all = append(all, fmt.Sprintf("%s: %s", p.Name, strings.Join(p.Versions, ", ")))
		}
	}
	return strings.Join(all, "; ")
}

func (in *input) options() process.CaptureOptions {
	return process.CaptureOptions{Date: in.date, Protocol: in.protocol, Version: in.version, Product: in.product, Prices: in.prices, Definitions: in.definitions, Schema: in.schema}
}
