package process

import (
	"errors"
	"net/http"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/nic"
)

// commands opens the control socket. A process that cannot have one runs all the same, unless the name belongs to another that
// runs: two of one name would write the same rings.
func (p *Process) commands(c *config.Config) error {
	var err error
	p.control, err = control.Listen(control.Path(c.Instance.RunDir, p.feed.Name), control.Options{Group: c.Instance.Group, Log: p.log})
	var busy *control.BusyError
	switch {
	case errors.As(err, &busy):
		return err
	case err != nil:
		p.control = nil
		p.log.Warn("no control socket: `tickwire capture` and commands do not reach this process", "err", err)
		return nil
	}
	p.captures.Register(p.control)
	p.pluginCommands()
	p.control.Handle("GET /status", func(*http.Request) (any, error) { return p.Status(), nil })
	return nil
}

// LaneStatus says how a lane's packets come.
type LaneStatus struct {
	Lane       string   `json:"lane"`
	Source     string   `json:"source"`          // udp, afxdp or file
	Mode       string   `json:"mode,omitempty"`  // of afxdp: zerocopy, copy or generic
	Idle       string   `json:"idle"`            //
	Stamps     string   `json:"stamps"`          // who stamped the latest packets: hardware, kernel or loop; none before the first
	Interfaces []string `json:"interfaces"`      //
	Notes      []string `json:"notes,omitempty"` // what may hurt
}

// Status of a process.
type Status struct {
	Feed   string       `json:"feed"`
	Clocks []string     `json:"clocks"` // where time comes from: the lanes' own clock, then each NIC's
	Lanes  []LaneStatus `json:"lanes"`
}

// Status says what was chosen, in words; figures are in the counter file. Any goroutine.
func (p *Process) Status() Status {
	s := Status{Feed: p.feed.Name, Clocks: p.runtime.sources()}
	for _, r := range p.lanes {
		l := LaneStatus{Lane: r.name, Source: p.feed.Source, Idle: p.feed.Idle, Stamps: nic.StampSource(r.stamps.Load()).String()}
		if r.listener != nil {
			l.Source, l.Notes = r.listener.kind, r.listener.Warnings()
			l.Interfaces = r.listener.interfaces
			if r.listener.xdp != nil {
				l.Mode = r.listener.xdp.Mode().String()
			}
		}
		s.Lanes = append(s.Lanes, l)
	}
	return s
}
