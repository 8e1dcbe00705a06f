//! Counters and latency histograms: what is counted for what happens on the data path.
//!
//! In: pulses, each for one event in this cycle. Out: the registers COUNTERS and HISTOGRAM.
//! `clear` sets all to zero; what happens in that cycle is not counted.

use crate::counters::{Counters, Happened};
use crate::histogram::Histogram;
use crate::registers::{constant, Access};
use rust_hdl::prelude::*;
use splitmem_abi::request::{Op, Status};

#[derive(LogicBlock)]
pub struct Statistics {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub waits: Signal<Out, Bit>,
    pub clear: Signal<In, Bit>,
    pub accept: Signal<In, Bit>,
    pub accept_op: Signal<In, Bits<3>>,
    pub retire: Signal<In, Bit>,
    pub retire_status: Signal<In, Bits<3>>,
    pub retire_op: Signal<In, Bits<3>>,
    pub retire_latency: Signal<In, Bits<16>>,
    pub tlb_hit: Signal<In, Bit>,
    pub tlb_miss: Signal<In, Bit>,
    pub walk: Signal<In, Bit>,
    pub merge: Signal<In, Bit>,
    pub walks_now: Signal<In, Bits<7>>,
    pub fault_4k: Signal<In, Bit>,
    pub fault_2m: Signal<In, Bit>,
    pub zero_read: Signal<In, Bit>,
    pub cleared_4k: Signal<In, Bit>,
    pub cleared_2m: Signal<In, Bit>,
    pub line_wait: Signal<In, Bit>,
    pub dram_read: Signal<In, Bit>,
    pub dram_write: Signal<In, Bit>,
    pub stall_0: Signal<In, Bit>,
    pub stall_1: Signal<In, Bit>,
    pub shootdown: Signal<In, Bit>,

    counters: Counters,
    histogram: Histogram,
    read: Constant<Bits<3>>,
    write: Constant<Bits<3>>,
    fetch_add: Constant<Bits<3>>,
    compare_swap: Constant<Bits<3>>,
    ok: Constant<Bits<3>>,
    not_mapped: Constant<Bits<3>>,
    no_permission: Constant<Bits<3>>,
    no_memory: Constant<Bits<3>>,
    bad_request: Constant<Bits<3>>,
    uncorrectable: Constant<Bits<3>>,
    happened: Signal<Local, Happened>,
}

impl Default for Statistics {
    fn default() -> Self {
        with_defaults!(Self {
            read: constant(Op::Read as u64),
            write: constant(Op::Write as u64),
            fetch_add: constant(Op::FetchAdd as u64),
            compare_swap: constant(Op::CompareSwap as u64),
            ok: constant(Status::Ok as u64),
            not_mapped: constant(Status::NotMapped as u64),
            no_permission: constant(Status::NoPermission as u64),
            no_memory: constant(Status::NoMemory as u64),
            bad_request: constant(Status::BadRequest as u64),
            uncorrectable: constant(Status::Uncorrectable as u64),
        } clock bus read_data waits clear accept accept_op retire retire_status retire_op
          retire_latency tlb_hit tlb_miss walk merge walks_now fault_4k fault_2m zero_read
          cleared_4k cleared_2m line_wait dram_read dram_write stall_0 stall_1 shootdown counters
          histogram happened)
    }
}

impl Logic for Statistics {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, counters, histogram);
        self.counters.bus.next = self.bus.val();
        self.histogram.bus.next = self.bus.val();
        self.counters.clear.next = self.clear.val();
        self.histogram.clear.next = self.clear.val();

        self.happened.next.cycles = true;
        self.happened.next.reads = self.accept.val() && (self.accept_op.val() == self.read.val());
        self.happened.next.writes = self.accept.val() && (self.accept_op.val() == self.write.val());
        self.happened.next.atomics = self.accept.val()
            && ((self.accept_op.val() == self.fetch_add.val())
                || (self.accept_op.val() == self.compare_swap.val()));
        self.happened.next.ok = self.retire.val() && (self.retire_status.val() == self.ok.val());
        self.happened.next.not_mapped =
            self.retire.val() && (self.retire_status.val() == self.not_mapped.val());
        self.happened.next.no_permission =
            self.retire.val() && (self.retire_status.val() == self.no_permission.val());
        self.happened.next.no_memory =
            self.retire.val() && (self.retire_status.val() == self.no_memory.val());
        self.happened.next.bad_request =
            self.retire.val() && (self.retire_status.val() == self.bad_request.val());
        self.happened.next.uncorrectable =
            self.retire.val() && (self.retire_status.val() == self.uncorrectable.val());
        self.happened.next.tlb_hits = self.tlb_hit.val();
        self.happened.next.tlb_misses = self.tlb_miss.val();
        self.happened.next.walks = self.walk.val();
        self.happened.next.walk_merges = self.merge.val();
        self.happened.next.walks_peak = false;
        self.happened.next.faults_4k = self.fault_4k.val();
        self.happened.next.faults_2m = self.fault_2m.val();
        self.happened.next.zero_reads = self.zero_read.val();
        self.happened.next.zeroed_4k = self.cleared_4k.val();
        self.happened.next.zeroed_2m = self.cleared_2m.val();
        self.happened.next.line_waits = self.line_wait.val();
        self.happened.next.dram_reads = self.dram_read.val();
        self.happened.next.dram_writes = self.dram_write.val();
        self.happened.next.port_stalls = self.stall_0.val();
        self.happened.next.shootdowns = self.shootdown.val();
        self.counters.happened.next = self.happened.val();
        self.counters.another_stall.next = self.stall_1.val();
        self.counters.walks_now.next = self.walks_now.val();

        self.histogram.retire.next = self.retire.val();
        self.histogram.op.next = self.retire_op.val();
        self.histogram.latency.next = self.retire_latency.val();
        self.waits.next = self.counters.waits.val();
        self.read_data.next = self.counters.read_data.val() | self.histogram.read_data.val();
    }
}
