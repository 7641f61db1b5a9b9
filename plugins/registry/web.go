package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// web is a plugin's place on a web server: the layout of a folder, by GET and PUT. A server that knows If-None-Match and If-Match (WebDAV, object stores)
// keeps two who publish at once apart; on one that does not, the later index is read back and mended.
type web struct {
	c    *Client
	http *http.Client
	base string // URL of the plugin's folder
	name string
}

const indexTries = 20 // of adding a version to an index that others write too; between them up to 50 ms times the try

func (c *Client) web(r Ref) (shelf, error) {
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	base := r
	base.Range = ""
	return &web{c, client, base.String(), r.Name}, nil
}

func (w *web) path(version string) string {
	return w.base + "/" + url.PathEscape(version) + "/" + w.name + ".wasm"
}

func (w *web) list(ctx context.Context) ([]Entry, error) {
	x, _, err := w.index(ctx)
	if err != nil {
		return nil, err
	}
	return x.Versions, nil
}

// index with its entity tag, if the server gives one.
func (w *web) index(ctx context.Context) (*index, string, error) {
	text, tag, err := w.get(ctx, w.base+"/"+indexName, mostIndexBytes)
	if err != nil {
		return nil, "", err
	}
	x, err := parseIndex(text, w.name)
	return x, tag, err
}

func (w *web) fetch(ctx context.Context, e Entry) ([]byte, string, error) {
	module, _, err := w.get(ctx, w.path(e.Version), manifest.MostModuleBytes)
	return module, e.SHA256, err
}

func (w *web) needs(_ context.Context, e Entry) ([]manifest.Requirement, error) {
	return e.Requires, nil
}

func (w *web) publish(ctx context.Context, e Entry, module []byte) error {
	switch had, _, err := w.get(ctx, w.path(e.Version), manifest.MostModuleBytes); {
	case err == nil && !bytes.Equal(had, module):
		return ErrOtherBytes
	case errors.Is(err, ErrNotFound):
		err := w.put(ctx, w.path(e.Version), module, "If-None-Match", "*")
		if errors.Is(err, errPrecondition) {
			return ErrOtherBytes // somebody was here in between
		} else if err != nil {
			return err
		}
	case err != nil:
		return err
	}
	for try := 0; ; try++ {
		x, tag, got := w.index(ctx)
		switch {
		case errors.Is(got, ErrNotFound):
			x = &index{Format: indexFormat, Name: w.name}
		case got != nil:
			return got
		}
		if had, ok := x.find(e.Version); ok && had.SHA256 != e.SHA256 {
			return ErrOtherBytes
		}
		if !x.add(e) {
			return nil // it is there: by us, seen on the way back, or by one before us
		}
		if try == indexTries {
			return fmt.Errorf("the module is there, but not in %s after %d tries, for others write it too: publish it again", indexName, indexTries)
		}
		var err error
		switch {
		case got != nil:
			err = w.put(ctx, w.base+"/"+indexName, x.text(), "If-None-Match", "*")
		case tag != "":
			err = w.put(ctx, w.base+"/"+indexName, x.text(), "If-Match", tag)
		default:
			err = w.put(ctx, w.base+"/"+indexName, x.text(), "", "")
		}
		switch {
		case errors.Is(err, errPrecondition):
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(rand.N(time.Duration(try+1) * 50 * time.Millisecond)): // so that the same two do not meet again
			}
		case err != nil:
			return err
		}
	}
}

var errPrecondition = errors.New("it was changed by somebody else")

func (w *web) get(ctx context.Context, address string, most int64) (text []byte, tag string, err error) {
	resp, err := w.do(ctx, http.MethodGet, address, nil, "", "")
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError(resp)
	}
	text, err = readAll(resp.Body, most, address)
	return text, resp.Header.Get("ETag"), err
}

func (w *web) put(ctx context.Context, address string, text []byte, key, value string) error {
	resp, err := w.do(ctx, http.MethodPut, address, text, key, value)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return statusError(resp)
	}
	return nil
}

func (w *web) do(ctx context.Context, method, address string, text []byte, key, value string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent())
	if key != "" {
		req.Header.Set(key, value)
	}
	switch {
	case w.c.User != "":
		req.SetBasicAuth(w.c.User, string(w.c.Secret))
	case w.c.Secret != "":
		req.Header.Set("Authorization", "Bearer "+string(w.c.Secret))
	}
	return w.http.Do(req)
}

// statusError says what an answer means to who asked; the body, which may repeat what was sent, is not shown.
func statusError(resp *http.Response) error {
	what := fmt.Sprintf("%s %s", resp.Request.Method, resp.Request.URL.Redacted())
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%s %w", what, ErrNotFound)
	case http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", what, errPrecondition)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s: %s: the registry wants credentials, or others", what, resp.Status)
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fmt.Errorf("%s: %s: the server takes no files", what, resp.Status)
	}
	return fmt.Errorf("%s: %s", what, resp.Status)
}

func userAgent() string { return "tickwire/" + buildinfo.Version }

// client is for one call of the package.
func (c *Client) client() (*http.Client, error) {
	roots := (*x509.CertPool)(nil)
	if len(c.CA) > 0 {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("registry: the authorities given hold no certificate")
		}
	}
	return &http.Client{
		Transport: guard{&http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			MaxConnsPerHost:       4,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:     true,
			IdleConnTimeout:       5 * time.Second, // the client is of one call: what stays open ends by itself
		}},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= 5:
				return errors.New("more than five redirections")
			case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
				return errors.New("a redirection away from TLS is not followed")
			case req.URL.Host != via[0].URL.Host && req.Header.Get("Authorization") != "":
				return fmt.Errorf("credentials are not taken along to %s", req.URL.Host)
			}
			return nil
		},
	}, nil
}

// guard keeps credentials from the wire where anybody may read them.
type guard struct{ next http.RoundTripper }

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && req.Header.Get("Authorization") != "" && !loopback(req.URL.Hostname()) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("no credentials are sent to %s without TLS", req.URL.Host)
	}
	return g.next.RoundTrip(req)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
