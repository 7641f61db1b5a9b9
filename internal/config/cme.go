package config

import (
	"fmt"
	"slices"
	"time"
)

// cmeSilence is how long a line of CME's may say nothing by default: heartbeats of a feed without content come each 30 s as far as CME says, and a channel at night
// has nothing else.
const cmeSilence = 35 * time.Second

// validateCME checks what replay and loops need.
func (f *Feed) validateCME(fs *faults, key string) {
	rebuilt := map[string]int{} // channels with loops, by lane
	channels := map[string]int{}
	for i := range f.Channel {
		ch, at := &f.Channel[i], fmt.Sprintf("%s.channel[%d]", key, i)
		count := func(kind string) (n int) {
			for j := range ch.Service {
				if ch.Service[j].Kind == kind {
					n++
				}
			}
			return n
		}
		channels[ch.Lane]++
		if len(f.Recovery.Servers) > 0 && ch.ID == 0 {
			fs.add(at+".id", "is missing: the TCP replay is asked for packets of a channel by its number")
		}
		if len(ch.Service) == 0 {
			continue
		}
		rebuilt[ch.Lane]++
		levels, orders := count(ServiceLevels), count(ServiceOrders)
		if f.Product != "mbo" && levels == 0 {
			fs.add(at+".service", "has no loop of levels: the price books would not come back")
		}
		if f.Product != "mbp" && orders == 0 {
			fs.add(at+".service", "has no loop of orders: the books of orders would not come back (product = \"mbp\" does without them)")
		}
		if f.Prices != "wire" && count(ServiceDefinitions) == 0 {
			fs.add(at+".service", "has no loop of definitions: what starts late would not know what to multiply prices by (prices = \"wire\" does without)")
		}
		if levels > 2 || orders > 2 || count(ServiceDefinitions) > 2 {
			fs.add(at+".service", "has more than sides A and B of one loop")
		}
	}
	for i := range f.Lane {
		if name := f.Lane[i].Name; rebuilt[name] > 0 && channels[name] > 1 {
			fs.add(key+".lane", "%q has %d channels, some of them with loops: books are rebuilt where a lane has one channel", name, channels[name])
		}
	}
	if f.Product == "mbp" || f.Product == "mbo" {
		other := map[string]string{"mbp": ServiceOrders, "mbo": ServiceLevels}[f.Product]
		for i := range f.Channel {
			if slices.ContainsFunc(f.Channel[i].Service, func(s Service) bool { return s.Kind == other }) {
				fs.add(fmt.Sprintf("%s.channel[%d].service", key, i), "has a loop of %s, which product %s does not have", other, f.Product)
			}
		}
	}
}
