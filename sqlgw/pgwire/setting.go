package pgwire

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// setting reads SET, RESET and SHOW.
func (s *session) setting(first string, w *words) (*command, error) {
	switch first {
	case "show":
		return s.show(w)
	case "reset":
		if w.take("session", "authorization") {
			return tagOnly("RESET"), nil
		}
		name, err := parameterName(w)
		if err != nil {
			return nil, err
		}
		if name == "all" {
			name = ""
		}
		return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
			s.settings.reset(name)
			return nil, "RESET", nil
		}}, w.done()
	}
	if w.take("session", "characteristics", "as", "transaction") || w.take("transaction") || w.take("local", "transaction") ||
		w.take("session", "transaction") {
		return tagOnly("SET"), modes(w)
	}
	if w.take("constraints") {
		return tagOnly("SET CONSTRAINTS"), nil
	}
	local := false
	if !w.take("session") {
		local = w.take("local")
	}
	name, err := parameterName(w)
	if err != nil {
		return nil, err
	}
	switch name {
	case "timezone":
	case "names":
		name = "client_encoding"
	case "authorization":
		return tagOnly("SET"), nil
	default:
		if name != "role" && !w.any("=", "to") {
			return nil, w.syntax()
		}
	}
	_ = w.any("=", "to")
	value, toDefault, err := settingValue(w, name == "timezone")
	if err != nil {
		return nil, err
	}
	return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		if toDefault {
			s.settings.reset(name)
			return nil, "SET", nil
		}
		if local && s.tx == 'I' {
			return nil, "SET", s.notice("25P01", "SET LOCAL can only be used in transaction blocks")
		}
		return nil, "SET", s.settings.set(name, value, local)
	}}, nil
}

// parameterName reads a.b, TIME ZONE and TRANSACTION ISOLATION LEVEL.
func parameterName(w *words) (string, error) {
	switch {
	case w.take("time", "zone"):
		return "timezone", nil
	case w.take("transaction", "isolation", "level"):
		return "transaction_isolation", nil
	case w.take("session", "authorization"):
		return "session_authorization", nil
	}
	name, err := w.name()
	for err == nil && w.take(".") {
		var part string
		part, err = w.name()
		name += "." + part
	}
	return Fold(name), err
}

// settingValue reads one value or several with commas between them.
func settingValue(w *words, zone bool) (value string, toDefault bool, err error) {
	if w.take("default") || zone && w.take("local") {
		return "", true, w.done()
	}
	interval := zone && w.take("interval")
	var parts []string
	for {
		sign := ""
		if w.take("-") {
			sign = "-"
		} else {
			w.take("+")
		}
		if w.end() {
			return "", false, w.syntax()
		}
		text := w.text()
		switch t := w.toks[w.at]; t.Class {
		case catalog.String:
			var ok bool
			if text, ok = catalog.Unquote(text); !ok {
				return "", false, w.syntax()
			}
		case catalog.Quoted:
			text = catalog.Name(text)
		case catalog.Word, catalog.Number:
		default:
			return "", false, w.syntax()
		}
		w.at++
		parts = append(parts, sign+text)
		if !w.take(",") {
			break
		}
	}
	value = strings.Join(parts, ", ")
	if interval {
		w.take("hour", "to", "minute")
		if value, err = intervalHours(value); err != nil {
			return "", false, err
		}
	}
	return value, false, w.done()
}

// intervalHours turns SET TIME ZONE INTERVAL '-08:30' into hours east.
func intervalHours(text string) (string, error) {
	sign, rest := 1.0, strings.TrimSpace(text)
	if strings.HasPrefix(rest, "-") {
		sign = -1
	}
	hours, minutes, _ := strings.Cut(strings.TrimLeft(rest, "+-"), ":")
	h, err1 := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint("0"+minutes, 10, 8)
	if err1 != nil || err2 != nil || h > 15 || m > 59 {
		return "", &sqlgw.Error{State: "22007", Message: fmt.Sprintf("invalid input syntax for type interval: %q", text)}
	}
	return strconv.FormatFloat(sign*(float64(h)+float64(m)/60), 'f', -1, 64), nil
}

// show reads SHOW name and SHOW ALL. The result's column is named as PostgreSQL does, in its own letters.
func (s *session) show(w *words) (*command, error) {
	if w.take("all") {
		return s.showAll(), w.done()
	}
	if w.is("tables") || w.is("databases") {
		return nil, &sqlgw.Error{State: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", w.text()), Hint: `psql lists them with \dt and \l.`}
	}
	name, err := parameterName(w)
	if err != nil {
		return nil, err
	}
	if _, ok := s.settings.get(name); !ok {
		return nil, &sqlgw.Error{State: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name)}
	}
	label := name
	for _, r := range reportedNames {
		if Fold(r) == name {
			label = r
		}
	}
	cols := textColumns(label)
	return &command{cols: cols, run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		value, _ := s.settings.get(name)
		return textRows("SHOW", cols, []string{value}), "SHOW", nil
	}}, w.done()
}

func (s *session) showAll() *command {
	cols := textColumns("name", "setting", "description")
	return &command{cols: cols, run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		all := maps.Clone(s.settings.base)
		maps.Copy(all, s.settings.now)
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			rows = append(rows, []string{name, all[name], ""})
		}
		return textRows("SHOW", cols, rows...), "SHOW", nil
	}}
}

// discard reads DISCARD and DEALLOCATE.
func (s *session) discard(first string, w *words) (*command, error) {
	if first == "discard" {
		switch {
		case w.take("all"):
			return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
				if s.tx != 'I' {
					return nil, "", &sqlgw.Error{State: "25001", Message: "DISCARD ALL cannot run inside a transaction block"}
				}
				s.closeCursors()
				s.deallocate()
				s.settings.reset("")
				return nil, "DISCARD ALL", nil
			}}, w.done()
		case w.any("plans", "sequences", "temp", "temporary"):
			return tagOnly("DISCARD " + strings.ToUpper(w.toks[w.at-1].Text(w.sql))), w.done()
		}
		return nil, w.syntax()
	}
	w.take("prepare")
	if w.take("all") {
		return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
			s.deallocate()
			return nil, "DEALLOCATE ALL", nil
		}}, w.done()
	}
	name, err := w.name()
	if err != nil {
		return nil, err
	}
	return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		if _, err := s.statement(name); err != nil {
			return nil, "", err
		}
		s.closeStatement(name)
		return nil, "DEALLOCATE", nil
	}}, w.done()
}

// deallocate forgets all named statements.
func (s *session) deallocate() {
	for name := range s.statements {
		if name != "" {
			s.closeStatement(name)
		}
	}
}
