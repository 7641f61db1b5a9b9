package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// Client commands a process.
type Client struct {
	path string
	http http.Client
}

// NewClient is a client of the process whose socket is at path. Nothing is opened yet.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader,
	}}}
}

// Do sends a command with in as its body (nil: none) and reads the answer into out (nil: not wanted). What the process
// refuses is an *Error with its words.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, MaxBody)).Decode(out); err != nil {
		return fmt.Errorf("control: %s: answer to %s %s: %w", c.path, method, path, err)
	}
	return nil
}

// Attachment is a stream as its client sees it. Close ends it at the other end.
type Attachment struct {
	body   io.ReadCloser
	dec    *json.Decoder
	cancel context.CancelFunc
}

// Attach sends a command that lasts.
func (c *Client) Attach(ctx context.Context, method, path string, in any) (*Attachment, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Attachment{resp.Body, json.NewDecoder(resp.Body), cancel}, nil
}

// Next reads the next value; io.EOF when the other end has ended the stream.
func (a *Attachment) Next(v any) error {
	err := a.dec.Decode(v)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// Close ends the stream.
func (a *Attachment) Close() error {
	a.cancel()
	return a.body.Close()
}

func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://process"+path, body)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{Code: resp.StatusCode}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
	if json.Unmarshal(text, e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("%s %s: %s", method, path, resp.Status)
	}
	return nil, e
}

// explain says what to do about a socket that is not there.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("control: %s is not there: the process does not run, or with another instance.run_dir", c.path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("control: nobody listens at %s: the process that left it is gone", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control: %s is not for this user: become a member of its group (instance.group)", c.path)
	}
	return fmt.Errorf("control: %s: %w", c.path, err)
}
