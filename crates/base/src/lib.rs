//! Node ids, scores, exit codes, durations and named limits.
