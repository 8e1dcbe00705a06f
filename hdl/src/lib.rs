//! Splitmem's memory component in RustHDL.
