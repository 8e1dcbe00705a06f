//! Commands: checks a command, and cuts it into pieces that one TLP or one line request does.
//!
//! In: commands of [`super::rings`]. Out: to [`super::account`] how many lines each has, before any of
//! its pieces; reads of the component for [`super::page_out`] in pieces that end at multiples of the
//! maximum payload size of the host address; reads of the host for [`super::host_reads`] in pieces
//! that end at multiples of the maximum read request size; atomics. Neither kind of piece crosses 4 KiB
//! of host memory, since both sizes divide it. One piece in two cycles.
//!
//! A command whose slot still has work waits: the host used the ring's entry too early.

use rust_hdl::prelude::*;
use splitmem_abi::pcie::{self, DmaStatus};

use crate::prim::Param;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum CommandState {
    Idle,
    Check,
    Start,
    /// A line of the scatter list is asked for, and awaited.
    AskList,
    AwaitList,
    Cut,
    Emit,
    Atomic,
}

#[derive(LogicBlock, Default)]
pub struct Commands {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    /// Largest payload and largest read request, in lines: 2 to 64, powers of two.
    pub payload_lines: Signal<In, Bits<7>>,
    pub read_lines: Signal<In, Bits<7>>,
    pub busy: Signal<Out, Bit>,

    pub command_valid: Signal<In, Bit>,
    pub command_ready: Signal<Out, Bit>,
    pub command_slot: Signal<In, Bits<8>>,
    pub command_status: Signal<In, Bits<8>>,
    pub command: Signal<In, Bits<512>>,

    /// A command begins.
    pub start_valid: Signal<Out, Bit>,
    pub start_ready: Signal<In, Bit>,
    pub start_slot: Signal<Out, Bits<8>>,
    pub start_id: Signal<Out, Bits<16>>,
    /// Lines, an atomic counting as one; zero if it ends at once.
    pub start_lines: Signal<Out, Bits<13>>,
    pub start_status: Signal<Out, Bits<8>>,

    /// A piece; stays until the ready of whom it is for.
    pub out_valid: Signal<Out, Bit>,
    pub out_ready: Signal<In, Bit>,
    pub in_valid: Signal<Out, Bit>,
    pub in_ready: Signal<In, Bit>,
    pub atomic_valid: Signal<Out, Bit>,
    pub atomic_ready: Signal<In, Bit>,
    pub list_valid: Signal<Out, Bit>,
    pub list_ready: Signal<In, Bit>,
    pub slot: Signal<Out, Bits<8>>,
    pub pid: Signal<Out, Bits<16>>,
    pub va: Signal<Out, Bits<48>>,
    pub host: Signal<Out, Bits<64>>,
    pub lines: Signal<Out, Bits<7>>,
    pub mask: Signal<Out, Bits<64>>,
    pub operand: Signal<Out, Bits<64>>,
    pub expected: Signal<Out, Bits<64>>,
    pub swap: Signal<Out, Bit>,

    /// The line of the list that was read.
    pub line: Signal<In, Bit>,
    pub line_status: Signal<In, Bits<8>>,
    pub line_data: Signal<In, Bits<512>>,
    /// Lines that will not be moved, because the list could not be read.
    pub lost_valid: Signal<Out, Bit>,
    pub lost_ready: Signal<In, Bit>,
    pub lost_lines: Signal<Out, Bits<13>>,
    pub lost_status: Signal<Out, Bits<8>>,

    state: DFF<CommandState>,
    current: DFF<Bits<512>>,
    slot_now: DFF<Bits<8>>,
    status: DFF<Bits<8>>,
    total: DFF<Bits<13>>,
    left: DFF<Bits<13>>,
    va_now: DFF<Bits<48>>,
    host_now: DFF<Bits<64>>,
    list_at: DFF<Bits<64>>,
    list: DFF<Bits<512>>,
    /// Addresses of the list's line not yet used.
    addresses: DFF<Bits<4>>,
    /// Lines left at the current address.
    here: DFF<Bits<13>>,
    piece: DFF<Bits<7>>,
    failed: DFF<Bits<8>>,

