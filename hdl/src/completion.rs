//! Completion: every request ends here, one a cycle.
//!
//! In: answers of the DRAM (registered once), and requests that end without it (errors, reads of
//! pages never written, failed compare-and-swaps). Where both stand, they take turns. What is known
//! of the request is read in that cycle, and in the next one it ends. Out: the port's response
//! queue, the line order, the event log, the statistics.

use crate::prim::{LutRam, Param};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::dram::TagClass;
use splitmem_abi::request::Status;

#[derive(LogicBlock, Default)]
pub struct Completion {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    /// A request was accepted: what its end needs of it.
    pub accept: Signal<In, Bit>,
    pub accept_slot: Signal<In, Bits<7>>,
    pub accept_op: Signal<In, Bits<3>>,
    pub accept_tag: Signal<In, Bits<16>>,
    pub accept_pid: Signal<In, Bits<16>>,
    pub accept_va: Signal<In, Bits<48>>,

    pub dram_valid: Signal<In, Bit>,
    pub dram_ready: Signal<Out, Bit>,
    pub dram_tag: Signal<In, Bits<10>>,
    pub dram_data: Signal<In, Bits<512>>,
    pub dram_poison: Signal<In, Bit>,

    /// Requests that end without the DRAM; each has a register of one.
    pub hit_answer: Signal<In, Bit>,
    pub hit_slot: Signal<In, Bits<7>>,
    pub hit_status: Signal<In, Bits<3>>,
    pub hit_ready: Signal<Out, Bit>,
    pub replay_answer: Signal<In, Bit>,
    pub replay_slot: Signal<In, Bits<7>>,
    pub replay_status: Signal<In, Bits<3>>,
    pub replay_ready: Signal<Out, Bit>,
    pub amo_answer: Signal<In, Bit>,
    pub amo_slot: Signal<In, Bits<7>>,
    pub amo_take: Signal<Out, Bit>,
    /// The old value of an atomic.
    pub old_slot: Signal<Out, Bits<7>>,
    pub old: Signal<In, Bits<64>>,

    /// The registered answer of the DRAM, by class.
    pub walk_valid: Signal<Out, Bit>,
    pub pte_written: Signal<Out, Bit>,
    pub zero_acked: Signal<Out, Bit>,
    pub table_valid: Signal<Out, Bit>,
    pub index: Signal<Out, Bits<7>>,
    pub line: Signal<Out, Bits<512>>,
    pub poison: Signal<Out, Bit>,
    pub amo_valid: Signal<Out, Bit>,
    pub amo_word: Signal<Out, Bits<3>>,
    pub amo_swap: Signal<Out, Bit>,
    pub amo_old: Signal<Out, Bits<64>>,

    /// The request that ends in this cycle.
    pub finish: Signal<Out, Bit>,
    pub slot: Signal<Out, Bits<7>>,
    pub port: Signal<Out, Bit>,
    pub tag: Signal<Out, Bits<16>>,
    pub op: Signal<Out, Bits<3>>,
    pub pid: Signal<Out, Bits<16>>,
    pub va: Signal<Out, Bits<48>>,
    pub status: Signal<Out, Bits<3>>,
    pub data: Signal<Out, Bits<512>>,
    pub latency: Signal<Out, Bits<16>>,
    pub failed: Signal<Out, Bit>,

    /// Of each slot: `[15:0]` tag, `[18:16]` op, `[21:19]` word of its line, `[37:22]` time.
    requests: LutRam<Bits<38>, 7>,
    /// Of each slot what is asked for only as it ends: `[15:0]` pid, `[63:16]` va.
    places: LutRam<Bits<64>, 7>,
    c_valid: DFF<Bit>,
    c_tag: DFF<Bits<10>>,
    /// Whose it is: a request's, the walker's, the fault unit's, the zeroing or the table engine's.
    c_ends: DFF<Bit>,
    c_walks: DFF<Bit>,
    c_writes: DFF<Bit>,
    c_zeroes: DFF<Bit>,
    c_tables: DFF<Bit>,
    c_data: DFF<Bits<512>>,
    c_poison: DFF<Bit>,
    hit_held: DFF<Bit>,
    hit_held_slot: DFF<Bits<7>>,
    hit_held_status: DFF<Bits<3>>,
    replay_held: DFF<Bit>,
    replay_held_slot: DFF<Bits<7>>,
    replay_held_status: DFF<Bits<3>>,
    turn: DFF<Bit>,
    now: DFF<Bits<16>>,
    /// The cycle in which the request was accepted that is registered in this one.
    earlier: DFF<Bits<16>>,
    /// The request that ends, or an atomic whose line was read.
    e_dram: DFF<Bit>,
    e_inside: DFF<Bit>,
    e_amo: DFF<Bit>,
    e_status: DFF<Bits<3>>,
    e_is_data: DFF<Bit>,
    e_poison: DFF<Bit>,
    e_slot: DFF<Bits<7>>,
    e_request: DFF<Bits<38>>,
    e_data: DFF<Bits<512>>,

