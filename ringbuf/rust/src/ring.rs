//! Reading a ring: open, join, poll, and what lies beside the loop.

use crate::record::Payload;
use crate::sys::{self, Mapping};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{fence, Ordering};
use std::time::Duration;

// Layout of a ring file, ABI 1: offsets in bytes (ringbuf/ABI.md 2).
const HEADER_BYTES: u64 = 4096;
const OFF_MAJOR: usize = 8; // u16
const OFF_MINOR: usize = 10; // u16
const OFF_HEADER_BYTES: usize = 12; // u32
const OFF_BYTE_ORDER: usize = 16; // u32
const OFF_SLOT_BYTES: usize = 20; // u32
const OFF_SLOTS: usize = 24; // u64
const OFF_SLOTS_OFFSET: usize = 32; // u64
const OFF_FILE_BYTES: usize = 40; // u64
const OFF_DBN_VERSION: usize = 50; // u8
const OFF_KIND: usize = 51; // u8
const OFF_PUBLISHER: usize = 52; // u16
const OFF_CHANNEL: usize = 54; // u16
const OFF_UUID: usize = 64; // u8[16]
const OFF_NAME: usize = 80; // char[48]
const OFF_DATASET: usize = 128; // char[16]
const OFF_EPOCH_INTENT: usize = 256;
const OFF_EPOCH: usize = 264;
const OFF_FIRST: usize = 272;
const OFF_STATE: usize = 300; // u32
const OFF_BOOT_ID: usize = 304; // u8[16]
const OFF_UNUSED: usize = 320;
const OFF_CURSOR: usize = 384;
const OFF_HEARTBEAT: usize = 512;
const OFF_DOORBELL: usize = 520; // u32
const OFF_STAMPS: usize = 524; // u32, minor 1

const IDLE_CHECKS: u32 = 1024; // every so many empty polls the header is looked at

/// What a ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::Mbo`], and [`crate::Status`] and [`crate::Gap`] inline.
    Mbo = 1,
    /// [`crate::Mbp1Slot`].
    Mbp1 = 2,
    /// [`crate::TradeSlot`].
    Trades = 3,
    /// [`crate::Event`].
    Events = 4,
    /// [`crate::Ext`].
    Ext = 5,
    /// [`crate::Mbp10Slot`].
    Mbp10 = 6,
    /// [`crate::CbboSlot`].
    Cbbo = 7,
}

impl Kind {
    fn of(b: u8) -> Option<(Kind, u64)> {
        Some(match b {
            1 => (Kind::Mbo, 64),
            2 => (Kind::Mbp1, 128),
            3 => (Kind::Trades, 64),
            4 => (Kind::Events, 128),
            5 => (Kind::Ext, 64),
            6 => (Kind::Mbp10, 512),
            7 => (Kind::Cbbo, 512),
            _ => return None,
        })
    }
}

/// What the producer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Initialising = 0,
    Running = 1,
    /// The producer is alive, its input is silent.
    FeedDown = 2,
    Stopped = 3,
    Failed = 4,
    /// A new file has the name: open it again.
    Replaced = 5,
    /// The producer is alive, missing numbers were asked for: what comes next waits for them.
    Recovering = 6,
    /// A state that this reader does not know.
    Unknown = u32::MAX,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// With the next record.
    Live,
    /// Half a ring of history, as far as this epoch reaches.
    Half,
    /// All that is there of this epoch; at least an eighth of the ring ahead of the writer.
    Oldest,
}

/// What a poll gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// So many records, whole and in order; the last has the number `next() - 1`.
    Records(usize),
    /// Nothing new yet.
    None,
    /// Lapped: `lost()` has grown by what was missed, reading goes on half a ring behind the newest. Whoever keeps books
    /// drops them and joins by a snapshot.
    Overrun,
    /// The producer was started again: `lost()` has grown by what was missed before, reading goes on at its first record.
    Epoch,
    /// Another file has the name (or none has) and this one is read to its end: open again.
    Replaced,
    /// No record, and no heartbeat within `set_stale_after`.
    Silent,
    /// The producer ended and all records are read; it may come back.
    Stopped,
}

