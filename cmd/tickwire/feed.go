package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
)

func feedCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use: "feed [NAME]", Short: "the hot path of one venue: packets to shared memory", Args: atMost(1),
		Long: `feed runs one [[feed]] block of the configuration: it joins its multicast groups (or reads its file), puts the lines in
order, decodes, keeps the books, and publishes to shared memory. NAME picks the block when there are several.

It ends when it is told to (Control-C, SIGTERM) or when a file source has ended, and exits 1 when a lane fails. It needs no
privileges but the right to write the folder of the rings, and with source = "afxdp" the capabilities that it says it lacks.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			f, err := pickFeed(cfg, argOr(args, ""))
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", "feed")
			manager := serviceManager(log)
			p, err := process.OpenWith(cfg, f, log, process.Options{CompileHelper: lifecycle.Self(pluginCompile)})
			if err != nil {
				return err
			}
			log = log.With("feed", f.Name)
			var sources []string // auto may have become either
			for _, l := range p.Status().Lanes {
				sources = append(sources, strings.TrimSpace(l.Source+" "+l.Mode))
			}
			slices.Sort(sources)
			sources = slices.Compact(sources)
			log.Info("running", "source", strings.Join(sources, ", "), "lanes", len(f.Lane), "rings", cfg.Instance.RingDir+"/"+cfg.Instance.Name)
			ctx, ended := context.WithCancel(cmd.Context())
			var telling sync.WaitGroup
			telling.Go(func() {
				tellManager(ctx, manager, fmt.Sprintf("%d lane(s), %s", len(f.Lane), strings.Join(sources, ", ")), p.Alive, log)
			})
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

// pickFeed finds the feed that a command is about.
func pickFeed(cfg *config.Config, name string) (*config.Feed, error) {
	var names []string
	for i := range cfg.Feed {
		if cfg.Feed[i].Name == name || name == "" && len(cfg.Feed) == 1 {
			return &cfg.Feed[i], nil
		}
		names = append(names, cfg.Feed[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, usageError{errors.New("the configuration has no [[feed]] (--config FILE; see examples/tickwire.toml)")}
	case name == "":
		return nil, usageError{fmt.Errorf("say which feed: %s", strings.Join(names, ", "))}
	}
	return nil, usageError{fmt.Errorf("no feed is named %q; there are: %s", name, strings.Join(names, ", "))}
}
