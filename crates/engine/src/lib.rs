//! The services on the ring as sans-IO cores: sync, CPG, votequorum, cmap, cfg.
