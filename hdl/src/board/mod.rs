//! Boards: the component with its memory and its link, between real pins.

pub mod core;
pub mod pico_ice;
pub mod ulx3s;