    kind: Signal<Local, Bits<3>>,
    is_data: Signal<Local, Bit>,
    kind_in: Signal<Local, Bits<3>>,
    from_dram: Signal<Local, Bit>,
    from_inside: Signal<Local, Bit>,
    pick_inside: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    at: Signal<Local, Bits<7>>,
    inside_at: Signal<Local, Bits<7>>,
    inside_status: Signal<Local, Bits<3>>,
    request: Signal<Local, Bits<38>>,
    request_op: Signal<Local, Bits<3>>,
    word: Signal<Local, Bits<9>>,
    starts_amo: Signal<Local, Bit>,
    ends: Signal<Local, Bit>,
    result: Signal<Local, Bits<3>>,
    port_bit: Param<Bits<7>>,
    ok: Param<Bits<3>>,
    uncorrectable: Param<Bits<3>>,
    c_data_class: Param<Bits<3>>,
    c_walk: Param<Bits<3>>,
    c_pte: Param<Bits<3>>,
    c_zero: Param<Bits<3>>,
    c_table: Param<Bits<3>>,
    c_atomic: Param<Bits<3>>,
}

impl Completion {
    pub fn new(config: &HwConfig) -> Self {
        let class = |c: TagClass| Param::new((c as u64).into());
        Self {
            requests: LutRam::new(2 * config.port_slots as usize),
            places: LutRam::new(2 * config.port_slots as usize),
            port_bit: Param::new((config.port_slots as u64).into()),
            ok: Param::new((Status::Ok as u64).into()),
            uncorrectable: Param::new((Status::Uncorrectable as u64).into()),
            c_data_class: class(TagClass::Data),
            c_walk: class(TagClass::Walk),
            c_pte: class(TagClass::PteWrite),
            c_zero: class(TagClass::Zero),
            c_table: class(TagClass::Table),
            c_atomic: class(TagClass::AtomicWrite),
            ..Default::default()
        }
    }
}

