//! Splitmem's memory monitor.
