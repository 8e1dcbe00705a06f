//! Everything on the monitor's side: registers, mailbox, interrupts, event log, frames, table
//! engine, shootdown control, statistics.
//!
//! | ports | what they are | contract |
//! | --- | --- | --- |
//! | `m_*`, `h_*` | register buses of monitor and host | [`crate::bus`] |
//! | `irq_*` | interrupts, levels | [`crate::interrupts`] |
//! | `enable` | the request ports may accept: CONTROL.ENABLE and `ready` | level |
//! | `table_base`, `table_log2` | where the page table is and its size | stand still in use |
//! | `clear_stats` | counters outside are cleared with ours | pulse |
//! | `ready`, `idle` | the TLB is cleared; nothing is in flight | levels |
//! | `grant_*`, `more_*` | frames for faults | [`crate::frame_lane`] |
//! | `no_memory`, `poison` | a fault found no frame; DRAM reported poison | pulses |
//! | `zero_*` | line writes of the zeroing engine | [`crate::frames`] |
//! | `te_*` | bucket reads and writes of the table engine | [`crate::table_engine`] |
//! | `sd_*` | shootdown | [`crate::shootdown_control`] |
//! | `ev_*` | a request was not answered ok | [`crate::event_log`] |
//! | `st_*` | what is counted; `st_walks_now` is a level | [`crate::statistics`] |
//!
//! `zero_cmd` and `te_cmd` are valid/ready: once up, valid and payload stay until ready. Each command
//! has one answer with its tag, in any order; the index of a tag is these seven bits, its class is
//! put above by whoever joins the DRAM commands.

use crate::bus::RegisterBus;
use crate::event_log::EventLog;
use crate::frames::Frames;
use crate::interrupts::Interrupts;
use crate::mailbox::Mailbox;
use crate::registers::{constant, lsb, HwRegister, RwRegister};
use crate::shootdown_control::ShootdownControl;
use crate::statistics::Statistics;
use crate::table_engine::TableEngine;
use rust_hdl::prelude::*;
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::regs::{self, field};

#[derive(LogicBlock)]
pub struct Manage {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,

    pub m_valid: Signal<In, Bit>,
    pub m_write: Signal<In, Bit>,
    pub m_addr: Signal<In, Bits<12>>,
    pub m_wdata: Signal<In, Bits<32>>,
    pub m_done: Signal<Out, Bit>,
    pub m_rdata: Signal<Out, Bits<32>>,
    pub m_error: Signal<Out, Bit>,
    pub h_valid: Signal<In, Bit>,
    pub h_write: Signal<In, Bit>,
    pub h_addr: Signal<In, Bits<12>>,
    pub h_wdata: Signal<In, Bits<32>>,
    pub h_done: Signal<Out, Bit>,
    pub h_rdata: Signal<Out, Bits<32>>,
    pub h_error: Signal<Out, Bit>,
    pub irq_monitor: Signal<Out, Bit>,
    pub irq_host: Signal<Out, Bit>,

    pub enable: Signal<Out, Bit>,
    pub table_base: Signal<Out, Bits<28>>,
    pub table_log2: Signal<Out, Bits<5>>,
    pub clear_stats: Signal<Out, Bit>,
    pub ready: Signal<In, Bit>,
    pub idle: Signal<In, Bit>,

    pub grant_4k_valid: Signal<Out, Bit>,
    pub grant_4k_frame: Signal<Out, Bits<28>>,
    pub grant_4k_take: Signal<In, Bit>,
    pub more_4k: Signal<Out, Bit>,
    pub grant_2m_valid: Signal<Out, Bit>,
    pub grant_2m_frame: Signal<Out, Bits<28>>,
    pub grant_2m_take: Signal<In, Bit>,
    pub more_2m: Signal<Out, Bit>,
    pub no_memory: Signal<In, Bit>,

    pub zero_cmd_valid: Signal<Out, Bit>,
    pub zero_cmd_line: Signal<Out, Bits<34>>,
    pub zero_cmd_tag: Signal<Out, Bits<7>>,
    pub zero_cmd_ready: Signal<In, Bit>,
    pub zero_ack_valid: Signal<In, Bit>,
    pub zero_ack_tag: Signal<In, Bits<7>>,

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

