package tickwire.ring;

/** A record of the mbp1 ring: a trade (with the book before it) or a change of the best prices (with the book after it). */
public final class Mbp1 extends Trade {
    /** Its record type. */
    public static final int RTYPE = 0x01;

    /** Best bid, 1e-9, UNDEF_PRICE when there is none. */
    public long bidPx;

    /** Best ask, likewise. */
    public long askPx;

    /** Size at the best bid. */
    public long bidSz;

    /** Size at the best ask. */
    public long askSz;

    /** Orders at the best bid. */
    public long bidCt;

    /** Orders at the best ask. */
    public long askCt;

    /** When the lane published it. */
    public long tsPublish;

    /** Columns that plugins computed: long or the bits of a double, as the plugin declared them. */
    public final long[] plugin = new long[4];

    /** Fills this from record i of a batch of an mbp1 ring. */
    @Override
    public Mbp1 load(Batch b, int i) {
        trade(b, i);
        bidPx = b.i64(i, 48);
        askPx = b.i64(i, 56);
        bidSz = b.u32(i, 64);
        askSz = b.u32(i, 68);
        bidCt = b.u32(i, 72);
        askCt = b.u32(i, 76);
        tsPublish = b.i64(i, 80);
        for (int k = 0; k < 4; k++) {
            plugin[k] = b.i64(i, 88 + 8 * k);
        }
        return this;
    }
}
