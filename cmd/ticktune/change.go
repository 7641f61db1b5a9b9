package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
	"github.com/tickwire/tickwire/tuning/isolate"
	"github.com/tickwire/tickwire/tuning/nicinfo"
)

// rootFlag lets a verb look at a tree that stands for a machine.
type rootFlag struct{ root string }

func (r *rootFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.root, "root", "/", "look at a `folder` that stands for a machine")
	cmd.Flags().Lookup("root").Hidden = true
}

func (r *rootFlag) host() (*tuning.Host, error) { return (&planFlags{root: r.root}).host() }

// nic is the host and an interface of it.
func (r *rootFlag) nic(name string) (*tuning.Host, *nicinfo.Info, error) {
	h, err := r.host()
	if err != nil {
		return nil, nil, err
	}
	in, err := nicinfo.Look(h, name)
	if err != nil {
		return nil, nil, lookError(err)
	}
	return h, in, nil
}

// changeFlags are how every verb that changes something is told how.
type changeFlags struct {
	apply.Options
	asJSON bool
}

func (c *changeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&c.DryRun, "dry-run", false, "tell what would be done, and do nothing")
	f.BoolVar(&c.asJSON, "json", false, "one JSON document")
	addState(cmd, &c.Options)
}

// addNIC is for verbs that touch an interface.
func (c *changeFlags) addNIC(cmd *cobra.Command) {
	c.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&c.AllowMgmt, "allow-mgmt", false, "change the interface of your own session or of the default route, too")
	f.BoolVar(&c.AllowMgmt, "force", false, "as --allow-mgmt")
	f.DurationVar(&c.Confirm, "confirm-within", 30*time.Second, "undo it after this `time` unless: ticktune confirm; 0: it stays")
}

// changed is what a verb that changes something tells as JSON.
type changed struct {
	Schema string `json:"schema"`
	*apply.Outcome
	Notes []string `json:"notes"`
	Undo  []string `json:"undo"` // commands that take it back
	// Placement is of isolate.
	Placement *isolate.Placement `json:"placement,omitempty"`
}

const changedSchema = "ticktune.change/1"

// carryOut makes changes by package apply, and tells what came of it.
func (c *changeFlags) carryOut(cmd *cobra.Command, h *tuning.Host, changes []tuning.Change, notes []string) error {
	out, err := c.apply(cmd, h, changes)
	if out != nil {
		if err := c.tell(cmd.OutOrStdout(), out, notes, nil); err != nil {
			return err
		}
	}
	return changeError(out, err)
}

// apply runs changes. What a person asked for by name needs no further leave for its risk. The verb stands in the journal where
// changes of check have their check.
func (c *changeFlags) apply(cmd *cobra.Command, h *tuning.Host, changes []tuning.Change) (*apply.Outcome, error) {
	_, verb, _ := strings.Cut(cmd.CommandPath(), " ")
	for i := range changes {
		changes[i].Check = verb
	}
	o := c.Options
	o.MaxRisk, o.Guard = tuning.R3, apply.SelfGuard
	if o.Confirm <= 0 {
		o.Confirm = -1 // none
	}
	if !o.DryRun {
		signal.Ignore(syscall.SIGHUP) // as with apply: a terminal that the change cuts off must not end the run halfway
	}
	return apply.Run(cmd.Context(), h, changes, o)
}

func (c *changeFlags) tell(w io.Writer, out *apply.Outcome, notes []string, p *isolate.Placement) error {
	doc := changed{Schema: changedSchema, Outcome: out, Notes: notes, Undo: []string{}, Placement: p}
	if notes == nil {
		doc.Notes = []string{}
	}
	var ids []string
	for i := range out.Steps {
		if s := &out.Steps[i]; s.State == apply.Done {
			ids = append(ids, strconv.Itoa(s.ID))
		}
	}
	if len(ids) > 0 {
		doc.Undo = append(doc.Undo, "ticktune revert "+strings.Join(ids, " "))
	}
	if c.asJSON {
		return writeJSON(w, doc)
	}
	if err := out.Text(w); err != nil {
		return err
	}
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, "note:", tuning.Printable(n)); err != nil {
			return err
		}
	}
	for _, u := range doc.Undo {
		if _, err := fmt.Fprintln(w, "taken back by:", u); err != nil {
			return err
		}
	}
	return nil
}

// changeError is the exit of a run: 1 where not all was done.
func changeError(out *apply.Outcome, err error) error {
	if err == nil && out.Count(apply.Refused, apply.Held, apply.Failed) > 0 {
		return exitError{code: tuning.ExitFail}
	}
	return failed(err)
}

// writeJSON writes one document as people may read it, too.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// lookError is the exit of a look that failed: 77 where it is for want of rights, 69 else.
func lookError(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EPERM) {
		return exitError{tuning.ExitPrivilege, err}
	}
	return exitError{tuning.ExitPlatform, err}
}

// writeLine writes one document on one line.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
