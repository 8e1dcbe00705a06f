//! Frames of both sizes: what the monitor pushes, the zeroing engine clears and faults take.
//!
//! In: the inner bus. Out: grants of both sizes (see [`crate::frame_lane`]), and the zeroing
//! engine's line writes, one a cycle if `zero_cmd_ready` allows it; each is acknowledged by its tag,
//! in any order. The sizes take turns line by line, so neither waits for the other: a run of 2 MiB
//! frames does not hold up the 4 KiB frame that a fault waits for.

use crate::frame_lane::FrameLane;
use crate::registers::{constant, lsb, Access, HwRegister, RwRegister};
use crate::zeroer::SLOT_BITS;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct Frames {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub waits: Signal<Out, Bit>,
    pub busy: Signal<Out, Bit>,
    pub low_4k: Signal<Out, Bit>,
    pub low_2m: Signal<Out, Bit>,
    pub cleared_4k: Signal<Out, Bit>,
    pub cleared_2m: Signal<Out, Bit>,
    pub grant_4k_valid: Signal<Out, Bit>,
    pub grant_4k_frame: Signal<Out, Bits<28>>,
    pub grant_4k_take: Signal<In, Bit>,
    pub more_4k: Signal<Out, Bit>,
    pub grant_2m_valid: Signal<Out, Bit>,
    pub grant_2m_frame: Signal<Out, Bits<28>>,
    pub grant_2m_take: Signal<In, Bit>,
    pub more_2m: Signal<Out, Bit>,
    pub zero_cmd_valid: Signal<Out, Bit>,
    pub zero_cmd_line: Signal<Out, Bits<34>>,
    pub zero_cmd_tag: Signal<Out, Bits<7>>,
    pub zero_cmd_ready: Signal<In, Bit>,
    pub zero_ack_valid: Signal<In, Bit>,
    pub zero_ack_tag: Signal<In, Bits<7>>,

    lane_4k: FrameLane,
    lane_2m: FrameLane,
    base: RwRegister,
    push: HwRegister,
    status: HwRegister,
    overflow: DFF<Bit>,
    used: DFF<Bits<8>>,
    /// A push and its run, one cycle after the register was written.
    pushing: DFF<Bit>,
    push_huge: DFF<Bit>,
    push_count: DFF<Bits<16>>,
    /// The line write on the port. A tag is the size above the slot.
    out_valid: DFF<Bit>,
    out_line: DFF<Bits<34>>,
    out_slot: DFF<Bits<SLOT_BITS>>,
    out_huge: DFF<Bit>,
    pick_huge: Signal<Local, Bit>,
    advance: Signal<Local, Bit>,
    room: Signal<Local, Bit>,
    data: Signal<Local, Bits<32>>,
    asked: Signal<Local, Bits<16>>,
    left: Signal<Local, Bits<8>>,
    depth: Constant<Bits<8>>,
    count_lsb: Constant<Bits<5>>,
    huge_lsb: Constant<Bits<5>>,
    room_lsb: Constant<Bits<5>>,
    busy_lsb: Constant<Bits<5>>,
    overflow_lsb: Constant<Bits<5>>,
    slot_bits: Constant<Bits<5>>,
}

impl Frames {
    /// `huge_lines` of each 2 MiB frame are written, see [`crate::zeroer::Zeroer::new`].
    pub fn new(config: &HwConfig, huge_lines: u32) -> Self {
        use field::{ZERO_PUSH, ZERO_STATUS};
        with_defaults!(Self {
            lane_4k: FrameLane::new(config, PageSize::Small, 4, PageSize::Small.lines()),
            lane_2m: FrameLane::new(config, PageSize::Huge, 2, huge_lines),
            base: RwRegister::new(&regs::ZERO_BASE, config),
            push: HwRegister::new(&regs::ZERO_PUSH),
            status: HwRegister::new(&regs::ZERO_STATUS),
            depth: constant(config.zero_queue as u64),
            count_lsb: lsb(ZERO_PUSH::COUNT),
            huge_lsb: lsb(ZERO_PUSH::HUGE),
            room_lsb: lsb(ZERO_STATUS::ROOM),
            busy_lsb: lsb(ZERO_STATUS::BUSY),
            overflow_lsb: lsb(ZERO_STATUS::OVERFLOW),
            slot_bits: constant(SLOT_BITS as u64),
        } clock bus read_data waits busy low_4k low_2m cleared_4k cleared_2m grant_4k_valid
          grant_4k_frame grant_4k_take more_4k grant_2m_valid grant_2m_frame grant_2m_take more_2m
          zero_cmd_valid zero_cmd_line zero_cmd_tag zero_cmd_ready zero_ack_valid zero_ack_tag
          overflow used pushing push_huge push_count out_valid out_line out_slot out_huge pick_huge
          advance room data asked left)
    }
}

