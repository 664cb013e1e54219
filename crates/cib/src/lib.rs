//! Versioned configuration store as a core: operations, patches, schema checks, digests.
