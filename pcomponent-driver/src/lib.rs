//! Splitmem's host driver: transports, virtual cache, ExCache.

pub mod transport;
