//! The registers, as either side reaches them.

use crate::engine::{Job, Outcome, Surroundings};
use crate::Model;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::field::{
    CONTROL, FREE_4K_POP, HOST_IRQ_STATUS, IRQ_STATUS, MB_DOORBELL, STATUS, TE_COMMAND, ZERO_PUSH,
    ZERO_STATUS,
};
use splitmem_abi::regs::{self, Access, Counter, Register, WINDOW_BYTES};

const WORDS: usize = WINDOW_BYTES as usize / 4;

/// The words that registers hold by themselves: all that are plainly written and read back, the
/// constants, and the latched interrupt causes.
pub(crate) struct RegisterFile(Box<[u32; WORDS]>);

impl RegisterFile {
    pub fn new(config: &HwConfig) -> Self {
        let mut words = Box::new([0; WORDS]);
        for register in regs::ALL {
            for i in 0..register.count {
                words[register.at(i) as usize / 4] = register.reset_value(config).unwrap_or(0);
            }
        }
        Self(words)
    }

    /// The register's value; of a run, the first one's.
    #[inline]
    pub fn get(&self, register: &Register) -> u32 {
        self.0[register.offset as usize / 4]
    }

    pub fn set_bits(&mut self, register: &Register, bits: u32) {
        self.0[register.offset as usize / 4] |= bits;
    }

    pub fn clear_bits(&mut self, register: &Register, bits: u32) {
        self.0[register.offset as usize / 4] &= !bits;
    }
}

/// The two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Monitor,
    Host,
}

impl Side {
    fn access(self, register: &Register) -> Access {
        match self {
            Self::Monitor => register.monitor,
            Self::Host => register.host,
        }
    }
}

/// The monitor's bus.
#[derive(Debug)]
pub struct Monitor<'a>(pub(crate) &'a mut Model);

/// The host's bus.
#[derive(Debug)]
pub struct Host<'a>(pub(crate) &'a mut Model);

impl RegisterBus for Monitor<'_> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.read_register(Side::Monitor, offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.write_register(Side::Monitor, offset, value)
    }
}

impl RegisterBus for Host<'_> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.read_register(Side::Host, offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.write_register(Side::Host, offset, value)
    }
}

/// The register at an offset, and which of its run.
fn register_at(offset: u16) -> Option<(&'static Register, usize)> {
    let after = regs::ALL.partition_point(|register| register.offset <= offset);
    let register = &regs::ALL[after.checked_sub(1)?];
    let i = (offset - register.offset) / 4;
    (offset % 4 == 0 && i < register.count).then_some((register, i as usize))
}

/// Offsets to match on.
macro_rules! offsets {
    ($($name:ident)+) => {
        mod at {
            $( pub const $name: u16 = splitmem_abi::regs::$name.offset; )+
        }
    };
}
offsets! {
    CONTROL STATUS IRQ_STATUS HOST_IRQ_STATUS FREE_4K_LOW FREE_2M_LOW ZERO_PUSH ZERO_STATUS FREE_4K
    FREE_2M PENDING_4K PENDING_2M FREE_4K_POP FREE_2M_POP TE_COMMAND TE_STATUS TE_DONE TE_RESULT
    SD_COMMAND SD_STATUS EVENT_STATUS EVENT EVENT_POP MB_COMMAND MB_DOORBELL MB_PAYLOAD COUNTERS
    HISTOGRAM
}

impl Model {
    fn read_register(&mut self, side: Side, offset: u16) -> Result<u32, BusError> {
        let denied = BusError::Denied { offset };
        let (register, i) = register_at(offset).ok_or(denied)?;
        if !side.access(register).reads() {
            return Err(denied);
        }
        Ok(match register.offset {
            at::STATUS => self.status(),
            at::ZERO_STATUS => {
                ZERO_STATUS::ROOM.put(self.frames.room())
                    | ZERO_STATUS::BUSY.put(self.frames.busy() as u32)
                    | ZERO_STATUS::OVERFLOW.put(self.frames.overflow as u32)
            }
            at::FREE_4K => self.frames.free(PageSize::Small),
            at::FREE_2M => self.frames.free(PageSize::Huge),
            at::PENDING_4K => self.frames.pending(PageSize::Small),
            at::PENDING_2M => self.frames.pending(PageSize::Huge),
            at::FREE_4K_POP => self.pop_frame(PageSize::Small),
            at::FREE_2M_POP => self.pop_frame(PageSize::Huge),
            at::TE_STATUS => self.engine.status(),
            at::TE_DONE => self.engine.done(),
            at::TE_RESULT => self.pop_result(),
            at::SD_STATUS => self.shootdown.status(),
            at::EVENT_STATUS => self.events.status(),
            at::EVENT => self.events.word(i),
            at::COUNTERS => self.read_counter(side, i),
            at::HISTOGRAM if !self.config.statistics => 0,
            at::HISTOGRAM => self.statistics.histogram(i),
            _ => self.file.0[offset as usize / 4],
        })
    }

