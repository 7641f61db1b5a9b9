package tickwire.ring;

/** A record of the cbbo ring: the best prices across venues, and what each venue has. */
public final class Cbbo extends Record {
    /** Its record type. */
    public static final int RTYPE = 0xB1;

    /** States of a venue's quote; only LIVE ones make the best prices. */
    public static final int NONE = 0, LIVE = 1, STALE = 2, SUSPECT = 3, HALTED = 4, SILENT = 5;

    private static final int QUOTES = 96, QUOTE_BYTES = 48;

    /** Best prices, 1e-9. */
    public long bidPx, askPx;

    /** Their sizes; they saturate at 4,294,967,294. */
    public long bidSz, askSz;

    /** Publishers that have them. */
    public int bidPublisher, askPublisher;

    /** F_…. */
    public int flags;

    /** Receive time of the change. */
    public long tsRecv;

    /** When it was published. */
    public long tsPublish;

    /** Quotes that are filled in, and of them the live and the stale ones. */
    public int venues, live, stale;

    /** The quotes, by venue: prices in 1e-9, sizes, publisher, state, receive time of the last change. */
    public final long[] venueBidPx = new long[8], venueAskPx = new long[8], venueBidSz = new long[8], venueAskSz = new long[8];

    public final long[] venueTsRecv = new long[8];
    public final int[] venuePublisher = new int[8], venueState = new int[8];

    /** Fills this from record i of a batch of a cbbo ring. */
    public Cbbo load(Batch b, int i) {
        header(b, i);
        flags = b.u8(i, 30);
        tsRecv = b.i64(i, 32);
        bidPx = b.i64(i, 48);
        askPx = b.i64(i, 56);
        bidSz = b.u32(i, 64);
        askSz = b.u32(i, 68);
        bidPublisher = b.u16(i, 72);
        askPublisher = b.u16(i, 76);
        tsPublish = b.i64(i, 80);
        venues = b.u8(i, 88);
        live = b.u8(i, 89);
        stale = b.u8(i, 90);
        for (int q = 0; q < venues && q < 8; q++) {
            int at = QUOTES + q * QUOTE_BYTES;
            venueBidPx[q] = b.i64(i, at);
            venueAskPx[q] = b.i64(i, at + 8);
            venueBidSz[q] = b.u32(i, at + 16);
            venueAskSz[q] = b.u32(i, at + 20);
            venueTsRecv[q] = b.i64(i, at + 24);
            venuePublisher[q] = b.u16(i, at + 40);
            venueState[q] = b.u8(i, at + 42);
        }
        return this;
    }
}
