package tickwire.ring;

import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.concurrent.locks.LockSupport;
import tickwire.ring.RingException.Reason;

/**
 * A ring that is being read. Belongs to one thread. It is unmapped when it is no longer reachable: there is no close,
 * since a mapping that is still read must not go away.
 *
 * <pre>{@code
 * Ring ring = Ring.open(Path.of("/dev/shm/tickwire/main/nasdaq.a.mbo.ring"), Ring.Join.LIVE);
 * Batch batch = new Batch(ring, 64);
 * Mbo mbo = new Mbo();
 * for (;;) {
 *     switch (ring.poll(batch)) {
 *         case RECORDS -> { for (int i = 0; i < batch.count; i++) if (batch.rtype(i) == Mbo.RTYPE) use(mbo.load(batch, i)); }
 *         case OVERRUN, EPOCH -> dropBooks();          // ring.lost() has grown by exactly what was missed
 *         case REPLACED -> { return; }                 // open the name again
 *         default -> ring.await(1_000_000);
 *     }
 * }
 * }</pre>
 */
public final class Ring {
    /** What a poll says. */
    public enum Poll {
        /** There are records. */
        RECORDS,
        /** Nothing new yet. */
        NONE,
        /** Lapped: lost has grown by what was missed, reading goes on half a ring behind the newest. */
        OVERRUN,
        /** The producer was started again: lost has grown by what was missed, reading goes on at its first record. */
        EPOCH,
        /** Another file has the name, or none has, and this one is read to its end: open again. */
        REPLACED,
        /** No record, and no heartbeat within {@link #staleAfterNs}. */
        SILENT,
        /** The producer ended and all records are read; it may come back. */
        STOPPED
    }

    /** Where to begin. */
    public enum Join {
        /** With the next record. */
        LIVE,
        /** Half a ring of history, as far as this epoch reaches. */
        HALF,
        /** All that is there of this epoch; at least an eighth of the ring ahead of the writer. */
        OLDEST
    }

    /** Kinds of ring. */
    public static final int MBO = 1, MBP1 = 2, TRADES = 3, EVENTS = 4, EXT = 5, MBP10 = 6, CBBO = 7;

    /** States of the producer. RECOVERING: it is alive, missing numbers were asked for. */
    public static final int INITIALISING = 0, RUNNING = 1, FEED_DOWN = 2, STOPPED = 3, FAILED = 4, REPLACED = 5, RECOVERING = 6;

    // Layout of a ring file, ABI 1: offsets in bytes (ringbuf/ABI.md 2).
    private static final long MAGIC = 0x3130474e49525754L; // TWRING01
    private static final int OFF_MAJOR = 8, OFF_MINOR = 10, OFF_HEADER_BYTES = 12, OFF_BYTE_ORDER = 16, OFF_SLOT_BYTES = 20;
    private static final int OFF_SLOTS = 24, OFF_SLOTS_OFFSET = 32, OFF_FILE_BYTES = 40, OFF_DBN_VERSION = 50, OFF_KIND = 51;
    private static final int OFF_PUBLISHER = 52, OFF_CHANNEL = 54, OFF_UUID = 64, OFF_NAME = 80, OFF_DATASET = 128;
    private static final int OFF_EPOCH_INTENT = 256, OFF_EPOCH = 264, OFF_FIRST = 272, OFF_STATE = 300, OFF_BOOT_ID = 304;
    private static final int OFF_UNUSED = 320, OFF_CURSOR = 384, OFF_HEARTBEAT = 512, OFF_DOORBELL = 520, OFF_STAMPS = 524;

    private static final int[] SLOT_BYTES = {0, 64, 128, 64, 128, 64, 512, 512};
    private static final int IDLE_CHECKS = 1024; // every so many empty polls the header is looked at
    private static final int CHUNK_SHIFT = 30; // slots are mapped in pieces of 1 GiB: a ByteBuffer ends at 2
    private static final long NAP_NS = 50_000;

    private final Path path;
    private final Object fileKey;
    private final ByteBuffer head;
    private final ByteBuffer[] chunks;
    private final long mask;
    private final int slotShift;
    private final int kind;

    private long next;
    private long lost;
    private long epoch;
    private long unused;
    private boolean sameBoot;
    private long staleNs = 50_000_000;
    private int idle;

    /**
     * Maps a ring read-only and joins it.
     *
     * @throws RingException which of the conditions of a ring does not hold
     */
    public static Ring open(Path path, Join join) throws RingException {
        Ring ring = new Ring(path);
        ring.join(join);
        return ring;
    }

