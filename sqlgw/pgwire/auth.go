package pgwire

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/text/secure/precis"

	"github.com/tickwire/tickwire/sqlgw"
)

// User may log in. Password is the secret itself or a verifier as PostgreSQL keeps it in pg_authid:
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, the last three in base64 (RFC 5803).
type User struct {
	Name     string
	Password string
}

const (
	scramName       = "SCRAM-SHA-256"
	scramIterations = 4096 // PostgreSQL's; each log-in costs the client that many HMACs
)

// verifier is what the server must know of a password (RFC 5802, section 3).
type verifier struct {
	iterations int
	salt       []byte
	storedKey  []byte
	serverKey  []byte
}

func verifiers(users []User) (map[string]*verifier, error) {
	out := make(map[string]*verifier, len(users))
	for _, u := range users {
		if u.Name == "" || u.Password == "" {
			return nil, errors.New("pgwire: a user needs a name and a password")
		}
		v, err := parseVerifier(u.Password)
		if err != nil {
			return nil, fmt.Errorf("pgwire: user %q: %w", u.Name, err)
		}
		if v == nil {
			salt := make([]byte, 16)
			rand.Read(salt)
			v = derive(u.Password, salt, scramIterations)
		}
		out[u.Name] = v
	}
	return out, nil
}

// parseVerifier gives nil for a text that is a plain secret.
func parseVerifier(text string) (*verifier, error) {
	rest, ok := strings.CutPrefix(text, scramName+"$")
	if !ok {
		return nil, nil
	}
	head, keys, ok1 := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	n, err := strconv.Atoi(iterations)
	if !ok1 || !ok2 || !ok3 || err != nil || n < 1 {
		return nil, errors.New("the SCRAM verifier is not SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")
	}
	v := &verifier{iterations: n}
	for _, f := range []struct {
		to   *[]byte
		text string
		size int
	}{{&v.salt, salt, 0}, {&v.storedKey, stored, sha256.Size}, {&v.serverKey, server, sha256.Size}} {
		if *f.to, err = base64.StdEncoding.DecodeString(f.text); err != nil || f.size > 0 && len(*f.to) != f.size {
			return nil, errors.New("the SCRAM verifier holds a field that is not base64 of the right length")
		}
	}
	return v, nil
}

