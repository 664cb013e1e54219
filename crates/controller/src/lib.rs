//! Election, join, history and transition execution as sans-IO cores.
