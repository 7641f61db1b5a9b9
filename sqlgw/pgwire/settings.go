package pgwire

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones on machines without the database

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// Fold is PostgreSQL's lower case of a name.
func Fold(s string) string { return catalog.Fold(s) }

// reportedNames are the parameters clients are told of at the start and whenever they change (PostgreSQL 15,
// section 55.2.7). JDBC reads timestamps wrongly without integer_datetimes, and others refuse to go on.
var reportedNames = []string{
	"server_version", "server_encoding", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes",
	"standard_conforming_strings", "IntervalStyle", "is_superuser", "session_authorization", "application_name",
	"default_transaction_read_only", "in_hot_standby",
}

// defaults of parameters. What is not here is accepted by SET and shown when it was set.
var defaults = map[string]string{
	"server_encoding": "UTF8", "client_encoding": "UTF8", "datestyle": "ISO, MDY", "timezone": "UTC",
	"integer_datetimes": "on", "standard_conforming_strings": "on", "intervalstyle": "postgres", "is_superuser": "off",
	"application_name": "", "default_transaction_read_only": "on", "in_hot_standby": "off",
	"search_path": `"$user", public`, "statement_timeout": "0", "lock_timeout": "0",
	"idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0", "extra_float_digits": "1",
	"bytea_output": "hex", "client_min_messages": "notice", "default_transaction_isolation": "read committed",
	"transaction_isolation": "read committed", "transaction_read_only": "on", "default_transaction_deferrable": "off",
	"transaction_deferrable": "off", "max_identifier_length": "63", "max_index_keys": "32", "max_function_args": "100",
	"block_size": "8192", "server_version_num": "150004", "role": "none", "row_security": "on", "escape_string_warning": "on",
	"backslash_quote": "safe_encoding", "bytea_escape": "off", "lc_collate": "C", "lc_ctype": "C", "lc_messages": "C",
	"lc_monetary": "C", "lc_numeric": "C", "lc_time": "C", "xmloption": "content", "xmlbinary": "base64", "jit": "off",
	"check_function_bodies": "on", "default_text_search_config": "pg_catalog.simple", "default_tablespace": "",
	"default_table_access_method": "heap", "synchronize_seqscans": "on", "max_connections": "100",
	"session_replication_role": "origin", "password_encryption": "scram-sha-256", "ssl": "off", "port": "5433",
	"log_statement": "none", "work_mem": "4MB", "quote_all_identifiers": "off", "array_nulls": "on",
	"standard_compliant": "on", "enable_seqscan": "on", "geqo": "on",
}

// Parameters are what sessions of a server with these options begin with: the rows of pg_settings.
func Parameters(o Options) map[string]string {
	o.MaxConnections = or(o.MaxConnections, defaultConnections)
	return newSettings(&o).base
}

// fixed parameters are facts: SET of them is refused.
var fixed = []string{
	"server_version", "server_encoding", "integer_datetimes", "is_superuser", "in_hot_standby", "max_identifier_length",
	"max_index_keys", "max_function_args", "block_size", "server_version_num", "lc_collate", "lc_ctype", "max_connections",
	"ssl", "port",
}

const maxSettings = 256 // names a session may have set; each value at most 8 KiB

// settings of a session.
type settings struct {
	base    map[string]string // what RESET goes back to
	now     map[string]string // what differs from base
	before  map[string]string // now, as it was at BEGIN
	local   map[string]string // what SET LOCAL covers: the values to go back to at COMMIT; "\x00" for none
	changed map[string]bool   // reported ones that the client has not been told of
	zone    *time.Location
	limit   time.Duration // statement_timeout
}

func newSettings(o *Options) *settings {
	base := maps.Clone(defaults)
	delete(base, "standard_compliant")
	delete(base, "bytea_escape")
	base["server_version"] = "15.4"
	if o.Version != "" {
		base["server_version"] = "15.4 (tickwire " + o.Version + ")"
	}
	base["max_connections"] = strconv.Itoa(o.MaxConnections)
	base["ssl"] = map[bool]string{true: "on", false: "off"}[o.TLS != nil]
	base["statement_timeout"] = showMillis(o.StatementTimeout)
	for k, v := range o.Settings {
		base[Fold(k)] = v
	}
	s := &settings{base: base, now: map[string]string{}, changed: map[string]bool{}}
	s.effects()
	return s
}

