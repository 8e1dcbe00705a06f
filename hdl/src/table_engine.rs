//! The table engine: the monitor's commands on runs of page-table entries.
//!
//! In: the registers TE_* on the inner bus. Out: bucket reads and masked bucket writes on `te_cmd`,
//! answered on `te_resp` by tag, in any order and always accepted; `done`, a pulse, when a command is
//! over. A page costs one line read and at most one line write. Reads run ahead, so that many pages
//! are in flight; pages are committed in order, one in two cycles, so that nothing behind a page that
//! fails is changed.
//!
//! A command works on copies: the registers may be written for the next one while it runs.

use crate::bucket_lookup::{BucketLookup, Finding, SLOT_INDEX_BITS};
use crate::page_ring::{PageRing, PAGE_INDEX_BITS};
use crate::prim::LutRam;
use crate::pte_writer::PteWriter;
use crate::registers::{constant, lsb, Access, HwRegister, RwRegister};
use crate::result_queue::ResultQueue;
use crate::table_reader::{TableReader, PLACE_BITS};
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{FRAMES_PER_HUGE, HUGE_BIT, HUGE_SHIFT, PAGE_SHIFT};
use splitmem_abi::pte::PTE_BYTES;
use splitmem_abi::regs::{self, field, TableCommand, TableError};

/// Most pages in flight. A table has at least 64 buckets, so as many pages in a row never meet.
const PAGES_MAX: u32 = 1 << PAGE_INDEX_BITS;

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum EngineState {
    Idle,
    Start,
    Run,
    Finish,
}

#[derive(LogicBlock)]
pub struct TableEngine {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, Access>,
    pub read_data: Signal<Out, Bits<32>>,
    pub table_base: Signal<In, Bits<28>>,
    pub table_log2: Signal<In, Bits<5>>,
    pub busy: Signal<Out, Bit>,
    pub done: Signal<Out, Bit>,
    pub te_cmd_valid: Signal<Out, Bit>,
    pub te_cmd_write: Signal<Out, Bit>,
    pub te_cmd_tag: Signal<Out, Bits<7>>,
    pub te_cmd_line: Signal<Out, Bits<34>>,
    pub te_cmd_mask: Signal<Out, Bits<64>>,
    /// The data, in each quarter of the line.
    pub te_cmd_entry: Signal<Out, Bits<128>>,
    pub te_cmd_ready: Signal<In, Bit>,
    pub te_resp_valid: Signal<In, Bit>,
    pub te_resp_tag: Signal<In, Bits<7>>,
    pub te_resp_data: Signal<In, Bits<512>>,
    pub te_resp_poison: Signal<In, Bit>,

    pid_register: RwRegister,
    va_lo: RwRegister,
    va_hi: RwRegister,
    count: RwRegister,
    flags_register: RwRegister,
    frame_register: RwRegister,
    command: HwRegister,
    status: HwRegister,
    done_register: HwRegister,
    results: ResultQueue,

    state: DFF<EngineState>,
    code: DFF<Bits<3>>,
    pid: DFF<Bits<16>>,
    flags: DFF<Bits<32>>,
    /// The next page to commit: its key and, for INSERT, its frame.
    key: DFF<Bits<36>>,
    frame: DFF<Bits<28>>,
    error: DFF<Bits<3>>,
    pages_done: DFF<Bits<19>>,
    stopping: DFF<Bit>,

    reader: TableReader,
    ring: PageRing,
    places: LutRam<Bits<PLACE_BITS>, PAGE_INDEX_BITS>,
    lines: LutRam<Bits<34>, PAGE_INDEX_BITS>,
    findings: LutRam<Finding, PAGE_INDEX_BITS>,
    lookup: BucketLookup,
    /// The page that is being committed.
    page_valid: DFF<Bit>,
    page: DFF<Finding>,
    page_line: DFF<Bits<34>>,
    /// Why it cannot be committed, and that it can't.
    page_error: DFF<Bits<3>>,
    page_fails: DFF<Bit>,
    writer: PteWriter,
    /// The command on the port. A tag is whether it writes above the page's index.
    out_valid: DFF<Bit>,
    out_write: DFF<Bit>,
    out_index: DFF<Bits<PAGE_INDEX_BITS>>,
    out_line: DFF<Bits<34>>,
    out_mask: DFF<Bits<64>>,
    out_entry: DFF<Bits<128>>,

