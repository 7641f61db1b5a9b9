// Package nicinfo tells all about an interface that decides how its packets come in, and makes the changes that people ask for.
//
//	                         ┌─► Info ──────► table, JSON
//	tuning.Host ─► Look ─────┤
//	(/sys, ethtool,          ├─► Set ───────► [] tuning.Change ─┐
//	 rtnetlink, netdev-genl) └─► AddFlow ───► [] tuning.Change ─┴─► tuning/apply
//
//	info.go    Look: what is                 set.go    "rings.rx=2048" and its like
//	text.go    how it is shown               flow.go   multicast groups to queues, and why a driver cannot
//
// What a driver cannot tell is named with the reason, and never shown as zero. Nothing here changes anything: package
// tuning/apply does, with its journal, and reads back what drivers made of it.
package nicinfo
