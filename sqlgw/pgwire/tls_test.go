package pgwire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// certificate of a test's own server.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}, Users: []User{{"trader", "secret"}}})
	for _, more := range []string{"", "&sslnegotiation=direct"} {
		c, err := pgx.Connect(t.Context(), "postgres://trader:secret@"+addr+"/d?sslmode=require"+more)
		if err != nil {
			t.Errorf("%s: %v", more, err)
			continue
		}
		if _, secure := c.PgConn().Conn().(*tls.Conn); !secure {
			t.Errorf("%s: the connection is not encrypted", more)
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close(t.Context())
	}
	// What was sent in clear behind SSLRequest must not be read as if it had been encrypted.
	p := dial(t, addr)
	p.raw(append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, startupPacket(0x30000, "user", "trader")...))
	b := make([]byte, 64)
	n, _ := p.c.Read(b)
	if n == 0 || b[0] != 'S' {
		t.Fatalf("%q", b[:n])
	}
	rest := bytes.Clone(b[1:n])
	for {
		n, err := p.c.Read(b)
		rest = append(rest, b[:n]...)
		if err != nil {
			break
		}
	}
	if len(rest) == 0 || rest[0] != 'E' {
		t.Errorf("stuffed bytes were answered with %q", rest)
	}
}
