//! Splitmem's host driver.
