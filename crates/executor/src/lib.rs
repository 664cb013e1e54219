//! Operations on resources: queues, recurring monitors, time-outs (core).
