package tickwire.ring;

/**
 * Private copies of records, whole and in order, as {@link Ring#poll(Batch)} gives them. Reused from poll to poll: a poll
 * allocates nothing. Belongs to one thread.
 *
 * <p>A record is looked at through one of the record types ({@link Mbo}, {@link Mbp1}, {@link Trade}, {@link Status}, {@link Gap}), chosen by
 * {@link #rtype(int)}, or field by field at its DBN offset ({@link #i64(int, int)} and so on).
 */
public final class Batch {
    /** The records, {@link #payloadWords} words each, little-endian; behind {@link #count} of them undefined. */
    public final long[] words;

    /** Words of a record: 7, 15 or 63 for slots of 64, 128 or 512 bytes. */
    public final int payloadWords;

    /** How many records the last poll gave. */
    public int count;

    /** Number of the first of them. */
    public long first;

    final int max;

    /**
     * Room for {@code max} records of a ring.
     *
     * @throws IllegalArgumentException when max is less than 1
     */
    public Batch(Ring ring, int max) {
        if (max < 1) {
            throw new IllegalArgumentException("tickring: a batch of " + max + " records");
        }
        this.max = max;
        this.payloadWords = (ring.slotBytes() - 8) / 8;
        this.words = new long[Math.multiplyExact(max, payloadWords)];
    }

    /** The record type of record i, {@code RTYPE} of one of the record types. */
    public int rtype(int i) {
        return u8(i, 1);
    }

    /** The 8 bytes at an offset that is a multiple of 8. */
    public long i64(int i, int offset) {
        return words[i * payloadWords + (offset >> 3)];
    }

    /** The 4 bytes at an offset that is a multiple of 4, with their sign. */
    public int i32(int i, int offset) {
        return (int) (i64(i, offset) >>> ((offset & 4) << 3));
    }

    /** The 4 bytes at an offset that is a multiple of 4. */
    public long u32(int i, int offset) {
        return i32(i, offset) & 0xffff_ffffL;
    }

    /** The 2 bytes at an even offset. */
    public int u16(int i, int offset) {
        return (int) (i64(i, offset) >>> ((offset & 6) << 3)) & 0xffff;
    }

    /** The byte at an offset. */
    public int u8(int i, int offset) {
        return (int) (i64(i, offset) >>> ((offset & 7) << 3)) & 0xff;
    }
}
