package tickwire.ring;

import java.nio.ByteBuffer;

/** An entry of the instrument directory. Prices are in 1e-9. */
public final class Instrument {
    /** Flag: its definition came; without one the entry was made at first sight. */
    public static final int NAMED = 1;

    /** Flag: test security, its prices are not real. */
    public static final int TEST = 2;

    /** The venue's number, or the one given for the day; unsigned. */
    public final long instrumentId;

    /** DBN publisher. */
    public final int publisherId;

    /** DBN instrument class. */
    public final char instrumentClass;

    /** NAMED, TEST. */
    public final int flags;

    /** Empty when no definition came. */
    public final String rawSymbol;

    /** Smallest step of prices. */
    public final long minPriceIncrement;

    /** Round lot. */
    public final int roundLot;

    /** Contract multiplier. */
    public final int contractMultiplier;

    /** Quantity of the underlying, 1e-9. */
    public final long unitOfMeasureQty;

    /** 1e-9. */
    public final long displayFactor;

    /** Currency. */
    public final String currency;

    /** Decimals of the wire price. */
    public final int decimals;

    /** Current DBN status action. */
    public final int statusAction;

    /** Channel of the feed. */
    public final int channel;

    /** Venue. */
    public final String mic;

    /** Group or asset. */
    public final String group;

    /** Security type. */
    public final String securityType;

    /** Strike. */
    public final long strike;

    /** Times, ns since 1970. */
    public final long activation, expiration;

    /** Of the full record in .definitions.dbn, 0: none. */
    public final long definitionOffset;

    /** Last update, ns since 1970. */
    public final long updated;

    /** From a private copy of an entry behind its version. */
    Instrument(ByteBuffer b) {
        instrumentId = b.getInt(0) & 0xffff_ffffL;
        publisherId = b.getShort(4) & 0xffff;
        instrumentClass = (char) (b.get(6) & 0xff);
        flags = b.get(7) & 0xff;
        rawSymbol = Shared.text(b, 8, 72);
        minPriceIncrement = b.getLong(80);
        roundLot = b.getInt(88);
        contractMultiplier = b.getInt(92);
        unitOfMeasureQty = b.getLong(96);
        displayFactor = b.getLong(104);
        currency = Shared.text(b, 112, 4);
        decimals = b.get(116);
        statusAction = b.get(117) & 0xff;
        channel = b.getShort(118) & 0xffff;
        mic = Shared.text(b, 120, 8);
        group = Shared.text(b, 128, 12);
        securityType = Shared.text(b, 140, 4);
        strike = b.getLong(144);
        activation = b.getLong(152);
        expiration = b.getLong(160);
        definitionOffset = b.getLong(168);
        updated = b.getLong(176);
    }
}
