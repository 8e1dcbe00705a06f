//! The memory test at the start: what it finds in memory that is broken, and that nothing is served
//! from it.

use super::bench::{boot, call, info, FRAMES};
use splitmem_abi::mailbox::{Command, Info};
use verilator_tb::dram::{
    DramStats, Fill, IdealMemory, LineCommand, LineMemory, LineReply, LineStore,
};
use verilator_tb::{Component, Hw, Machine, MachineError, MonitorOptions, MonitorPlace};

/// What is broken.
#[derive(Clone, Copy, Debug)]
enum Defect {
    /// A bit of every line reads as this.
    Data(usize, bool),
    /// A bit of the line number that is always zero.
    Address(u32),
}

/// A memory with a defect.
struct Broken {
    memory: IdealMemory,
    defect: Defect,
}

impl LineMemory for Broken {
    fn can_accept(&self, write: bool) -> bool {
        self.memory.can_accept(write)
    }

    fn push(&mut self, mut command: LineCommand) {
        if let Defect::Address(bit) = self.defect {
            command.line &= !(1 << bit);
        }
        self.memory.push(command);
    }

    fn tick(&mut self) {
        self.memory.tick();
    }

    fn pop_reply(&mut self) -> Option<LineReply> {
        let mut reply = self.memory.pop_reply()?;
        if let Defect::Data(bit, level) = self.defect {
            let byte = &mut reply.data[bit / 8];
            *byte = *byte & !(1 << (bit % 8)) | u8::from(level) << (bit % 8);
        }
        Some(reply)
    }

    fn is_idle(&self) -> bool {
        self.memory.is_idle()
    }

    fn store(&self) -> &LineStore {
        self.memory.store()
    }

    fn store_mut(&mut self) -> &mut LineStore {
        self.memory.store_mut()
    }

    fn stats(&self) -> &DramStats {
        self.memory.stats()
    }

    fn reset_stats(&mut self) {
        self.memory.reset_stats();
    }
}

/// Address and bits that the monitor announces.
fn announced(defect: Defect) -> (u64, u32) {
    let store = LineStore::new(u64::from(FRAMES) << 6, Fill::Noise(1));
    let memory = Broken { memory: IdealMemory::new(store, 10), defect };
    let place = MonitorPlace::Firmware;
    let mut options = MonitorOptions { place, ..MonitorOptions::default() };
    options.config.frames = Some(FRAMES);
    match Machine::boot(Component::new(Hw::Small, memory).unwrap(), options) {
        Err(MachineError::BadMemory { address, bits }) => (address, bits),
        Err(error) => panic!("{defect:?}: {error}"),
        Ok(_) => panic!("{defect:?} was not found"),
    }
}

/// Stuck data lines under each field of each entry: found on the first line that is tested, with the
/// word and the bit.
#[test]
fn a_stuck_data_line_is_named() {
    // Where the sample has the other level.
    for (slot, bit, level) in
        [(0, 96 + 7, true), (3, 96 + 11, false), (1, 16 + 2, true), (2, 32 + 21, false)]
    {
        let found = announced(Defect::Data(slot * 128 + bit, level));
        let word = (slot * 16 + bit / 32 * 4) as u64;
        assert_eq!(found, (word, 1 << (bit % 32)), "slot {slot}, bit {bit}, {level}");
    }
}

/// Two lines of memory that are one: the entry that was overwritten, or found no room, is lost.
#[test]
fn a_stuck_address_line_is_found() {
    for bit in [0, 5, 6, 18] {
        let (address, bits) = announced(Defect::Address(bit));
        let line = address >> 6;
        assert!(
            line == 0 || line == 1 << bit || line == (u64::from(FRAMES) << 6) - 1,
            "{bit}: {line:#x}"
        );
        assert_eq!(bits, 0, "{bit}");
    }
}

#[test]
fn sound_memory_is_said_to_be_tested() {
    let mut dut = boot();
    let wanted = Info::MEMORY_TESTED | Info::RECOVERS | Info::PERMISSIONS;
    assert_eq!(info(&mut dut).capabilities & wanted, wanted);
    assert_eq!(call(&mut dut, Command::Health).0, 0);
}
