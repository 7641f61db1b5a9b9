package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/internal/config"
)

// configFlag adds --config; the environment's TICKWIRE_CONFIG is its default.
func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", os.Getenv("TICKWIRE_CONFIG"), "configuration file (TOML; see examples/tickwire.toml)")
}

// loadConfig makes every fault of a configuration a usage error.
func loadConfig(path string) (*config.Config, error) {
	c, err := config.Load(path, os.Environ())
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "check a configuration, or show what it comes to"}
	var path string
	check := &cobra.Command{
		Use: "check [FILE]", Short: "report every fault of a configuration, with its line or key", Args: atMost(1),
		Long: `check reads the file and the environment's overrides (TICKWIRE_SERVE__SQL=127.0.0.1:6000 overrides serve.sql) as the
other commands do, and reports every fault at once. Plugins of feeds and of the server are read and compiled as they do it. It exits 0 when there is none, 2 otherwise.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(argOr(args, path))
			if err != nil {
				return err
			}
			if err := checkPlugins(cfg); err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %d feed(s), SQL on %s, shared memory in %s/%s\n",
				len(cfg.Feed), cfg.Serve.SQL, cfg.Instance.RingDir, cfg.Instance.Name)
			return err
		},
	}
	show := &cobra.Command{
		Use: "show [FILE]", Short: "print the configuration with overrides and defaults filled in", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := loadConfig(argOr(args, path))
			if err != nil {
				return err
			}
			for i := range cfg.Plugins.Grant { // values may be secrets, and what is shown is copied about
				env := cfg.Plugins.Grant[i].Env
				for k := range env {
					if name, _, given := strings.Cut(env[k], "="); given {
						env[k] = name + "=(hidden)"
					}
				}
			}
			return toml.NewEncoder(cmd.OutOrStdout()).Encode(cfg)
		},
	}
	configFlag(check, &path)
	configFlag(show, &path)
	c.AddCommand(check, show)
	return c
}

// checkPlugins compiles the plugins of all feeds.
func checkPlugins(cfg *config.Config) error {
	var faults []error
	for i := range cfg.Feed {
		f := &cfg.Feed[i]
		if err := lifecycle.Check(&cfg.Plugins, f.Protocol, f.Plugin); err != nil {
			faults = append(faults, fmt.Errorf("config: feed %s: %w", f.Name, err))
		}
	}
	g := guests{specs: cfg.Serve.Plugin}
	if err := errors.Join(g.open(&cfg.Plugins, nil), g.close()); err != nil {
		faults = append(faults, fmt.Errorf("config: serve: %w", err))
	}
	return errors.Join(faults...)
}

func argOr(args []string, otherwise string) string {
	if len(args) > 0 {
		return args[0]
	}
	return otherwise
}
