package fix

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
)

// TLS of a connection. The zero value is none. Versions below 1.2 are not spoken.
type TLS struct {
	// Use turns it on. So does any of the fields below.
	Use bool
	// CertFile and KeyFile are our certificate and its key, PEM. A server needs them; a client only where the venue asks.
	CertFile, KeyFile string
	// CAFile has the authorities that the other side's certificate is checked against, PEM. A client's default is the system's; with it a server wants
	// certificates of its clients.
	CAFile string
	// ServerName is the name in the venue's certificate. The default is the address's host.
	ServerName string
}

func (t *TLS) on() bool {
	return t.Use || t.CertFile != "" || t.KeyFile != "" || t.CAFile != "" || t.ServerName != ""
}

func (t *TLS) load() (*tls.Config, *x509.CertPool, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("fix: tls: certificate %q, key %q: %w", t.CertFile, t.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if t.CAFile == "" {
		return c, nil, nil
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("fix: tls: authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("fix: tls: %s has no certificate in PEM", t.CAFile)
	}
	return c, pool, nil
}

// client is the configuration of the side that dials, nil: no TLS.
func (t *TLS) client(address string) (*tls.Config, error) {
	if !t.on() {
		return nil, nil
	}
	c, pool, err := t.load()
	if err != nil {
		return nil, err
	}
	c.RootCAs, c.ServerName = pool, t.ServerName
	if c.ServerName == "" {
		if c.ServerName, _, err = net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("fix: tls: address %q: %w", address, err)
		}
	}
	return c, nil
}

// server is the configuration of the side that listens, nil: no TLS.
func (t *TLS) server() (*tls.Config, error) {
	if !t.on() {
		return nil, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, fmt.Errorf("fix: tls: a server needs cert_file and key_file")
	}
	c, pool, err := t.load()
	if err != nil {
		return nil, err
	}
	if pool != nil {
		c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	}
	return c, nil
}
