//go:build !cgo

package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

const haveDuckDB = false

var errNoDuckDB = errors.New("this binary was built without cgo and has no DuckDB: build it with CGO_ENABLED=1 and a C compiler")

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "the SQL port (not in this binary: built without cgo)",
		RunE: func(*cobra.Command, []string) error { return errNoDuckDB }, FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
}

func benchSQL() *cobra.Command {
	return &cobra.Command{
		Use: "sql", Short: "rows a second from a capture to SQL (not in this binary: built without cgo)",
		RunE: func(*cobra.Command, []string) error { return errNoDuckDB }, FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
	}
}

func (o *sqlOptions) capture(context.Context, io.Writer) (asker, error) { return nil, errNoDuckDB }
