package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tickwire/tickwire/sqlgw"
)

// asker answers statements: a server by its port, or an engine in this process.
type asker interface {
	ask(ctx context.Context, statement string) (sqlgw.Rows, error)
	close() error
}

// remote asks a server by the PostgreSQL protocol.
type remote struct{ conn *pgconn.PgConn }

// dial connects. addr is host:port, or a whole postgres:// URL.
func dial(ctx context.Context, addr string) (*remote, error) {
	url := addr
	if !strings.Contains(addr, "://") {
		url = "postgres://" + addr + "/tickwire?sslmode=prefer&user=tickwire"
	}
	c, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, usageError{fmt.Errorf("--addr %s: %w", addr, err)}
	}
	c.RuntimeParams["application_name"] = "tickwire sql"
	c.ConnectTimeout = 5 * time.Second
	conn, err := pgconn.ConnectConfig(ctx, c)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) { // the driver tells it once for each way of TLS
			err = syscall.ECONNREFUSED
		}
		return nil, fmt.Errorf("no answer from %s: %w (is `tickwire serve` running, and is this its port? --addr names another)", addr, err)
	}
	return &remote{conn}, nil
}

func (r *remote) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return r.conn.Close(ctx)
}

func (r *remote) ask(ctx context.Context, statement string) (sqlgw.Rows, error) {
	result := r.conn.ExecParams(ctx, statement, nil, nil, nil, nil)
	rows := &remoteRows{result: result}
	for _, f := range result.FieldDescriptions() {
		rows.columns = append(rows.columns, columnOf(&f))
	}
	if len(rows.columns) == 0 {
		tag, err := result.Close()
		if err != nil {
			return nil, sqlError(err)
		}
		rows.tag, rows.done = tag.String(), true
	}
	return rows, nil
}

// sqlError makes the server's refusal ours.
func sqlError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return &sqlgw.Error{State: pg.Code, Message: pg.Message, Detail: pg.Detail, Hint: pg.Hint, Position: int(pg.Position)}
	}
	return err
}

// columnOf tells a column's kind by its PostgreSQL type; what is not known is shown as the server writes it.
func columnOf(f *pgconn.FieldDescription) sqlgw.Column {
	c := sqlgw.Column{Name: f.Name, Kind: sqlgw.Text, OID: f.DataTypeOID, Mod: f.TypeModifier}
	switch f.DataTypeOID {
	case 16:
		c.Kind = sqlgw.Bool
	case 17:
		c.Kind = sqlgw.Bytea
	case 20:
		c.Kind = sqlgw.Int8
	case 21:
		c.Kind = sqlgw.Int2
	case 23:
		c.Kind = sqlgw.Int4
	case 700:
		c.Kind = sqlgw.Float4
	case 701:
		c.Kind = sqlgw.Float8
	case 1082:
		c.Kind = sqlgw.Date
	case 1114:
		c.Kind = sqlgw.Timestamp
	case 1184:
		c.Kind = sqlgw.TimestampTZ
	case 1700:
		if f.TypeModifier >= 4 { // precision and scale are known: digits can be counted
			c.Kind, c.Width, c.Scale = sqlgw.Numeric, int8((f.TypeModifier-4)>>16), int8((f.TypeModifier-4)&0x7FF)
			if c.Width > 18 {
				c.Kind = sqlgw.Text
			}
		}
	}
	return c
}

const remoteChunk = 2048

type remoteRows struct {
	result  *pgconn.ResultReader
	columns []sqlgw.Column
	tag     string
	done    bool
}

func (r *remoteRows) Columns() []sqlgw.Column { return r.columns }
func (r *remoteRows) Tag() string             { return strings.TrimRight(r.tag, " 0123456789") }

func (r *remoteRows) Close() error {
	if r.done {
		return nil
	}
	r.done = true
	_, err := r.result.Close()
	return sqlError(err)
}

func (r *remoteRows) Next(context.Context) (*sqlgw.Chunk, error) {
	if r.done {
		return nil, io.EOF
	}
	c := &sqlgw.Chunk{Vectors: make([]sqlgw.Vector, len(r.columns))}
	for c.Rows < remoteChunk && r.result.NextRow() {
		for i, value := range r.result.Values() {
			if err := appendValue(&c.Vectors[i], &r.columns[i], value); err != nil {
				return nil, fmt.Errorf("column %s: %w", r.columns[i].Name, err)
			}
		}
		c.Rows++
	}
	if c.Rows > 0 {
		return c, nil
	}
	r.done = true
	tag, err := r.result.Close()
	r.tag = tag.String()
	if err != nil {
		return nil, sqlError(err)
	}
	return nil, io.EOF
}

// appendValue reads a value as PostgreSQL writes it; nil is NULL.
func appendValue(v *sqlgw.Vector, c *sqlgw.Column, b []byte) (err error) {
	var n int64
	var f float64
	var s string
	if b != nil {
		s = string(b)
		switch c.Kind {
		case sqlgw.Bool:
			if s == "t" {
				n = 1
			}
		case sqlgw.Int2, sqlgw.Int4, sqlgw.Int8:
			n, err = strconv.ParseInt(s, 10, 64)
		case sqlgw.Float4, sqlgw.Float8:
			f, err = strconv.ParseFloat(s, 64)
		case sqlgw.Numeric:
			n, err = parseNumeric(s, int(c.Scale))
		case sqlgw.Bytea:
			var raw []byte
			raw, err = hex.DecodeString(strings.TrimPrefix(s, `\x`))
			s = string(raw)
		case sqlgw.Date:
			n, err = parseTime(time.DateOnly, s)
			n /= 86400e6
		case sqlgw.Timestamp:
			n, err = parseTime("2006-01-02 15:04:05.999999", s)
		case sqlgw.TimestampTZ:
			n, err = parseTime("2006-01-02 15:04:05.999999Z07", s)
		}
	}
	v.Null = append(v.Null, b == nil)
	switch c.Kind {
	case sqlgw.Text, sqlgw.Bytea:
		v.Str = append(v.Str, s)
	case sqlgw.Float4, sqlgw.Float8:
		v.F64 = append(v.F64, f)
	default:
		v.I64 = append(v.I64, n)
	}
	return err
}

func parseTime(layout, s string) (int64, error) {
	t, err := time.Parse(layout, s)
	return t.UnixMicro(), err
}

// parseNumeric reads a decimal with at most scale digits after the point.
func parseNumeric(s string, scale int) (int64, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(fraction) > scale {
		return 0, fmt.Errorf("%q has more than %d digits after the point", s, scale)
	}
	return strconv.ParseInt(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10, 64)
}
