//! The serial link's board side: frames of `abi::serial` in, requests and register accesses out.
//!
//! ```text
//!  rx pin ─ UartRx ─ Receiver ─ Slots ─┬─ request port of the component
//!                                      └─ registers: host's, monitor's, board's
//!  tx pin ─ UartTx ─ Sender ── Slots ──── answers
//! ```

pub mod crc;
pub mod link;
pub mod receiver;
pub mod sender;
pub mod slots;
pub mod uart;
