//! The golden model of Splitmem's memory component.
