//! Clients of the engine's IPC: cpg, quorum, votequorum, cmap, cfg.
