//! The memory that the monitor works in.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};
use mcomponent_firmware::{Error, Layout, MonitorTables, Record, SharedFrame};

/// Words for the tables whose size follows the component's memory: enough for 512 MiB.
const WORDS: usize = 13 * 1024;
/// Allocated ranges.
const RECORDS: usize = 1024;
/// Shareable frames, one in eight of which stays unused.
const SHARES: usize = 2048;

struct Tables {
    words: [u32; WORDS],
    records: [Record; RECORDS],
    shares: [SharedFrame; SHARES],
}

/// Not in the variables that are set at start, so that their initial values take no flash.
#[link_section = ".uninit.tables"]
static mut TABLES: MaybeUninit<Tables> = MaybeUninit::uninit();
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The tables for a memory of this layout, once. There is no journal: the component does not outlive a
/// restart of this program.
///
/// # Errors
/// [`Error::TableTooSmall`] if they do not fit, or are taken already.
pub fn take(layout: &Layout) -> Result<MonitorTables<'static>, Error> {
    let need = layout.frame_words() + layout.bucket_words();
    // One core and no interrupts: nothing comes between load and store.
    let free = !TAKEN.load(Ordering::Relaxed);
    TAKEN.store(true, Ordering::Relaxed);
    if need > WORDS || !free {
        return Err(Error::TableTooSmall { table: "frames and buckets", have: WORDS, need });
    }
    // SAFETY: `TAKEN` lets this happen once, so this is the only reference ever; it is written whole,
    // field by field, before it is used.
    let tables = unsafe {
        let tables = (&raw mut TABLES).cast::<Tables>();
        (&raw mut (*tables).words).write_bytes(0, 1);
        for i in 0..RECORDS {
            (&raw mut (*tables).records[i]).write(Record::EMPTY);
        }
        for i in 0..SHARES {
            (&raw mut (*tables).shares[i]).write(SharedFrame::EMPTY);
        }
        &mut *tables
    };
    let (frames, rest) = tables.words.split_at_mut(layout.frame_words());
    Ok(MonitorTables {
        frames,
        buckets: &mut rest[..layout.bucket_words()],
        records: &mut tables.records,
        shares: &mut tables.shares,
        journal: &mut [],
    })
}
