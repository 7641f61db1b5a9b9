//! tickwire.rs: everything that a plugin in Rust needs. One file, no crates, no standard library; it compiles with rustc 1.63 and later.
//!
//! ```ignore
//! #![no_std]
//! mod tickwire;
//! use tickwire::*;
//!
//! static PRICE: Column<i64, 1024> = Column::new();                                  // the column
//! static ROWS: Layout<1> = Layout::new(1024, [PRICE.both(column::PRICE)]);          // what the host sees of it
//! units!(ROWS);                                                                     // one layout for each of the manifest's kinds
//!
//! #[no_mangle]
//! pub extern "C" fn tw_transform(_unit: i32, n: i32) -> i32 {                       // the call: n rows lie in the columns
//!     for price in PRICE.rows(n) {
//!         price.set(price.get() * 100);
//!     }
//!     n
//! }
//! ```
//!
//! plugins/ABI.md says what each call gets and returns; a negative number is an error. Prices are 1e-9, times ns since the Unix epoch, UNDEF_PRICE is no price.
//!
//! Built with: rustc --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib -C opt-level=3 -C lto -C panic=abort -C strip=symbols
//! (tickwire plugin build does it)
#![allow(dead_code, unused_macros, unused_imports)]

use core::cell::{Cell, UnsafeCell};

pub const ABI: i32 = 1;
pub const UNDEF_PRICE: i64 = i64::MAX;

/// Kinds of row: what the columns of each mean is written at tick.Kind.
pub mod kind {
    pub const ADD: u8 = 1;
    pub const EXEC: u8 = 2;
    pub const EXEC_AT: u8 = 3;
    pub const REDUCE: u8 = 4;
    pub const DELETE: u8 = 5;
    pub const REPLACE: u8 = 6;
    pub const TRADE: u8 = 7;
    pub const CROSS: u8 = 8;
    pub const BREAK: u8 = 9;
    pub const STATUS: u8 = 10;
    pub const IMBALANCE: u8 = 11;
    pub const DEFINITION: u8 = 12;
    pub const STATISTICS: u8 = 13;
    pub const EXT: u8 = 14;
    pub const SYSTEM: u8 = 15;
    pub const CLEAR: u8 = 16;
    pub const MODIFY: u8 = 17;
    pub const LEVEL: u8 = 18;
    pub const IMPLIED: u8 = 19;
    pub const FILL: u8 = 20;
    pub const QUOTE: u8 = 21;
}

/// Verdicts: row_ctl.
pub mod verdict {
    pub const KEEP: u8 = 0;
    pub const REFUSE: u8 = 1;
    pub const FLAG: u8 = 2;
}

/// Numbers of columns.
pub mod column {
    pub const KIND: u16 = 1;
    pub const SUB: u16 = 2;
    pub const SIDE: u16 = 3;
    pub const FLAGS: u16 = 4;
    pub const INSTRUMENT_ID: u16 = 5;
    pub const TS_EVENT: u16 = 6;
    pub const TS_RECV: u16 = 7;
    pub const SEQUENCE: u16 = 8;
    pub const ORDER_ID: u16 = 9;
    pub const AUX: u16 = 10;
    pub const PRICE: u16 = 11;
    pub const SIZE: u16 = 12;
    pub const STATE: u16 = 13;
    pub const LEFT: u16 = 14;
    pub const OLD_PRICE: u16 = 15;
    pub const OLD_SIZE: u16 = 16;
    pub const BID_PX: u16 = 17;
    pub const ASK_PX: u16 = 18;
    pub const BID_SZ: u16 = 19;
    pub const ASK_SZ: u16 = 20;
    pub const BID_CT: u16 = 21;
    pub const ASK_CT: u16 = 22;
    pub const PREV_BID_PX: u16 = 23;
    pub const PREV_ASK_PX: u16 = 24;
    pub const PREV_BID_SZ: u16 = 25;
    pub const PREV_ASK_SZ: u16 = 26;
    pub const PREV_BID_CT: u16 = 27;
    pub const PREV_ASK_CT: u16 = 28;
    pub const PUBLISHER_ID: u16 = 29;
    pub const SYMBOL: u16 = 30;
    pub const MPID: u16 = 31;
    pub const ROW_CTL: u16 = 64;
    pub const REASON: u16 = 65;
    /// And on: the transform's own custom columns in the manifest's order.
    pub const CUSTOM: u16 = 128;
    /// And on: those of plugins before it, in the order in which `reads` names them.
    pub const EARLIER: u16 = 132;
    /// And on: arguments.
    pub const ARG: u16 = 512;
    /// Aggregates: the row's group.
    pub const GROUP: u16 = 527;
    /// And on: 1: the argument is NULL.
    pub const ARG_NULL: u16 = 640;
    pub const RESULT: u16 = 768;
    pub const RESULT_NULL: u16 = 769;
}