impl Logic for Completion {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            c_valid,
            c_tag,
            c_ends,
            c_walks,
            c_writes,
            c_zeroes,
            c_tables,
            c_data,
            c_poison,
            hit_held,
            hit_held_slot,
            hit_held_status,
            replay_held,
            replay_held_slot,
            replay_held_status,
            turn,
            now,
            earlier,
            e_dram,
            e_inside,
            e_amo,
            e_status,
            e_is_data,
            e_poison,
            e_slot,
            e_request,
            e_data
        );
        clock!(self, clock, requests, places);
        self.now.d.next = self.now.q.val() + 1;
        self.earlier.d.next = self.now.q.val();
        self.requests.write_enable.next = self.accept.val();
        self.requests.write_address.next = self.accept_slot.val();
        self.requests.write_data.next = bit_cast::<38, 16>(self.accept_tag.val())
            | (bit_cast::<38, 3>(self.accept_op.val()) << 16)
            | (bit_cast::<38, 3>(self.accept_va.val().get_bits::<3>(3)) << 19)
            | (bit_cast::<38, 16>(self.earlier.q.val()) << 22);
        self.places.write_enable.next = self.accept.val();
        self.places.write_address.next = self.accept_slot.val();
        self.places.write_data.next = bit_cast::<64, 16>(self.accept_pid.val())
            | (bit_cast::<64, 48>(self.accept_va.val()) << 16);

        // Who ends in this cycle.
        self.kind.next = self.c_tag.q.val().get_bits::<3>(7);
        self.is_data.next = self.kind.val() == self.c_data_class.val();
        self.kind_in.next = self.dram_tag.val().get_bits::<3>(7);
        self.from_dram.next = self.c_ends.q.val();
        self.from_inside.next =
            self.amo_answer.val() || self.replay_held.q.val() || self.hit_held.q.val();
        self.pick_inside.next =
            self.from_inside.val() && (!self.from_dram.val() || self.turn.q.val());
        if self.from_dram.val() && self.from_inside.val() {
            self.turn.d.next = !self.turn.q.val();
        }
        self.go.next = self.c_valid.q.val() && !(self.from_dram.val() && self.pick_inside.val());
        self.dram_ready.next = !self.c_valid.q.val() || self.go.val();
        if self.go.val() {
            self.c_valid.d.next = false;
            self.c_ends.d.next = false;
            self.c_walks.d.next = false;
            self.c_writes.d.next = false;
            self.c_zeroes.d.next = false;
            self.c_tables.d.next = false;
        }
        if (!self.c_valid.q.val()) || self.go.val() {
            self.c_valid.d.next = self.dram_valid.val();
            self.c_tag.d.next = self.dram_tag.val();
            self.c_ends.d.next = self.dram_valid.val()
                && ((self.kind_in.val() == self.c_data_class.val())
                    || (self.kind_in.val() == self.c_atomic.val()));
            self.c_walks.d.next =
                self.dram_valid.val() && (self.kind_in.val() == self.c_walk.val());
            self.c_writes.d.next =
                self.dram_valid.val() && (self.kind_in.val() == self.c_pte.val());
            self.c_zeroes.d.next =
                self.dram_valid.val() && (self.kind_in.val() == self.c_zero.val());
            self.c_tables.d.next =
                self.dram_valid.val() && (self.kind_in.val() == self.c_table.val());
            self.c_data.d.next = self.dram_data.val();
            self.c_poison.d.next = self.dram_poison.val();
        }

        self.amo_take.next = false;
        if self.amo_answer.val() {
            self.inside_at.next = self.amo_slot.val();
            self.inside_status.next = self.ok.val();
            self.amo_take.next = self.pick_inside.val();
        } else if self.replay_held.q.val() {
            self.inside_at.next = self.replay_held_slot.q.val();
            self.inside_status.next = self.replay_held_status.q.val();
            self.replay_held.d.next = !self.pick_inside.val();
        } else {
            self.inside_at.next = self.hit_held_slot.q.val();
            self.inside_status.next = self.hit_held_status.q.val();
            self.hit_held.d.next = self.hit_held.q.val() && !self.pick_inside.val();
        }
        self.at.next = self.c_tag.q.val().get_bits::<7>(0);
        if self.pick_inside.val() {
            self.at.next = self.inside_at.val();
        }
        self.requests.read_address.next = self.at.val();
        self.e_request.d.next = self.requests.read_data.val();
        self.replay_ready.next = !self.replay_held.q.val();
        if self.replay_answer.val() {
            self.replay_held.d.next = true;
            self.replay_held_slot.d.next = self.replay_slot.val();
            self.replay_held_status.d.next = self.replay_status.val();
        }
        self.hit_ready.next = !self.hit_held.q.val();
        if self.hit_answer.val() {
            self.hit_held.d.next = true;
            self.hit_held_slot.d.next = self.hit_slot.val();
            self.hit_held_status.d.next = self.hit_status.val();
        }

        self.e_inside.d.next = self.pick_inside.val();
        self.e_dram.d.next = self.from_dram.val() && self.go.val();
        self.e_amo.d.next = self.amo_answer.val();
        self.e_status.d.next = self.ok.val();
        if self.pick_inside.val() {
            self.e_status.d.next = self.inside_status.val();
        }
        self.e_is_data.d.next = self.is_data.val();
        self.e_poison.d.next = self.c_poison.q.val();
        self.e_slot.d.next = self.at.val();
        self.e_data.d.next = self.c_data.q.val();

        // It ends.
        self.request.next = self.e_request.q.val();
        self.request_op.next = self.request.val().get_bits::<3>(16);
        self.old_slot.next = self.e_slot.q.val();
        self.places.read_address.next = self.e_slot.q.val();
        self.starts_amo.next = self.e_dram.q.val()
            && self.e_is_data.q.val()
            && self.request_op.val().get_bit(1)
            && !self.e_poison.q.val();
        self.ends.next = self.e_inside.q.val() || (self.e_dram.q.val() && !self.starts_amo.val());
        self.result.next = self.e_status.q.val();
        self.data.next = 0.into();
        if self.e_inside.q.val() {
            if self.e_amo.q.val() {
                self.data.next = bit_cast::<512, 64>(self.old.val());
            }
        } else if self.e_poison.q.val() {
            self.result.next = self.uncorrectable.val();
        } else if !self.e_is_data.q.val() {
            self.data.next = bit_cast::<512, 64>(self.old.val());
        } else if self.request_op.val() == 0 {
            self.data.next = self.e_data.q.val();
        }
        self.finish.next = self.ends.val();
        self.slot.next = self.e_slot.q.val();
        self.port.next = ((self.e_slot.q.val()) & (self.port_bit.val())).any();
        self.tag.next = self.request.val().get_bits::<16>(0);
        self.pid.next = self.places.read_data.val().get_bits::<16>(0);
        self.va.next = self.places.read_data.val().get_bits::<48>(16);
        self.op.next = self.request_op.val();
        self.status.next = self.result.val();
        self.failed.next = self.ends.val() && (self.result.val() != self.ok.val());
        self.latency.next = self.now.q.val() - self.request.val().get_bits::<16>(22);

        self.walk_valid.next = self.c_walks.q.val();
        self.pte_written.next = self.c_writes.q.val();
        self.zero_acked.next = self.c_zeroes.q.val();
        self.table_valid.next = self.c_tables.q.val();
        self.index.next = self.c_tag.q.val().get_bits::<7>(0);
        self.line.next = self.c_data.q.val();
        self.poison.next = self.c_poison.q.val();
        self.word.next = bit_cast::<9, 3>(self.request.val().get_bits::<3>(19)) << 6;
        self.amo_valid.next = self.starts_amo.val();
        self.amo_word.next = self.request.val().get_bits::<3>(19);
        self.amo_swap.next = self.request_op.val().get_bit(0);
        self.amo_old.next = self.e_data.q.val().get_bits::<64>(self.word.val().index());
        if self.reset.val() {
            self.c_valid.d.next = false;
            self.c_ends.d.next = false;
            self.c_walks.d.next = false;
            self.c_writes.d.next = false;
            self.c_zeroes.d.next = false;
            self.c_tables.d.next = false;
            self.e_dram.d.next = false;
            self.e_inside.d.next = false;
            self.hit_held.d.next = false;
            self.replay_held.d.next = false;
            self.turn.d.next = false;
        }
    }
}
