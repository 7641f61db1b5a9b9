package tickwire.ring;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import tickwire.ring.RingException.Reason;

/** Files in shared memory, mapped read-only, and words that another process may change. */
final class Shared {
    static final int HEADER_BYTES = 4096;

    /** Aligned words: mappings begin on a page, and all offsets are multiples of 8 (of 4 for halves). */
    static final VarHandle WORD = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    static final VarHandle HALF = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private Shared() {}

    /** Opens a regular file of at least a header page. The caller closes it. */
    static FileChannel open(Path path) throws RingException {
        try {
            if (!Files.isRegularFile(path)) { // before opening: a pipe of that name would block
                if (!Files.exists(path)) {
                    throw new RingException(path, Reason.OPEN, new java.nio.file.NoSuchFileException(path.toString()));
                }
                throw new RingException(path, Reason.SHORT, null);
            }
            FileChannel file = FileChannel.open(path, StandardOpenOption.READ);
            if (file.size() < HEADER_BYTES) {
                file.close();
                throw new RingException(path, Reason.SHORT, null);
            }
            return file;
        } catch (RingException e) {
            throw e;
        } catch (IOException e) {
            throw new RingException(path, Reason.OPEN, e);
        }
    }

    static ByteBuffer map(Path path, FileChannel file, long at, long bytes) throws RingException {
        try {
            return file.map(FileChannel.MapMode.READ_ONLY, at, bytes).order(ByteOrder.LITTLE_ENDIAN);
        } catch (IOException e) {
            throw new RingException(path, Reason.OPEN, e);
        }
    }

    static long acquire(ByteBuffer b, int at) {
        return (long) WORD.getAcquire(b, at);
    }

    static long opaque(ByteBuffer b, int at) {
        return (long) WORD.getOpaque(b, at);
    }

    static int acquireHalf(ByteBuffer b, int at) {
        return (int) HALF.getAcquire(b, at);
    }

    /** Text up to its first NUL. */
    static String text(ByteBuffer b, int at, int max) {
        StringBuilder s = new StringBuilder();
        for (int i = at; i < at + max && b.get(i) != 0; i++) {
            s.append((char) (b.get(i) & 0xff));
        }
        return s.toString();
    }

    /**
     * CLOCK_MONOTONIC, the clock of heartbeats. Java does not promise it of nanoTime; HotSpot and OpenJ9 on Linux read it
     * there, and the conformance test would see another.
     */
    static long monotonicNs() {
        return System.nanoTime();
    }

    /** The kernel's boot id as it lies in a ring: two words; zeros where /proc does not say. */
    static long[] bootId() {
        try {
            String hex = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip().replace("-", "");
            return new long[] {
                Long.reverseBytes(Long.parseUnsignedLong(hex.substring(0, 16), 16)),
                Long.reverseBytes(Long.parseUnsignedLong(hex.substring(16, 32), 16)),
            };
        } catch (IOException | RuntimeException e) {
            return new long[2];
        }
    }

    /** What tells a file from another that has its name later: device and inode; null when there is no such file. */
    static Object fileKey(Path path) {
        try {
            Map<String, Object> a = Files.readAttributes(path, "unix:dev,ino");
            return a.get("dev") + ":" + a.get("ino");
        } catch (IOException | RuntimeException e) {
            return null;
        }
    }
}