    va: Signal<Local, Bits<48>>,
    start_key: Signal<Local, Bits<36>>,
    step: Signal<Local, Bits<36>>,
    frames: Signal<Local, Bits<28>>,
    /// The command, decoded in `Start`.
    insert: DFF<Bit>,
    unmap: DFF<Bit>,
    collect: DFF<Bit>,
    query: DFF<Bit>,
    known: Signal<Local, Bit>,
    finding: Signal<Local, Finding>,
    verdict: Signal<Local, Bits<3>>,
    fails: Signal<Local, Bit>,
    writes: Signal<Local, Bit>,
    reports: Signal<Local, Bit>,
    port_free: Signal<Local, Bit>,
    can_write: Signal<Local, Bit>,
    can_report: Signal<Local, Bit>,
    commit: Signal<Local, Bit>,
    /// A read goes out in this cycle.
    reads: DFF<Bit>,
    passes: Signal<Local, Bit>,
    slot: Signal<Local, Bits<SLOT_INDEX_BITS>>,
    first_byte: Signal<Local, Bits<6>>,
    is_ack: Signal<Local, Bit>,
    last_code: Constant<Bits<3>>,
    insert_code: Constant<Bits<3>>,
    unmap_code: Constant<Bits<3>>,
    collect_code: Constant<Bits<3>>,
    query_code: Constant<Bits<3>>,
    bucket_full: Constant<Bits<3>>,
    not_found: Constant<Bits<3>>,
    exists: Constant<Bits<3>>,
    bad_command: Constant<Bits<3>>,
    poison: Constant<Bits<3>>,
    half: Constant<Bits<6>>,
    page_shift: Constant<Bits<6>>,
    huge_bit: Constant<Bits<6>>,
    huge_mask: Constant<Bits<36>>,
    small_step: Constant<Bits<36>>,
    huge_step: Constant<Bits<36>>,
    small_frames: Constant<Bits<28>>,
    huge_frames: Constant<Bits<28>>,
    place_bits: Constant<Bits<6>>,
    pte_bytes_shift: Constant<Bits<6>>,
    write_bit: Constant<Bits<5>>,
    present_lsb: Constant<Bits<5>>,
    result_valid: Constant<Bits<32>>,
    busy_lsb: Constant<Bits<5>>,
    error_lsb: Constant<Bits<5>>,
}

impl TableEngine {
    pub fn new(config: &HwConfig) -> Self {
        let pages = config.walk_entries.min(PAGES_MAX);
        let key_bit = HUGE_BIT - PAGE_SHIFT;
        with_defaults!(Self {
            pid_register: RwRegister::new(&regs::TE_PID, config),
            va_lo: RwRegister::new(&regs::TE_VA_LO, config),
            va_hi: RwRegister::new(&regs::TE_VA_HI, config),
            count: RwRegister::new(&regs::TE_COUNT, config),
            flags_register: RwRegister::new(&regs::TE_FLAGS, config),
            frame_register: RwRegister::new(&regs::TE_FRAME, config),
            command: HwRegister::new(&regs::TE_COMMAND),
            status: HwRegister::new(&regs::TE_STATUS),
            done_register: HwRegister::new(&regs::TE_DONE),
            reader: TableReader::new(config),
            ring: PageRing::new(pages),
            places: LutRam::new(pages as usize),
            lines: LutRam::new(pages as usize),
            findings: LutRam::new(pages as usize),
            last_code: constant(TableCommand::Query as u64),
            insert_code: constant(TableCommand::Insert as u64),
            unmap_code: constant(TableCommand::Unmap as u64),
            collect_code: constant(TableCommand::Collect as u64),
            query_code: constant(TableCommand::Query as u64),
            bucket_full: constant(TableError::BucketFull as u64),
            not_found: constant(TableError::NotFound as u64),
            exists: constant(TableError::Exists as u64),
            bad_command: constant(TableError::BadCommand as u64),
            poison: constant(TableError::Poison as u64),
            half: constant(32),
            page_shift: constant(PAGE_SHIFT as u64),
            huge_bit: constant(key_bit as u64),
            huge_mask: constant(!((1u64 << (HUGE_SHIFT - PAGE_SHIFT)) - 1) & ((2 << key_bit) - 1)),
            small_step: constant(1),
            huge_step: constant(1 << (HUGE_SHIFT - PAGE_SHIFT)),
            small_frames: constant(1),
            huge_frames: constant(FRAMES_PER_HUGE as u64),
            place_bits: constant(PLACE_BITS as u64),
            pte_bytes_shift: constant(PTE_BYTES.ilog2() as u64),
            write_bit: constant(PAGE_INDEX_BITS as u64),
            present_lsb: lsb(field::TE_RESULT::PRESENT),
            result_valid: constant(field::TE_RESULT::VALID.mask() as u64),
            busy_lsb: lsb(field::TE_STATUS::BUSY),
            error_lsb: lsb(field::TE_STATUS::ERROR),
        } clock bus read_data table_base table_log2 busy done te_cmd_valid te_cmd_write te_cmd_tag
          te_cmd_line te_cmd_mask te_cmd_entry te_cmd_ready te_resp_valid te_resp_tag te_resp_data
          te_resp_poison results state code pid flags key frame error pages_done stopping lookup
          page_valid page page_line page_error page_fails finding writer out_valid out_write out_index out_line out_mask
          out_entry va start_key step frames insert unmap collect query known verdict fails writes
          reports port_free can_write can_report commit reads passes slot first_byte is_ack)
    }
}

