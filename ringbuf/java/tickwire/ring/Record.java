package tickwire.ring;

/**
 * What every record has: DBN's header. Prices are long in 1e-9, times ns since 1970. Records are filled in place from a
 * {@link Batch} by their {@code load}, which returns the record itself and allocates nothing.
 */
public abstract class Record {
    /** No price. */
    public static final long UNDEF_PRICE = Long.MAX_VALUE;

    /** Last record of the venue event for this instrument. */
    public static final int F_LAST = 0x80;

    /** From a snapshot or a replay. */
    public static final int F_SNAPSHOT = 0x20;

    /** An aggregated level, not an order. */
    public static final int F_MBP = 0x10;

    /** tsRecv was made up or moved forward. */
    public static final int F_BAD_TS_RECV = 0x08;

    /** A loss on the channel was not recovered. */
    public static final int F_MAYBE_BAD_BOOK = 0x04;

    /** A plugin's verdict: see the ext ring. */
    public static final int F_PUBLISHER = 0x02;

    /** 32-bit words of the record. */
    public int length;

    /** Type of the record. */
    public int rtype;

    /** DBN publisher. */
    public int publisherId;

    /** The venue's number, or the one given for the day; unsigned. */
    public long instrumentId;

    /** The exchange's time. */
    public long tsEvent;

    final void header(Batch b, int i) {
        length = b.u8(i, 0);
        rtype = b.u8(i, 1);
        publisherId = b.u16(i, 2);
        instrumentId = b.u32(i, 4);
        tsEvent = b.i64(i, 8);
    }
}
