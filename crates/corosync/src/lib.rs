//! The engine daemon: configuration, transports, IPC, event loop; and the corosync-* tools.