    pub sd_start: Signal<Out, Bit>,
    pub sd_code: Signal<Out, Bits<2>>,
    pub sd_pid: Signal<Out, Bits<16>>,
    pub sd_va: Signal<Out, Bits<48>>,
    pub sd_count: Signal<Out, Bits<19>>,
    pub sd_busy: Signal<In, Bit>,

    pub ev_valid: Signal<In, Bit>,
    pub ev_status: Signal<In, Bits<3>>,
    pub ev_op: Signal<In, Bits<3>>,
    pub ev_port: Signal<In, Bit>,
    pub ev_pid: Signal<In, Bits<16>>,
    pub ev_va: Signal<In, Bits<48>>,
    pub poison: Signal<In, Bit>,

    pub st_accept: Signal<In, Bit>,
    pub st_accept_op: Signal<In, Bits<3>>,
    pub st_retire: Signal<In, Bit>,
    pub st_retire_status: Signal<In, Bits<3>>,
    pub st_retire_op: Signal<In, Bits<3>>,
    pub st_retire_latency: Signal<In, Bits<16>>,
    pub st_tlb_hit: Signal<In, Bit>,
    pub st_tlb_miss: Signal<In, Bit>,
    pub st_walk: Signal<In, Bit>,
    pub st_merge: Signal<In, Bit>,
    pub st_walks_now: Signal<In, Bits<7>>,
    pub st_fault_4k: Signal<In, Bit>,
    pub st_fault_2m: Signal<In, Bit>,
    pub st_zero_read: Signal<In, Bit>,
    pub st_line_wait: Signal<In, Bit>,
    pub st_dram_read: Signal<In, Bit>,
    pub st_dram_write: Signal<In, Bit>,
    pub st_stall_0: Signal<In, Bit>,
    pub st_stall_1: Signal<In, Bit>,
    pub st_shootdown: Signal<In, Bit>,

    registers: RegisterBus,
    id: HwRegister,
    version: HwRegister,
    hw_path: HwRegister,
    hw_memory: HwRegister,
    control: RwRegister,
    status: HwRegister,
    base: RwRegister,
    size: RwRegister,
    interrupts: Interrupts,
    mailbox: Mailbox,
    events: EventLog,
    frames: Frames,
    engine: TableEngine,
    shootdown: ShootdownControl,
    statistics: Vec<Statistics>,
    _statistics: usize,
    clearing: DFF<Bit>,
    data: Signal<Local, Bits<32>>,
    statistics_data: Signal<Local, Bits<32>>,
    statistics_wait: Signal<Local, Bit>,
    id_value: Constant<Bits<32>>,
    version_value: Constant<Bits<32>>,
    hw_path_value: Constant<Bits<32>>,
    hw_memory_value: Constant<Bits<32>>,
    frame_mask: Constant<Bits<28>>,
    enable_lsb: Constant<Bits<5>>,
    clear_lsb: Constant<Bits<5>>,
    ready_lsb: Constant<Bits<5>>,
    idle_lsb: Constant<Bits<5>>,
    zero_busy_lsb: Constant<Bits<5>>,
    te_busy_lsb: Constant<Bits<5>>,
    sd_busy_lsb: Constant<Bits<5>>,
}

impl Manage {
    pub fn new(config: &HwConfig) -> Self {
        Self::with_huge_lines(config, PageSize::Huge.lines())
    }

