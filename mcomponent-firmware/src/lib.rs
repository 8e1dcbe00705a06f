//! Splitmem's memory monitor: the software of the memory component.
//!
//! The hardware translates, grants frames to first writes and clears them; what it cannot do by
//! itself is policy, and that is here: which addresses a process gets, which frames go to the
//! hardware and when, what is freed, shared, protected and refused. No request ever waits for the
//! monitor.
//!
//! [`Monitor::boot`] takes a component that was reset into use, [`Monitor::poll`] does whatever its
//! interrupt asks for. The monitor reaches the component only through
//! [`RegisterBus`](splitmem_abi::bus::RegisterBus) and waits only through [`Wait`], and it works in
//! memory that the binary supplies ([`MonitorTables`]); it allocates nothing. So the same code runs
//! on a soft core with some tens of KiB, on a companion microcontroller, and in a host's thread
//! beside a simulation.
//!
//! | module | what it does |
//! | --- | --- |
//! | `monitor` | the three parts below together; the public type |
//! | `mailbox` | commands in, replies out |
//! | `allocator` | start, interrupts: whatever changes tables and lists |
//! | `memory_test` | memory, before it is taken into use |
//! | `telemetry` | health, events, how the last monitor ended |
//! | `commands` | what each of the allocator's commands does, and how it is undone |
//! | `space` | which addresses a range gets, so that no bucket needs a fifth slot |
//! | `occupancy` | how many entries each bucket holds |
//! | `records` | which ranges are allocated |
//! | `supply` | promises of memory, refill of the hardware's free lists |
//! | `pool` | which frames are free, in blocks of 2 MiB |
//! | `shares` | how many mappings each shareable frame has |
//! | `engine` | the table engine and shootdowns |
//! | `journal` | what a restarted monitor must know beside the page table |
//! | `recover` | starting again on a component in use |
//! | `layout` | the size of the page table and of the monitor's own tables |
//! | `hal` | registers and waiting |
//! | [`spi`] | the registers over SPI, for a companion microcontroller |
//! | [`ice40`] | the FPGA's configuration from a microcontroller |
//! | [`cxl`] | the CXL mailbox and event logs of the CXL.mem device |
//!
//! # Example
//! On the golden model, with a host that asks for a page and writes to it:
//! ```
//! use mcomponent_firmware::{Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin};
//! use splitmem_abi::bus::RegisterBus;
//! use splitmem_abi::config::HwConfig;
//! use splitmem_abi::geometry::PageSize;
//! use splitmem_abi::mailbox::{Address, Command, Permission, ReturnCode};
//! use splitmem_abi::regs::{HW_MEMORY, MAILBOX_WORDS};
//! use splitmem_abi::request::{Request, Status, FULL_MASK};
//! use splitmem_model::Model;
//!
//! # fn main() -> Result<(), mcomponent_firmware::Error> {
//! let mut model = Model::new(HwConfig::SMALL);
//! let config = MonitorConfig::default();
//! let layout = config.layout(model.monitor().read(HW_MEMORY.offset)?)?;
//! let (mut frames, mut buckets) = (vec![0; layout.frame_words()], vec![0; layout.bucket_words()]);
//! let tables = MonitorTables {
//!     frames: &mut frames,
//!     buckets: &mut buckets,
//!     records: &mut [Record::EMPTY; 64],
//!     shares: &mut [SharedFrame::EMPTY; 64],
//!     journal: &mut [],
//! };
//! let mut monitor = Monitor::boot(model.monitor(), Spin, tables, &config)?;
//!
//! let (size, permission) = (PageSize::Small, Permission::RW);
//! let mut payload = [0; MAILBOX_WORDS];
//! let (opcode, length) = Command::Alloc { pid: 7, pages: 3, size, permission, shareable: false }
//!     .encode(&mut payload);
//! let (code, _) = monitor.handle(opcode, length, &mut payload)?;
//! assert_eq!(code, ReturnCode::Success);
//! let va = Address::decode(&payload).0;
//!
//! let answer = model.request(0, &Request::write(0, 7, va, FULL_MASK, [1; 64]));
//! assert_eq!(answer.status, Status::Ok);
//! # Ok(())
//! # }
//! ```
//! A binary's main loop is
//! ```text
//! loop {
//!     if monitor.poll()?.may_sleep {
//!         wait_for_interrupt();
//!     }
//! }
//! ```
//!
//! # What it promises
//! - An allocation is refused with `NoMemory` if it could not be filled, whatever else is filled:
//!   the sum of all promises never exceeds the memory, counted in whole 2 MiB blocks where 2 MiB
//!   pages are concerned ([`MonitorConfig::overcommit`] gives this up). 4 KiB pages are refused only
//!   if fewer frames are left than were asked for. 2 MiB pages are also refused if 4 KiB frames are
//!   granted in all blocks; frames are not moved.
//! - A first write to a promised page can still find the hardware's list empty, if it is the one
//!   after three quarters of the list's depth were taken faster than the monitor came, and nothing
//!   is being cleared. It changes nothing and may be tried again.
//! - `NoAddress` means that no place was found where every bucket has a free slot. For ranges of
//!   4 KiB pages that are shorter than the vRegion by at least the table's buckets, there is then
//!   none within a vRegion; longer ones and those of 2 MiB pages were looked for from up to 64
//!   vRegions on, spread over the table.
//! - A refused command has changed nothing. `Internal` is answered only when the hardware failed
//!   (poison in the page table): what was to be mapped is not mapped, what could be freed is freed,
//!   permissions are as they were.
//! - Every frame is at any time in one of: the page table, the pool, the hardware's queue and lists,
//!   a private page, shareable memory ([`Monitor::accounts`]). A frame is cleared between two
//!   owners, and comes back from its old one only after the shootdown.
//!
//! # Its own memory
//! One bit and a little per 4 KiB frame, four bits per bucket, 16 bytes per record, 8 per shared
//! frame. For 32 MiB (8192 frames, 4096 buckets) that is 3 KiB, and 6 KiB more with 256 records and
//! 256 shared frames.
//!
//! # Starting again without a reset
//! [`Monitor::recover`] takes over a component in use, whose monitor was reset or went wrong, while
//! requests go on: it reads which ranges are allocated from a journal that the binary keeps for it
//! ([`MonitorTables::journal`]), and everything about frames from the page table and the hardware.
//! No allocation that a host was told of is lost, none is granted twice, and the command that was
//! under way is finished. Until it is done nobody refills the free lists.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod allocator;
mod bitset;
mod commands;
pub mod cxl;
mod engine;
mod error;
mod hal;
pub mod ice40;
mod journal;
mod layout;
mod mailbox;
mod memory_test;
mod monitor;
mod occupancy;
mod pool;
mod records;
mod recover;
mod shares;
mod space;
pub mod spi;
mod supply;
mod telemetry;
#[cfg(test)]
mod testing;

pub use allocator::{Allocator, FrameAccounts, MonitorConfig, Tended};
pub use error::Error;
pub use hal::{Spin, Wait, Waiting};
pub use layout::{Layout, MonitorTables};
pub use mailbox::{Mailbox, Services, Traffic};
pub use memory_test::Fault;
pub use monitor::{Activity, Monitor};
pub use records::Record;
pub use shares::SharedFrame;
pub use telemetry::Telemetry;

/// The monitor's version: major 16 bits, minor 16 bits.
pub const VERSION: u32 = 0x0001_0001;
