package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/consolidate"
)

func consolidateCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "consolidate", Short: "the best prices of several venues, joined by symbol", Args: exactly(0),
		Long: `consolidate reads the mbp1 rings of the feeds that [consolidate] names and writes a ring of kind cbbo: one record for each change of the best
bid and offer of all of them together, with what each venue shows and what that is worth: live, stale, suspect after a loss, halted, or silent. Only live
quotes make the best prices. Feeds may come and go; serve has the records in tables cbbo and cbbo_venues.

It needs no privileges but the right to read the feeds' rings and to write its own.`,
		Example: "  tickwire consolidate --config /etc/tickwire.toml\n  tickwire ring tail consolidated.0.cbbo",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			o := &cfg.Consolidate
			if len(o.Feeds) == 0 {
				return usageError{errors.New("the configuration has no [consolidate] with feeds to join (--config FILE; see examples/tickwire.toml)")}
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", "consolidate")
			manager := serviceManager(log)
			p, err := consolidate.Open(consolidate.RunOptions{
				RingDir: cfg.Instance.RingDir, Instance: cfg.Instance.Name, Group: cfg.Instance.Group, Name: o.Name, Feeds: o.Feeds,
				Publishers: cfg.Publishers(), StaleAfter: time.Duration(o.StaleAfter), Slots: o.Slots, Log: log,
			})
			if err != nil {
				return err
			}
			log.Info("running", "feeds", strings.Join(o.Feeds, ", "), "ring", o.Name+".0.cbbo")
			ctx, ended := context.WithCancel(cmd.Context())
			var telling sync.WaitGroup
			telling.Go(func() { tellManager(ctx, manager, "joins "+strings.Join(o.Feeds, ", "), nil, log) })
			err = p.Run(ctx)
			ended()
			telling.Wait()
			log.Info("ended")
			return errors.Join(err, p.Close())
		},
	}
	configFlag(c, &path)
	return c
}