/// Operations of tw_type.
pub mod op {
    pub const VALIDATE: i32 = 0;
    pub const NORMALISE: i32 = 1;
    pub const PARSE: i32 = 2;
    pub const FORMAT: i32 = 3;
    pub const COMPARE: i32 = 4;
    pub const HASH: i32 = 5;
}

/// What a column may hold. Texts are [u8; stride], filled up with NUL, the stride a multiple of 8 to 256.
pub trait Value: Copy {
    const TYPE: u8;
    const ZERO: Self;
}

macro_rules! values {
    ($($t:ty: $n:expr),*) => { $(impl Value for $t { const TYPE: u8 = $n; const ZERO: Self = 0 as $t; })* };
}
values!(u8: 1, u16: 2, u32: 3, u64: 4, i32: 5, i64: 6, f64: 7);

impl<const STRIDE: usize> Value for [u8; STRIDE] {
    const TYPE: u8 = 8;
    const ZERO: Self = [0; STRIDE];
}

/// A column of ROWS rows: a static of the plugin's that the host writes before a call and reads after it.
#[repr(C, align(64))]
pub struct Column<T, const ROWS: usize>(UnsafeCell<[T; ROWS]>);

// A module has one thread, and the host touches columns between calls only.
unsafe impl<T, const ROWS: usize> Sync for Column<T, ROWS> {}

impl<T: Copy, const ROWS: usize> Column<T, ROWS> {
    pub const fn filled(v: T) -> Self {
        Column(UnsafeCell::new([v; ROWS]))
    }

    /// The first n rows. It traps if there are not so many.
    #[inline(always)]
    pub fn rows(&'static self, n: i32) -> &'static [Cell<T>] {
        let all = unsafe { &*(self.0.get() as *const [Cell<T>; ROWS]) };
        &all[..n as usize]
    }
}

impl<T: Value, const ROWS: usize> Column<T, ROWS> {
    pub const fn new() -> Self {
        Column::filled(T::ZERO)
    }

    const fn entry(&'static self, id: u16, access: u8) -> Entry {
        Entry { id, kind: T::TYPE, access, at: self as *const Self as *const u8, stride: core::mem::size_of::<T>() as u32, zero: 0 }
    }
    pub const fn read(&'static self, id: u16) -> Entry {
        self.entry(id, 1)
    }
    pub const fn write(&'static self, id: u16) -> Entry {
        self.entry(id, 2)
    }
    pub const fn both(&'static self, id: u16) -> Entry {
        self.entry(id, 3)
    }
}

/// Room for bytes in or out, and for tables of the plugin's own: of any type that is copied, Room::filled(…).
pub type Room<T, const N: usize> = Column<T, N>;

/// What tw_frame writes to bytes out: static FRAME: Room<Frame, 1> = Room::filled(Frame::NONE).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    /// Of the first message.
    pub sequence: u64,
    /// Messages.
    pub count: u32,
    /// 0 messages, 1 heartbeat, 2 end of session, 3 beside the sequence.
    pub kind: u32,
    /// Where the messages begin.
    pub at: u32,
    pub zero: u32,
    pub session: [u8; 10],
}

impl Frame {
    pub const NONE: Frame = Frame { sequence: 0, count: 0, kind: 0, at: 0, zero: 0, session: [0; 10] };
}

/// Little-endian numbers in bytes.
pub fn u32_at(b: &[Cell<u8>], at: usize) -> u32 {
    u32::from_le_bytes([b[at].get(), b[at + 1].get(), b[at + 2].get(), b[at + 3].get()])
}
pub fn u64_at(b: &[Cell<u8>], at: usize) -> u64 {
    (u32_at(b, at + 4) as u64) << 32 | u32_at(b, at) as u64
}

/// Writes bytes out, one behind the other. It traps where there is no more room.
pub struct Writer {
    to: &'static [Cell<u8>],
    len: usize,
}