/// Why opening, joining, seeking or looking up is refused.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be opened.
    Open(std::io::Error),
    /// Shorter than its header, or no regular file.
    Short,
    /// The file cannot be mapped.
    Map(std::io::Error),
    /// Not a file of the kind that was asked for.
    Magic,
    /// Written by a host of the other byte order.
    ByteOrder,
    /// Another major version of the ABI: the one that was found.
    Version(u16),
    /// Header size out of range.
    HeaderSize,
    /// Slot size is not that of the ring's kind.
    SlotSize,
    /// Capacity is not a power of two in range.
    Capacity,
    /// Slots begin at an impossible offset.
    Offset,
    /// File size does not match the header.
    FileSize,
    /// Records of another DBN version.
    DbnVersion,
    /// The producer is restarting, or died while it was: try again.
    Restarting,
    /// The record is no longer in the ring.
    TooOld,
    /// The record is not yet in the ring.
    TooFar,
    /// No such instrument, or nothing said of it yet.
    NotFound,
    /// The writer is at it, or died while it was: try again.
    Busy,
    /// Another file has the name: open it again.
    Replaced,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tickring: ")?;
        match self {
            Error::Open(e) => write!(f, "cannot be opened: {e}"),
            Error::Map(e) => write!(f, "cannot be mapped: {e}"),
            Error::Version(v) => write!(f, "ABI major version {v}, this reader knows 1"),
            other => f.write_str(match other {
                Error::Short => "shorter than its header, or no regular file",
                Error::Magic => "not a tickwire ring, or none of the kind that was asked for",
                Error::ByteOrder => "written by a host of the other byte order",
                Error::HeaderSize => "header size out of range",
                Error::SlotSize => "slot size is not that of the ring's kind",
                Error::Capacity => "capacity is not a power of two in range",
                Error::Offset => "slots begin at an impossible offset",
                Error::FileSize => "file size does not match the header",
                Error::DbnVersion => "records of another DBN version",
                Error::Restarting => "producer is restarting, or died while it was: try again",
                Error::TooOld => "record is no longer in the ring",
                Error::TooFar => "record is not yet in the ring",
                Error::NotFound => "no such instrument, or nothing said of it yet",
                Error::Busy => "the writer is at it, or died while it was: try again",
                _ => "another file has the name: open it again",
            }),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Open(e) | Error::Map(e) => Some(e),
            _ => None,
        }
    }
}

/// A session's fields, as they belong together.
struct Session {
    epoch: u64,
    first: u64,
    unused: u64,
    same_boot: bool,
}

/// A ring that is being read. Closed when dropped.
pub struct Ring {
    next: u64,
    mask: u64,
    slots: usize, // offset of slot 0
    slot_bytes: usize,
    idle: u32,
    lost: u64,
    epoch: u64,
    unused: u64,
    stale_ns: u64,
    same_boot: bool,
    kind: Kind,
    map: Mapping,
    file: File,
}

/// Opens and maps a regular file that is at least as long as a header page.
pub(crate) fn map_file(path: &Path, populate: bool) -> Result<(File, Mapping), Error> {
    let file = OpenOptions::new().read(true).custom_flags(sys::O_NONBLOCK).open(path).map_err(Error::Open)?;
    let meta = file.metadata().map_err(Error::Open)?;
    if !meta.is_file() || meta.len() < HEADER_BYTES {
        return Err(Error::Short);
    }
    let map = Mapping::new(&file, meta.len() as usize, populate).map_err(Error::Map)?;
    Ok((file, map))
}

pub(crate) fn u16_at(h: &[u8], off: usize) -> u16 {
    u16::from_le_bytes([h[off], h[off + 1]])
}

