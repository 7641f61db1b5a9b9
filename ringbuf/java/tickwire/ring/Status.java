package tickwire.ring;

/** An instrument's trading status, 40 bytes: in the events ring, and inline in the mbo ring. */
public final class Status extends Record {
    /** Its record type. */
    public static final int RTYPE = 0x12;

    /** Receive time. */
    public long tsRecv;

    /** DBN status action. */
    public int action;

    /** DBN status reason. */
    public int reason;

    /** DBN trading event. */
    public int tradingEvent;

    /** Y, N or ~. */
    public char isTrading;

    /** Y, N or ~. */
    public char isQuoting;

    /** Y, N or ~. */
    public char isShortSellRestricted;

    /** Fills this from record i of a batch of an mbo or events ring. */
    public Status load(Batch b, int i) {
        header(b, i);
        tsRecv = b.i64(i, 16);
        action = b.u16(i, 24);
        reason = b.u16(i, 26);
        tradingEvent = b.u16(i, 28);
        isTrading = (char) b.u8(i, 30);
        isQuoting = (char) b.u8(i, 31);
        isShortSellRestricted = (char) b.u8(i, 32);
        return this;
    }
}
