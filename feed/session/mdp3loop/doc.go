// Package mdp3loop takes snapshots from CME's market recovery feeds: loops that send the state of every instrument over and over, by multicast.
//
//	instrument replay  54 55 56 …   ──► definitions, whole when TotNumReports of them came
//	MBP recovery       52 (38, 69)  ──► levels of an instrument: one message
//	MBO recovery       53 (44)      ──► orders of an instrument: NoChunks messages as of one LastMsgSeqNumProcessed
//
// Fetch joins them on sockets of its own, which it leaves when it has what it needs, as the venue asks. What it lacks of an instrument in one round, for packets
// are lost here as anywhere, it takes from the next. It counts from the first round that begins while it listens: an instrument that is in no
// such round has seen nothing this week.
//
//	config.go     what is joined, and bounds        collect.go    packets to whole snapshots, without sockets
//	fetch.go      sockets                           snapshot.go   one instrument's, and its rows
//
// It runs on an ordinary goroutine; lanes only see what package resync makes of it (Parts). What comes from the network is bounded in time, instruments
// and bytes, and nothing of it is believed beyond what a message says of itself. Rules: CME MDP 3.0, Market Recovery.
package mdp3loop