pub(crate) fn u32_at(h: &[u8], off: usize) -> u32 {
    u32::from_le_bytes([h[off], h[off + 1], h[off + 2], h[off + 3]])
}

pub(crate) fn u64_at(h: &[u8], off: usize) -> u64 {
    u32_at(h, off) as u64 | (u32_at(h, off + 4) as u64) << 32
}

/// The conditions that make a file a ring, in the order of tickring.h.
fn check_header(h: &[u8], file_bytes: u64) -> Result<(Kind, u64, u64, u64), Error> {
    let (slots, offset) = (u64_at(h, OFF_SLOTS), u64_at(h, OFF_SLOTS_OFFSET));
    let (slot_bytes, header_bytes) = (u32_at(h, OFF_SLOT_BYTES) as u64, u32_at(h, OFF_HEADER_BYTES) as u64);
    let declared = u64_at(h, OFF_FILE_BYTES);
    if &h[..8] != b"TWRING01" {
        return Err(Error::Magic);
    }
    if u32_at(h, OFF_BYTE_ORDER) != 0x0102_0304 {
        return Err(Error::ByteOrder);
    }
    if u16_at(h, OFF_MAJOR) != 1 {
        return Err(Error::Version(u16_at(h, OFF_MAJOR)));
    }
    if header_bytes < HEADER_BYTES || header_bytes > file_bytes {
        return Err(Error::HeaderSize);
    }
    let (kind, want) = Kind::of(h[OFF_KIND]).ok_or(Error::SlotSize)?;
    if slot_bytes != want {
        return Err(Error::SlotSize);
    }
    if !(4..=1 << 40).contains(&slots) || !slots.is_power_of_two() {
        return Err(Error::Capacity);
    }
    if !(HEADER_BYTES..=2 << 20).contains(&offset) || offset % HEADER_BYTES != 0 {
        return Err(Error::Offset);
    }
    if declared < offset + slots * slot_bytes || file_bytes < declared {
        return Err(Error::FileSize);
    }
    if h[OFF_DBN_VERSION] != 3 {
        return Err(Error::DbnVersion);
    }
    Ok((kind, slot_bytes, slots, offset))
}

/// Signed difference: numbers may pass 2^63 and 2^64.
#[inline(always)]
fn ahead(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b) as i64
}

impl Ring {
    /// Maps a ring read-only and joins it. Errors say which condition of a ring does not hold.
    pub fn open(path: impl AsRef<Path>, join: Join) -> Result<Ring, Error> {
        let (file, map) = map_file(path.as_ref(), true)?;
        let (kind, slot_bytes, slots, offset) = check_header(map.fixed(0, HEADER_BYTES as usize), map.len() as u64)?;
        let mut r = Ring {
            next: 0,
            mask: slots - 1,
            slots: offset as usize,
            slot_bytes: slot_bytes as usize,
            idle: 0,
            lost: 0,
            epoch: 0,
            unused: 0,
            stale_ns: 50_000_000,
            same_boot: false,
            kind,
            map,
            file,
        };
        r.join(join)?;
        Ok(r)
    }

    #[inline(always)]
    fn slot(&self, n: u64) -> usize {
        self.slots + (n & self.mask) as usize * self.slot_bytes
    }

    #[inline(always)]
    fn number(&self, n: u64) -> u64 {
        self.map.acquire(self.slot(n))
    }

    /// Epoch, first number and unused count as they belong together; None while a producer is changing them.
    fn session(&self) -> Option<Session> {
        let epoch = self.map.acquire(OFF_EPOCH);
        let (first, unused) = (self.map.relaxed(OFF_FIRST), self.map.relaxed(OFF_UNUSED));
        let mut boot = [0u8; 16];
        // SAFETY: 16 bytes.
        unsafe { self.map.copy(OFF_BOOT_ID, boot.as_mut_ptr(), 16) };
        fence(Ordering::Acquire);
        if epoch == 0 || self.map.relaxed(OFF_EPOCH_INTENT) != epoch {
            return None;
        }
        Some(Session { epoch, first, unused, same_boot: boot == sys::boot_id() })
    }

