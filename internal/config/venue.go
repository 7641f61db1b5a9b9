package config

import (
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// services are the kinds that a protocol's recovery listens to.
var services = map[string][]string{
	"xdp":  {ServiceRetransmission, ServiceRefresh},
	"mdp3": {ServiceLevels, ServiceOrders, ServiceDefinitions},
}

// nyseDefaults tells the market and the product, and whose records those of its feed are. A feed whose publisher is named, and is none of the markets', may be
// of any, as generated ones are.
func (f *Feed) nyseDefaults() {
	if m := xdp.MarketOfProduct(f.Recovery.ProductID); m != nil {
		orString(&f.Market, m.Name)
		orString(&f.Product, xdp.ProductOf(f.Recovery.ProductID).String())
	}
	if f.Market == "" {
		f.Market = marketOfPublisher(f.Publisher)
	}
	m, err := xdp.ParseMarket(f.Market)
	if err != nil {
		return // Validate tells
	}
	product, _ := xdp.ParseProduct(f.Product)
	publisher, dataset := m.Records(product)
	if f.Publisher == 0 {
		f.Publisher = publisher
	}
	orString(&f.Dataset, dataset)
}

// marketOfPublisher is the NYSE market whose records have a publisher; 0, none, is the default one. Empty: no market's.
func marketOfPublisher(publisher uint16) string {
	for i := range xdp.Markets {
		m := &xdp.Markets[i]
		for _, p := range []xdp.Product{xdp.Integrated, xdp.BBO, xdp.Trades} {
			if id, _ := m.Records(p); publisher == 0 || publisher == id {
				return m.Name
			}
		}
	}
	return ""
}

// MarketID is the number of an NYSE feed's market, which its mappings ought to name; 0: any.
func (f *Feed) MarketID() uint16 {
	if f.Protocol != "xdp" || f.Market == "" {
		return 0
	}
	m, err := xdp.ParseMarket(f.Market)
	if err != nil {
		return 0
	}
	return m.ID
}

// validateVenue checks what only some venues have.
func (f *Feed) validateVenue(fs *faults, key string) {
	r, at := &f.Recovery, key+".recovery"
	if f.Prices != "" && f.Prices != "conventional" && f.Protocol != "mdp3" {
		fs.add(key+".prices", "= %q, but protocol %s has conventional prices on the wire", f.Prices, f.Protocol)
	}
	if f.Definitions != "" && (f.Protocol != "mdp3" || f.Source != "file") {
		fs.add(key+".definitions", "= %q is for captures of mdp3", f.Definitions)
	}
	switch f.Protocol {
	case "xdp":
		oneOf(fs, key+".product", f.Product, "", "integrated", "bbo", "trades")
		oneOf(fs, key+".market", f.Market, append([]string{""}, xdp.MarketNames()...)...)
		if m := xdp.MarketOfProduct(r.ProductID); m != nil && f.Market != "" && f.Market != m.Name {
			fs.add(at+".product_id", "= %d is a feed of market %q, but market = %q", r.ProductID, m.Name, f.Market)
		}
		if p := xdp.ProductOf(r.ProductID); p != xdp.OtherProduct && f.Product != "" && f.Product != p.String() {
			fs.add(at+".product_id", "= %d is product %q, but product = %q", r.ProductID, p, f.Product)
		}
		if len(r.Servers) > 0 && (len(r.User) < 1 || len(r.User) > 10) {
			fs.add(at+".user", "= %q: the request servers want a source id of 1 to 10 characters", r.User)
		}
		if len(r.Servers) > 0 && r.ProductID == 0 {
			fs.add(at+".product_id", "is missing: requests name the venue's number of the feed, such as 11 for NYSE Integrated")
		}
		f.validateNYSE(fs, key)
	case "fix":
		oneOf(fs, key+".product", f.Product, "", "levels", "prices", "orders")
	case "mdp3":
		oneOf(fs, key+".product", f.Product, "", "both", "mbp", "mbo")
		oneOf(fs, key+".prices", f.Prices, "", "conventional", "wire")
		if r.PasswordFile != "" && r.User == "" {
			fs.add(at+".password_file", "is given without a user")
		}
		f.validateCME(fs, key)
	default:
		if f.Foreign() {
			f.validateForeign(fs, key)
			return
		}
		if f.Product != "" {
			fs.add(key+".product", "= %q, but protocol %s has only one", f.Product, f.Protocol)
		}
		if r.ProductID != 0 {
			fs.add(at+".product_id", "= %d, but protocol %s has none", r.ProductID, f.Protocol)
		}
	}
	if f.Market != "" && f.Protocol != "xdp" {
		fs.add(key+".market", "= %q, but protocol %s has only one", f.Market, f.Protocol)
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

// validateNYSE checks what requests by channel need.
func (f *Feed) validateNYSE(fs *faults, key string) {
	if len(f.Recovery.Servers) == 0 {
		return
	}
	channels, refreshed := map[string]int{}, map[string]bool{} // by lane
	for i := range f.Channel {
		ch, at := &f.Channel[i], fmt.Sprintf("%s.channel[%d]", key, i)
		has := func(kind string) bool {
			return slices.ContainsFunc(ch.Service, func(s Service) bool { return s.Kind == kind })
		}
		if ch.ID == 0 || ch.ID > 255 {
			fs.add(at+".id", "= %d, want the venue's number of the channel, 1 to 255: requests name it", ch.ID)
		}
		if !has(ServiceRetransmission) && !has(ServiceRefresh) {
			fs.add(at+".service", "is missing: what the request servers are asked for comes by groups of kind retransmission and refresh")
		}
		channels[ch.Lane]++
		refreshed[ch.Lane] = refreshed[ch.Lane] || has(ServiceRefresh)
	}
	for i := range f.Lane {
		if name := f.Lane[i].Name; refreshed[name] && channels[name] > 1 {
			fs.add(key+".lane", "%q has %d channels, one with a refresh: that needs a lane for each channel", name, channels[name])
		}
	}
}
