//! Totem single-ring protocol as a sans-IO core: membership, total order, recovery, fragmentation.
