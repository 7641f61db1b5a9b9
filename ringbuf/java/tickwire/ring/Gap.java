package tickwire.ring;

/** Numbers of the venue that are missing, 56 bytes: in the events ring, and inline in the mbo ring. Instrument 0: all of the channel. */
public final class Gap extends Record {
    /** Its record type; tickwire's own. */
    public static final int RTYPE = 0xE0;

    /** First number that is missing. */
    public long first;

    /** Last number that is missing. */
    public long last;

    /** Receive time. */
    public long tsRecv;

    /** 1 recovering, 2 closed, 3 lost. */
    public int state;

    /** Channel of the feed. */
    public int channelId;

    /** Line, 255: both. */
    public int line;

    /** Messages that are missing. */
    public long messages;

    /** Fills this from record i of a batch of an mbo or events ring. */
    public Gap load(Batch b, int i) {
        header(b, i);
        first = b.i64(i, 16);
        last = b.i64(i, 24);
        tsRecv = b.i64(i, 32);
        state = b.u8(i, 40);
        channelId = b.u8(i, 41);
        line = b.u8(i, 42);
        messages = b.i64(i, 48);
        return this;
    }
}
