package config

import (
	"slices"
	"time"
)

func (x *FIX) validate(fs *faults, key, source string) {
	if source != "tcp" {
		return
	}
	oneOf(fs, key+".version", x.Version, "4.2", "4.4", "5.0SP2")
	hostPort(fs, key+".address", x.Address)
	if x.Sender == "" || x.Target == "" {
		fs.add(key, "needs sender and target: the CompIDs of both sides")
	}
	if len(x.Symbols) == 0 && !x.List {
		fs.add(key+".symbols", "is empty and list is off: nothing to subscribe to")
	}
	if x.Heartbeat < Duration(time.Second) || x.Heartbeat > Duration(time.Hour) {
		fs.add(key+".heartbeat", "= %s, want 1s to 1h", time.Duration(x.Heartbeat))
	}
	if x.Depth < 0 {
		fs.add(key+".depth", "= %d is negative", x.Depth)
	}
	window(fs, key, x.Start, x.End, x.StartDay, x.EndDay)
	if (x.TLS.Cert == "") != (x.TLS.Key == "") {
		fs.add(key+".tls", "cert and key go together")
	}
}

// window faults a schedule of which a part is missing. What the parts say is package feed/session/fix's to check.
func window(fs *faults, key, start, end, startDay, endDay string) {
	if (start == "") != (end == "") || (startDay == "") != (endDay == "") {
		fs.add(key, "start and end go together, and so do start_day and end_day")
	}
}

func (x *ServeFIX) validate(fs *faults, feeds []Feed) {
	const key = "serve.fix"
	if len(x.Clients) == 0 {
		if x.Feed != "" || x.StoreDir != "" || x.TLS != (TLS{}) || x.Resend || x.Start != "" {
			fs.add(key+".clients", "is empty: nobody could log on, so there is no port; name the CompIDs that may")
		}
		return
	}
	for i, client := range x.Clients {
		if client == "" || slices.Contains(x.Clients[:i], client) {
			fs.add(key+".clients", "has %q empty or twice", client)
		}
	}
	hostPort(fs, key+".address", x.Address)
	window(fs, key, x.Start, x.End, x.StartDay, x.EndDay)
	if x.ResendMessages < 0 || x.ResendBytes < 0 {
		fs.add(key, "resend_messages and resend_bytes are 0 (the default) or more")
	}
	if !x.Resend && (x.ResendMessages != 0 || x.ResendBytes != 0) {
		fs.add(key+".resend", "is off: nothing is kept that resend_messages and resend_bytes could bound")
	}
	if (x.TLS.Cert == "") != (x.TLS.Key == "") {
		fs.add(key+".tls", "cert and key go together")
	}
	if x.Feed != "" && !slices.ContainsFunc(feeds, func(f Feed) bool { return f.Name == x.Feed }) {
		fs.add(key+".feed", "= %q is no feed of this configuration", x.Feed)
	}
}
