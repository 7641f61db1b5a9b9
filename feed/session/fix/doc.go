// Package fix keeps FIX sessions: the client that subscribes at a venue, and the server at which FIX clients subscribe to us.
//
// Numbers, heartbeats, resends and schedules are the work of quickfixgo/quickfix. Bytes are ours: between the network and the library stands a
// gate, which cuts the stream into frames, verifies BodyLength and CheckSum, knows data fields, bounds everything, and keeps the frame. The library
// is shown an envelope: the header, and in place of the body the number under which the frame is kept.
//
//	          ┌───────────── gate ─────────────┐
//	socket ──►│ frames ──► checks ──► envelope │──► library ──► FromApp ──► frame as received ──► Source ──► lane
//	          │              └─► kept frame ───┼───────────────────┘
//	socket ◄──│ bounded queue ◄────────────────│◄── library ◄── V, x        (server: W, X, Y, y, f)
//	          └────────────────────────────────┘
//
// Promises, each with its test:
//   - What reaches the sink are the bytes that came, once each and in the order of their numbers; PossDup copies of what was seen do not.
//   - A frame that is garbled is counted and passed over, its number is not used up, and the library asks for it again.
//   - Where messages may be missing (a gap fill, a broken connection, a full ring) a number of Packet.Frame is left out, Source.Breaks grows, and
//     every subscription is made anew.
//   - Nothing a peer sends makes memory grow without bound, and nothing it leaves out holds a connection for ever.
//
// Off the lane: goroutines, a few microseconds a message. Rules: specification FIX 4.2, 4.4, FIXT 1.1; section numbers in comments are those of the
// session layer. Byte layouts are package parsers/fix's.
package fix
