//! The instrument directory, `<feed>.<lane>.inst`: what each instrument is.

use crate::ring::{map_file, text, u16_at, u32_at, u64_at, Error};
use crate::sys::{self, Mapping};
use std::path::Path;
use std::sync::atomic::{fence, Ordering};

const HEADER: usize = 4096;
const ENTRY: usize = 256;
const OFF_GENERATION: usize = 256;
const OFF_STATE: usize = 264; // u32
const OFF_COUNT: usize = 384;
const OFF_HEARTBEAT: usize = 512;
const REPLACED: u32 = 5;
const TRIES: u32 = 4096; // a writer that died in the middle must not hang its readers

/// An instrument, 248 bytes, as in the file behind the version. Texts are padded with NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Instrument {
    pub instrument_id: u32,
    pub publisher_id: u16,
    /// DBN instrument class.
    pub class: u8,
    /// 1 named (its definition came), 2 test security (its prices are not real).
    pub flags: u8,
    pub raw_symbol: [u8; 72],
    /// 1e-9.
    pub min_price_increment: i64,
    pub round_lot: i32,
    pub contract_multiplier: i32,
    /// 1e-9.
    pub unit_of_measure_qty: i64,
    /// 1e-9.
    pub display_factor: i64,
    pub currency: [u8; 4],
    /// Decimals of the wire price.
    pub decimals: i8,
    /// Current DBN status action.
    pub status_action: u8,
    pub channel: u16,
    pub mic: [u8; 8],
    pub group: [u8; 12],
    pub security_type: [u8; 4],
    /// 1e-9.
    pub strike: i64,
    pub activation: u64,
    pub expiration: u64,
    /// Of the full record in `.definitions.dbn`, 0: none.
    pub definition_offset: u64,
    pub updated: u64,
    pub reserved: [[u64; 4]; 2],
}
const _: [u8; ENTRY - 8] = [0; std::mem::size_of::<Instrument>()];

impl Instrument {
    /// The symbol as text; empty when no definition came.
    pub fn symbol(&self) -> String {
        text(&self.raw_symbol)
    }
}

/// A directory that is mapped. Threads may share it.
pub struct Directory {
    map: Mapping,
    capacity: u64,
}

impl Directory {
    /// Opens a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Directory, Error> {
        let (_, map) = map_file(path.as_ref(), false)?;
        let h = map.fixed(0, HEADER);
        let (capacity, file_bytes) = (u64_at(h, 24), map.len() as u64);
        if &h[..8] != b"TWINST01" {
            return Err(Error::Magic);
        }
        if u32_at(h, 16) != 0x0102_0304 {
            return Err(Error::ByteOrder);
        }
        if u16_at(h, 8) != 1 {
            return Err(Error::Version(u16_at(h, 8)));
        }
        if u32_at(h, 12) as usize != HEADER {
            return Err(Error::HeaderSize);
        }
        if u32_at(h, 20) as usize != ENTRY {
            return Err(Error::SlotSize);
        }
        if u64_at(h, 32) != HEADER as u64 {
            return Err(Error::Offset);
        }
        if u64_at(h, 40) > file_bytes || capacity > (file_bytes - HEADER as u64) / ENTRY as u64 {
            return Err(Error::FileSize);
        }
        if capacity < 2 || !capacity.is_power_of_two() {
            return Err(Error::Capacity);
        }
        Ok(Directory { map, capacity })
    }

    /// Copies the entry at an index below `capacity()`: [`Error::NotFound`] when there is none, [`Error::Busy`], or
    /// [`Error::Replaced`].
    pub fn at(&self, index: u64) -> Result<Instrument, Error> {
        if index >= self.capacity {
            return Err(Error::NotFound);
        }
        if self.replaced() {
            return Err(Error::Replaced);
        }
        let p = HEADER + index as usize * ENTRY;
        for _ in 0..TRIES {
            let (generation, version) = (self.generation(), self.map.acquire(p));
            if version & 1 != 0 {
                continue;
            }
            if version == 0 {
                return Err(Error::NotFound);
            }
            // SAFETY: integers and arrays of them, 248 bytes.
            let inst = unsafe {
                let mut inst = std::mem::zeroed::<Instrument>();
                self.map.copy(p + 8, &mut inst as *mut Instrument as *mut u8, ENTRY - 8);
                inst
            };
            fence(Ordering::Acquire);
            if self.map.relaxed(p) == version && self.map.relaxed(OFF_GENERATION) == generation {
                return Ok(inst);
            }
        }
        Err(Error::Busy)
    }

    /// Copies an instrument's entry. No call into the kernel.
    pub fn lookup(&self, publisher: u16, instrument: u32) -> Result<Instrument, Error> {
        let key = (publisher as u64) << 32 | instrument as u64;
        let home = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.capacity.trailing_zeros());
        for n in 0..self.capacity {
            let inst = self.at((home + n) & (self.capacity - 1))?;
            if inst.instrument_id == instrument && inst.publisher_id == publisher {
                return Ok(inst);
            }
        }
        Err(Error::NotFound)
    }

    /// Finds a publisher's instrument by its raw symbol: a walk over the whole directory, not for the hot path.
    /// [`Error::Busy`] when it may be an entry that was being changed.
    pub fn find(&self, publisher: u16, symbol: &str) -> Result<Instrument, Error> {
        let mut missing = Error::NotFound;
        for i in 0..self.capacity {
            match self.at(i) {
                // Entries without a definition have no symbol.
                Ok(inst) if !symbol.is_empty() && inst.publisher_id == publisher && inst.symbol() == symbol => return Ok(inst),
                Err(Error::Replaced) => return Err(Error::Replaced),
                Err(Error::Busy) => missing = Error::Busy,
                _ => {}
            }
        }
        Err(missing)
    }

    /// Moves when the contents begin anew: what was remembered of an instrument is void then.
    pub fn generation(&self) -> u64 {
        self.map.acquire(OFF_GENERATION)
    }

    /// Another file has the name: open again.
    pub fn replaced(&self) -> bool {
        self.map.half(OFF_STATE).load(Ordering::Acquire) == REPLACED
    }

    /// How long ago the writer showed signs of life, ns. Reads the clock.
    pub fn silence_ns(&self) -> u64 {
        let beat = self.map.acquire(OFF_HEARTBEAT); // before the clock: it is never ahead of it
        (sys::monotonic_ns().wrapping_sub(beat) as i64).max(0) as u64
    }

    /// Places of the file.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Entries in use.
    pub fn count(&self) -> u64 {
        self.map.acquire(OFF_COUNT)
    }
}
