//! Records: DBN version 3 ([`Gap`] and [`Ext`] are tickwire's). Prices are i64 in 1e-9, times ns since 1970.

/// No price.
pub const UNDEF_PRICE: i64 = i64::MAX;
/// No time.
pub const UNDEF_TIME: u64 = u64::MAX;
/// No size.
pub const UNDEF_SIZE: u32 = u32::MAX;

/// Last record of the venue event for this instrument.
pub const F_LAST: u8 = 0x80;
/// Top-of-book message, not an order.
pub const F_TOB: u8 = 0x40;
/// From a snapshot or a replay.
pub const F_SNAPSHOT: u8 = 0x20;
/// An aggregated level, not an order.
pub const F_MBP: u8 = 0x10;
/// `ts_recv` was made up or moved forward.
pub const F_BAD_TS_RECV: u8 = 0x08;
/// A loss on the channel was not recovered.
pub const F_MAYBE_BAD_BOOK: u8 = 0x04;
/// A plugin's verdict: see the ext ring.
pub const F_PUBLISHER: u8 = 0x02;

/// Record types ([`Header::rtype`]).
pub mod rtype {
    pub const TRADE: u8 = 0x00;
    pub const MBP1: u8 = 0x01;
    pub const MBP10: u8 = 0x0A;
    pub const STATUS: u8 = 0x12;
    pub const IMBALANCE: u8 = 0x14;
    pub const STATISTICS: u8 = 0x18;
    pub const MBO: u8 = 0xA0;
    pub const GAP: u8 = 0xE0;
    pub const EXT: u8 = 0xE1;
}

/// What may be copied out of a slot.
///
/// # Safety
///
/// The type is `repr(C)`, has no padding, an alignment of at most 8, a size that is a multiple of 8, and is valid with
/// any bytes in it.
pub unsafe trait Payload: Copy {}

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident $bytes:literal { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }
        // A size that differs either way does not compile.
        const _: [u8; $bytes] = [0; std::mem::size_of::<$name>()];
        // SAFETY: repr(C), integers and arrays of them only; sizes and offsets leave no padding (the sum of the
        // fields' sizes is the size, as ABI.md has them).
        unsafe impl Payload for $name {}
        impl Default for $name {
            fn default() -> Self {
                // SAFETY: integers only.
                unsafe { std::mem::zeroed() }
            }
        }
    )*};
}

