package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/peterh/liner"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/format"
)

// shell asks for statements until the input ends.
type shell struct {
	asker  asker
	out    io.Writer
	errs   io.Writer
	format string
	timing bool
}

const shellHelp = `  \d            tables and views           \d NAME   columns of one
  \timing       show how long answers take \format table|csv|json
  \q            leave                      \?        this text
Statements end with a semicolon. Control-C stops one that runs.`

// run reads from a terminal, with history, until \q or the end of input.
func (s *shell) run(ctx context.Context) error {
	line := liner.NewLiner()
	defer line.Close()
	line.SetCtrlCAborts(true)
	history := historyPath()
	if f, err := os.Open(history); err == nil {
		_, _ = line.ReadHistory(f)
		_ = f.Close()
	}
	fmt.Fprintln(s.out, `tickwire sql. \? for help, \q to leave.`)
	var statement strings.Builder
	for ctx.Err() == nil {
		prompt := "tickwire=> "
		if statement.Len() > 0 {
			prompt = "tickwire-> "
		}
		text, err := line.Prompt(prompt)
		if errors.Is(err, liner.ErrPromptAborted) {
			statement.Reset()
			continue
		}
		if err != nil { // the end of input, or a terminal that went away
			fmt.Fprintln(s.out)
			break
		}
		if statement.Len() == 0 && strings.HasPrefix(strings.TrimSpace(text), `\`) {
			line.AppendHistory(text)
			if !s.command(ctx, strings.Fields(text)) {
				break
			}
			continue
		}
		statement.WriteString(text)
		statement.WriteByte('\n')
		whole := strings.TrimSpace(statement.String())
		if !strings.HasSuffix(whole, ";") {
			if whole == "" {
				statement.Reset()
			}
			continue
		}
		statement.Reset()
		line.AppendHistory(whole)
		s.answer(ctx, strings.TrimSuffix(whole, ";"))
	}
	if f, err := os.OpenFile(history, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err == nil {
		_, _ = line.WriteHistory(f)
		_ = f.Close()
	}
	return nil
}

// historyPath is where the history lies; nothing is kept where there is no such folder.
func historyPath() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return os.DevNull
	}
	dir = filepath.Join(dir, "tickwire")
	if os.MkdirAll(dir, 0o700) != nil {
		return os.DevNull
	}
	return filepath.Join(dir, "sql-history")
}

// command runs a backslash command; false: leave.
func (s *shell) command(ctx context.Context, words []string) bool {
	switch {
	case words[0] == `\q`:
		return false
	case words[0] == `\timing`:
		s.timing = !s.timing
		fmt.Fprintf(s.out, "timing is %v\n", s.timing)
	case words[0] == `\format` && len(words) == 2 && (words[1] == "table" || words[1] == "csv" || words[1] == "json"):
		s.format = words[1]
	case words[0] == `\d` && len(words) == 1, words[0] == `\dt`:
		s.answer(ctx, `SELECT table_name AS name, lower(table_type) AS kind FROM information_schema.tables
WHERE table_schema = 'public' ORDER BY 1`)
	case words[0] == `\d`:
		name := strings.ReplaceAll(words[1], "'", "''")
		s.answer(ctx, `SELECT column_name AS column, data_type AS type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = '`+name+`' ORDER BY ordinal_position`)
	default:
		fmt.Fprintln(s.out, shellHelp)
	}
	return true
}

// answer prints the answer to a statement, or why there is none.
func (s *shell) answer(ctx context.Context, statement string) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	began := time.Now()
	if _, err := answer(ctx, s.asker, s.out, s.format, statement); err != nil {
		printSQLError(s.errs, statement, err)
	}
	if s.timing {
		fmt.Fprintf(s.out, "%s\n", time.Since(began).Round(10*time.Microsecond))
	}
}

// answer writes the answer to one statement.
func answer(ctx context.Context, a asker, out io.Writer, name, statement string) (int64, error) {
	rows, err := a.ask(ctx, statement)
	if err != nil {
		return 0, err
	}
	if len(rows.Columns()) == 0 && name == "table" {
		_, err := fmt.Fprintln(out, rows.Tag())
		return 0, errors.Join(err, rows.Close())
	}
	n, err := format.Write(ctx, out, name, rows)
	return n, errors.Join(err, rows.Close())
}

// printSQLError shows an error the way psql does: with the line and a mark under the place.
func printSQLError(out io.Writer, statement string, err error) {
	var e *sqlgw.Error
	if !errors.As(err, &e) {
		fmt.Fprintln(out, "tickwire:", err)
		return
	}
	fmt.Fprintf(out, "ERROR %s: %s\n", e.State, e.Message)
	if e.Position > 0 && e.Position <= utf8.RuneCountInString(statement) {
		before := string([]rune(statement)[:e.Position-1])
		number := 1 + strings.Count(before, "\n")
		line := strings.Split(statement, "\n")[number-1]
		column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		head := fmt.Sprintf("LINE %d: ", number)
		fmt.Fprintf(out, "%s%s\n%s^\n", head, line, strings.Repeat(" ", len(head)+column))
	}
	if e.Detail != "" {
		fmt.Fprintln(out, "DETAIL:", e.Detail)
	}
	if e.Hint != "" {
		fmt.Fprintln(out, "HINT:", e.Hint)
	}
}
