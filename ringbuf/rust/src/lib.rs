//! Reads tickwire's shared-memory rings: one producer, any number of readers, none of which can slow it down.
//!
//! ```no_run
//! use tickring::{Join, Mbo, Poll, Ring};
//!
//! let mut ring = Ring::open("/dev/shm/tickwire/main/nasdaq.a.mbo.ring", Join::Live)?;
//! let mut recs = [Mbo::default(); 64];
//! loop {
//!     match ring.poll_batch(&mut recs) {
//!         Poll::Records(n) => recs[..n].iter().for_each(|r| println!("{} {}", r.hdr.instrument_id, r.price)),
//!         Poll::Overrun => println!("lapped: {} lost so far", ring.lost()), // drop books, join by a snapshot
//!         Poll::Epoch => println!("producer was started again"),            // books are built anew from here
//!         Poll::Replaced => break,                                          // open the name again
//!         Poll::None | Poll::Silent | Poll::Stopped => { ring.wait(1_000_000); }
//!     }
//! }
//! # Ok::<(), tickring::Error>(())
//! ```
//!
//! The protocol, for record number k, which lies in slot k mod N (`ringbuf/ABI.md` has all of it):
//!
//! ```text
//!     writer                                    reader
//!     1. slot.number = k-1   (mark)             1. slot.number == k ?   acquire; less: not yet, more: lapped
//!     2. release fence                          2. copy the payload, word by word
//!     3. payload                                3. acquire fence
//!     4. slot.number = k     (release)          4. slot.number == k ?   else the copy is void
//! ```
//!
//! * The mapping is read-only: a reader stores nothing, and one that is too slow loses records and is told how many.
//! * Payloads are copied by relaxed atomic loads, so racing with the writer is defined, and looked at only after step 4.
//! * Nothing but `std`: no crates, no build script. A [`Ring`] belongs to one thread (it may be sent to another).
//! * 64-bit little-endian Linux, Rust 1.63 and later.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("tickring reads rings of 64-bit little-endian Linux");

mod inst;
mod record;
mod ring;
mod sys;

pub use inst::{Directory, Instrument};
pub use record::*;
pub use ring::{Error, Join, Kind, Poll, Ring, State};
pub use sys::monotonic_ns;
