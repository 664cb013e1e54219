//! Pure function: CIB and time to transition graph, scores and summary.
