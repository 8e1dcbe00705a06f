//! A controller with a command log, driven by (clock, access).

use verilator_tb::dram::{
    AddressMapping, Controller, DramCommand, DramConfig, IssuedCommand, Preset, Request,
};

/// A line by its place in the rank, for the default mapping.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub group: u64,
    pub bank: u64,
    pub row: u64,
    pub column: u64,
}

/// Line 0.
pub const ORIGIN: At = At { group: 0, bank: 0, row: 0, column: 0 };

pub struct Channel {
    pub controller: Controller,
    groups: u64,
    banks: u64,
    done: Vec<Option<u64>>,
}

impl Channel {
    pub fn new(preset: Preset) -> Self {
        Self::of(&preset.config())
    }

    pub fn of(config: &DramConfig) -> Self {
        assert_eq!(config.mapping.to_string(), AddressMapping::DEFAULT);
        let mut controller = Controller::new(config).expect("the configuration is sound");
        controller.log_commands();
        Self {
            controller,
            groups: u64::from(config.geometry.bank_groups),
            banks: u64::from(config.geometry.banks_per_group),
            done: Vec::new(),
        }
    }

    fn push(&mut self, clock: u64, write: bool, at: At, mask: u64) -> usize {
        self.controller.advance_to(clock);
        let row_and_bank = at.row * self.banks + at.bank;
        self.controller.push(Request {
            id: self.done.len() as u32,
            write,
            line: (row_and_bank * self.groups + at.group) * 128 + at.column,
            mask,
        });
        self.done.push(None);
        self.done.len() - 1
    }

    /// A read that arrives in `clock`; gives its name.
    pub fn read(&mut self, clock: u64, at: At) -> usize {
        self.push(clock, false, at, 0)
    }

    /// A whole-line write that arrives in `clock`.
    pub fn write(&mut self, clock: u64, at: At) -> usize {
        self.push(clock, true, at, !0)
    }

    pub fn write_masked(&mut self, clock: u64, at: At, mask: u64) -> usize {
        self.push(clock, true, at, mask)
    }

    /// Lets `clocks` pass and gives the clock in which each request was answered.
    pub fn run_to(&mut self, clock: u64) -> Vec<Option<u64>> {
        self.controller.advance_to(clock);
        while let Some(done) = self.controller.pop_done() {
            let slot = &mut self.done[done.id as usize];
            assert_eq!(*slot, None, "request {} was answered twice", done.id);
            *slot = Some(done.clock);
        }
        self.done.clone()
    }

    fn clocks(&self, wanted: impl Fn(&DramCommand) -> bool) -> Vec<u64> {
        let commands = self.controller.commands().iter();
        commands.filter(|c| wanted(&c.command)).map(|c| c.clock).collect()
    }

    pub fn activates(&self) -> Vec<u64> {
        self.clocks(|c| matches!(c, DramCommand::Activate { .. }))
    }

    pub fn reads(&self) -> Vec<u64> {
        self.clocks(|c| matches!(c, DramCommand::Read { .. }))
    }

    pub fn writes(&self) -> Vec<u64> {
        self.clocks(|c| matches!(c, DramCommand::Write { .. }))
    }

    pub fn precharges(&self) -> Vec<u64> {
        self.clocks(|c| matches!(c, DramCommand::Precharge { .. }))
    }

    pub fn commands(&self) -> &[IssuedCommand] {
        self.controller.commands()
    }
}
