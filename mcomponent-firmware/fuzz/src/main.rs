//! Any bytes in the mailbox: libFuzzer's inputs as commands to the monitor on the golden model.
//!
//! An input is a series of mails: two bytes of opcode, one of length in words and a half, then the
//! payload's words. What must hold of each: a defined return code, the one that decoding gives if it
//! refuses; nothing changed by what is refused; `Internal` never, since the hardware does not fail.
//! After the series all is given back, and every frame is there again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcomponent_firmware::{
    FrameAccounts, Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Spin,
};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::mailbox::{Command, Payload, ReturnCode};
use splitmem_abi::regs::{HW_MEMORY, MAILBOX_WORDS};
use splitmem_model::Model;
use std::cell::RefCell;

/// 8 MiB, small lists: everything runs out soon.
const HARDWARE: HwConfig = HwConfig {
    tlb_sets: 16,
    free_4k: 16,
    free_2m: 2,
    zero_queue: 4,
    event_log: 32,
    pa_bits: 23,
    ..HwConfig::SMALL
};
/// Pids that a byte of an input names: few, so that commands meet.
const PIDS: u32 = 4;

struct Bus(Model);

impl RegisterBus for Bus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.monitor().read(offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.monitor().write(offset, value)
    }
}

type Monitored = Monitor<'static, Bus, Spin>;

fn boot() -> Monitored {
    let mut bus = Bus(Model::new(HARDWARE));
    let config = MonitorConfig::default();
    let memory = bus.read(HW_MEMORY.offset).expect("readable");
    let layout = config.layout(memory).expect("there is room");
    // Once per process.
    let tables = MonitorTables {
        frames: vec![0; layout.frame_words()].leak(),
        buckets: vec![0; layout.bucket_words()].leak(),
        records: vec![Record::EMPTY; 64].leak(),
        shares: vec![SharedFrame::EMPTY; 64].leak(),
        journal: vec![0; MonitorTables::journal_words(64)].leak(),
    };
    Monitor::boot(bus, Spin, tables, &config).expect("boots")
}

fn taken(accounts: FrameAccounts) -> u32 {
    accounts.granted + accounts.shared
}

/// One mail out of the input.
fn mail(bytes: &mut &[u8]) -> Option<(u16, u16, Payload)> {
    let &[low, high, size, ref rest @ ..] = *bytes else { return None };
    let words = usize::from(size & 7);
    let mut payload = [0; MAILBOX_WORDS];
    let used = rest.len().min(4 * words);
    for (word, chunk) in payload.iter_mut().zip(rest[..used].chunks(4)) {
        *word = chunk.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    *bytes = &rest[used..];
    // One bit chooses between any opcode and the usual range; another one cuts the length.
    let any = u16::from_le_bytes([low, high]);
    let opcode = if size & 8 == 0 { any & 0x3f } else { any };
    let length = if size & 16 == 0 { 4 * words as u16 } else { u16::from(high) };
    if size & 32 == 0 {
        payload[0] %= PIDS;
    }
    Some((opcode, length, payload))
}

thread_local! {
    static MONITOR: RefCell<Monitored> = RefCell::new(boot());
}

fuzz_target!(|bytes: &[u8]| {
    MONITOR.with_borrow_mut(|monitor| {
        let mut bytes = bytes;
        let mut pids: Vec<u16> = (0..PIDS as u16).collect();
        while let Some((opcode, length, mut payload)) = mail(&mut bytes) {
            let decoded = Command::decode(opcode, length, &payload);
            let before = monitor.accounts().expect("accounts");
            let (code, reply) = monitor.handle(opcode, length, &mut payload).expect("handled");
            match decoded {
                Err(expected) => assert_eq!(code, expected),
                Ok(Command::Alloc { pid, .. } | Command::Share { pid, .. }) => pids.push(pid),
                Ok(_) => {}
            }
            assert_ne!(code, ReturnCode::Internal, "{decoded:?}");
            assert!(usize::from(reply) <= 4 * MAILBOX_WORDS && reply % 4 == 0);
            if code != ReturnCode::Success {
                assert_eq!(reply, 0);
                assert_eq!(taken(monitor.accounts().expect("accounts")), taken(before));
            }
        }
        for pid in pids {
            let mut payload = [0; MAILBOX_WORDS];
            let (opcode, length) = Command::Drop { pid }.encode(&mut payload);
            let (code, _) = monitor.handle(opcode, length, &mut payload).expect("handled");
            assert_eq!(code, ReturnCode::Success);
        }
        let accounts = monitor.accounts().expect("accounts");
        assert_eq!(taken(accounts), 0, "{accounts:?}");
        assert_eq!(monitor.anomalies(), 0);
        let sum = accounts.table + accounts.pool + accounts.pending;
        assert_eq!(sum, monitor.layout().frames(), "{accounts:?}");
    });
});
