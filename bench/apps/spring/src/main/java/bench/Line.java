package bench;

import java.io.Serializable;

/** A line of the seeded session's cart. */
public record Line(String sku, String title, int quantity, long cents) implements Serializable {}
