//! The memory that the monitor works in.

use core::mem::MaybeUninit;
use mcomponent_firmware::{Error, Layout, MonitorTables, Record, SharedFrame};

/// Words for the tables whose size follows the component's memory: enough for 512 MiB.
const WORDS: usize = 13 * 1024;
/// Allocated ranges.
const RECORDS: usize = 1024;
/// Shareable frames, one in eight of which stays unused.
const SHARES: usize = 2048;

/// Words of the journal.
const JOURNAL: usize = MonitorTables::journal_words(RECORDS);

struct Tables {
    words: [MaybeUninit<u32>; WORDS],
    records: [MaybeUninit<Record>; RECORDS],
    shares: [MaybeUninit<SharedFrame>; SHARES],
    journal: [u32; JOURNAL],
}

/// Not cleared at start: the journal outlives a restart, and of the tables of a small component only
/// a small part is used.
#[no_mangle]
#[link_section = ".allocator.tables"]
static mut MONITOR_TABLES: MaybeUninit<Tables> = MaybeUninit::uninit();

/// The tables for a memory of this layout.
///
/// # Errors
/// [`Error::TableTooSmall`] if they do not fit.
///
/// # Safety
/// Once after each start.
pub unsafe fn take(layout: &Layout) -> Result<MonitorTables<'static>, Error> {
    let need = layout.frame_words() + layout.bucket_words();
    if need > WORDS {
        return Err(Error::TableTooSmall { table: "frames and buckets", have: WORDS, need });
    }
    // SAFETY: the caller's promise makes the reference the only one; arrays of `MaybeUninit` need no
    // value.
    let tables = unsafe { &mut *(&raw mut MONITOR_TABLES).cast::<Tables>() };
    let (frames, rest) = tables.words.split_at_mut(layout.frame_words());
    let buckets = &mut rest[..layout.bucket_words()];
    Ok(MonitorTables {
        frames: fill(frames, 0),
        buckets: fill(buckets, 0),
        records: fill(&mut tables.records, Record::EMPTY),
        shares: fill(&mut tables.shares, SharedFrame::EMPTY),
        // Any words are a journal, valid or not.
        journal: &mut tables.journal,
    })
}

/// Gives every element a value.
fn fill<T: Copy>(slots: &mut [MaybeUninit<T>], value: T) -> &mut [T] {
    for slot in slots.iter_mut() {
        slot.write(value);
    }
    // SAFETY: each of them was written just now, and `MaybeUninit<T>` has the layout of `T`.
    unsafe { &mut *(core::ptr::from_mut(slots) as *mut [T]) }
}