records! {
    /// What every record begins with.
    Header 16 {
        /// 32-bit words of the record.
        length: u8,
        /// See [`rtype`].
        rtype: u8,
        publisher_id: u16,
        instrument_id: u32,
        ts_event: u64,
    }
    /// mbo ring: one order event. Action A add, C cancel, M modify, R clear, T trade, F fill, N none; side B, A, N.
    Mbo 56 {
        hdr: Header,
        order_id: u64,
        price: i64,
        size: u32,
        flags: u8,
        channel_id: u8,
        action: u8,
        side: u8,
        ts_recv: u64,
        ts_in_delta: i32,
        sequence: u32,
    }
    /// A trade, as it lies in [`TradeSlot`] and at the head of [`Mbp1Slot`] and [`Mbp10Slot`].
    Trade 48 {
        hdr: Header,
        price: i64,
        size: u32,
        action: u8,
        side: u8,
        flags: u8,
        depth: u8,
        ts_recv: u64,
        ts_in_delta: i32,
        sequence: u32,
    }
    /// One level of a book, both sides.
    Level 32 {
        bid_px: i64,
        ask_px: i64,
        bid_sz: u32,
        ask_sz: u32,
        bid_ct: u32,
        ask_ct: u32,
    }
    /// mbp1 ring: a trade (with the book before it) or a change of the best prices (with the book after it).
    Mbp1Slot 120 {
        rec: Trade,
        level: Level,
        /// When the lane published it.
        ts_publish: u64,
        /// Columns that plugins computed: i64 or f64 bits, as the plugin declared them.
        plugin: [u64; 4],
    }
    /// trades ring.
    TradeSlot 56 {
        rec: Trade,
        /// The venue's, 0: none.
        match_id: u64,
    }
    /// mbp10 ring.
    Mbp10Slot 504 {
        rec: Trade,
        levels: [Level; 10],
        ts_publish: u64,
        reserved: [[u64; 8]; 2],
    }
    /// What one venue contributes to a [`CbboSlot`].
    VenueQuote 48 {
        bid_px: i64,
        ask_px: i64,
        bid_sz: u32,
        ask_sz: u32,
        /// Of its last change.
        ts_recv: u64,
        /// Of that change in the venue's mbp1 ring.
        slot: u64,
        publisher_id: u16,
        /// 0 none, 1 live, 2 stale, 3 suspect, 4 halted, 5 silent.
        state: u8,
        reserved: [u8; 5],
    }
    /// cbbo ring: the best prices across venues, with what each venue has.
    CbboSlot 504 {
        hdr: Header,
        price: i64,
        size: u32,
        action: u8,
        side: u8,
        flags: u8,
        reserved1: u8,
        ts_recv: u64,
        ts_in_delta: i32,
        reserved2: [u8; 4],
        bid_px: i64,
        ask_px: i64,
        bid_sz: u32,
        ask_sz: u32,
        /// Publisher with the best bid.
        bid_pb: u16,
        reserved3: [u8; 2],
        ask_pb: u16,
        reserved4: [u8; 2],
        ts_publish: u64,
        /// Quotes that are filled in.
        venues: u8,
        live: u8,
        stale: u8,
        reserved5: [u8; 5],
        quotes: [VenueQuote; 8],
        reserved6: [u8; 24],
    }
    /// events ring, and inline in the mbo ring: an instrument's trading status.
    Status 40 {
        hdr: Header,
        ts_recv: u64,
        action: u16,
        reason: u16,
        trading_event: u16,
        /// Y, N or ~.
        is_trading: u8,
        is_quoting: u8,
        is_short_sell_restricted: u8,
        reserved: [u8; 7],
    }
    /// events ring, and inline in the mbo ring: sequence numbers of the venue that are missing.
    Gap 56 {
        /// Instrument 0: all of the channel.
        hdr: Header,
        first: u64,
        /// Inclusive.
        last: u64,
        ts_recv: u64,
        /// 1 recovering, 2 closed, 3 lost.
        state: u8,
        channel_id: u8,
        /// 255: both.
        line: u8,
        reserved: [u8; 5],
        messages: u64,
    }
    /// events ring.
    Imbalance 112 {
        hdr: Header,
        ts_recv: u64,
        ref_price: i64,
        auction_time: u64,
        cont_book_clr_price: i64,
        auct_interest_clr_price: i64,
        ssr_filling_price: i64,
        ind_match_price: i64,
        upper_collar: i64,
        lower_collar: i64,
        paired_qty: u32,
        total_imbalance_qty: u32,
        market_imbalance_qty: u32,
        unpaired_qty: u32,
        auction_type: u8,
        side: u8,
        auction_status: u8,
        freeze_status: u8,
        num_extensions: u8,
        unpaired_side: u8,
        significant_imbalance: u8,
        reserved: u8,
    }
    /// events ring.
    Statistics 80 {
        hdr: Header,
        ts_recv: u64,
        ts_ref: u64,
        price: i64,
        quantity: i64,
        sequence: u32,
        ts_in_delta: i32,
        stat_type: u16,
        channel_id: u16,
        update_action: u8,
        stat_flags: u8,
        reserved: [u8; 18],
    }
    /// One payload of the events ring: what it is says [`Event::hdr`]; [`View`] looks at it as a record.
    Event 120 {
        hdr: Header,
        rest: [u64; 13],
    }
    /// ext ring: what the venue sends and DBN has no field for.
    Ext 56 {
        hdr: Header,
        /// Number of the slot it belongs to in ring `ref_ring`, 0: none.
        ref_seq: u64,
        kind: u8,
        /// 1 mbo, 2 mbp1, 3 trades, 4 events.
        ref_ring: u8,
        reserved: [u8; 2],
        seq32: u32,
        a: u64,
        b: u64,
        c: u64,
    }
}

/// Looks at a payload as a record of the type that its header says: how status and gap records are found in the mbo
/// ring, and all of them in the events ring.
///
/// ```
/// use tickring::{rtype, Gap, Mbo, View};
/// let mut m = Mbo::default();
/// m.hdr.rtype = rtype::GAP;
/// assert!(m.view::<Gap>().is_some());
/// ```
pub trait View: Payload {
    /// The payload as a `T`, or `None` when its rtype is another or it is too short for one.
    fn view<T: Record>(&self) -> Option<&T> {
        if std::mem::size_of::<Self>() < std::mem::size_of::<T>() || std::mem::size_of::<Self>() < 16 {
            return None;
        }
        // SAFETY: both are Payloads: any bytes are valid, alignment is 8 for all types that begin with a Header, and
        // there are enough of them.
        unsafe {
            let p = self as *const Self;
            if p as usize % std::mem::align_of::<T>() != 0 || (*p.cast::<Header>()).rtype != T::RTYPE {
                return None;
            }
            Some(&*p.cast::<T>())
        }
    }
}
impl View for Mbo {}
impl View for Event {}
impl View for Ext {}

/// A record that has a type of its own.
pub trait Record: Payload {
    /// Its `rtype`.
    const RTYPE: u8;
}
impl Record for Mbo {
    const RTYPE: u8 = rtype::MBO;
}
impl Record for Status {
    const RTYPE: u8 = rtype::STATUS;
}
impl Record for Gap {
    const RTYPE: u8 = rtype::GAP;
}
impl Record for Imbalance {
    const RTYPE: u8 = rtype::IMBALANCE;
}
impl Record for Statistics {
    const RTYPE: u8 = rtype::STATISTICS;
}
impl Record for Ext {
    const RTYPE: u8 = rtype::EXT;
}

// Raw words, for whoever takes records as they lie: 7 (slots of 64 bytes), 15 (128) or 63 (512).
unsafe impl Payload for [u64; 7] {}
unsafe impl Payload for [u64; 15] {}
unsafe impl Payload for [u64; 63] {}
