package tickwire.ring;

import java.io.IOException;
import java.nio.file.Path;

/** Why opening, joining, seeking or looking up is refused: {@link #reason} says it for programs. */
public final class RingException extends IOException {
    private static final long serialVersionUID = 1;

    /** Reasons. */
    public enum Reason {
        /** The file cannot be opened or mapped. */
        OPEN("cannot be opened"),
        /** Shorter than its header, or no regular file. */
        SHORT("shorter than its header, or no regular file"),
        /** Not a file of the kind that was asked for. */
        MAGIC("not a tickwire ring, or none of the kind that was asked for"),
        /** Written by a host of the other byte order. */
        BYTE_ORDER("written by a host of the other byte order"),
        /** Another major version of the ABI. */
        VERSION("another major version of the ABI, this reader knows 1"),
        /** Header size out of range. */
        HEADER_SIZE("header size out of range"),
        /** Slot size is not that of the ring's kind. */
        SLOT_SIZE("slot size is not that of the ring's kind"),
        /** Capacity is not a power of two in range. */
        CAPACITY("capacity is not a power of two in range"),
        /** Slots begin at an impossible offset. */
        OFFSET("slots begin at an impossible offset"),
        /** File size does not match the header. */
        FILE_SIZE("file size does not match the header"),
        /** Records of another DBN version. */
        DBN_VERSION("records of another DBN version"),
        /** The producer is restarting, or died while it was: try again. */
        RESTARTING("producer is restarting, or died while it was: try again"),
        /** The record is no longer in the ring. */
        TOO_OLD("record is no longer in the ring"),
        /** The record is not yet in the ring. */
        TOO_FAR("record is not yet in the ring"),
        /** The writer is at it, or died while it was: try again. */
        BUSY("the writer is at it, or died while it was: try again"),
        /** Another file has the name: open it again. */
        REPLACED("another file has the name: open it again");

        final String text;

        Reason(String text) {
            this.text = text;
        }
    }

    /** What it was. */
    public final Reason reason;

    RingException(Path path, Reason reason, Throwable cause) {
        super("tickring: " + path + ": " + reason.text + (cause == null ? "" : ": " + cause), cause);
        this.reason = reason;
    }
}
