//! Hosts on one machine: namespaces, cables, faults, supervisor, DNS, tour.