    private Ring(Path path) throws RingException {
        this.path = path;
        try (FileChannel file = Shared.open(path)) {
            fileKey = Shared.fileKey(path);
            head = Shared.map(path, file, 0, Shared.HEADER_BYTES);
            check(path, head, file.size());
            kind = head.get(OFF_KIND);
            slotShift = Integer.numberOfTrailingZeros(head.getInt(OFF_SLOT_BYTES));
            mask = head.getLong(OFF_SLOTS) - 1;
            long bytes = (mask + 1) << slotShift, from = head.getLong(OFF_SLOTS_OFFSET);
            chunks = new ByteBuffer[(int) (((bytes - 1) >>> CHUNK_SHIFT) + 1)];
            for (int i = 0; i < chunks.length; i++) {
                long at = (long) i << CHUNK_SHIFT;
                chunks[i] = Shared.map(path, file, from + at, Math.min(bytes - at, 1L << CHUNK_SHIFT));
                for (int page = 0; page < chunks[i].capacity(); page += 4096) {
                    Shared.opaque(chunks[i], page); // now, so that no later access faults
                }
            }
        } catch (RingException e) {
            throw e;
        } catch (IOException e) {
            throw new RingException(path, Reason.OPEN, e);
        }
    }

    /** The conditions that make a file a ring, in the order of tickring.h. */
    private static void check(Path path, ByteBuffer h, long fileBytes) throws RingException {
        long slots = h.getLong(OFF_SLOTS), offset = h.getLong(OFF_SLOTS_OFFSET), declared = h.getLong(OFF_FILE_BYTES);
        int headerBytes = h.getInt(OFF_HEADER_BYTES), slotBytes = h.getInt(OFF_SLOT_BYTES), kind = h.get(OFF_KIND);
        Reason r = null;
        if (h.getLong(0) != MAGIC) {
            r = Reason.MAGIC;
        } else if (h.getInt(OFF_BYTE_ORDER) != 0x01020304) {
            r = Reason.BYTE_ORDER;
        } else if (h.getShort(OFF_MAJOR) != 1) {
            r = Reason.VERSION;
        } else if (headerBytes < Shared.HEADER_BYTES || headerBytes > fileBytes) {
            r = Reason.HEADER_SIZE;
        } else if (kind < MBO || kind > CBBO || slotBytes != SLOT_BYTES[kind]) {
            r = Reason.SLOT_SIZE;
        } else if (slots < 4 || slots > 1L << 40 || Long.bitCount(slots) != 1) {
            r = Reason.CAPACITY;
        } else if (offset < Shared.HEADER_BYTES || offset > 2 << 20 || offset % Shared.HEADER_BYTES != 0) {
            r = Reason.OFFSET;
        } else if (Long.compareUnsigned(declared, offset + slots * slotBytes) < 0 || Long.compareUnsigned(fileBytes, declared) < 0) {
            r = Reason.FILE_SIZE;
        } else if (h.get(OFF_DBN_VERSION) != 3) {
            r = Reason.DBN_VERSION;
        }
        if (r != null) {
            throw new RingException(path, r, null);
        }
    }

    /** A session's fields, as they belong together. */
    private static final class Session {
        long epoch, first, unused;
        boolean sameBoot;
    }

    /** Null while a producer is changing them. */
    private Session session() {
        Session s = new Session();
        s.epoch = Shared.acquire(head, OFF_EPOCH);
        s.first = Shared.opaque(head, OFF_FIRST);
        s.unused = Shared.opaque(head, OFF_UNUSED);
        long boot0 = Shared.opaque(head, OFF_BOOT_ID), boot1 = Shared.opaque(head, OFF_BOOT_ID + 8);
        VarHandle.acquireFence();
        if (s.epoch == 0 || Shared.opaque(head, OFF_EPOCH_INTENT) != s.epoch) {
            return null;
        }
        long[] here = Shared.bootId();
        s.sameBoot = boot0 == here[0] && boot1 == here[1];
        return s;
    }

    /** The same with some patience: a tenth of a second. */
    private Session awaitSession() throws RingException {
        for (int i = 0; i < 100; i++) {
            Session s = session();
            if (s != null) {
                return s;
            }
            LockSupport.parkNanos(1_000_000);
        }
        throw new RingException(path, Reason.RESTARTING, null);
    }

    private ByteBuffer chunkOf(long n) {
        return chunks[(int) ((n & mask) << slotShift >>> CHUNK_SHIFT)];
    }

    private int placeOf(long n) {
        return (int) ((n & mask) << slotShift & (1L << CHUNK_SHIFT) - 1);
    }

    private long number(long n) {
        return Shared.acquire(chunkOf(n), placeOf(n));
    }