    fn write_register(&mut self, side: Side, offset: u16, value: u32) -> Result<(), BusError> {
        let denied = BusError::Denied { offset };
        let (register, _) = register_at(offset).ok_or(denied)?;
        if !side.access(register).writes() {
            return Err(denied);
        }
        let value = value & register.mask();
        match register.offset {
            at::CONTROL => {
                if CONTROL::CLEAR_STATS.get(value) == 1 {
                    self.statistics = Default::default();
                }
                self.store(offset, value & !CONTROL::CLEAR_STATS.mask());
            }
            at::IRQ_STATUS => {
                self.file.clear_bits(&regs::IRQ_STATUS, value);
                self.raise_levels();
            }
            at::HOST_IRQ_STATUS => self.file.clear_bits(&regs::HOST_IRQ_STATUS, value),
            at::FREE_4K_LOW | at::FREE_2M_LOW => {
                self.store(offset, value);
                self.raise_levels();
            }
            at::ZERO_PUSH => self.push_frames(value),
            at::TE_COMMAND => self.start_table_engine(value),
            at::SD_COMMAND => self.start_shootdown(value),
            at::EVENT_POP => self.events.pop(),
            at::MB_DOORBELL => self.doorbell(side, value),
            at::MB_COMMAND | at::MB_PAYLOAD if side == Side::Host && self.mailbox_busy() => {
                return Err(denied);
            }
            _ => self.store(offset, value),
        }
        Ok(())
    }

    fn store(&mut self, offset: u16, value: u32) {
        self.file.0[offset as usize / 4] = value;
    }

    fn status(&self) -> u32 {
        // A request is over before anyone can look: always idle.
        STATUS::READY.put(1)
            | STATUS::IDLE.put(1)
            | STATUS::ZERO_BUSY.put(self.frames.busy() as u32)
            | STATUS::TE_BUSY.put(self.engine.busy() as u32)
            | STATUS::SD_BUSY.put(self.shootdown.status())
    }

    fn push_frames(&mut self, value: u32) {
        let size = match ZERO_PUSH::HUGE.get(value) {
            0 => PageSize::Small,
            _ => PageSize::Huge,
        };
        let base = self.file.get(&regs::ZERO_BASE);
        let count = ZERO_PUSH::COUNT.get(value);
        let cleared = self.frames.push(base, count, size, &mut self.memory);
        self.statistics.zeroed(size, cleared);
    }

    fn pop_frame(&mut self, size: PageSize) -> u32 {
        // Both registers have the same fields.
        self.take_frame(size)
            .map_or(0, |frame| FREE_4K_POP::FRAME.put(frame) | FREE_4K_POP::VALID.put(1))
    }

    fn start_table_engine(&mut self, value: u32) {
        let get = |register| self.file.get(register);
        let job = Job {
            code: TE_COMMAND::CODE.get(value),
            pid: get(&regs::TE_PID) as u16,
            va: get(&regs::TE_VA_LO) as u64 | (get(&regs::TE_VA_HI) as u64) << 32,
            count: get(&regs::TE_COUNT),
            flags: get(&regs::TE_FLAGS),
            frame: get(&regs::TE_FRAME),
        };
        self.run_table_engine(|engine, around| engine.start(job, around));
    }

    fn pop_result(&mut self) -> u32 {
        let result = self.engine.pop_result();
        self.run_table_engine(|engine, around| engine.run(around));
        result
    }

    fn run_table_engine(
        &mut self,
        work: impl FnOnce(&mut crate::TableEngine, &mut Surroundings<'_>) -> Outcome,
    ) {
        let table = self.table();
        let mut around =
            Surroundings { memory: &mut self.memory, table, replaced: &mut self.replaced };
        let outcome = work(&mut self.engine, &mut around);
        self.statistics.reads += outcome.reads;
        self.statistics.writes += outcome.writes;
        if outcome.finished {
            self.raise(IRQ_STATUS::TE_DONE);
        }
        if outcome.poison {
            self.raise(IRQ_STATUS::UNCORRECTABLE);
        }
    }

    fn mailbox_busy(&self) -> bool {
        MB_DOORBELL::BUSY.get(self.file.get(&regs::MB_DOORBELL)) == 1
    }

    /// The doorbell hands the mailbox to the monitor, and back.
    fn doorbell(&mut self, side: Side, value: u32) {
        if MB_DOORBELL::BUSY.get(value) == 0 {
            return;
        }
        match (side, self.mailbox_busy()) {
            (Side::Host, false) => {
                self.file.set_bits(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.mask());
                self.raise(IRQ_STATUS::DOORBELL);
            }
            (Side::Monitor, true) => {
                self.file.clear_bits(&regs::MB_DOORBELL, MB_DOORBELL::BUSY.mask());
                self.file.set_bits(&regs::HOST_IRQ_STATUS, HOST_IRQ_STATUS::REPLY.mask());
            }
            _ => {}
        }
    }

    /// Counter words. Reading a low word keeps the high one for the same side's next read of it.
    fn read_counter(&mut self, side: Side, i: usize) -> u32 {
        if !self.config.statistics {
            return 0;
        }
        let latched = &mut self.latched[side as usize][i / 2];
        if i % 2 == 1 {
            return *latched;
        }
        let counter = Counter::ALL.get(i / 2);
        let value = counter.map_or(0, |&(counter, _)| self.statistics.counter(counter));
        *latched = (value >> 32) as u32;
        value as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counters_high_word_is_of_the_low_ones_moment() {
        let mut model = Model::new(HwConfig::LARGE);
        let low = Counter::ZeroReads.offset();
        model.statistics.zero_reads = 5 << 32 | u32::MAX as u64;
        assert_eq!(model.monitor().read(low), Ok(u32::MAX));
        model.statistics.zero_reads += 1;
        assert_eq!(model.host().read(low), Ok(0));
        assert_eq!(model.monitor().read(low + 4), Ok(5));
        assert_eq!(model.host().read(low + 4), Ok(6));
    }
}
