package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/internal/buildinfo"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "what this binary is", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
				DuckDB   bool   `json:"duckdb"`
			}{buildinfo.Version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, haveDuckDB}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			with := "with DuckDB"
			if !haveDuckDB {
				with = "without DuckDB: serve, sql --from and bench sql need a binary built with cgo; run and demo go without the SQL port"
			}
			name := strings.TrimSpace(v.Version + " " + v.Revision)
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "tickwire %s (%s, %s, %s)\n", name, v.Go, v.Platform, with)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func revision() string {
	if buildinfo.Revision != "" {
		return buildinfo.Revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
