package process

import (
	"log/slog"
	"net/http"
	"path/filepath"

	"github.com/tickwire/tickwire/feed/lifecycle"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/ringbuf"
)

// openPlugins compiles the plugins of a feed. One without any can be given some while it runs.
func openPlugins(c *config.Config, f *config.Feed, helper []string, stats *ringbuf.StatsWriter, log *slog.Logger) (*lifecycle.Set, error) {
	return lifecycle.Open(lifecycle.Options{
		Config: &c.Plugins, Plugins: f.Plugin, Protocol: f.Protocol, Publisher: f.Publisher, Helper: helper,
		Path: ringbuf.SidePath(c.Instance.RingDir, c.Instance.Name, f.Name, "", ringbuf.ExtPlugins), Side: ringbuf.SideOptions{Group: c.Instance.Group},
		Replay: f.Source == "file",
		Stats:  stats, Log: log,
	})
}

// pluginCommands are GET /plugins, and POST /plugins/load, reload, unload and rollback with a lifecycle.Request.
func (p *Process) pluginCommands() {
	p.control.Handle("GET /plugins", func(*http.Request) (any, error) { return p.plugins.Status(), nil })
	change := func(name string, fn func(*http.Request, lifecycle.Request) (lifecycle.Answer, error)) {
		p.control.Handle("POST /plugins/"+name, func(r *http.Request) (any, error) {
			var in lifecycle.Request
			if err := control.Decode(r, &in); err != nil {
				return nil, err
			}
			if in.Path != "" && !filepath.IsAbs(in.Path) {
				return nil, control.Errorf(http.StatusBadRequest, "plugins: %q is no absolute path", in.Path)
			}
			a, err := fn(r, in)
			if err != nil {
				return nil, control.Errorf(http.StatusConflict, "%v", err)
			}
			return a, nil
		})
	}
	change("load", func(r *http.Request, in lifecycle.Request) (lifecycle.Answer, error) {
		return p.plugins.Load(r.Context(), in)
	})
	change("reload", func(r *http.Request, in lifecycle.Request) (lifecycle.Answer, error) {
		return p.plugins.Reload(r.Context(), in)
	})
	change("unload", func(r *http.Request, in lifecycle.Request) (lifecycle.Answer, error) {
		return p.plugins.Unload(r.Context(), in.Name)
	})
	change("rollback", func(r *http.Request, in lifecycle.Request) (lifecycle.Answer, error) {
		return p.plugins.Rollback(r.Context(), in.Name)
	})
}
