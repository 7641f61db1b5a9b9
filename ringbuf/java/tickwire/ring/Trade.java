package tickwire.ring;

/** A trade of the trades ring, 48 bytes, with the venue's match number behind it. */
public class Trade extends Record {
    /** Its record type. */
    public static final int RTYPE = 0x00;

    /** Price, 1e-9. */
    public long price;

    /** Size; saturates at 4,294,967,294. */
    public long size;

    /** T here; in mbp1 the action that changed the book. */
    public char action;

    /** Side of the aggressor: B, A or N. */
    public char side;

    /** F_…. */
    public int flags;

    /** Level of the book, 0: best. */
    public int depth;

    /** Receive time. */
    public long tsRecv;

    /** tsRecv minus the venue's sending time, ns. */
    public int tsInDelta;

    /** The venue's number, unsigned. */
    public long sequence;

    /** trades ring: the venue's match or execution number, 0: none. */
    public long matchId;

    /** Fills this from record i of a batch of a trades ring. */
    public Trade load(Batch b, int i) {
        trade(b, i);
        matchId = b.i64(i, 48);
        return this;
    }

    final void trade(Batch b, int i) {
        header(b, i);
        price = b.i64(i, 16);
        size = b.u32(i, 24);
        action = (char) b.u8(i, 28);
        side = (char) b.u8(i, 29);
        flags = b.u8(i, 30);
        depth = b.u8(i, 31);
        tsRecv = b.i64(i, 32);
        tsInDelta = b.i32(i, 40);
        sequence = b.u32(i, 44);
    }
}
