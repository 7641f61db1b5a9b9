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
	if (x.Start == "") != (x.End == "") || (x.StartDay == "") != (x.EndDay == "") {
		fs.add(key, "start and end go together, and so do start_day and end_day")
	}
	if (x.TLS.Cert == "") != (x.TLS.Key == "") {
		fs.add(key+".tls", "cert and key go together")
	}
}

func (x *ServeFIX) validate(fs *faults, feeds []Feed) {
	const key = "serve.fix"
	if len(x.Clients) == 0 {
		if x.Feed != "" || x.StoreDir != "" || x.TLS != (TLS{}) {
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
	if (x.TLS.Cert == "") != (x.TLS.Key == "") {
		fs.add(key+".tls", "cert and key go together")
	}
	if x.Feed != "" && !slices.ContainsFunc(feeds, func(f Feed) bool { return f.Name == x.Feed }) {
		fs.add(key+".feed", "= %q is no feed of this configuration", x.Feed)
	}
}
