//! Node isolation: devices, topology, requests (core).