impl Logic for TableEngine {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, code, pid, flags, key, frame, error, pages_done, stopping);
        dff_setup!(
            self, clock, page_valid, page, page_line, page_error, page_fails, insert, unmap,
            collect, query, reads
        );
        dff_setup!(self, clock, out_valid, out_write, out_index, out_line, out_mask, out_entry);
        clock!(self, clock, pid_register, va_lo, va_hi, count, flags_register, frame_register);
        clock!(self, clock, command, status, done_register, results);
        clock!(self, clock, reader, ring, places, lines, findings, lookup);
        self.pid_register.bus.next = self.bus.val();
        self.va_lo.bus.next = self.bus.val();
        self.va_hi.bus.next = self.bus.val();
        self.count.bus.next = self.bus.val();
        self.flags_register.bus.next = self.bus.val();
        self.frame_register.bus.next = self.bus.val();
        self.command.bus.next = self.bus.val();
        self.status.bus.next = self.bus.val();
        self.done_register.bus.next = self.bus.val();
        self.results.bus.next = self.bus.val();
        self.reader.reset.next = self.bus.val().reset;
        self.ring.reset.next = self.bus.val().reset;
        self.lookup.reset.next = self.bus.val().reset;

        self.insert.d.next = self.code.q.val() == self.insert_code.val();
        self.unmap.d.next = self.code.q.val() == self.unmap_code.val();
        self.collect.d.next = self.code.q.val() == self.collect_code.val();
        self.query.d.next = self.code.q.val() == self.query_code.val();
        self.known.next = self.code.q.val().any() && (self.code.q.val() <= self.last_code.val());
        self.step.next = self.small_step.val();
        self.frames.next = self.small_frames.val();
        if self.key.q.val().get_bit(self.huge_bit.val().index()) {
            self.step.next = self.huge_step.val();
            self.frames.next = self.huge_frames.val();
        }
        self.va.next = (bit_cast::<48, 32>(self.va_hi.value.val()) << self.half.val())
            | bit_cast::<48, 32>(self.va_lo.value.val());
        self.start_key.next = bit_cast::<36, 48>(self.va.val() >> self.page_shift.val());

        // A page's bucket comes back and is looked at.
        self.is_ack.next = self.te_resp_tag.val().get_bit(self.write_bit.val().index());
        self.lookup.valid.next = self.te_resp_valid.val() && !self.is_ack.val();
        self.lookup.index.next = bit_cast::<PAGE_INDEX_BITS, 7>(self.te_resp_tag.val());
        self.lookup.line.next = self.te_resp_data.val();
        self.lookup.poison.next = self.te_resp_poison.val();
        self.lookup.pid.next = self.pid.q.val();
        self.lookup.want_dying.next = self.collect.q.val();
        self.places.read_address.next = self.lookup.captured_index.val();
        self.lookup.key.next = (bit_cast::<36, 18>(self.reader.region.val())
            << self.place_bits.val())
            | bit_cast::<36, PLACE_BITS>(self.places.read_data.val());
        self.findings.write_address.next = self.lookup.out_index.val();
        self.findings.write_data.next = self.lookup.out.val();
        self.findings.write_enable.next = self.lookup.out_valid.val();
        self.ring.found.next = self.lookup.out_valid.val();
        self.ring.found_index.next = self.lookup.out_index.val();
        self.ring.acked.next = self.te_resp_valid.val() && self.is_ack.val();
        self.ring.acked_index.next = bit_cast::<PAGE_INDEX_BITS, 7>(self.te_resp_tag.val());

        // The oldest page is judged.
        self.findings.read_address.next = self.ring.front.val();
        self.lines.read_address.next = self.ring.front.val();
        self.finding.next = self.findings.read_data.val();
        self.verdict.next = 0.into();
        if self.finding.val().poison {
            self.verdict.next = self.poison.val();
        } else if self.insert.q.val() {
            if self.finding.val().found {
                self.verdict.next = self.exists.val();
            } else if !self.finding.val().free {
                self.verdict.next = self.bucket_full.val();
            }
        } else if !self.finding.val().found {
            self.verdict.next = self.not_found.val();
        }
        if !self.page_valid.q.val() {
            self.page.d.next = self.findings.read_data.val();
            self.page_line.d.next = self.lines.read_data.val();
            self.page_valid.d.next = self.ring.front_found.val();
            self.page_error.d.next = self.verdict.val();
            self.page_fails.d.next = self.verdict.val().any();
        }
        self.fails.next = self.page_fails.q.val() || self.stopping.q.val();
        self.writes.next = !self.query.q.val();
        self.reports.next = self.query.q.val()
            || (self.collect.q.val()
                && ((self.page.q.val().report >> self.present_lsb.val()) & 1).any());
        self.port_free.next = !self.out_valid.q.val();
        self.can_write.next = !self.writes.val() || self.port_free.val();
        self.can_report.next = !self.reports.val() || self.results.room.val();
        self.passes.next = self.page_valid.q.val()
            && !self.fails.val()
            && self.can_write.val()
            && self.can_report.val();
        self.commit.next = self.passes.val() || (self.page_valid.q.val() && self.fails.val());
        self.ring.commit.next = self.commit.val();
        self.ring.settled.next = self.fails.val() || !self.writes.val();
        if self.commit.val() {
            self.page_valid.d.next = false;
        }
        if self.page_valid.q.val() && self.fails.val() && !self.stopping.q.val() {
            self.stopping.d.next = true;
            self.error.d.next = self.page_error.q.val();
        }
        if self.passes.val() {
            self.pages_done.d.next = self.pages_done.q.val() + 1;
            self.key.d.next = self.key.q.val() + self.step.val();
            self.frame.d.next = self.frame.q.val() + self.frames.val();
        }
        self.results.push.next = self.passes.val() && self.reports.val();
        self.results.result.next = self.page.q.val().report | self.result_valid.val();

        self.writer.insert.next = self.insert.q.val();
        self.writer.unmap.next = self.unmap.q.val();
        self.writer.collect.next = self.collect.q.val();
        self.writer.flags.next = self.flags.q.val();
        self.writer.pid.next = self.pid.q.val();
        self.writer.key.next = self.key.q.val();
        self.writer.frame.next = self.frame.q.val();
        self.writer.read.next = self.page.q.val().read;
        self.writer.report.next = self.page.q.val().report;
        self.slot.next = self.page.q.val().found_slot;
        if self.insert.q.val() {
            self.slot.next = self.page.q.val().free_slot;
        }
        self.first_byte.next =
            bit_cast::<6, SLOT_INDEX_BITS>(self.slot.val()) << self.pte_bytes_shift.val();

        // The port: a write goes before a read, which has time.
        self.reader.table_base.next = self.table_base.val();
        self.reader.table_log2.next = self.table_log2.val();
        self.reader.pid.next = self.pid.q.val();
        self.reader.start.next = false;
        self.reader.start_key.next = self.key.q.val();
        self.reader.start_pages.next = bit_cast::<19, 32>(self.count.value.val());
        self.reader.stop.next = self.stopping.q.val();
        self.reader.empty.next = self.ring.empty.val();
        self.reader.take.next = self.reads.q.val();
        // Whether the port is free does not hang on the DRAM's ready: a command in two cycles.
        if self.te_cmd_ready.val() {
            self.out_valid.d.next = false;
        }
        if self.port_free.val() {
            if self.passes.val() && self.writes.val() {
                self.out_valid.d.next = true;
                self.out_write.d.next = true;
                self.out_index.d.next = self.ring.front.val();
                self.out_line.d.next = self.page_line.q.val();
                self.out_mask.d.next =
                    bit_cast::<64, 16>(self.writer.bytes.val()) << self.first_byte.val();
                self.out_entry.d.next = self.writer.entry.val();
            }
        }
        if self.reads.q.val() {
            self.out_valid.d.next = true;
            self.out_write.d.next = false;
            self.out_index.d.next = self.ring.tail.val();
            self.out_line.d.next = self.reader.line.val();
            self.out_mask.d.next = 0.into();
        }
        // Known a cycle before, so that the reader's steps hang on nothing else: there is room for a read, no
        // page will be written, and the port will be free.
        self.reads.d.next = self.reader.valid.val()
            && !self.stopping.q.val()
            && !self.reads.q.val()
            && self.ring.room.val()
            && !(self.writes.val() && (self.page_valid.q.val() || self.ring.front_found.val()))
            && (self.port_free.val() || self.te_cmd_ready.val());
        self.ring.enter.next = self.reader.take.val();
        self.places.write_address.next = self.ring.tail.val();
        self.places.write_data.next = self.reader.place.val();
        self.places.write_enable.next = self.reader.take.val();
        self.lines.write_address.next = self.ring.tail.val();
        self.lines.write_data.next = self.reader.line.val();
        self.lines.write_enable.next = self.reader.take.val();
        self.te_cmd_valid.next = self.out_valid.q.val();
        self.te_cmd_write.next = self.out_write.q.val();
        self.te_cmd_tag.next = (bit_cast::<7, 1>(self.out_write.q.val().into())
            << self.write_bit.val())
            | bit_cast::<7, PAGE_INDEX_BITS>(self.out_index.q.val());
        self.te_cmd_line.next = self.out_line.q.val();
        self.te_cmd_mask.next = self.out_mask.q.val();
        self.te_cmd_entry.next = self.out_entry.q.val();

        self.done.next = false;
        match self.state.q.val() {
            EngineState::Idle => {
                if self.command.writes.val() {
                    self.code.d.next = bit_cast::<3, 32>(self.bus.val().data);
                    self.pid.d.next = bit_cast::<16, 32>(self.pid_register.value.val());
                    self.flags.d.next = self.flags_register.value.val();
                    self.frame.d.next = bit_cast::<28, 32>(self.frame_register.value.val());
                    self.key.d.next = self.start_key.val();
                    if self.start_key.val().get_bit(self.huge_bit.val().index()) {
                        self.key.d.next = self.start_key.val() & self.huge_mask.val();
                    }
                    self.error.d.next = 0.into();
                    self.pages_done.d.next = 0.into();
                    self.stopping.d.next = false;
                    self.state.d.next = EngineState::Start;
                }
            }
            EngineState::Start => {
                self.state.d.next = EngineState::Finish;
                if !self.known.val() {
                    self.error.d.next = self.bad_command.val();
                } else if self.count.value.val().any() {
                    self.reader.start.next = true;
                    self.state.d.next = EngineState::Run;
                }
            }
            EngineState::Run => {
                if self.reader.over.val() && self.ring.empty.val() {
                    self.state.d.next = EngineState::Finish;
                }
            }
            EngineState::Finish => {
                self.done.next = true;
                self.state.d.next = EngineState::Idle;
            }
            _ => {
                self.state.d.next = EngineState::Idle;
            }
        }
        self.busy.next = self.state.q.val() != EngineState::Idle;

        self.command.value.next = 0.into();
        self.status.value.next = (bit_cast::<32, 1>(self.busy.val().into()) << self.busy_lsb.val())
            | (bit_cast::<32, 3>(self.error.q.val()) << self.error_lsb.val());
        self.done_register.value.next = bit_cast::<32, 19>(self.pages_done.q.val());
        self.read_data.next = ((self.pid_register.read_data.val() | self.va_lo.read_data.val())
            | (self.va_hi.read_data.val() | self.count.read_data.val()))
            | ((self.flags_register.read_data.val() | self.frame_register.read_data.val())
                | (self.status.read_data.val() | self.done_register.read_data.val()))
            | self.results.read_data.val();
        if self.bus.val().reset {
            self.state.d.next = EngineState::Idle;
            self.error.d.next = 0.into();
            self.pages_done.d.next = 0.into();
            self.stopping.d.next = false;
            self.page_valid.d.next = false;
            self.reads.d.next = false;
            self.out_valid.d.next = false;
        }
    }
}
