package ptpinfo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Server is what a running ptp4l says of itself. A part that it does not tell is nil.
type Server struct {
	Socket  string          `json:"socket"`
	Domain  int             `json:"domain"`
	Error   string          `json:"error,omitempty"` // why there is no more
	Default *Default        `json:"default,omitempty"`
	Current *Current        `json:"current,omitempty"`
	Parent  *Parent         `json:"parent,omitempty"`
	Time    *TimeProperties `json:"time_properties,omitempty"`
	Status  *TimeStatus     `json:"time_status,omitempty"`
	Ports   []Port          `json:"ports,omitempty"`
}

// patience is how long an answer may take: ptp4l answers between two packets, and its machine may be busy.
const patience = 3 * time.Second

// maxPorts bounds how many answers are waited for.
const maxPorts = 256

// ErrSilent is in the error of a ptp4l that does not answer.
var ErrSilent = errors.New("ptp4l does not answer")

// Ask asks the ptp4l behind a socket (as /var/run/ptp4l) about a domain. It only gets. An error means that nothing was learned.
func Ask(ctx context.Context, socket string, domain int) (*Server, error) {
	c, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer c.close()
	s := &Server{Socket: socket, Domain: domain}
	var d Default
	if err := c.get(idDefault, domain, 1, func(a answer) error { return d.decode(a.data) }); err != nil {
		return nil, err
	}
	s.Default = &d
	for _, one := range []struct {
		id   uint16
		take func(answer) error
	}{
		{idCurrent, into(&s.Current)},
		{idParent, into(&s.Parent)},
		{idTimeProperties, into(&s.Time)},
		{idTimeStatus, into(&s.Status)},
	} {
		if err := c.get(one.id, domain, 1, one.take); err != nil && !isRefusal(err) {
			return s, err
		}
	}
	ports := min(d.Ports, maxPorts)
	err = c.get(idPort, domain, ports, func(a answer) error {
		var p Port
		if err := p.decode(a.data); err != nil {
			return err
		}
		s.Ports = append(s.Ports, p)
		return nil
	})
	if err != nil && !isRefusal(err) {
		return s, err
	}
	// A socket that may only read does not tell names of interfaces; neither does an old ptp4l: it refuses, or is silent.
	_ = c.get(idPortProperties, domain, ports, func(a answer) error {
		number, stamping, face, err := properties(a.data)
		for i := range s.Ports {
			if err == nil && s.Ports[i].Number == number {
				s.Ports[i].Interface, s.Ports[i].Stamping = face, stamping
			}
		}
		return err
	})
	sort.Slice(s.Ports, func(i, j int) bool { return s.Ports[i].Number < s.Ports[j].Number })
	return s, nil
}

// into takes a data set that is whole.
func into[T any, P interface {
	*T
	decode([]byte) error
}](dst **T) func(answer) error {
	return func(a answer) error {
		var v T
		if err := P(&v).decode(a.data); err != nil {
			return err
		}
		*dst = &v
		return nil
	}
}

func isRefusal(err error) bool {
	var r refusal
	return errors.As(err, &r)
}

type client struct {
	ctx      context.Context
	conn     *net.UnixConn
	own      string // our end: a file, since ptp4l answers to one
	dir      string // that was made for it; empty: none
	sequence int
}

// dial makes our end beside the server's, as pmc does: a ptp4l that systemd gave a /tmp of its own would not find it there.
// Where we may not write, a folder of our own has to do.
func dial(ctx context.Context, socket string) (*client, error) {
	if _, err := os.Stat(socket); err != nil {
		return nil, err
	}
	c := &client{ctx: ctx}
	name := fmt.Sprintf("ticktune-ptp.%d", os.Getpid())
	var err error
	for _, dir := range []string{filepath.Dir(socket), ""} {
		if dir == "" {
			if c.dir, err = os.MkdirTemp("", "ticktune-ptp"); err != nil {
				return nil, err
			}
			dir = c.dir
		}
		c.own = filepath.Join(dir, name)
		// A file of that name is of a process that ended: ours alone bears our number.
		_ = os.Remove(c.own)
		c.conn, err = net.DialUnix("unixgram", &net.UnixAddr{Name: c.own, Net: "unixgram"}, &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err == nil {
			return c, nil
		}
		_ = os.Remove(c.own)
		if errors.Is(err, unix.ECONNREFUSED) {
			c.close()
			return nil, fmt.Errorf("%w: nobody listens on %s", ErrSilent, socket)
		}
		if c.dir != "" {
			break
		}
	}
	c.close()
	return nil, err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	_ = os.Remove(c.own)
	if c.dir != "" {
		_ = os.Remove(c.dir)
	}
}

// get asks one thing, and takes as many answers as there have to be. What others write to our socket is stepped over.
func (c *client) get(id uint16, domain, answers int, take func(answer) error) error {
	c.sequence = (c.sequence + 1) & 0xffff
	deadline := time.Now().Add(patience)
	if at, ok := c.ctx.Deadline(); ok && at.Before(deadline) {
		deadline = at
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(c.ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.conn.Write(request(id, domain, c.sequence, os.Getpid()&0xffff)); err != nil {
		return c.silent(err)
	}
	b := make([]byte, 1500)
	for got := 0; got < answers; {
		n, err := c.conn.Read(b)
		if err != nil {
			return c.silent(err)
		}
		a, err := parse(b[:n])
		if err != nil || a.id != id || a.sequence != c.sequence {
			continue
		}
		if a.refused != nil {
			return a.refused
		}
		if err := take(a); err != nil {
			return err
		}
		got++
	}
	return nil
}

func (c *client) silent(err error) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w (asked %s)", ErrSilent, strings.TrimPrefix(c.conn.RemoteAddr().String(), "@"))
	}
	return err
}
