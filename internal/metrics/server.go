package metrics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	scrapeTime = 20 * time.Second
	inFlight   = 4
)

// Server answers GET /metrics.
type Server struct {
	l    net.Listener
	http *http.Server
}

// Listen opens the port. An address without a host, such as :9464, is loopback's: who wants another says which. With
// TLS nothing else than TLS is spoken.
func Listen(addr string, secure *tls.Config, c prometheus.Collector, log *slog.Logger) (*Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	registry := prometheus.NewRegistry()
	for _, x := range []prometheus.Collector{
		c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(x); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w (another server has the port? `ss -ltnp`; serve.metrics chooses another)", err)
	}
	if secure != nil {
		secure = secure.Clone()
		secure.NextProtos = []string{"h2", "http/1.1"}
		l = tls.NewListener(l, secure)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: inFlight, Timeout: scrapeTime, EnableOpenMetrics: true,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "tickwire: the metrics are at /metrics\n")
	})
	return &Server{l, &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: scrapeTime + 10*time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.l.Addr().String() }

// Close closes the port of a server that does not serve.
func (s *Server) Close() error { return s.l.Close() }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	done := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-served:
			return
		case <-ctx.Done():
		}
		grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if s.http.Shutdown(grace) != nil {
			_ = s.http.Close()
		}
	}()
	err := s.http.Serve(s.l)
	close(served)
	<-done
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("metrics: %w", err)
}
