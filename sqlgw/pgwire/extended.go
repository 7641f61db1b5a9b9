package pgwire

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// The extended protocol (PostgreSQL 15, section 55.2.3). Nothing is flushed before Sync or Flush asks for it.

func (s *session) parse(m *pgproto3.Parse) error {
	if !utf8.ValidString(m.Query) {
		return &sqlgw.Error{State: "22021", Message: "invalid byte sequence for encoding \"UTF8\""}
	}
	if m.Name != "" {
		if _, taken := s.statements[m.Name]; taken {
			return &sqlgw.Error{State: "42P05", Message: fmt.Sprintf("prepared statement %q already exists", m.Name)}
		}
		if len(s.statements) >= maxStatements {
			return &sqlgw.Error{State: "53400", Message: fmt.Sprintf("%d statements are prepared", maxStatements), Hint: "DEALLOCATE some of them."}
		}
	} else {
		s.closeStatement("")
	}
	pieces := catalog.Split(m.Query)
	if len(pieces) > 1 {
		return &sqlgw.Error{State: "42601", Message: "cannot insert multiple commands into a prepared statement"}
	}
	pl := &plan{refs: 1} // an empty text can be prepared, too
	if len(pieces) == 1 {
		var err error
		pl, err = s.plan(s.begin(), m.Query, pieces[0], slices.Clone(m.ParameterOIDs))
		if err = s.finish(err); err != nil {
			return err
		}
	}
	s.statements[m.Name] = &prepared{pl}
	return s.w.send(&pgproto3.ParseComplete{})
}

func (s *session) statement(name string) (*prepared, error) {
	st, ok := s.statements[name]
	if !ok {
		if name == "" {
			return nil, &sqlgw.Error{State: "26000", Message: "unnamed prepared statement does not exist"}
		}
		return nil, &sqlgw.Error{State: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
	}
	return st, nil
}

func (s *session) bind(m *pgproto3.Bind) error {
	st, err := s.statement(m.PreparedStatement)
	if err != nil {
		return err
	}
	pl := st.plan
	if s.tx == 'E' && (pl.cmd == nil || !pl.cmd.endsTx) {
		return errAborted
	}
	if old := s.portals[m.DestinationPortal]; old != nil {
		if m.DestinationPortal != "" {
			return &sqlgw.Error{State: "42P03", Message: fmt.Sprintf("cursor %q already exists", m.DestinationPortal)}
		}
		s.closePortal("")
	}
	if len(s.portals) >= maxPortals {
		return &sqlgw.Error{State: "53400", Message: fmt.Sprintf("%d portals are open", maxPortals)}
	}
	args, err := parameters(pl.params, m.ParameterFormatCodes, m.Parameters, s.settings.zone)
	if err != nil {
		return err
	}
	if n, cols := len(m.ResultFormatCodes), pl.columns(); n > 1 && n != len(cols) {
		return protocol(fmt.Sprintf("bind message has %d result formats but query has %d columns", n, len(cols)))
	}
	for _, f := range m.ResultFormatCodes {
		if f != 0 && f != 1 {
			return protocol(fmt.Sprintf("unsupported format code: %d", f))
		}
	}
	p := newPortal(s, m.DestinationPortal, pl)
	p.args, p.formats = args, slices.Clone(m.ResultFormatCodes)
	s.portals[m.DestinationPortal] = p
	return s.w.send(&pgproto3.BindComplete{})
}

func (s *session) portal(name string) (*portal, error) {
	p, ok := s.portals[name]
	if !ok {
		return nil, &sqlgw.Error{State: "34000", Message: fmt.Sprintf("portal %q does not exist", name)}
	}
	return p, nil
}

func (s *session) describe(m *pgproto3.Describe) error {
	var cols []sqlgw.Column
	var formats []int16
	switch m.ObjectType {
	case 'S':
		st, err := s.statement(m.Name)
		if err != nil {
			return err
		}
		if err := s.w.send(&pgproto3.ParameterDescription{ParameterOIDs: st.plan.params}); err != nil {
			return err
		}
		cols = st.plan.columns()
	case 'P':
		p, err := s.portal(m.Name)
		if err != nil {
			return err
		}
		cols, formats = p.plan.columns(), p.formats
	default:
		return protocol(fmt.Sprintf("invalid DESCRIBE message subtype %d", m.ObjectType))
	}
	if cols == nil {
		return s.w.send(&pgproto3.NoData{})
	}
	return s.w.send(describeRow(cols, formats))
}

func (s *session) execute(m *pgproto3.Execute) error {
	p, err := s.portal(m.Portal)
	if err != nil {
		return err
	}
	if p.plan.sql == "" {
		return s.w.send(&pgproto3.EmptyQueryResponse{})
	}
	if s.tx == 'E' && (p.plan.cmd == nil || !p.plan.cmd.endsTx) {
		return errAborted
	}
	limit := int(m.MaxRows)
	if limit < 0 || m.MaxRows > 1<<31-1 {
		limit = 0 // a negative number stands for all rows
	}
	return s.finish(s.fetch(s.begin(), p, limit))
}

func (s *session) closeMessage(m *pgproto3.Close) error {
	switch m.ObjectType {
	case 'S':
		s.closeStatement(m.Name)
	case 'P':
		s.closePortal(m.Name)
	default:
		return protocol(fmt.Sprintf("invalid CLOSE message subtype %d", m.ObjectType))
	}
	return s.w.send(&pgproto3.CloseComplete{})
}

// closeStatement forgets a statement. Its portals live on.
func (s *session) closeStatement(name string) {
	if st := s.statements[name]; st != nil {
		delete(s.statements, name)
		st.plan.drop()
	}
}
