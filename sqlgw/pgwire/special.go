package pgwire

import (
	"context"
	"strconv"
	"time"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

func (s *session) now() time.Time { return time.Now() }

// special is "SELECT f(n)" for functions that act on sessions: they cannot be the engine's. nil for everything else.
func (s *session) special(w *words) (*command, error) {
	if !w.take("select") {
		return nil, nil
	}
	w.take("pg_catalog", ".")
	if w.end() || w.toks[w.at].Class != catalog.Word {
		return nil, nil
	}
	name := Fold(w.text())
	w.at++
	if !w.take("(") {
		return nil, nil
	}
	arg := ""
	if !w.is(")") {
		arg = w.text()
		w.at++
	}
	if !w.take(")") || !w.end() {
		return nil, nil
	}
	switch name {
	case "pg_sleep":
		seconds, err := strconv.ParseFloat(arg, 64)
		if err != nil || seconds < 0 || seconds > 1e6 {
			return nil, nil
		}
		cols := []sqlgw.Column{{Name: name, Kind: sqlgw.Text, OID: 2278, Mod: -1}}
		return &command{cols: cols, run: func(ctx context.Context, _ *portal) (sqlgw.Rows, string, error) {
			t := time.NewTimer(time.Duration(seconds * float64(time.Second)))
			defer t.Stop()
			select {
			case <-t.C:
				return textRows("SELECT", cols, []string{""}), "SELECT", nil
			case <-ctx.Done():
				return nil, "", ctx.Err()
			}
		}}, nil
	case "pg_cancel_backend":
		pid, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return nil, nil
		}
		cols := []sqlgw.Column{{Name: name, Kind: sqlgw.Bool, OID: oidBool, Mod: -1}}
		return &command{cols: cols, run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
			found := int64(0)
			// Only one's own statements may be stopped, as in PostgreSQL.
			if o := s.srv.other(pid); o != nil && o.user == s.user {
				found = 1
				o.run.stop(byUser)
			}
			rows := &fixedRows{cols, &sqlgw.Chunk{Rows: 1, Vectors: []sqlgw.Vector{{I64: []int64{found}}}}, "SELECT"}
			return rows, "SELECT", nil
		}}, nil
	}
	return nil, nil
}