// derive computes the verifier of a secret. Texts that SASLprep refuses are used as they are, as PostgreSQL does.
func derive(secret string, salt []byte, iterations int) *verifier {
	if p, err := precis.OpaqueString.String(secret); err == nil {
		secret = p
	}
	salted, err := pbkdf2.Key(sha256.New, secret, salt, iterations, sha256.Size)
	if err != nil {
		panic(err) // the arguments are constants but for the secret, which has no bad value
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return &verifier{iterations, salt, stored[:], mac(salted, "Server Key")}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// authenticate ends with nil when the client may go on.
func (s *session) authenticate() error {
	if len(s.srv.users) > 0 {
		return s.scram()
	}
	if s.srv.Options.Open || loopback(s.raw.RemoteAddr()) {
		return nil
	}
	return &sqlgw.Error{State: "28000", Message: "this server has no users and answers loopback clients only",
		Hint: "Configure users, or let everybody in explicitly."}
}

func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return a != nil && a.Network() == "pipe"
}

// scram is RFC 5802 and RFC 7677 from the server's side, without channel binding. An unknown user goes through the same
// motions, with a salt that stays the same from one attempt to the next, and fails with the same words.
func (s *session) scram() error {
	denied := &sqlgw.Error{State: "28P01", Message: fmt.Sprintf("password authentication failed for user %q", s.user)}
	v, known := s.srv.users[s.user]
	if !known {
		seed := mac(s.srv.decoy, s.user)
		v = &verifier{scramIterations, seed[:16], seed, seed}
	}
	if err := s.w.send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{scramName}}); err != nil {
		return err
	}
	body, err := s.password()
	if err != nil {
		return err
	}
	var first pgproto3.SASLInitialResponse
	if err := first.Decode(body); err != nil {
		return protocol("malformed SASLInitialResponse message")
	}
	if first.AuthMechanism != scramName {
		return protocol("client selected an invalid SASL authentication mechanism")
	}
	gs2, bare, clientNonce, err := clientFirst(string(first.Data))
	if err != nil {
		return err
	}
	raw := make([]byte, 18)
	rand.Read(raw)
	nonce := clientNonce + base64.StdEncoding.EncodeToString(raw)
	serverFirst := "r=" + nonce + ",s=" + base64.StdEncoding.EncodeToString(v.salt) + ",i=" + strconv.Itoa(v.iterations)
	if err := s.w.send(&pgproto3.AuthenticationSASLContinue{Data: []byte(serverFirst)}); err != nil {
		return err
	}
	body, err = s.password()
	if err != nil {
		return err
	}
	final := string(body)
	cut := strings.LastIndex(final, ",p=")
	if cut < 0 {
		return protocol("malformed SCRAM message: there is no proof")
	}
	proof, err := base64.StdEncoding.DecodeString(final[cut+3:])
	if err != nil || len(proof) != sha256.Size {
		return protocol("malformed SCRAM message: the proof is not base64 of 32 bytes")
	}
	want := "c=" + base64.StdEncoding.EncodeToString([]byte(gs2)) + ",r=" + nonce
	if got := final[:cut]; got != want && !strings.HasPrefix(got, want+",") {
		return protocol("malformed SCRAM message: channel binding or nonce is not the one agreed on")
	}
	message := bare + "," + serverFirst + "," + final[:cut]
	clientKey := mac(v.storedKey, message)
	subtle.XORBytes(clientKey, clientKey, proof)
	sum := sha256.Sum256(clientKey)
	if subtle.ConstantTimeCompare(sum[:], v.storedKey) != 1 || !known {
		return denied
	}
	signature := "v=" + base64.StdEncoding.EncodeToString(mac(v.serverKey, message))
	return s.w.send(&pgproto3.AuthenticationSASLFinal{Data: []byte(signature)})
}

// clientFirst reads "n,,n=user,r=nonce" (RFC 5802, section 7). The name in it is not looked at: clients put nothing,
// a star or the real one there, and the StartupMessage has said it.
func clientFirst(text string) (gs2, bare, nonce string, err error) {
	flag, rest, ok1 := strings.Cut(text, ",")
	authzid, bare, ok2 := strings.Cut(rest, ",")
	if !ok1 || !ok2 || flag != "n" && flag != "y" {
		return "", "", "", protocol("malformed SCRAM message: the header is neither n nor y, and binding was not offered")
	}
	if authzid != "" {
		return "", "", "", &sqlgw.Error{State: "0A000", Message: "client uses authorization identity, but it is not supported"}
	}
	_, after, ok := strings.Cut(bare, ",r=")
	if !ok || !strings.HasPrefix(bare, "n=") {
		return "", "", "", protocol("malformed SCRAM message: there is no nonce")
	}
	nonce, _, _ = strings.Cut(after, ",")
	for i := 0; i < len(nonce); i++ {
		if nonce[i] < 0x21 || nonce[i] > 0x7e {
			return "", "", "", protocol("malformed SCRAM message: the nonce is not printable")
		}
	}
	if nonce == "" {
		return "", "", "", protocol("malformed SCRAM message: the nonce is empty")
	}
	return flag + "," + authzid + ",", bare, nonce, nil
}

// password reads the next answer of the client's authentication.
func (s *session) password() ([]byte, error) {
	if err := s.w.flush(); err != nil {
		return nil, err
	}
	s.begun = true
	kind, body, err := s.w.read()
	if err != nil {
		return nil, err
	}
	if kind != 'p' {
		return nil, protocol(fmt.Sprintf("expected a SASL response, got message type %q", kind))
	}
	return body, nil
}