    /// For tests, which cannot wait for the 32,768 lines of a 2 MiB frame: only the first `lines` of
    /// each are cleared.
    pub fn with_huge_lines(config: &HwConfig, lines: u32) -> Self {
        use field::{CONTROL, STATUS};
        let fixed =
            |register: &regs::Register| constant(register.reset_value(config).unwrap_or(0) as u64);
        let statistics = config.statistics as usize;
        with_defaults!(Self {
            id: HwRegister::new(&regs::ID),
            version: HwRegister::new(&regs::VERSION),
            hw_path: HwRegister::new(&regs::HW_PATH),
            hw_memory: HwRegister::new(&regs::HW_MEMORY),
            control: RwRegister::masked(&regs::CONTROL, CONTROL::ENABLE.mask(), config),
            status: HwRegister::new(&regs::STATUS),
            base: RwRegister::new(&regs::TABLE_BASE, config),
            size: RwRegister::new(&regs::TABLE_SIZE, config),
            interrupts: Interrupts::new(config),
            mailbox: Mailbox::new(config),
            events: EventLog::new(config),
            frames: Frames::new(config, lines),
            engine: TableEngine::new(config),
            shootdown: ShootdownControl::new(config),
            statistics: (0..statistics).map(|_| Statistics::default()).collect(),
            _statistics: statistics,
            id_value: fixed(&regs::ID),
            version_value: fixed(&regs::VERSION),
            hw_path_value: fixed(&regs::HW_PATH),
            hw_memory_value: fixed(&regs::HW_MEMORY),
            frame_mask: constant(config.frame_mask() as u64),
            enable_lsb: lsb(CONTROL::ENABLE),
            clear_lsb: lsb(CONTROL::CLEAR_STATS),
            ready_lsb: lsb(STATUS::READY),
            idle_lsb: lsb(STATUS::IDLE),
            zero_busy_lsb: lsb(STATUS::ZERO_BUSY),
            te_busy_lsb: lsb(STATUS::TE_BUSY),
            sd_busy_lsb: lsb(STATUS::SD_BUSY),
        } clock reset m_valid m_write m_addr m_wdata m_done m_rdata m_error h_valid h_write h_addr
          h_wdata h_done h_rdata h_error irq_monitor irq_host enable table_base table_log2
          clear_stats ready idle grant_4k_valid grant_4k_frame grant_4k_take more_4k grant_2m_valid
          grant_2m_frame grant_2m_take more_2m no_memory zero_cmd_valid zero_cmd_line zero_cmd_tag
          zero_cmd_ready zero_ack_valid zero_ack_tag te_cmd_valid te_cmd_write te_cmd_tag
          te_cmd_line te_cmd_mask te_cmd_entry te_cmd_ready te_resp_valid te_resp_tag te_resp_data
          te_resp_poison sd_start sd_code sd_pid sd_va sd_count sd_busy ev_valid ev_status ev_op
          ev_port ev_pid ev_va poison st_accept st_accept_op st_retire st_retire_status
          st_retire_op st_retire_latency st_tlb_hit st_tlb_miss st_walk st_merge st_walks_now
          st_fault_4k st_fault_2m st_zero_read st_line_wait st_dram_read st_dram_write st_stall_0
          st_stall_1 st_shootdown registers clearing data statistics_data statistics_wait)
    }
}