    /** The number of the next record to come, or one a little older or (never more than a run) newer. */
    private long tail(long first) {
        long n = Shared.acquire(head, OFF_CURSOR) + 1;
        if (n - first < 0) {
            n = first;
        }
        for (long steps = 0; steps <= mask; steps++) {
            long found = number(n);
            if (found == n) {
                n++;
            } else if (found - n > 0) {
                n = found; // a lap was written since the cursor was
            } else {
                break;
            }
        }
        return n;
    }

    private void enter(Session s, long at) {
        epoch = s.epoch;
        unused = s.unused;
        sameBoot = s.sameBoot;
        next = at;
    }

    /** Begins anew. What is skipped by it is no loss. Fails with RESTARTING only. */
    public void join(Join join) throws RingException {
        Session s = awaitSession();
        long tail = tail(s.first), slots = mask + 1, have = tail - s.first, back = 0;
        if (join == Join.HALF) {
            back = Long.compareUnsigned(have, slots / 2) < 0 ? have : slots / 2;
        } else if (join == Join.OLDEST) {
            back = Long.compareUnsigned(have, slots) <= 0 ? have : slots - slots / 8;
        }
        enter(s, tail - back);
    }

    /**
     * Makes {@code number} the next record: one of this epoch that is still there (else TOO_OLD) or the next to come (else TOO_FAR). On an
     * error the place is unchanged. A snapshot that holds at record S is followed by seek(S + 1).
     */
    public void seek(long number) throws RingException {
        Session s = awaitSession();
        long tail = tail(s.first);
        if (number - s.first < 0 || tail - number > mask + 1) {
            throw new RingException(path, Reason.TOO_OLD, null);
        }
        if (number - tail > 0) {
            throw new RingException(path, Reason.TOO_FAR, null);
        }
        enter(s, number);
    }

    /**
     * Copies as many records as there are and the batch holds, in order and whole; without any the result says why. Whole
     * records before an overrun come first. Hot path: no allocation, no call into the kernel but once in 1,024 empty polls.
     *
     * @throws IllegalArgumentException when the batch was made for a ring of another slot size
     */
    public Poll poll(Batch batch) {
        return poll(batch, batch.max);
    }

    /** Likewise, {@code max} records at most. */
    public Poll poll(Batch batch, int max) {
        int words = (1 << slotShift - 3) - 1;
        if (batch.payloadWords != words) {
            throw new IllegalArgumentException("tickring: records of another size than the ring's payload");
        }
        long n = next;
        int got = 0, to = 0;
        for (int most = Math.min(max, batch.max); got < most; got++) {
            if (!take(n, batch.words, to, words)) {
                break;
            }
            n++;
            to += words;
        }
        batch.first = next;
        batch.count = got;
        if (got > 0) {
            next = n;
            idle = 0;
            return Poll.RECORDS;
        }
        return empty();
    }

    /** Copies record n; true when it is whole. */
    private boolean take(long n, long[] dst, int to, int words) {
        ByteBuffer b = chunkOf(n);
        int at = placeOf(n);
        if ((long) Shared.WORD.getAcquire(b, at) != n) {
            return false;
        }
        for (int i = 0; i < words; i++) {
            at += 8;
            dst[to + i] = (long) Shared.WORD.getOpaque(b, at);
        }
        VarHandle.acquireFence();
        return (long) Shared.WORD.getOpaque(b, at - 8 * words) == n;
    }

    /** Finds out why there was no record. */
    private Poll empty() {
        long found = number(next);
        if (found - next > 0) {
            Poll p = repair(found);
            if (p != Poll.NONE) {
                idle = 0;
                return p;
            }
        }
        if (++idle % IDLE_CHECKS != 0) {
            return Poll.NONE;
        }
        return check();
    }

    /** A number beyond the awaited one was found: a lap, or a new epoch. */
    private Poll repair(long found) {
        // The number was read before the epoch: with the epoch unchanged it was written in ours.
        if (Shared.acquire(head, OFF_EPOCH) != epoch) {
            return newEpoch();
        }
        long tail = Shared.opaque(head, OFF_CURSOR);
        if (found - tail > 0) {
            tail = found;
        }
        long to = tail - (mask + 1) / 2;
        if (to - next <= 0) {
            to = next + 1;
        }
        lost += to - next;
        next = to;
        return Poll.OVERRUN;
    }

    /** Goes to the first record of the session that runs now, over any number of epochs. */
    private Poll newEpoch() {
        Session s = session();
        if (s == null) {
            return Poll.NONE;
        }
        // Not below 0: a reader that joined in the middle of a run which was then cut short was ahead by that much.
        lost += Math.max(0, s.first - next - (s.unused - unused));
        enter(s, s.first);
        return Poll.EPOCH;
    }