impl Writer {
    pub fn new<const N: usize>(room: &'static Room<u8, N>) -> Writer {
        Writer { to: room.rows(N as i32), len: 0 }
    }
    /// Bytes so far, which is what a call returns.
    pub fn len(&self) -> i32 {
        self.len as i32
    }
    #[inline(always)]
    pub fn byte(&mut self, b: u8) {
        self.to[self.len].set(b);
        self.len += 1;
    }
    pub fn text(&mut self, text: &str) {
        for b in text.bytes() {
            self.byte(b);
        }
    }
    /// Digits, 20 at most.
    pub fn u64(&mut self, mut v: u64) {
        let (mut digits, mut n) = ([0; 20], 0);
        loop {
            digits[n] = b'0' + (v % 10) as u8;
            n += 1;
            v /= 10;
            if v == 0 {
                break;
            }
        }
        for digit in digits[..n].iter().rev() {
            self.byte(*digit);
        }
    }
    /// A price as a decimal number with nine decimals, 21 bytes at most.
    pub fn price(&mut self, px: i64) {
        if px < 0 {
            self.byte(b'-');
        }
        let v = px.unsigned_abs();
        self.u64(v / 1_000_000_000);
        self.byte(b'.');
        let mut unit = 100_000_000;
        while unit > 0 {
            self.byte(b'0' + (v / unit % 10) as u8);
            unit /= 10;
        }
    }
}

/// What the host sees of a column.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    id: u16,
    kind: u8,
    access: u8,
    at: *const u8,
    stride: u32,
    zero: u32,
}

/// What the host sees of a unit: its columns, and its bytes in and out.
#[repr(C)]
pub struct Layout<const COLUMNS: usize> {
    magic: u32,
    max_rows: u32,
    bytes_in: *const u8,
    in_bytes: u32,
    bytes_out: *const u8,
    out_bytes: u32,
    columns: u32,
    zero: u32,
    entries: [Entry; COLUMNS],
}

unsafe impl<const COLUMNS: usize> Sync for Layout<COLUMNS> {}

impl<const COLUMNS: usize> Layout<COLUMNS> {
    pub const fn new(max_rows: u32, entries: [Entry; COLUMNS]) -> Self {
        Layout {
            magic: 0x31505754,
            max_rows,
            bytes_in: core::ptr::null(),
            in_bytes: 0,
            bytes_out: core::ptr::null(),
            out_bytes: 0,
            columns: COLUMNS as u32,
            zero: 0,
            entries,
        }
    }
    /// Where bytes in are: parsers, decoders, indexes, merged states.
    pub const fn input<T, const N: usize>(self, room: &'static Room<T, N>) -> Self {
        Layout { bytes_in: room as *const Room<T, N> as *const u8, in_bytes: (core::mem::size_of::<T>() * N) as u32, ..self }
    }
    /// Where bytes out are: serializers, encoders, indexes, states.
    pub const fn output<T, const N: usize>(self, room: &'static Room<T, N>) -> Self {
        Layout { bytes_out: room as *const Room<T, N> as *const u8, out_bytes: (core::mem::size_of::<T>() * N) as u32, ..self }
    }
}

/// The layouts of the manifest's kinds, in order.
macro_rules! units {
    ($($layout:expr),+ $(,)?) => {
        #[no_mangle]
        pub extern "C" fn tw_abi() -> i32 {
            tickwire::ABI
        }
        #[no_mangle]
        pub extern "C" fn tw_layout(unit: i32) -> *const u8 {
            [$(&$layout as *const _ as *const u8),+].get(unit as usize).copied().unwrap_or(core::ptr::null())
        }
    };
}
pub(crate) use units;

/// params!(BYTES, |params| { …; 0 }): what to do with the parameters, once, before any call; 0, or an error code. BYTES is room for their JSON.
macro_rules! params {
    ($bytes:expr, $init:expr) => {
        static TW_ROOM: tickwire::Room<u8, $bytes> = tickwire::Room::new();
        #[no_mangle]
        pub extern "C" fn tw_alloc(bytes: u32) -> *const u8 {
            if bytes <= $bytes {
                &TW_ROOM as *const _ as *const u8
            } else {
                core::ptr::null()
            }
        }
        #[no_mangle]
        pub extern "C" fn tw_init(at: *const u8, len: i32) -> i32 {
            let init: fn(tickwire::Params) -> i32 = $init;
            init(tickwire::Params(unsafe { core::slice::from_raw_parts(at, len as usize) }))
        }
    };
}
pub(crate) use params;