impl Logic for Manage {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, clearing);
        clock!(
            self, clock, registers, id, version, hw_path, hw_memory, control, status, base, size
        );
        clock!(self, clock, interrupts, mailbox, events, frames, engine, shootdown);
        self.id.bus.next = self.registers.bus.val();
        self.version.bus.next = self.registers.bus.val();
        self.hw_path.bus.next = self.registers.bus.val();
        self.hw_memory.bus.next = self.registers.bus.val();
        self.control.bus.next = self.registers.bus.val();
        self.status.bus.next = self.registers.bus.val();
        self.base.bus.next = self.registers.bus.val();
        self.size.bus.next = self.registers.bus.val();
        self.interrupts.bus.next = self.registers.bus.val();
        self.mailbox.bus.next = self.registers.bus.val();
        self.events.bus.next = self.registers.bus.val();
        self.frames.bus.next = self.registers.bus.val();
        self.engine.bus.next = self.registers.bus.val();
        self.shootdown.bus.next = self.registers.bus.val();

        // Register buses.
        self.registers.reset.next = self.reset.val();
        self.registers.m_valid.next = self.m_valid.val();
        self.registers.m_write.next = self.m_write.val();
        self.registers.m_addr.next = self.m_addr.val();
        self.registers.m_wdata.next = self.m_wdata.val();
        self.m_done.next = self.registers.m_done.val();
        self.m_rdata.next = self.registers.m_rdata.val();
        self.m_error.next = self.registers.m_error.val();
        self.registers.h_valid.next = self.h_valid.val();
        self.registers.h_write.next = self.h_write.val();
        self.registers.h_addr.next = self.h_addr.val();
        self.registers.h_wdata.next = self.h_wdata.val();
        self.h_done.next = self.registers.h_done.val();
        self.h_rdata.next = self.registers.h_rdata.val();
        self.h_error.next = self.registers.h_error.val();
        self.registers.refuse.next = self.mailbox.refuse.val();

        // Registers of the component as a whole.
        self.id.value.next = self.id_value.val();
        self.version.value.next = self.version_value.val();
        self.hw_path.value.next = self.hw_path_value.val();
        self.hw_memory.value.next = self.hw_memory_value.val();
        self.status.value.next = ((bit_cast::<32, 1>(self.ready.val().into())
            << self.ready_lsb.val())
            | (bit_cast::<32, 1>(self.idle.val().into()) << self.idle_lsb.val()))
            | ((bit_cast::<32, 1>(self.frames.busy.val().into()) << self.zero_busy_lsb.val())
                | (bit_cast::<32, 1>(self.engine.busy.val().into()) << self.te_busy_lsb.val()))
            | (bit_cast::<32, 1>(self.shootdown.busy.val().into()) << self.sd_busy_lsb.val());
        self.enable.next =
            self.control.value.val().get_bit(self.enable_lsb.val().index()) && self.ready.val();
        self.data.next = self.registers.bus.val().data;
        self.clearing.d.next =
            self.control.writes.val() && self.data.val().get_bit(self.clear_lsb.val().index());
        self.clear_stats.next = self.clearing.q.val();
        self.table_base.next = bit_cast::<28, 32>(self.base.value.val()) & self.frame_mask.val();
        self.table_log2.next = bit_cast::<5, 32>(self.size.value.val());

        // Interrupts.
        self.interrupts.doorbell.next = self.mailbox.doorbell.val();
        self.interrupts.reply.next = self.mailbox.reply.val();
        self.interrupts.low_4k.next = self.frames.low_4k.val();
        self.interrupts.low_2m.next = self.frames.low_2m.val();
        self.interrupts.no_memory.next = self.no_memory.val();
        self.interrupts.event_waits.next = self.events.waits.val();
        self.interrupts.te_done.next = self.engine.done.val();
        self.interrupts.sd_done.next = self.shootdown.done.val();
        self.interrupts.uncorrectable.next =
            self.poison.val() || (self.te_resp_valid.val() && self.te_resp_poison.val());
        self.irq_monitor.next = self.interrupts.irq_monitor.val();
        self.irq_host.next = self.interrupts.irq_host.val();

        self.events.ev_valid.next = self.ev_valid.val();
        self.events.ev_status.next = self.ev_status.val();
        self.events.ev_op.next = self.ev_op.val();
        self.events.ev_port.next = self.ev_port.val();
        self.events.ev_pid.next = self.ev_pid.val();
        self.events.ev_va.next = self.ev_va.val();

        // Frames.
        self.grant_4k_valid.next = self.frames.grant_4k_valid.val();
        self.grant_4k_frame.next = self.frames.grant_4k_frame.val();
        self.frames.grant_4k_take.next = self.grant_4k_take.val();
        self.more_4k.next = self.frames.more_4k.val();
        self.grant_2m_valid.next = self.frames.grant_2m_valid.val();
        self.grant_2m_frame.next = self.frames.grant_2m_frame.val();
        self.frames.grant_2m_take.next = self.grant_2m_take.val();
        self.more_2m.next = self.frames.more_2m.val();
        self.zero_cmd_valid.next = self.frames.zero_cmd_valid.val();
        self.zero_cmd_line.next = self.frames.zero_cmd_line.val();
        self.zero_cmd_tag.next = self.frames.zero_cmd_tag.val();
        self.frames.zero_cmd_ready.next = self.zero_cmd_ready.val();
        self.frames.zero_ack_valid.next = self.zero_ack_valid.val();
        self.frames.zero_ack_tag.next = self.zero_ack_tag.val();

        // Table engine.
        self.engine.table_base.next = self.table_base.val();
        self.engine.table_log2.next = self.table_log2.val();
        self.te_cmd_valid.next = self.engine.te_cmd_valid.val();
        self.te_cmd_write.next = self.engine.te_cmd_write.val();
        self.te_cmd_tag.next = self.engine.te_cmd_tag.val();
        self.te_cmd_line.next = self.engine.te_cmd_line.val();
        self.te_cmd_mask.next = self.engine.te_cmd_mask.val();
        self.te_cmd_entry.next = self.engine.te_cmd_entry.val();
        self.engine.te_cmd_ready.next = self.te_cmd_ready.val();
        self.engine.te_resp_valid.next = self.te_resp_valid.val();
        self.engine.te_resp_tag.next = self.te_resp_tag.val();
        self.engine.te_resp_data.next = self.te_resp_data.val();
        self.engine.te_resp_poison.next = self.te_resp_poison.val();

        // Shootdown.
        self.sd_start.next = self.shootdown.sd_start.val();
        self.sd_code.next = self.shootdown.sd_code.val();
        self.sd_pid.next = self.shootdown.sd_pid.val();
        self.sd_va.next = self.shootdown.sd_va.val();
        self.sd_count.next = self.shootdown.sd_count.val();
        self.shootdown.sd_busy.next = self.sd_busy.val();

        // Statistics, where the component has them.
        self.statistics_data.next = 0.into();
        self.statistics_wait.next = false;
        for i in 0..self._statistics {
            self.statistics[i].clock.next = self.clock.val();
            self.statistics[i].bus.next = self.registers.bus.val();
            self.statistics[i].clear.next = self.clearing.q.val();
            self.statistics[i].accept.next = self.st_accept.val();
            self.statistics[i].accept_op.next = self.st_accept_op.val();
            self.statistics[i].retire.next = self.st_retire.val();
            self.statistics[i].retire_status.next = self.st_retire_status.val();
            self.statistics[i].retire_op.next = self.st_retire_op.val();
            self.statistics[i].retire_latency.next = self.st_retire_latency.val();
            self.statistics[i].tlb_hit.next = self.st_tlb_hit.val();
            self.statistics[i].tlb_miss.next = self.st_tlb_miss.val();
            self.statistics[i].walk.next = self.st_walk.val();
            self.statistics[i].merge.next = self.st_merge.val();
            self.statistics[i].walks_now.next = self.st_walks_now.val();
            self.statistics[i].fault_4k.next = self.st_fault_4k.val();
            self.statistics[i].fault_2m.next = self.st_fault_2m.val();
            self.statistics[i].zero_read.next = self.st_zero_read.val();
            self.statistics[i].cleared_4k.next = self.frames.cleared_4k.val();
            self.statistics[i].cleared_2m.next = self.frames.cleared_2m.val();
            self.statistics[i].line_wait.next = self.st_line_wait.val();
            self.statistics[i].dram_read.next = self.st_dram_read.val();
            self.statistics[i].dram_write.next = self.st_dram_write.val();
            self.statistics[i].stall_0.next = self.st_stall_0.val();
            self.statistics[i].stall_1.next = self.st_stall_1.val();
            self.statistics[i].shootdown.next = self.st_shootdown.val();
            self.statistics_data.next = self.statistics[i].read_data.val();
            self.statistics_wait.next = self.statistics[i].waits.val();
        }

        self.registers.busy.next = self.frames.waits.val() || self.statistics_wait.val();
        self.registers.read_data.next = ((self.id.read_data.val() | self.version.read_data.val())
            | (self.hw_path.read_data.val() | self.hw_memory.read_data.val()))
            | ((self.control.read_data.val() | self.status.read_data.val())
                | (self.base.read_data.val() | self.size.read_data.val()))
            | ((self.interrupts.read_data.val() | self.mailbox.read_data.val())
                | (self.events.read_data.val() | self.frames.read_data.val()))
            | ((self.engine.read_data.val() | self.shootdown.read_data.val())
                | self.statistics_data.val());
        if self.reset.val() {
            self.clearing.d.next = false;
        }
    }
}

/// The small component's, to be replaced by [`Manage::new`] in the component's constructor.
impl Default for Manage {
    fn default() -> Self {
        Self::new(&HwConfig::SMALL)
    }
}
