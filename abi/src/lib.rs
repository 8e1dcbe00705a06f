//! The one definition of what Splitmem's hardware, firmware, driver and test bench share.
