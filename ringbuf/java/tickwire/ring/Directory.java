package tickwire.ring;

import java.io.IOException;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import tickwire.ring.RingException.Reason;

/** The instrument directory, {@code <feed>.<lane>.inst}. Threads may share it. Lookups allocate the entry they return. */
public final class Directory {
    private static final long MAGIC = 0x313054534e495754L; // TWINST01
    private static final int ENTRY = 256, OFF_GENERATION = 256, OFF_STATE = 264, OFF_COUNT = 384, OFF_HEARTBEAT = 512;
    private static final int REPLACED = 5;
    private static final int TRIES = 4096; // a writer that died in the middle must not hang its readers

    private final Path path;
    private final ByteBuffer map;
    private final int capacity;

    /**
     * Opens a directory.
     *
     * @throws RingException which of the conditions of one does not hold
     */
    public static Directory open(Path path) throws RingException {
        return new Directory(path);
    }

    private Directory(Path path) throws RingException {
        this.path = path;
        try (FileChannel file = Shared.open(path)) {
            long bytes = Math.min(file.size(), Integer.MAX_VALUE);
            map = Shared.map(path, file, 0, bytes);
            long places = map.getLong(24);
            Reason r = null;
            if (map.getLong(0) != MAGIC) {
                r = Reason.MAGIC;
            } else if (map.getInt(16) != 0x01020304) {
                r = Reason.BYTE_ORDER;
            } else if (map.getShort(8) != 1) {
                r = Reason.VERSION;
            } else if (map.getInt(12) != Shared.HEADER_BYTES) {
                r = Reason.HEADER_SIZE;
            } else if (map.getInt(20) != ENTRY) {
                r = Reason.SLOT_SIZE;
            } else if (map.getLong(32) != Shared.HEADER_BYTES) {
                r = Reason.OFFSET;
            } else if (Long.compareUnsigned(map.getLong(40), file.size()) > 0
                    || Long.compareUnsigned(places, (bytes - Shared.HEADER_BYTES) / ENTRY) > 0) {
                r = Reason.FILE_SIZE;
            } else if (places < 2 || Long.bitCount(places) != 1) {
                r = Reason.CAPACITY;
            }
            if (r != null) {
                throw new RingException(path, r, null);
            }
            capacity = (int) places;
        } catch (RingException e) {
            throw e;
        } catch (IOException e) {
            throw new RingException(path, Reason.OPEN, e);
        }
    }

    /** Copies the entry at an index below {@link #capacity}; null when there is none. Fails with BUSY and REPLACED only. */
    public Instrument at(int index) throws RingException {
        if (index < 0 || index >= capacity) {
            return null;
        }
        if (replaced()) {
            throw new RingException(path, Reason.REPLACED, null);
        }
        int p = Shared.HEADER_BYTES + index * ENTRY;
        ByteBuffer copy = null;
        for (int i = 0; i < TRIES; i++) {
            long generation = generation(), version = Shared.acquire(map, p);
            if ((version & 1) != 0) {
                continue;
            }
            if (version == 0) {
                return null;
            }
            if (copy == null) {
                copy = ByteBuffer.allocate(ENTRY - 8).order(ByteOrder.LITTLE_ENDIAN);
            }
            for (int w = 0; w < ENTRY - 8; w += 8) {
                copy.putLong(w, Shared.opaque(map, p + 8 + w));
            }
            VarHandle.acquireFence();
            if (Shared.opaque(map, p) == version && Shared.opaque(map, OFF_GENERATION) == generation) {
                return new Instrument(copy);
            }
        }
        throw new RingException(path, Reason.BUSY, null);
    }

    /** Copies an instrument's entry; null when there is none. Fails with BUSY and REPLACED only. No call into the kernel. */
    public Instrument lookup(int publisher, long instrument) throws RingException {
        long key = (long) publisher << 32 | instrument;
        long home = key * 0x9E3779B97F4A7C15L >>> 64 - Integer.numberOfTrailingZeros(capacity);
        for (int n = 0; n < capacity; n++) {
            Instrument e = at((int) (home + n & capacity - 1));
            if (e == null || e.instrumentId == instrument && e.publisherId == publisher) {
                return e;
            }
        }
        return null;
    }

    /**
     * Finds a publisher's instrument by its raw symbol, null when there is none: a walk over the whole directory, not for the
     * hot path. Fails with REPLACED, and with BUSY when it may be an entry that was being changed.
     */
    public Instrument find(int publisher, String symbol) throws RingException {
        RingException busy = null;
        for (int i = 0; i < capacity && !symbol.isEmpty(); i++) { // entries without a definition have no symbol
            try {
                Instrument e = at(i);
                if (e != null && e.publisherId == publisher && e.rawSymbol.equals(symbol)) {
                    return e;
                }
            } catch (RingException e) {
                if (e.reason != Reason.BUSY) {
                    throw e;
                }
                busy = e;
            }
        }
        if (busy != null) {
            throw busy;
        }
        return null;
    }

    /** Moves when the contents begin anew: what was remembered of an instrument is void then. */
    public long generation() {
        return Shared.acquire(map, OFF_GENERATION);
    }

    /** Another file has the name: open again. */
    public boolean replaced() {
        return Shared.acquireHalf(map, OFF_STATE) == REPLACED;
    }

    /** How long ago the writer showed signs of life, ns. Reads the clock. */
    public long silenceNs() {
        long beat = Shared.acquire(map, OFF_HEARTBEAT);
        return Math.max(0, Shared.monotonicNs() - beat);
    }

    /** Places of the file. */
    public int capacity() {
        return capacity;
    }

    /** Entries in use. */
    public long count() {
        return Shared.acquire(map, OFF_COUNT);
    }
}
