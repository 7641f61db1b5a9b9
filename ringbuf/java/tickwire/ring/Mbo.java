package tickwire.ring;

/** An order event of the mbo ring, 56 bytes. Status and gap records lie between them: ask {@link Batch#rtype(int)}. */
public final class Mbo extends Record {
    /** Its record type. */
    public static final int RTYPE = 0xA0;

    /** The venue's order number. */
    public long orderId;

    /** Price, 1e-9. */
    public long price;

    /** Size; saturates at 4,294,967,294. */
    public long size;

    /** F_…. */
    public int flags;

    /** Channel of the feed. */
    public int channelId;

    /** A add, C cancel, M modify, R clear, T trade, F fill, N none. */
    public char action;

    /** B, A or N. */
    public char side;

    /** Receive time. */
    public long tsRecv;

    /** tsRecv minus the venue's sending time, ns. */
    public int tsInDelta;

    /** The venue's number, unsigned. */
    public long sequence;

    /** Fills this from record i of a batch of an mbo ring. */
    public Mbo load(Batch b, int i) {
        header(b, i);
        orderId = b.i64(i, 16);
        price = b.i64(i, 24);
        size = b.u32(i, 32);
        flags = b.u8(i, 36);
        channelId = b.u8(i, 37);
        action = (char) b.u8(i, 38);
        side = (char) b.u8(i, 39);
        tsRecv = b.i64(i, 40);
        tsInDelta = b.i32(i, 48);
        sequence = b.u32(i, 52);
        return this;
    }
}
