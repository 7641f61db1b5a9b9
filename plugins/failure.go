package plugins

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of calls on an instance.
var (
	ErrDead    = errors.New("plugins: the instance failed before, or is closed")
	ErrNoUnit  = errors.New("plugins: the plugin has no such unit")
	ErrRows    = errors.New("plugins: more rows or bytes than the plugin takes in a call")
	ErrRoom    = errors.New("plugins: the batch has no room for what the plugin may answer")
	ErrStopped = errors.New("plugins: a plugin with on_trap stop_feed failed")
	errFuel    = errors.New("out of fuel: it takes longer than it may")
)

// Failure is a call that went wrong. Nothing of it was taken.
type Failure struct {
	Plugin, Version string
	Call            string // the export
	Trap            bool   // it trapped or ran out of fuel, else its answer was an error or impossible
	Fuel            bool   // it ran out of fuel
	Err             error  // of a trap: with the stack, on lines of their own
	Text            string // what tw_error said
	At              int    // where it trapped: offset in the module, 0: not known (Options.Mark)
}

func (f *Failure) Error() string {
	what := f.Err.Error()
	if f.Text != "" {
		what += ": " + f.Text
	}
	return fmt.Sprintf("plugin %s %s: %s: %s", f.Plugin, f.Version, f.Call, what)
}

func (f *Failure) Unwrap() error { return f.Err }

// Line is the failure without the stack.
func (f *Failure) Line() string {
	line, _, _ := strings.Cut(f.Error(), "\n")
	return line
}

// Dead is an instance of a chain whose call failed. Its columns are still there until OnFailure returns: those that it only reads as they were given, those that it
// writes as it left them.
type Dead struct {
	Instance *Instance
	Unit     int // of the call; of the latest one if it was none on rows
	Rows     int
	Packet   []byte // a parser's
	Err      error
}