func (s *settings) get(name string) (string, bool) {
	if v, ok := s.now[name]; ok {
		return v, true
	}
	v, ok := s.base[name]
	return v, ok
}

// startup takes a value of the start-up packet: it becomes what RESET goes back to.
func (s *settings) startup(name, value string) error {
	name = Fold(name)
	if slices.Contains(fixed, name) {
		return &sqlgw.Error{State: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", name)}
	}
	value, err := canonical(name, value)
	if err != nil {
		return err
	}
	if len(s.base) >= len(defaults)+maxSettings {
		return &sqlgw.Error{State: "53400", Message: "too many parameters"}
	}
	s.base[name] = value
	s.effects()
	return nil
}

// put changes a value without asking whether a client may.
func (s *settings) put(name, value string) {
	s.base[name] = value
	s.note(name)
}

// set is SET; local ones are undone at the end of the transaction.
func (s *settings) set(name, value string, local bool) error {
	name = Fold(name)
	if slices.Contains(fixed, name) {
		return &sqlgw.Error{State: "55P02", Message: fmt.Sprintf("parameter %q cannot be changed", name)}
	}
	value, err := canonical(name, value)
	if err != nil {
		return err
	}
	if _, known := s.get(name); !known && len(s.now) >= maxSettings || len(value) > 8<<10 || len(name) > 128 {
		return &sqlgw.Error{State: "53400", Message: "too many parameters, or one that is too long"}
	}
	old, had := s.now[name]
	if local {
		if s.local == nil {
			return nil // outside a transaction SET LOCAL has no effect
		}
		if _, covered := s.local[name]; !covered {
			if !had {
				old = "\x00"
			}
			s.local[name] = old
		}
	} else {
		delete(s.local, name)
	}
	s.now[name] = value
	s.note(name)
	return nil
}

// reset is RESET of one parameter, or of all for an empty name.
func (s *settings) reset(name string) {
	name = Fold(name)
	for k := range s.now {
		if name == "" || k == name {
			delete(s.now, k)
			s.note(k)
		}
	}
}

// begin, commit and rollback follow the transaction: what a transaction set is gone when it is rolled back.
func (s *settings) begin() { s.before, s.local = maps.Clone(s.now), map[string]string{} }

func (s *settings) commit() {
	for k, v := range s.local {
		if v == "\x00" {
			delete(s.now, k)
		} else {
			s.now[k] = v
		}
		s.note(k)
	}
	s.before, s.local = nil, nil
}

func (s *settings) rollback() {
	if s.before == nil {
		return
	}
	old := s.now
	s.now = s.before
	s.before, s.local = nil, nil
	for k, v := range old {
		if s.now[k] != v {
			s.note(k)
		}
	}
	for k := range s.now {
		if _, ok := old[k]; !ok {
			s.note(k)
		}
	}
}

func (s *settings) note(name string) {
	for _, r := range reportedNames {
		if Fold(r) == name {
			s.changed[r] = true
		}
	}
	s.effects()
}

// reported gives the names that changed since it was last asked, in their order.
func (s *settings) reported() []string {
	if len(s.changed) == 0 {
		return nil
	}
	out := slices.Sorted(maps.Keys(s.changed))
	clear(s.changed)
	return out
}

// effects computes what statements need of the settings.
func (s *settings) effects() {
	zone, _ := s.get("timezone")
	s.zone = time.UTC
	if l, err := location(zone); err == nil {
		s.zone = l
	}
	limit, _ := s.get("statement_timeout")
	s.limit, _ = millis(limit)
}

// canonical checks the parameters that have an effect, and writes them as PostgreSQL shows them.
func canonical(name, value string) (string, error) {
	bad := func() (string, error) {
		return "", &sqlgw.Error{State: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", name, value)}
	}
	if strings.IndexByte(value, 0) >= 0 {
		return bad()
	}
	switch name {
	case "client_encoding":
		switch strings.Map(letters, Fold(value)) {
		case "utf8", "unicode", "sqlascii":
			return "UTF8", nil
		}
		return "", &sqlgw.Error{State: "0A000", Message: fmt.Sprintf("conversion between %s and UTF8 is not supported", value)}
	case "datestyle":
		return dateStyle(value)
	case "intervalstyle":
		if Fold(value) != "postgres" {
			return "", &sqlgw.Error{State: "0A000", Message: "IntervalStyle is postgres and nothing else here"}
		}
		return "postgres", nil
	case "bytea_output":
		if Fold(value) != "hex" {
			return "", &sqlgw.Error{State: "0A000", Message: "bytea_output is hex and nothing else here"}
		}
		return "hex", nil
	case "standard_conforming_strings":
		switch Fold(value) {
		case "on", "true", "yes", "1":
			return "on", nil
		}
		return "", &sqlgw.Error{State: "0A000", Message: "standard_conforming_strings is on and nothing else here"}
	case "timezone":
		l, err := location(value)
		if err != nil {
			return bad()
		}
		return l.String(), nil
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout":
		d, err := millis(value)
		if err != nil {
			return bad()
		}
		return showMillis(d), nil
	case "default_transaction_read_only", "transaction_read_only":
		switch Fold(value) {
		case "on", "true", "yes", "1":
			return "on", nil
		case "off", "false", "no", "0":
			return "off", nil
		}
		return bad()
	}
	return value, nil
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// dateStyle takes ISO in any order of days and months: others are refused, since values go out as ISO.
func dateStyle(value string) (string, error) {
	order := "MDY"
	for part := range strings.SplitSeq(value, ",") {
		switch Fold(strings.TrimSpace(part)) {
		case "iso", "":
		case "mdy", "us", "noneuro", "noneuropean":
			order = "MDY"
		case "dmy", "euro", "european":
			order = "DMY"
		case "ymd":
			order = "YMD"
		default:
			return "", &sqlgw.Error{State: "0A000", Message: "DateStyle is ISO and nothing else here"}
		}
	}
	return "ISO, " + order, nil
}

// location understands names of the time zone database and hours east of Greenwich, as "2" or "-3.5". "+02:00" as a text
// is refused unless it is zero: PostgreSQL reads it with POSIX's sign, and hardly anybody means that.
func location(value string) (*time.Location, error) {
	v := strings.TrimSpace(value)
	switch Fold(v) {
	case "utc", "gmt", "z", "zulu", "etc/utc", "default", "+00:00", "-00:00", "+00", "-00":
		return time.UTC, nil
	case "", "local", "localtime":
		return nil, fmt.Errorf("no time zone %q", value)
	}
	if hours, err := strconv.ParseFloat(v, 64); err == nil {
		if !(hours > -16 && hours < 16) {
			return nil, fmt.Errorf("no time zone %q", value)
		}
		if hours == 0 {
			return time.UTC, nil
		}
		return time.FixedZone(strconv.FormatFloat(hours, 'f', -1, 64), int(math.Round(hours*3600))), nil
	}
	return time.LoadLocation(v)
}

// millis reads a time of PostgreSQL: a number of milliseconds, or one with a unit.
func millis(value string) (time.Duration, error) {
	v := strings.TrimSpace(value)
	i := 0
	for i < len(v) && (v[i] >= '0' && v[i] <= '9' || v[i] == '.') {
		i++
	}
	n, err := strconv.ParseFloat(v[:i], 64)
	if err != nil {
		return 0, fmt.Errorf("no time: %q", value)
	}
	unit, ok := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
		"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[strings.TrimSpace(v[i:])]
	if !ok || n*float64(unit) > float64(1<<31-1)*float64(time.Millisecond) {
		return 0, fmt.Errorf("no time: %q", value)
	}
	return time.Duration(n * float64(unit)), nil
}

// showMillis writes a time in the largest unit that divides it, as PostgreSQL's SHOW does.
func showMillis(d time.Duration) string {
	ms := d.Milliseconds()
	if d > 0 && ms == 0 {
		ms = 1
	}
	for _, u := range []struct {
		name string
		ms   int64
	}{{"d", 86400_000}, {"h", 3600_000}, {"min", 60_000}, {"s", 1000}} {
		if ms != 0 && ms%u.ms == 0 {
			return strconv.FormatInt(ms/u.ms, 10) + u.name
		}
	}
	if ms == 0 {
		return "0"
	}
	return strconv.FormatInt(ms, 10) + "ms"
}
