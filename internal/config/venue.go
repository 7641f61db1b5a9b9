package config

import (
	"fmt"
	"slices"
)

// services are the kinds that a protocol's recovery listens to.
var services = map[string][]string{
	"xdp":  {ServiceRetransmission, ServiceRefresh},
	"mdp3": {ServiceLevels, ServiceOrders, ServiceDefinitions},
}

// validateVenue checks what only some venues have.
func (f *Feed) validateVenue(fs *faults, key string) {
	r, at := &f.Recovery, key+".recovery"
	switch f.Protocol {
	case "xdp":
		oneOf(fs, key+".product", f.Product, "", "integrated", "bbo", "trades")
		if len(r.Servers) > 0 && (len(r.User) < 1 || len(r.User) > 10) {
			fs.add(at+".user", "= %q: the request servers want a source id of 1 to 10 characters", r.User)
		}
		if len(r.Servers) > 0 && r.ProductID == 0 {
			fs.add(at+".product_id", "is missing: requests name the venue's number of the feed, such as 11 for NYSE Integrated")
		}
	case "fix":
		oneOf(fs, key+".product", f.Product, "", "levels", "prices", "orders")
	case "mdp3":
		oneOf(fs, key+".product", f.Product, "", "both", "mbp", "mbo")
		if r.PasswordFile != "" && r.User == "" {
			fs.add(at+".password_file", "is given without a user")
		}
		f.validateCME(fs, key)
	default:
		if f.Product != "" {
			fs.add(key+".product", "= %q, but protocol %s has only one", f.Product, f.Protocol)
		}
		if r.ProductID != 0 {
			fs.add(at+".product_id", "= %d, but protocol %s has none", r.ProductID, f.Protocol)
		}
	}
	if r.Snapshot != "" && f.Protocol != "itch" {
		fs.add(at+".snapshot", "= %q is a GLIMPSE server, which protocol %s does not have", r.Snapshot, f.Protocol)
	}
	for i := range f.Channel {
		ch := &f.Channel[i]
		for j := range ch.Service {
			s, at := &ch.Service[j], fmt.Sprintf("%s.channel[%d].service[%d]", key, i, j)
			known := services[f.Protocol]
			switch {
			case len(known) == 0:
				fs.add(at, "is there, but protocol %s has no groups for recovery", f.Protocol)
			case !slices.Contains(known, s.Kind):
				oneOf(fs, at+".kind", s.Kind, known...)
			}
			if s.Interface == "" {
				fs.add(at+".interface", "is missing: a group is joined on a named interface, never by a default route")
			}
			if !s.Group.IsValid() || !s.Group.Addr().IsMulticast() || s.Group.Port() == 0 {
				fs.add(at+".group", "= %q is no multicast address with a port", s.Group)
			}
		}
	}
}
