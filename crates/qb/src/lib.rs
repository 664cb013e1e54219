//! libqb-compatible IPC, server and client.