    /// The same with some patience: a tenth of a second.
    fn await_session(&self) -> Result<Session, Error> {
        for _ in 0..100 {
            if let Some(s) = self.session() {
                return Ok(s);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::Restarting)
    }

    /// The number of the next record to come, or one a little older or (never more than a run) newer.
    fn tail(&self, first: u64) -> u64 {
        let mut n = self.map.acquire(OFF_CURSOR).wrapping_add(1);
        if ahead(n, first) < 0 {
            n = first;
        }
        for _ in 0..=self.mask {
            let found = self.number(n);
            if found == n {
                n = n.wrapping_add(1);
            } else if ahead(found, n) > 0 {
                n = found; // a lap was written since the cursor was
            } else {
                break;
            }
        }
        n
    }

    fn enter(&mut self, s: &Session, next: u64) {
        self.epoch = s.epoch;
        self.unused = s.unused;
        self.same_boot = s.same_boot;
        self.next = next;
    }

    /// Begins anew. What is skipped by it is no loss. Fails with [`Error::Restarting`] only.
    pub fn join(&mut self, join: Join) -> Result<(), Error> {
        let s = self.await_session()?;
        let (tail, slots) = (self.tail(s.first), self.mask + 1);
        let have = tail.wrapping_sub(s.first);
        let back = match join {
            Join::Live => 0,
            Join::Half => have.min(slots / 2),
            Join::Oldest if have <= slots => have,
            Join::Oldest => slots - slots / 8,
        };
        self.enter(&s, tail.wrapping_sub(back));
        Ok(())
    }

    /// Makes `number` the next record: one of this epoch that is still there (else [`Error::TooOld`]) or the next to come
    /// (else [`Error::TooFar`]). On an error the place is unchanged. A snapshot that holds at S is followed by `seek(S + 1)`.
    pub fn seek(&mut self, number: u64) -> Result<(), Error> {
        let s = self.await_session()?;
        let tail = self.tail(s.first);
        if ahead(number, s.first) < 0 || ahead(tail, number) > (self.mask + 1) as i64 {
            return Err(Error::TooOld);
        }
        if ahead(number, tail) > 0 {
            return Err(Error::TooFar);
        }
        self.enter(&s, number);
        Ok(())
    }

    /// Copies record `n` to `dst`; true when it is whole.
    #[inline(always)]
    fn take<T: Payload>(&self, n: u64, dst: *mut T) -> bool {
        let slot = self.slot(n);
        if self.map.acquire(slot) != n {
            return false;
        }
        // SAFETY: dst is a T, of payload size (checked by the caller).
        unsafe { self.map.copy(slot + 8, dst as *mut u8, std::mem::size_of::<T>()) };
        fence(Ordering::Acquire);
        self.map.relaxed(slot) == n
    }

    #[inline(always)]
    fn assert_payload<T: Payload>(&self) {
        assert!(std::mem::size_of::<T>() == self.slot_bytes - 8, "tickring: records of another size than the ring's payload");
    }

    /// Copies the next record. [`Poll::Records`]`(1)`, or why there is none; `rec` is undefined then, but a valid `T`.
    /// Hot path: no allocation, no call into the kernel but once in 1,024 empty polls.
    ///
    /// # Panics
    ///
    /// When `T` has not the size of the ring's payload.
    #[inline]
    pub fn poll<T: Payload>(&mut self, rec: &mut T) -> Poll {
        self.assert_payload::<T>();
        if self.take(self.next, rec) {
            self.next = self.next.wrapping_add(1);
            self.idle = 0;
            return Poll::Records(1);
        }
        self.empty()
    }

    /// Copies as many records as there are and `recs` holds; the first has the number `next()` as it was before. Whole
    /// records before an overrun come first. What `recs` holds behind them is undefined, but valid.
    ///
    /// # Panics
    ///
    /// As [`Ring::poll`].
    #[inline]
    pub fn poll_batch<T: Payload>(&mut self, recs: &mut [T]) -> Poll {
        self.assert_payload::<T>();
        let mut n = 0;
        for rec in recs.iter_mut() {
            if !self.take(self.next, rec) {
                break;
            }
            self.next = self.next.wrapping_add(1);
            n += 1;
        }
        if n > 0 {
            self.idle = 0;
            return Poll::Records(n);
        }
        self.empty()
    }

    /// Finds out why there was no record. Kept out of the loop that polls.
    #[cold]
    #[inline(never)]
    fn empty(&mut self) -> Poll {
        let found = self.number(self.next);
        if ahead(found, self.next) > 0 {
            let p = self.repair(found);
            if p != Poll::None {
                self.idle = 0;
                return p;
            }
        }
        self.idle = self.idle.wrapping_add(1);
        if self.idle % IDLE_CHECKS != 0 {
            return Poll::None;
        }
        self.check()
    }

    /// A number beyond the awaited one was found: a lap, or a new epoch.
    fn repair(&mut self, found: u64) -> Poll {
        // The number was read before the epoch: with the epoch unchanged it was written in ours.
        if self.map.acquire(OFF_EPOCH) != self.epoch {
            return self.new_epoch();
        }
        let mut tail = self.map.relaxed(OFF_CURSOR);
        if ahead(found, tail) > 0 {
            tail = found;
        }
        let mut to = tail.wrapping_sub((self.mask + 1) / 2);
        if ahead(to, self.next) <= 0 {
            to = self.next.wrapping_add(1);
        }
        self.lost += to.wrapping_sub(self.next);
        self.next = to;
        Poll::Overrun
    }

    /// Goes to the first record of the session that runs now, over any number of epochs.
    fn new_epoch(&mut self) -> Poll {
        let s = match self.session() {
            Some(s) => s,
            None => return Poll::None,
        };
        // Not below 0: a reader that joined in the middle of a run which was then cut short was ahead by that much.
        let skipped = s.unused.wrapping_sub(self.unused);
        self.lost += ahead(s.first, self.next.wrapping_add(skipped)).max(0) as u64;
        let first = s.first;
        self.enter(&s, first);
        Poll::Epoch
    }

    /// Looks at the header, now and then while no record comes. What it says counts only if there is still no record
    /// afterwards: the last ones of a producer come before its news.
    fn check(&mut self) -> Poll {
        let (epoch, state) = (self.map.acquire(OFF_EPOCH), self.state());
        let beat = self.map.acquire(OFF_HEARTBEAT);
        if ahead(self.number(self.next), self.next) >= 0 {
            return Poll::None;
        }
        if epoch != self.epoch {
            return self.new_epoch();
        }
        match state {
            State::Replaced => Poll::Replaced,
            State::Stopped | State::Failed => self.unless_unlinked(Poll::Stopped),
            _ if !self.same_boot || ahead(sys::monotonic_ns(), beat) > self.stale_ns as i64 => self.unless_unlinked(Poll::Silent),
            _ => Poll::None,
        }
    }

    /// `p`, or Replaced when the file has lost its name.
    fn unless_unlinked(&self, p: Poll) -> Poll {
        match self.file.metadata() {
            Ok(m) if m.nlink() == 0 => Poll::Replaced,
            _ => p,
        }
    }

    /// Sleeps until the producer's doorbell (some 100 µs after a record at most), for `timeout_us` at most; true when a poll
    /// would find something. It does not sleep when there is something already. Not for the hot path: waking takes
    /// microseconds. The next poll without a record looks at heartbeat and state.
    pub fn wait(&mut self, timeout_us: u64) -> bool {
        let bell = self.map.half(OFF_DOORBELL);
        let seen = bell.load(Ordering::Acquire); // before the slot: a ring in between ends the sleep at once
        self.idle = IDLE_CHECKS - 1;
        if ahead(self.number(self.next), self.next) >= 0 {
            return true;
        }
        if timeout_us > 0 {
            sys::futex_wait(bell, seen, timeout_us.saturating_mul(1000));
        }
        ahead(self.number(self.next), self.next) >= 0
    }

    /// Number of the record that comes next; all before it were handed out or lost.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Records missed since open, exactly, over overruns and restarts of the producer.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The producer's start that the next record belongs to, as far as is known.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Records known to lie ahead. Past three quarters of `slots()` an overrun is near.
    pub fn lag(&self) -> u64 {
        ahead(self.map.acquire(OFF_CURSOR).wrapping_add(1), self.next).max(0) as u64
    }

    /// What the producer says of itself at this moment.
    pub fn state(&self) -> State {
        match self.map.half(OFF_STATE).load(Ordering::Acquire) {
            0 => State::Initialising,
            1 => State::Running,
            2 => State::FeedDown,
            3 => State::Stopped,
            4 => State::Failed,
            5 => State::Replaced,
            6 => State::Recovering,
            _ => State::Unknown,
        }
    }

    /// Who gave the latest records their `ts_recv`: 0 not known, 1 the lane's clock, 2 whoever recorded them, 3 the kernel,
    /// 4 the NIC.
    pub fn stamps(&self) -> u32 {
        self.map.half(OFF_STAMPS).load(Ordering::Acquire)
    }

    /// Age of the producer's last heartbeat, ns. Reads the clock.
    pub fn heartbeat_ns(&self) -> u64 {
        let beat = self.map.acquire(OFF_HEARTBEAT); // before the clock: it is never ahead of it
        ahead(sys::monotonic_ns(), beat).max(0) as u64
    }

    /// The producer runs and its last heartbeat is younger than `set_stale_after`. Reads the clock.
    pub fn alive(&self) -> bool {
        let up = matches!(self.state(), State::Running | State::FeedDown | State::Recovering);
        up && self.same_boot && self.heartbeat_ns() <= self.stale_ns
    }

    /// The age of a heartbeat from which a ring is [`Poll::Silent`]. Producers beat every millisecond; the default is 50 ms.
    pub fn set_stale_after(&mut self, age: Duration) {
        self.stale_ns = age.as_nanos().min(i64::MAX as u128) as u64;
    }

    /// What the ring holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Capacity.
    pub fn slots(&self) -> u64 {
        self.mask + 1
    }

    /// Bytes of a slot; records have 8 less.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// `<feed>.<lane>.<kind>`.
    pub fn name(&self) -> String {
        text(self.map.fixed(OFF_NAME, 48))
    }

    /// The DBN dataset.
    pub fn dataset(&self) -> String {
        text(self.map.fixed(OFF_DATASET, 16))
    }

    /// DBN publisher of all records, 0: mixed.
    pub fn publisher(&self) -> u16 {
        u16_at(self.map.fixed(OFF_PUBLISHER, 2), 0)
    }

    /// The venue's channel or the lane's number.
    pub fn channel(&self) -> u16 {
        u16_at(self.map.fixed(OFF_CHANNEL, 2), 0)
    }

    /// Minor version of the ABI that the producer writes.
    pub fn abi_minor(&self) -> u16 {
        u16_at(self.map.fixed(OFF_MINOR, 2), 0)
    }

    /// New for each file: (uuid, epoch, number) names a record for ever.
    pub fn uuid(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(self.map.fixed(OFF_UUID, 16));
        id
    }
}

/// Text up to its first NUL.
pub(crate) fn text(b: &[u8]) -> String {
    let end = b.iter().position(|c| *c == 0).unwrap_or(b.len());
    String::from_utf8_lossy(&b[..end]).into_owned()
}