    /**
     * Looks at the header, now and then while no record comes. What it says counts only if there is still no record
     * afterwards: the last ones of a producer come before its news.
     */
    private Poll check() {
        long now = Shared.acquire(head, OFF_EPOCH);
        int state = state();
        long beat = Shared.acquire(head, OFF_HEARTBEAT);
        if (number(next) - next >= 0) {
            return Poll.NONE;
        }
        if (now != epoch) {
            return newEpoch();
        }
        if (state == REPLACED) {
            return Poll.REPLACED;
        }
        if (state == STOPPED || state == FAILED) {
            return unlinked() ? Poll.REPLACED : Poll.STOPPED;
        }
        if (!sameBoot || Shared.monotonicNs() - beat > staleNs) {
            return unlinked() ? Poll.REPLACED : Poll.SILENT;
        }
        return Poll.NONE;
    }

    /** Another file has the name, or none. */
    private boolean unlinked() {
        return fileKey != null && !fileKey.equals(Shared.fileKey(path));
    }

    /**
     * Sleeps until a record is there, for timeoutUs at most, and says whether one is (or other news). Java has no futex: it looks every
     * 50 µs. Not for the hot path. The next poll without a record looks at heartbeat and state.
     */
    public boolean await(long timeoutUs) {
        long bell = Shared.acquireHalf(head, OFF_DOORBELL), end = System.nanoTime() + timeoutUs * 1000;
        idle = IDLE_CHECKS - 1;
        while (number(next) - next < 0) {
            long left = end - System.nanoTime();
            if (left <= 0 || Thread.interrupted()) {
                return false;
            }
            LockSupport.parkNanos(Math.min(left, NAP_NS));
            if (Shared.acquireHalf(head, OFF_DOORBELL) != bell) { // as a futex would: any ring ends the sleep
                return number(next) - next >= 0;
            }
        }
        return true;
    }

    /** Number of the record that comes next; all before it were handed out or lost. */
    public long next() {
        return next;
    }

    /** Records missed since open, exactly, over overruns and restarts of the producer. */
    public long lost() {
        return lost;
    }

    /** The producer's start that the next record belongs to, as far as is known. */
    public long epoch() {
        return epoch;
    }

    /** Records known to lie ahead. Past three quarters of {@link #slots} an overrun is near. */
    public long lag() {
        return Math.max(0, Shared.acquire(head, OFF_CURSOR) + 1 - next);
    }

    /** What the producer says of itself at this moment: RUNNING, FEED_DOWN, …. */
    public int state() {
        return Shared.acquireHalf(head, OFF_STATE);
    }

    /** Who gave the latest records their tsRecv: 0 not known, 1 the lane's clock, 2 whoever recorded them, 3 the kernel, 4 the NIC. */
    public int stamps() {
        return Shared.acquireHalf(head, OFF_STAMPS);
    }

    /** Age of the producer's last heartbeat, ns. Reads the clock. */
    public long heartbeatNs() {
        long beat = Shared.acquire(head, OFF_HEARTBEAT); // before the clock: it is never ahead of it
        return Math.max(0, Shared.monotonicNs() - beat);
    }

    /** The producer runs and its last heartbeat is younger than {@link #staleAfterNs}. Reads the clock. */
    public boolean alive() {
        int s = state();
        return (s == RUNNING || s == FEED_DOWN || s == RECOVERING) && sameBoot && heartbeatNs() <= staleNs;
    }

    /** Sets the age of a heartbeat from which a ring is SILENT. Producers beat every millisecond; the default is 50 ms. */
    public void staleAfterNs(long ns) {
        staleNs = ns;
    }

    /** What the ring holds: MBO, MBP1, …. */
    public int kind() {
        return kind;
    }

    /** Capacity. */
    public long slots() {
        return mask + 1;
    }

    /** Bytes of a slot; records have 8 less. */
    public int slotBytes() {
        return 1 << slotShift;
    }

    /** {@code <feed>.<lane>.<kind>}. */
    public String name() {
        return Shared.text(head, OFF_NAME, 48);
    }

    /** The DBN dataset. */
    public String dataset() {
        return Shared.text(head, OFF_DATASET, 16);
    }

    /** DBN publisher of all records, 0: mixed. */
    public int publisher() {
        return head.getShort(OFF_PUBLISHER) & 0xffff;
    }

    /** The venue's channel or the lane's number. */
    public int channel() {
        return head.getShort(OFF_CHANNEL) & 0xffff;
    }

    /** Minor version of the ABI that the producer writes. */
    public int abiMinor() {
        return head.getShort(OFF_MINOR) & 0xffff;
    }

    /** 16 bytes, new for each file: (uuid, epoch, number) names a record for ever. */
    public byte[] uuid() {
        byte[] id = new byte[16];
        head.get(OFF_UUID, id);
        return id;
    }
}