/// Parameters as the host hands them over: JSON, defaults filled in.
#[derive(Clone, Copy)]
pub struct Params<'a>(pub &'a [u8]);

impl<'a> Params<'a> {
    /// The value's text and what is behind it. A key stands behind { or , and no text within the JSON can, since a quote within a text has a backslash before it.
    fn find(self, key: &str) -> Option<&'a [u8]> {
        let key = key.as_bytes();
        let long = key.len() + 4;
        let at = self.0.windows(long).position(|w| {
            (w[0] == b'{' || w[0] == b',') && w[1] == b'"' && &w[2..long - 2] == key && w[long - 2] == b'"' && w[long - 1] == b':'
        })?;
        self.0.get(at + long..)
    }
    /// A parameter of type i64 or price (in 1e-9), none if it is not there.
    pub fn i64(self, key: &str, none: i64) -> i64 {
        let text = match self.find(key) {
            Some(text) => text,
            None => return none,
        };
        let negative = text.first() == Some(&b'-');
        let v = text[negative as usize..].iter().take_while(|c| c.is_ascii_digit()).fold(0u64, |v, c| v.wrapping_mul(10).wrapping_add((c - b'0') as u64));
        if negative { v.wrapping_neg() as i64 } else { v as i64 }
    }
    /// A parameter of type bool.
    pub fn bool(self, key: &str) -> bool {
        self.find(key).map_or(false, |text| text.first() == Some(&b't'))
    }
}

/// A value of the plugin's own that outlives a call.
pub struct Global<T>(Cell<T>);

unsafe impl<T> Sync for Global<T> {}

impl<T: Copy> Global<T> {
    pub const fn new(v: T) -> Self {
        Global(Cell::new(v))
    }
    pub fn get(&self) -> T {
        self.0.get()
    }
    pub fn set(&self, v: T) {
        self.0.set(v)
    }
}

/// Bytes as tw_save and tw_error return them.
pub fn bytes(b: &'static [u8]) -> i64 {
    (b.as_ptr() as usize as i64) << 32 | b.len() as i64
}

static SAID: Global<&'static str> = Global::new("");

/// Keeps an error's text for the host, which asks tw_error for it, and gives the negative number to return.
pub fn fail(text: &'static str) -> i32 {
    SAID.set(text);
    -1
}

#[no_mangle]
extern "C" fn tw_error() -> i64 {
    bytes(SAID.get().as_bytes())
}

mod host {
    #[link(wasm_import_module = "tickwire")]
    extern "C" {
        pub fn log(level: i32, text: *const u8, len: i32);
        pub fn config(key: *const u8, len: i32, to: *mut u8, room: i32) -> i32;
        pub fn metric(key: *const u8, len: i32, add: i64);
        pub fn now() -> i64;
        pub fn lookup(instrument: i32, to: *mut u8, room: i32) -> i32;
        pub fn define(instrument: i32, symbol: *const u8, len: i32) -> i32;
    }
}

/// Says something: 0 debug, 1 information, 2 warning, 3 error.
pub fn log(level: i32, text: &str) {
    unsafe { host::log(level, text.as_ptr(), text.len() as i32) }
}
/// A parameter's value as text; None: there is none, or `to` has no room for it.
pub fn config<'a>(key: &str, to: &'a mut [u8]) -> Option<&'a [u8]> {
    let n = unsafe { host::config(key.as_ptr(), key.len() as i32, to.as_mut_ptr(), to.len() as i32) };
    if n < 0 { None } else { to.get(..n as usize) }
}
/// Adds to a counter, plugin.<name>.<key>.
pub fn metric(key: &str, add: i64) {
    unsafe { host::metric(key.as_ptr(), key.len() as i32, add) }
}
/// The batch's time.
pub fn now() -> i64 {
    unsafe { host::now() }
}
/// An instrument's symbol; None: not known, or `to` has no room for it.
pub fn lookup(instrument: u32, to: &mut [u8]) -> Option<&[u8]> {
    let n = unsafe { host::lookup(instrument as i32, to.as_mut_ptr(), to.len() as i32) };
    if n < 0 { None } else { to.get(..n as usize) }
}
/// Parsers, outside of rows: names an instrument.
pub fn define(instrument: u32, symbol: &[u8]) -> bool {
    unsafe { host::define(instrument as i32, symbol.as_ptr(), symbol.len() as i32) == 0 }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
