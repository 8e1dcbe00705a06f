//! Host reads: memory reads of the host, their tags, and what comes back.
//!
//! In: reads of three kinds (data for the component, lines of the submission ring, lines of scatter
//! lists), each of whole lines at a line's address and within 4 KiB, and the `rc` stream. Out: the read
//! requests (`ask_*`), line writes for the component (`write_*`, one a cycle as the lines come), lines
//! of ring and list, and pieces that failed.
//!
//! 32 tags; without a free one the next read waits. A completion's lines are passed on at once, so a
//! completion never waits for anything but the component's port. A read's lines come in order, whatever
//! completions they are split into, since a completion of a line-aligned read ends at a line's end (read
//! completion boundary, PCIe Base Specification 5.0, section 2.3.1.1).
//!
//! A completion with an error status or poison ends its read: the lines left have failed. A read
//! without a completion for one to two `timeout`s has failed too, and its tag is not used again until
//! reset, because the completion may still come. A completion that belongs to no read, is longer than
//! what is left, or not of whole lines, is dropped and counted; its read, if there is one, times out.

use crate::fifo::IndexPool;
use crate::prim::{Encode, LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::pcie::{self, DmaStatus};

/// What a tag stands for.
#[derive(Copy, Clone, Debug, Default, PartialEq, LogicStruct)]
pub struct HostRead {
    /// 0 data, 1 submission ring, 2 scatter list.
    pub kind: Bits<2>,
    /// Slot of the command, or place of the ring's line.
    pub slot: Bits<8>,
    pub pid: Bits<16>,
    pub mask: Bits<64>,
}

#[derive(LogicBlock, Default)]
pub struct HostReads {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub timeout: Signal<In, Bits<32>>,
    /// The endpoint's own bus, device and function number.
    pub requester: Signal<In, Bits<16>>,
    pub busy: Signal<Out, Bit>,
    pub dead_tags: Signal<Out, Bits<8>>,

    pub fetch_valid: Signal<In, Bit>,
    pub fetch_ready: Signal<Out, Bit>,
    pub fetch_address: Signal<In, Bits<64>>,
    pub fetch_place: Signal<In, Bits<3>>,
    pub list_valid: Signal<In, Bit>,
    pub list_ready: Signal<Out, Bit>,
    pub data_valid: Signal<In, Bit>,
    pub data_ready: Signal<Out, Bit>,
    pub host: Signal<In, Bits<64>>,
    pub slot: Signal<In, Bits<8>>,
    pub pid: Signal<In, Bits<16>>,
    pub va: Signal<In, Bits<48>>,
    pub lines: Signal<In, Bits<7>>,
    pub mask: Signal<In, Bits<64>>,

    /// A read request's header.
    pub ask_valid: Signal<Out, Bit>,
    pub ask_ready: Signal<In, Bit>,
    pub ask_header: Signal<Out, Bits<128>>,

    pub rc_valid: Signal<In, Bit>,
    pub rc_ready: Signal<Out, Bit>,
    pub rc_first: Signal<In, Bit>,
    pub rc_last: Signal<In, Bit>,
    pub rc_header: Signal<In, Bits<128>>,
    pub rc_data: Signal<In, Bits<512>>,
    pub rc_dwords: Signal<In, Bits<5>>,

    pub write_valid: Signal<Out, Bit>,
    pub write_ready: Signal<In, Bit>,
    pub write_slot: Signal<Out, Bits<8>>,
    pub write_pid: Signal<Out, Bits<16>>,
    pub write_va: Signal<Out, Bits<48>>,
    pub write_mask: Signal<Out, Bits<64>>,
    pub write_data: Signal<Out, Bits<512>>,

    /// A line of ring or list, or why there is none.
    pub ring_line: Signal<Out, Bit>,
    pub list_line: Signal<Out, Bit>,
    pub line_place: Signal<Out, Bits<3>>,
    pub line_status: Signal<Out, Bits<8>>,
    pub line_data: Signal<Out, Bits<512>>,

    pub failed_valid: Signal<Out, Bit>,
    pub failed_ready: Signal<In, Bit>,
    pub failed_slot: Signal<Out, Bits<8>>,
    pub failed_lines: Signal<Out, Bits<7>>,
    pub failed_status: Signal<Out, Bits<8>>,

    /// Pulses.
    pub unexpected: Signal<Out, Bit>,
    pub host_error: Signal<Out, Bit>,

    tags: IndexPool,
    reads: LutRam<HostRead, 5>,
    /// `[6:0]` lines left, `[48:7]` line of the next one.
    progress: LutRam<Bits<49>, 5>,
    active: DFF<Bits<32>>,
    /// Active when the last period began.
    old: DFF<Bits<32>>,
    expired: DFF<Bits<32>>,
    elapsed: DFF<Bits<32>>,
    dead: DFF<Bits<8>>,

    // The read request that is offered.
    asking: DFF<Bit>,
    ask: DFF<Bits<128>>,
    pick_fetch: Signal<Local, Bit>,
    pick_list: Signal<Local, Bit>,
    pick_data: Signal<Local, Bit>,
    starts: Signal<Local, Bit>,
    new_address: Signal<Local, Bits<64>>,
    new_lines: Signal<Local, Bits<7>>,
    new_read: Signal<Local, HostRead>,
    new_tag: Signal<Local, Bits<5>>,
    dw0: Signal<Local, Bits<32>>,
    dw1: Signal<Local, Bits<32>>,

    // The completion that is taken.
    running: DFF<Bit>,
    skipping: DFF<Bit>,
    tag_now: DFF<Bits<5>>,
    left_now: DFF<Bits<7>>,
    line_now: DFF<Bits<42>>,
    ready_now: Signal<Local, Bit>,
    tag: Signal<Local, Bits<5>>,
    tag_wide: Signal<Local, Bits<8>>,
    known: Signal<Local, Bit>,
    left: Signal<Local, Bits<7>>,
    line: Signal<Local, Bits<42>>,
    read: Signal<Local, HostRead>,
    status: Signal<Local, Bits<8>>,
    code: Signal<Local, Bits<3>>,
    dwords: Signal<Local, Bits<11>>,
    fits: Signal<Local, Bit>,
    good_beat: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    finish: Signal<Local, Bit>,
    fails: Signal<Local, Bit>,
    update: Signal<Local, Bit>,
    drops: Signal<Local, Bit>,
    tick: Signal<Local, Bit>,
    expire: Signal<Local, Bit>,
    expire_tag: Signal<Local, Bits<5>>,
    lowest: Encode,
    one: Signal<Local, Bits<32>>,
    set: Signal<Local, Bits<32>>,
    clear: Signal<Local, Bits<32>>,

    write: DFF<Bit>,
    out_slot: DFF<Bits<8>>,
    out_pid: DFF<Bits<16>>,
    out_line: DFF<Bits<42>>,
    out_mask: DFF<Bits<64>>,
    out_data: DFF<Bits<512>>,
    failing: DFF<Bit>,
    fail_slot: DFF<Bits<8>>,
    fail_lines: DFF<Bits<7>>,
    fail_status: DFF<Bits<8>>,

    refused: Param<Bits<8>>,
    poisoned: Param<Bits<8>>,
    late: Param<Bits<8>>,
}

impl HostReads {
    pub fn new() -> Self {
        let tags = pcie::TAGS as usize;
        Self {
            tags: IndexPool::new(tags),
            reads: LutRam::new(tags),
            progress: LutRam::new(tags),
            refused: Param::new((DmaStatus::HOST_REFUSED as u64).into()),
            poisoned: Param::new((DmaStatus::HOST_POISONED as u64).into()),
            late: Param::new((DmaStatus::HOST_TIMEOUT as u64).into()),
            ..Default::default()
        }
    }
}

impl Logic for HostReads {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, active, old, expired, elapsed, dead, asking, ask, running, skipping
        );
        dff_setup!(self, clock, tag_now, left_now, line_now, write, out_slot, out_pid, out_line);
        dff_setup!(self, clock, out_mask, out_data, failing, fail_slot, fail_lines, fail_status);
        clock!(self, clock, tags, reads, progress);
        self.tags.reset.next = self.reset.val();
        self.one.next = 1.into();
        self.busy.next = self.active.q.val().any()
            || self.asking.q.val()
            || self.write.q.val()
            || self.failing.q.val();
        self.dead_tags.next = self.dead.q.val();

        // Timeouts: at the end of a period, what was active at its beginning has expired.
        self.tick.next = self.timeout.val().any() && (self.elapsed.q.val() >= self.timeout.val());
        self.elapsed.d.next = self.elapsed.q.val() + 1;
        if self.tick.val() || !self.timeout.val().any() {
            self.elapsed.d.next = 0.into();
        }
        self.expire.next =
            self.expired.q.val().any() && (!self.running.q.val()) && !self.failing.q.val();
        self.lowest.bits.next =
            bit_cast::<64, 32>(self.expired.q.val() & ((!self.expired.q.val()) + 1));
        self.expire_tag.next = bit_cast::<5, 7>(self.lowest.index.val());

        // A completion's beat. In its first one the tag is looked up.
        self.tag_wide.next = self.rc_header.val().get_bits::<8>(72);
        self.tag.next = self.tag_now.q.val();
        if !self.running.q.val() {
            self.tag.next = bit_cast::<5, 8>(self.tag_wide.val());
        }
        if self.expire.val() {
            self.tag.next = self.expire_tag.val();
        }
        self.reads.read_address.next = self.tag.val();
        self.progress.read_address.next = self.tag.val();
        self.read.next = self.reads.read_data.val();
        self.left.next = self.left_now.q.val();
        self.line.next = self.line_now.q.val();
        if !self.running.q.val() {
            self.left.next = self.progress.read_data.val().get_bits::<7>(0);
            self.line.next = self.progress.read_data.val().get_bits::<42>(7);
        }
        self.code.next = self.rc_header.val().get_bits::<3>(45);
        self.status.next = 0.into();
        if !self.running.q.val() {
            if self.code.val().any() {
                self.status.next = self.refused.val();
            } else if self.rc_header.val().get_bit(14) {
                self.status.next = self.poisoned.val();
            }
        }
        self.dwords.next = bit_cast::<11, 10>(self.rc_header.val().get_bits::<10>(0));
        if !self.rc_header.val().get_bits::<10>(0).any() {
            self.dwords.next = 1024.into();
        }
        // Completion (without data only with an error) of an active tag, whole lines, not too many.
        self.known.next = (self.rc_header.val().get_bits::<5>(24) == 10)
            && (!self.rc_header.val().get_bit(31))
            && (!self.rc_header.val().get_bit(29))
            && (!self.tag_wide.val().get_bits::<3>(5).any())
            && self.active.q.val().get_bit(self.tag.val().index())
            && !self.expired.q.val().get_bit(self.tag.val().index());
        self.fits.next = self.rc_header.val().get_bit(30)
            && (!self.dwords.val().get_bits::<4>(0).any())
            && !(self.dwords.val().get_bits::<7>(4) > self.left.val());
        self.good_beat.next = (self.rc_dwords.val() == 16) && self.left.val().any();
        // Room for what may come of the beat: a line write, a failure.
        self.ready_now.next = ((!self.write.q.val()) || self.write_ready.val())
            && (!self.failing.q.val())
            && !self.expire.val();
        self.rc_ready.next = self.ready_now.val();
        self.take.next = false;
        self.finish.next = false;
        self.fails.next = false;
        self.drops.next = false;
        self.update.next = false;
        self.unexpected.next = false;
        self.host_error.next = false;
        if self.rc_valid.val() && self.ready_now.val() {
            if self.rc_last.val() {
                self.running.d.next = false;
                self.skipping.d.next = false;
            }
            if (!self.running.q.val()) && !self.skipping.q.val() {
                if self.rc_first.val() && self.known.val() && self.status.val().any() {
                    self.fails.next = true;
                    self.skipping.d.next = !self.rc_last.val();
                } else if self.rc_first.val()
                    && self.known.val()
                    && self.fits.val()
                    && self.good_beat.val()
                {
                    self.take.next = true;
                    self.running.d.next = !self.rc_last.val();
                } else {
                    self.drops.next = true;
                }
            }
            if self.running.q.val() {
                if self.good_beat.val() && !self.rc_first.val() {
                    self.take.next = true;
                } else {
                    self.drops.next = true;
                }
            }
            if self.drops.val() {
                self.unexpected.next = true;
                self.running.d.next = false;
                self.skipping.d.next = !self.rc_last.val();
            }
        }
        self.finish.next = (self.take.val() && (self.left.val() == 1)) || self.fails.val();
        self.tag_now.d.next = self.tag.val();
        if self.write_ready.val() {
            self.write.d.next = false;
        }
        if self.take.val() {
            self.left_now.d.next = self.left.val() - 1;
            self.line_now.d.next = self.line.val() + 1;
            self.update.next = true;
            if self.read.val().kind == 0 {
                self.write.d.next = true;
                self.out_slot.d.next = self.read.val().slot;
                self.out_pid.d.next = self.read.val().pid;
                self.out_line.d.next = self.line.val();
                self.out_mask.d.next = self.read.val().mask;
                self.out_data.d.next = self.rc_data.val();
            }
        }
        // A new read: the ring's first, then the list's, then data. Not in a cycle in which a
        // completion changes the progress of another one.
        self.starts.next = self.tags.available.val()
            && (!self.asking.q.val())
            && (!self.update.val())
            && (self.fetch_valid.val() || self.list_valid.val() || self.data_valid.val());
        self.pick_fetch.next = self.starts.val() && self.fetch_valid.val();
        self.pick_list.next = self.starts.val() && self.list_valid.val() && !self.fetch_valid.val();
        self.pick_data.next = self.starts.val()
            && self.data_valid.val()
            && (!self.fetch_valid.val())
            && (!self.list_valid.val());
        self.fetch_ready.next = self.pick_fetch.val();
        self.list_ready.next = self.pick_list.val();
        self.data_ready.next = self.pick_data.val();
        self.new_address.next = self.host.val();
        self.new_lines.next = self.lines.val();
        self.new_read.next.kind = 0.into();
        self.new_read.next.slot = self.slot.val();
        self.new_read.next.pid = self.pid.val();
        self.new_read.next.mask = self.mask.val();
        if self.pick_list.val() {
            self.new_lines.next = 1.into();
            self.new_read.next.kind = 2.into();
        }
        if self.pick_fetch.val() {
            self.new_address.next = self.fetch_address.val();
            self.new_lines.next = 1.into();
            self.new_read.next.kind = 1.into();
            self.new_read.next.slot = bit_cast::<8, 3>(self.fetch_place.val());
        }
        self.new_tag.next = bit_cast::<5, 7>(self.tags.index.val());
        self.tags.take.next = self.starts.val();
        self.reads.write_address.next = self.new_tag.val();
        self.reads.write_data.next = self.new_read.val();
        self.reads.write_enable.next = self.starts.val();
        // Memory read; three dwords of header below 4 GiB, as the specification wants it.
        self.dw0.next = (bit_cast::<32, 7>(self.new_lines.val()) << 4) & 0x3ff;
        self.dw1.next = (bit_cast::<32, 16>(self.requester.val()) << 16)
            | (bit_cast::<32, 5>(self.new_tag.val()) << 8)
            | 0xff;
        self.ask_valid.next = self.asking.q.val();
        self.ask_header.next = self.ask.q.val();
        if self.ask_ready.val() {
            self.asking.d.next = false;
        }
        if self.starts.val() {
            self.asking.d.next = true;
            self.ask.d.next = bit_cast::<128, 32>(self.dw0.val())
                | (bit_cast::<128, 32>(self.dw1.val()) << 32)
                | (bit_cast::<128, 32>(self.new_address.val().get_bits::<32>(0)) << 64);
            if self.new_address.val().get_bits::<32>(32).any() {
                self.ask.d.next = bit_cast::<128, 32>(self.dw0.val())
                    | (bit_cast::<128, 1>(true.into()) << 29)
                    | (bit_cast::<128, 32>(self.dw1.val()) << 32)
                    | (bit_cast::<128, 32>(self.new_address.val().get_bits::<32>(32)) << 64)
                    | (bit_cast::<128, 32>(self.new_address.val().get_bits::<32>(0)) << 96);
            }
        }

        self.progress.write_enable.next = self.starts.val() || self.take.val();
        self.progress.write_address.next = self.new_tag.val();
        self.progress.write_data.next = bit_cast::<49, 7>(self.new_lines.val())
            | (bit_cast::<49, 42>(self.va.val().get_bits::<42>(6)) << 7);
        if self.take.val() {
            self.progress.write_address.next = self.tag.val();
            self.progress.write_data.next = bit_cast::<49, 7>(self.left.val() - 1)
                | (bit_cast::<49, 42>(self.line.val() + 1) << 7);
        }
        self.write_valid.next = self.write.q.val();
        self.write_slot.next = self.out_slot.q.val();
        self.write_pid.next = self.out_pid.q.val();
        self.write_va.next = bit_cast::<48, 42>(self.out_line.q.val()) << 6;
        self.write_mask.next = self.out_mask.q.val();
        self.write_data.next = self.out_data.q.val();

        // What failed.
        self.failed_valid.next = self.failing.q.val();
        self.failed_slot.next = self.fail_slot.q.val();
        self.failed_lines.next = self.fail_lines.q.val();
        self.failed_status.next = self.fail_status.q.val();
        if self.failed_ready.val() {
            self.failing.d.next = false;
        }
        if (self.fails.val() || self.expire.val()) && (self.read.val().kind == 0) {
            self.failing.d.next = true;
            self.fail_slot.d.next = self.read.val().slot;
            self.fail_lines.d.next = self.left.val();
            self.fail_status.d.next = self.status.val();
            if self.expire.val() {
                self.fail_status.d.next = self.late.val();
            }
        }
        self.ring_line.next = (self.take.val() || self.fails.val() || self.expire.val())
            && (self.read.val().kind == 1);
        self.list_line.next = (self.take.val() || self.fails.val() || self.expire.val())
            && (self.read.val().kind == 2);
        self.line_place.next = bit_cast::<3, 8>(self.read.val().slot);
        self.line_status.next = self.status.val();
        self.line_data.next = self.rc_data.val();
        if self.expire.val() {
            self.line_status.next = self.late.val();
        }
        self.host_error.next = self.fails.val() || self.expire.val();

        self.tags.give.next = self.finish.val();
        self.tags.give_index.next = bit_cast::<7, 5>(self.tag.val());
        self.set.next = 0.into();
        if self.starts.val() {
            self.set.next = self.one.val() << self.new_tag.val();
        }
        self.clear.next = 0.into();
        if self.finish.val() || self.expire.val() {
            self.clear.next = self.one.val() << self.tag.val();
        }
        self.active.d.next = (self.active.q.val() | self.set.val()) & (!self.clear.val());
        self.old.d.next = self.old.q.val() & (!self.clear.val()) & (!self.set.val());
        self.expired.d.next = self.expired.q.val() & (!self.clear.val());
        if self.expire.val() {
            self.dead.d.next = self.dead.q.val() + 1;
        } else if self.tick.val() {
            // A read may have ended in this very cycle, though its time was over before.
            self.expired.d.next = (self.expired.q.val() & (!self.clear.val()))
                | (self.old.q.val() & (!self.clear.val()) & self.active.q.val());
            self.old.d.next = (self.active.q.val() | self.set.val()) & (!self.clear.val());
        }
        if self.reset.val() {
            self.active.d.next = 0.into();
            self.old.d.next = 0.into();
            self.expired.d.next = 0.into();
            self.elapsed.d.next = 0.into();
            self.dead.d.next = 0.into();
            self.asking.d.next = false;
            self.running.d.next = false;
            self.skipping.d.next = false;
            self.write.d.next = false;
            self.failing.d.next = false;
        }
    }
}