    op: Signal<Local, Bits<8>>,
    is_list: Signal<Local, Bit>,
    count: Signal<Local, Bits<16>>,
    moves: Signal<Local, Bit>,
    atomic: Signal<Local, Bit>,
    bad: Signal<Local, Bit>,
    unit: Signal<Local, Bits<7>>,
    to_boundary: Signal<Local, Bits<13>>,
    most: Signal<Local, Bits<13>>,
    take: Signal<Local, Bits<13>>,
    taken: Signal<Local, Bit>,
    step: Signal<Local, Bits<64>>,
    bad_command: Param<Bits<8>>,
    max_lines: Param<Bits<16>>,
    list_lines: Param<Bits<13>>,
}

impl Commands {
    pub fn new() -> Self {
        Self {
            bad_command: Param::new((DmaStatus::BAD_COMMAND as u64).into()),
            max_lines: Param::new((pcie::MAX_LINES as u64).into()),
            list_lines: Param::new((pcie::LIST_LINES as u64).into()),
            ..Default::default()
        }
    }
}

impl Logic for Commands {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, current, slot_now, status, total, left, va_now, host_now);
        dff_setup!(self, clock, list_at, list, addresses, here, piece, failed);
        self.busy.next = self.state.q.val() != CommandState::Idle;
        self.op.next = self.current.q.val().get_bits::<8>(0);
        self.is_list.next = self.current.q.val().get_bit(8);
        self.count.next = self.current.q.val().get_bits::<16>(48);
        self.moves.next = (self.op.val() == 1) || (self.op.val() == 2);
        self.atomic.next = (self.op.val() == 3) || (self.op.val() == 4);
        // Unknown ops and flags, no or too many lines, what is not aligned, and a mask of several lines.
        self.bad.next = (self.op.val() > 4)
            || self.current.q.val().get_bits::<7>(9).any()
            || (self.moves.val()
                && ((!self.count.val().any())
                    || (self.count.val() > self.max_lines.val())
                    || self.current.q.val().get_bits::<6>(64).any()
                    || self.current.q.val().get_bits::<16>(112).any()
                    || self.current.q.val().get_bits::<6>(128).any()
                    || ((self.op.val() == 2)
                        && (self.count.val() != 1)
                        && !self.current.q.val().get_bits::<64>(192).all())))
            || (self.atomic.val()
                && (self.count.val().any()
                    || self.is_list.val()
                    || self.current.q.val().get_bits::<3>(64).any()
                    || self.current.q.val().get_bits::<16>(112).any()));

        self.command_ready.next = self.state.q.val() == CommandState::Idle;
        self.start_valid.next = false;
        self.start_slot.next = self.slot_now.q.val();
        self.start_id.next = self.current.q.val().get_bits::<16>(16);
        self.start_lines.next = self.total.q.val();
        self.start_status.next = self.status.q.val();
        self.out_valid.next = false;
        self.in_valid.next = false;
        self.atomic_valid.next = false;
        self.list_valid.next = false;
        self.lost_valid.next = self.failed.q.val().any();
        self.lost_lines.next = self.left.q.val();
        self.lost_status.next = self.failed.q.val();
        self.slot.next = self.slot_now.q.val();
        self.pid.next = self.current.q.val().get_bits::<16>(32);
        self.va.next = self.va_now.q.val();
        self.host.next = self.host_now.q.val();
        self.lines.next = self.piece.q.val();
        self.mask.next = self.current.q.val().get_bits::<64>(192);
        self.operand.next = self.current.q.val().get_bits::<64>(192);
        self.expected.next = self.current.q.val().get_bits::<64>(256);
        self.swap.next = self.op.val() == 4;

        // The next piece: to the boundary, but not beyond the current address or the end.
        self.unit.next = self.payload_lines.val();
        if self.op.val() == 2 {
            self.unit.next = self.read_lines.val();
        }
        self.to_boundary.next = bit_cast::<13, 7>(self.unit.val())
            - (bit_cast::<13, 64>(self.host_now.q.val() >> 6)
                & bit_cast::<13, 7>(self.unit.val() - 1));
        self.most.next = self.left.q.val();
        if self.here.q.val() < self.left.q.val() {
            self.most.next = self.here.q.val();
        }
        self.take.next = self.most.val();
        if self.to_boundary.val() < self.most.val() {
            self.take.next = self.to_boundary.val();
        }
        self.taken.next = false;
        self.step.next = bit_cast::<64, 7>(self.piece.q.val()) << 6;

        match self.state.q.val() {
            CommandState::Idle => {
                self.current.d.next = self.command.val();
                self.slot_now.d.next = self.command_slot.val();
                self.status.d.next = self.command_status.val();
                if self.command_valid.val() {
                    self.state.d.next = CommandState::Check;
                }
            }
            CommandState::Check => {
                self.va_now.d.next = self.current.q.val().get_bits::<48>(64);
                self.host_now.d.next = self.current.q.val().get_bits::<64>(128);
                self.list_at.d.next = self.current.q.val().get_bits::<64>(128);
                self.addresses.d.next = 0.into();
                self.here.d.next = bit_cast::<13, 16>(self.count.val());
                if self.is_list.val() {
                    self.here.d.next = 0.into();
                }
                self.total.d.next = 0.into();
                if self.status.q.val().any() {
                    self.total.d.next = 0.into();
                } else if self.bad.val() {
                    self.status.d.next = self.bad_command.val();
                } else if self.moves.val() {
                    self.total.d.next = bit_cast::<13, 16>(self.count.val());
                } else if self.atomic.val() {
                    self.total.d.next = 1.into();
                }
                self.state.d.next = CommandState::Start;
            }
            CommandState::Start => {
                self.left.d.next = self.total.q.val();
                self.start_valid.next = true;
                if self.start_ready.val() {
                    self.state.d.next = CommandState::Idle;
                    if self.total.q.val().any() {
                        self.state.d.next = CommandState::Cut;
                        if self.atomic.val() {
                            self.state.d.next = CommandState::Atomic;
                        }
                    }
                }
            }
            CommandState::AskList => {
                self.list_valid.next = true;
                self.host.next = self.list_at.q.val();
                if self.list_ready.val() {
                    self.list_at.d.next = self.list_at.q.val() + 64;
                    self.state.d.next = CommandState::AwaitList;
                }
            }
            CommandState::AwaitList => {
                self.list.d.next = self.line_data.val();
                self.addresses.d.next = 8.into();
                if self.line.val() {
                    self.failed.d.next = self.line_status.val();
                    self.state.d.next = CommandState::Cut;
                }
            }
            CommandState::Cut => {
                self.piece.d.next = bit_cast::<7, 13>(self.take.val());
                if self.failed.q.val().any() {
                    if self.lost_ready.val() {
                        self.failed.d.next = 0.into();
                        self.state.d.next = CommandState::Idle;
                    }
                } else if self.here.q.val().any() {
                    self.state.d.next = CommandState::Emit;
                } else if self.addresses.q.val().any() {
                    // The next address of the list. Its low bits cannot count.
                    self.host_now.d.next = (self.list.q.val().get_bits::<64>(0) >> 6) << 6;
                    self.list.d.next = self.list.q.val() >> 64;
                    self.addresses.d.next = self.addresses.q.val() - 1;
                    self.here.d.next = self.list_lines.val();
                } else {
                    self.state.d.next = CommandState::AskList;
                }
            }
            CommandState::Emit => {
                self.out_valid.next = self.op.val() == 1;
                self.in_valid.next = self.op.val() == 2;
                self.taken.next = ((self.op.val() == 1) && self.out_ready.val())
                    || ((self.op.val() == 2) && self.in_ready.val());
                if self.taken.val() {
                    self.left.d.next = self.left.q.val() - bit_cast::<13, 7>(self.piece.q.val());
                    self.here.d.next = self.here.q.val() - bit_cast::<13, 7>(self.piece.q.val());
                    self.va_now.d.next = self.va_now.q.val() + bit_cast::<48, 64>(self.step.val());
                    self.host_now.d.next = self.host_now.q.val() + self.step.val();
                    self.state.d.next = CommandState::Cut;
                    if self.left.q.val() == bit_cast::<13, 7>(self.piece.q.val()) {
                        self.state.d.next = CommandState::Idle;
                    }
                }
            }
            CommandState::Atomic => {
                self.atomic_valid.next = true;
                if self.atomic_ready.val() {
                    self.state.d.next = CommandState::Idle;
                }
            }
            _ => {
                self.state.d.next = CommandState::Idle;
            }
        }
        if self.reset.val() {
            self.state.d.next = CommandState::Idle;
            self.failed.d.next = 0.into();
        }
    }
}