impl Logic for Frames {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, overflow, used, pushing, push_huge, push_count);
        dff_setup!(self, clock, out_valid, out_line, out_slot, out_huge);
        clock!(self, clock, lane_4k, lane_2m, base, push, status);
        self.lane_4k.bus.next = self.bus.val();
        self.lane_2m.bus.next = self.bus.val();
        self.base.bus.next = self.bus.val();
        self.push.bus.next = self.bus.val();
        self.status.bus.next = self.bus.val();

        // Pushes. Both sizes share the queue's depth.
        self.used.d.next = self.lane_4k.queued.val() + self.lane_2m.queued.val();
        self.room.next = self.used.q.val() != self.depth.val();
        self.pushing.d.next = false;
        self.data.next = self.bus.val().data;
        self.asked.next = self.data.val().get_bits::<16>(self.count_lsb.val().index());
        if self.push.writes.val() {
            self.push_count.d.next = self.asked.val();
            self.push_huge.d.next = self.data.val().get_bit(self.huge_lsb.val().index());
            if self.room.val() && self.asked.val().any() {
                self.pushing.d.next = true;
            } else {
                self.overflow.d.next = true;
            }
        }
        self.lane_4k.push.next = self.pushing.q.val() && !self.push_huge.q.val();
        self.lane_2m.push.next = self.pushing.q.val() && self.push_huge.q.val();
        self.lane_4k.push_base.next = bit_cast::<28, 32>(self.base.value.val());
        self.lane_2m.push_base.next = bit_cast::<28, 32>(self.base.value.val());
        self.lane_4k.push_count.next = self.push_count.q.val();
        self.lane_2m.push_count.next = self.push_count.q.val();

        // Line writes: the size that did not go last goes first.
        self.advance.next = !self.out_valid.q.val() || self.zero_cmd_ready.val();
        self.pick_huge.next = self.lane_2m.cmd_valid.val()
            && (!self.lane_4k.cmd_valid.val() || !self.out_huge.q.val());
        self.lane_4k.cmd_ready.next = self.advance.val() && !self.pick_huge.val();
        self.lane_2m.cmd_ready.next = self.advance.val() && self.pick_huge.val();
        if self.advance.val() {
            self.out_valid.d.next = self.lane_4k.cmd_valid.val() || self.lane_2m.cmd_valid.val();
            self.out_huge.d.next = self.pick_huge.val();
            if self.pick_huge.val() {
                self.out_line.d.next = self.lane_2m.cmd_line.val();
                self.out_slot.d.next = self.lane_2m.cmd_slot.val();
            } else {
                self.out_line.d.next = self.lane_4k.cmd_line.val();
                self.out_slot.d.next = self.lane_4k.cmd_slot.val();
            }
        }
        self.zero_cmd_valid.next = self.out_valid.q.val();
        self.zero_cmd_line.next = self.out_line.q.val();
        self.zero_cmd_tag.next = (bit_cast::<7, 1>(self.out_huge.q.val().into())
            << self.slot_bits.val())
            | bit_cast::<7, SLOT_BITS>(self.out_slot.q.val());
        self.lane_4k.ack_slot.next = bit_cast::<SLOT_BITS, 7>(self.zero_ack_tag.val());
        self.lane_2m.ack_slot.next = bit_cast::<SLOT_BITS, 7>(self.zero_ack_tag.val());
        self.lane_4k.ack_valid.next = self.zero_ack_valid.val()
            && !self.zero_ack_tag.val().get_bit(self.slot_bits.val().index());
        self.lane_2m.ack_valid.next = self.zero_ack_valid.val()
            && self.zero_ack_tag.val().get_bit(self.slot_bits.val().index());

        self.grant_4k_valid.next = self.lane_4k.grant_valid.val();
        self.grant_4k_frame.next = self.lane_4k.grant_frame.val();
        self.lane_4k.grant_take.next = self.grant_4k_take.val();
        self.more_4k.next = self.lane_4k.more.val();
        self.grant_2m_valid.next = self.lane_2m.grant_valid.val();
        self.grant_2m_frame.next = self.lane_2m.grant_frame.val();
        self.lane_2m.grant_take.next = self.grant_2m_take.val();
        self.more_2m.next = self.lane_2m.more.val();
        self.low_4k.next = self.lane_4k.low.val();
        self.low_2m.next = self.lane_2m.low.val();
        self.cleared_4k.next = self.lane_4k.cleared.val();
        self.cleared_2m.next = self.lane_2m.cleared.val();
        self.busy.next = self.lane_4k.busy.val() || self.lane_2m.busy.val();
        self.waits.next = self.lane_4k.waits.val() || self.lane_2m.waits.val();

        self.push.value.next = 0.into();
        self.left.next = self.depth.val() - self.used.q.val();
        self.status.value.next = (bit_cast::<32, 8>(self.left.val()) << self.room_lsb.val())
            | ((bit_cast::<32, 1>(self.busy.val().into()) << self.busy_lsb.val())
                | (bit_cast::<32, 1>(self.overflow.q.val().into()) << self.overflow_lsb.val()));
        self.read_data.next = ((self.lane_4k.read_data.val() | self.lane_2m.read_data.val())
            | self.base.read_data.val())
            | self.status.read_data.val();
        if self.bus.val().reset {
            self.overflow.d.next = false;
            self.used.d.next = 0.into();
            self.pushing.d.next = false;
            self.out_valid.d.next = false;
            self.out_huge.d.next = false;
        }
    }
}
