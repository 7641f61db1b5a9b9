package pgwire

import (
	"context"

	"github.com/tickwire/tickwire/sqlgw"
)

// transaction reads BEGIN and its kin. A transaction here is a state of the session alone: it holds cursors and
// SET LOCAL, and what an error has ended refuses all but its end. Reads see what is there when they run.
func (s *session) transaction(first string, w *words) (*command, error) {
	switch first {
	case "start":
		if !w.take("transaction") {
			return nil, w.syntax()
		}
		return s.beginCommand("START TRANSACTION", w)
	case "begin":
		_ = w.any("work", "transaction")
		return s.beginCommand("BEGIN", w)
	case "commit", "end":
		return s.endCommand(true, w)
	case "rollback", "abort":
		_ = w.any("work", "transaction")
		if w.take("to") {
			w.take("savepoint")
			if _, err := w.name(); err != nil {
				return nil, err
			}
			return s.savepoint("ROLLBACK", w)
		}
		return s.endCommand(false, w)
	case "savepoint":
		if _, err := w.name(); err != nil {
			return nil, err
		}
		return s.savepoint("SAVEPOINT", w)
	case "release":
		w.take("savepoint")
		if _, err := w.name(); err != nil {
			return nil, err
		}
		return s.savepoint("RELEASE", w)
	}
	if w.is("transaction") {
		return nil, &sqlgw.Error{State: "0A000", Message: "prepared transactions are not supported"}
	}
	return nil, &sqlgw.Error{State: "0A000", Message: "PREPARE is not supported", Hint: "Prepare with the extended protocol, as drivers do."}
}

// modes goes past ISOLATION LEVEL …, READ ONLY, READ WRITE and [NOT] DEFERRABLE, in any number.
func modes(w *words) error {
	for !w.end() {
		switch {
		case w.take("isolation", "level"):
			if !w.take("read", "committed") && !w.take("read", "uncommitted") && !w.take("repeatable", "read") && !w.take("serializable") {
				return w.syntax()
			}
		case w.take("read", "only"), w.take("read", "write"), w.take("deferrable"), w.take("not", "deferrable"), w.take(","):
		default:
			return w.syntax()
		}
	}
	return nil
}

func (s *session) beginCommand(tag string, w *words) (*command, error) {
	if err := modes(w); err != nil {
		return nil, err
	}
	return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		if s.tx != 'I' {
			return nil, tag, s.notice("25001", "there is already a transaction in progress")
		}
		s.tx = 'T'
		s.settings.begin()
		return nil, tag, nil
	}}, nil
}

func (s *session) endCommand(commit bool, w *words) (*command, error) {
	_ = w.any("work", "transaction")
	chain := w.take("and", "chain")
	if !chain {
		w.take("and", "no", "chain")
	}
	if commit && w.is("prepared") {
		return nil, &sqlgw.Error{State: "0A000", Message: "prepared transactions are not supported"}
	}
	if err := w.done(); err != nil {
		return nil, err
	}
	return &command{endsTx: true, run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		tag := "ROLLBACK"
		if commit && s.tx != 'E' {
			tag = "COMMIT"
		}
		if s.tx == 'I' {
			if chain {
				return nil, "", &sqlgw.Error{State: "25P01", Message: "AND CHAIN can only be used in transaction blocks"}
			}
			return nil, tag, s.notice("25P01", "there is no transaction in progress")
		}
		if tag == "COMMIT" {
			s.settings.commit()
		} else {
			s.settings.rollback()
		}
		s.tx = 'I'
		s.endPortals()
		if chain {
			s.tx = 'T'
			s.settings.begin()
		}
		return nil, tag, nil
	}}, nil
}

// endPortals ends what lives as long as a transaction. The portal that runs the COMMIT has nothing to lose by it.
func (s *session) endPortals() {
	for name, p := range s.portals {
		if !p.hold && name != "" && p.plan.cmd == nil {
			p.close()
			delete(s.portals, name)
		}
	}
}

// savepoint is accepted within a transaction. ROLLBACK TO makes one usable again that an error has ended: nothing was
// written that could be undone.
func (s *session) savepoint(tag string, w *words) (*command, error) {
	if err := w.done(); err != nil {
		return nil, err
	}
	return &command{endsTx: tag == "ROLLBACK", run: func(context.Context, *portal) (sqlgw.Rows, string, error) {
		if s.tx == 'I' {
			return nil, "", &sqlgw.Error{State: "25P01", Message: tag + " can only be used in transaction blocks"}
		}
		s.tx = 'T'
		return nil, tag, nil
	}}, nil
}
