// Package fix is the tag=value codec of FIX 4.2, 4.4 and 5.0 SP2 over FIXT.1.1, and turns market data into the rows of a tick.Batch.
//
//	8=<BeginString>|9=<BodyLength>|35=<MsgType>| ...header... | ...body... |10=<CheckSum>|      where | is the byte SOH, 0x01
//	                              ^------------- BodyLength bytes ---------^
//	^------------------------- summed, modulo 256 -------------------------^
//
// What a message goes through, each step on its own:
//
//	bytes of a stream ──frame.go──> whole messages ──scan.go──> fields ──message.go──> groups ──market.go──> entries ──decoder.go──> rows
//	                  length, sum                  tag, value          dictionary.go          numbers, time
//
// frame.go takes messages out of a stream and what is no message out of their way; scan.go finds fields, with AVX2 where there is one;
// dictionary.go has the XML dictionaries and validate.go their rules; messages.go and securities.go have what else passes between a client and a venue, and
// encode.go writes. The decoder's rows are made in entries.go (what each entry means), orders.go, figures.go and reference.go, with what it remembers in
// instruments.go and ids.go. Nothing here knows of sessions: numbers, gaps and
// heartbeats are package feed/session/fix. There is no I/O and no clock; what a Decoder or a Message remembers is its owner's.
package fix
