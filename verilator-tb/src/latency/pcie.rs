//! The PCIe endpoint: reads of its BARs, pages by DMA, stage by stage, and how many bytes a cycle its DMA
//! engine moves.
//!
//! Without a link, and with a host that answers reads at once: cycles are those between TLPs at the
//! endpoint's pins. In the bench one register stands between the component's answers and the endpoint.

use super::cxl::Route;
use super::monitor::{alloc, boot, command};
use super::rig::misbehaved;
use super::{FrontReport, LatencyError, Options, Report};
use crate::dram::IdealMemory;
use crate::hw::Hw;
use crate::machine::MonitorOptions;
use crate::pcie::{Board, HostMemory, Sent, Settings, Tlp};
use splitmem_abi::dram::TagClass;
use splitmem_abi::geometry::{LINE_BYTES, PAGE_SHIFT};
use splitmem_abi::mailbox::Address;
use splitmem_abi::pcie::{self as abi, Descriptor, DmaOp, Window, DESCRIPTOR_BYTES, LIST_LINES};
use splitmem_abi::regs::Register;
use splitmem_abi::request::FULL_MASK;

const DOING: &str = "measuring the PCIe endpoint";
const PID: u16 = 0x1234;
const PAGE: usize = 1 << PAGE_SHIFT;
/// Pages that move, each of them once in a run of the rate's measurement.
const PAGES: u32 = abi::RING_MAX;
/// Cycles that anything may take.
const PATIENCE: u64 = 200_000;
/// Where the rings and the pages stand in the host's memory.
const SQ: u64 = 0;
const CQ: u64 = 0x10_0000;
const DATA: u64 = 0x20_0000;

/// The host's memory, from address zero on.
struct Memory(Vec<u8>);

impl HostMemory for Memory {
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        let from = address as usize;
        self.0.get(from..from + data.len()).map(|found| data.copy_from_slice(found)).is_some()
    }

    fn write(&mut self, address: u64, data: &[u8]) -> bool {
        let to = address as usize;
        self.0.get_mut(to..to + data.len()).map(|there| there.copy_from_slice(data)).is_some()
    }
}

struct Bench {
    board: Board<IdealMemory>,
    host: Memory,
    /// Where the component has its pages.
    va: u64,
    /// Commands so far.
    submitted: u32,
}

/// Measures the endpoint before a component over the ideal memory.
///
/// # Errors
/// [`LatencyError`].
pub fn measure_pcie(hw: Hw, seed: u64) -> Result<FrontReport, LatencyError> {
    let mut bench = Bench::new(hw, seed)?;
    // Once to give the pages their frames, which is not what is measured.
    bench.dma(DmaOp::Write, PAGES)?;
    let routes = vec![
        bench.bar_read("BAR2 read of 64 bytes, TLB hit")?,
        bench.page(DmaOp::Read, "DMA of a page to the host")?,
        bench.page(DmaOp::Write, "DMA of a page from the host")?,
    ];
    let register = bench.register_read()?;
    let out = bench.dma(DmaOp::Read, PAGES)?;
    let home = bench.dma(DmaOp::Write, PAGES)?;

    let mut report = Report::default();
    let of = |i: usize| routes[i].cycles() as f64;
    let label = "BAR2 read of 64 bytes, request TLP to completion, TLB hit";
    report.add("pcie_bar_read_cycles", label, of(0), "cycles");
    let label = "BAR0 register of the endpoint";
    report.add("pcie_register_read_cycles", label, register as f64, "cycles");
    let label = "DMA of one 4 KiB page to the host, doorbell to completion entry";
    report.add("dma_page_cycles", label, of(1), "cycles");
    let label = "DMA of one 4 KiB page from the host";
    report.add("dma_page_write_cycles", label, of(2), "cycles");
    let label = "DMA to the host, sustained (the port is 64 bytes wide)";
    report.add("dma_bytes_per_cycle", label, out, "bytes/cycle");
    let label = "DMA from the host, sustained";
    report.add("dma_write_bytes_per_cycle", label, home, "bytes/cycle");
    Ok(FrontReport { report, routes, errors: Vec::new() })
}

impl Bench {
    fn new(hw: Hw, seed: u64) -> Result<Self, LatencyError> {
        let options = Options { hw, dram: super::Dram::Ideal, seed };
        let mut machine = boot(&options, MonitorOptions::default())?;
        let va = Address::decode(&command(&mut machine, alloc(PID, PAGES))?.payload).0;
        let mut board = Board::new(machine)?;
        board.configure(Settings { bus_master: true, ..board.settings() });
        let host = Memory(vec![0x5a; DATA as usize + PAGES as usize * PAGE]);
        let mut bench = Self { board, host, va, submitted: 0 };
        let window = Window { pid: PID, va, pages: PAGES, read: true, write: true };
        for (i, word) in (0..).zip(window.words()) {
            bench.store(abi::WINDOW_PAGE + 4 * i, word)?;
        }
        for (register, value) in [
            (&abi::SQ_BASE_LO, SQ as u32),
            (&abi::CQ_BASE_LO, CQ as u32),
            (&abi::RING_LOG2, abi::RING_MAX_LOG2),
            (&abi::DMA_CONTROL, 1),
        ] {
            bench.set(register, value)?;
        }
        Ok(bench)
    }

    fn store(&mut self, offset: u32, value: u32) -> Result<(), LatencyError> {
        let bytes = value.to_le_bytes();
        Ok(self.board.write_bar(&mut self.host, 0, offset.into(), &bytes)?)
    }

    fn set(&mut self, register: &Register, value: u32) -> Result<(), LatencyError> {
        self.store(abi::ENDPOINT_PAGE + u32::from(register.offset), value)
    }

    /// Lets the board come to rest, and sends a TLP whose end `over` sees; calls it every cycle with the
    /// cycles since the TLP was taken.
    fn watch(
        &mut self,
        tlp: Tlp,
        mut over: impl FnMut(&Board<IdealMemory>, u64) -> bool,
    ) -> Result<(), LatencyError> {
        self.board.settle(&mut self.host)?;
        self.board.send(tlp);
        let mut begin = None;
        for cycle in 0..PATIENCE {
            self.board.tick(&mut self.host);
            if begin.is_none() && self.board.passed().taken {
                begin = Some(cycle);
            }
            let Some(begin) = begin else { continue };
            if over(&self.board, cycle - begin) {
                while self.board.take_completion().is_some() {}
                return Ok(self.board.settle(&mut self.host)?);
            }
        }
        Err(misbehaved(DOING, "no end of what a TLP began"))
    }

    fn bar_read(&mut self, name: &'static str) -> Result<Route, LatencyError> {
        // A neighbour's read puts the page into the TLB.
        self.board.read_bar(&mut self.host, 2, 0, LINE_BYTES)?;
        let (mut native, mut command, mut replied, mut answered, mut end) = (0, 0, 0, 0, 0);
        let read = Tlp::memory(2, LINE_BYTES as u64, LINE_BYTES, 0, None);
        self.watch(read, |board, cycle| {
            let seen = board.component_seen();
            let data = |tag| TagClass::of(tag) == Some(TagClass::Data);
            if seen.accepted[0].is_some() {
                native = cycle;
            }
            if seen.dram.is_some_and(|offer| data(offer.tag)) && command == 0 {
                command = cycle;
            }
            if seen.dram_reply.is_some_and(data) {
                replied = cycle;
            }
            if seen.answered[0] {
                answered = cycle;
            }
            end = cycle;
            board.passed().sent == Some(Sent::Completion)
        })?;
        Route::through(
            name,
            &[
                ("TLP to native request", native),
                ("translation", command),
                ("DRAM", replied),
                ("native answer", answered),
                ("native answer to completion", end),
            ],
        )
    }

    fn register_read(&mut self) -> Result<u64, LatencyError> {
        let offset = abi::ENDPOINT_PAGE + u32::from(abi::EP_ID.offset);
        let mut end = 0;
        self.watch(Tlp::memory(0, offset.into(), 4, 0, None), |board, cycle| {
            end = cycle;
            board.passed().sent == Some(Sent::Completion)
        })?;
        Ok(end)
    }

    /// Puts commands into the ring, a page each, and gives the doorbell's TLP.
    fn submit(&mut self, op: DmaOp, commands: u32) -> Tlp {
        for page in 0..commands {
            let descriptor = Descriptor {
                op,
                list: false,
                id: page as u16,
                pid: PID,
                lines: LIST_LINES as u16,
                va: self.va + u64::from(page) * PAGE as u64,
                host: DATA + u64::from(page) * PAGE as u64,
                operand: FULL_MASK,
                expected: 0,
            };
            let place = (self.submitted % abi::RING_MAX) as usize * DESCRIPTOR_BYTES;
            self.host.0[SQ as usize + place..][..DESCRIPTOR_BYTES]
                .copy_from_slice(&descriptor.encode());
            self.submitted += 1;
        }
        let tail = (self.submitted & 0xffff).to_le_bytes();
        let offset = abi::ENDPOINT_PAGE + u32::from(abi::SQ_TAIL.offset);
        Tlp::memory(0, offset.into(), tail.len(), 0, Some(&tail))
    }

    /// Tells the endpoint that all entries were taken, and checks the last one's status.
    fn take(&mut self) -> Result<(), LatencyError> {
        self.set(&abi::CQ_HEAD, self.submitted & 0xffff)?;
        let last = (self.submitted.wrapping_sub(1) % abi::RING_MAX) as usize;
        let status = self.host.0[CQ as usize + last * abi::COMPLETION_BYTES + 2];
        if status != 0 {
            return Err(misbehaved(DOING, format!("a DMA command ended with {status:#x}")));
        }
        Ok(())
    }

    fn page(&mut self, op: DmaOp, name: &'static str) -> Result<Route, LatencyError> {
        let doorbell = self.submit(op, 1);
        let (mut fetch, mut fetched, mut asked) = (0, 0, 0);
        let (mut host, mut first, mut answered, mut written, mut end) = (0, 0, 0, 0, 0);
        self.watch(doorbell, |board, cycle| {
            let (passed, seen) = (board.passed(), board.component_seen());
            match passed.sent {
                Some(Sent::Read) if fetch == 0 => fetch = cycle,
                Some(Sent::Read) if asked == 0 => asked = cycle,
                Some(Sent::Write(address)) if address >= DATA => written = cycle,
                _ => {}
            }
            if passed.taken && cycle > 0 {
                if fetched == 0 {
                    fetched = cycle;
                }
                host = cycle;
            }
            if seen.accepted[1].is_some() && first == 0 {
                first = cycle;
            }
            if seen.answered[1] {
                answered = cycle;
            }
            end = cycle;
            matches!(passed.sent, Some(Sent::Write(address)) if (CQ..DATA).contains(&address))
        })?;
        self.take()?;
        let begin =
            [("doorbell to descriptor's read", fetch), ("descriptor from the host", fetched)];
        let rest = match op {
            DmaOp::Read => [
                ("first line's request", first),
                ("64 lines of the component", answered),
                ("last data TLP", written),
                ("completion entry", end),
            ],
            _ => [
                ("first read of the data", asked),
                ("data from the host", host),
                ("64 lines of the component", answered),
                ("completion entry", end),
            ],
        };
        Route::through(name, &[&begin[..], &rest[..]].concat())
    }

    /// Runs so many commands of a page each, and gives the bytes a cycle of the middle half of them.
    fn dma(&mut self, op: DmaOp, commands: u32) -> Result<f64, LatencyError> {
        let doorbell = self.submit(op, commands);
        let lines = u64::from(commands * LIST_LINES);
        let (mut moved, mut from, mut to) = (0, 0, 0);
        let (mut entries, last) = (0, commands);
        self.watch(doorbell, |board, cycle| {
            if board.component_seen().answered[1] {
                moved += 1;
                if moved == lines / 4 {
                    from = cycle;
                }
                if moved == 3 * lines / 4 {
                    to = cycle;
                }
            }
            let sent = board.passed().sent;
            if matches!(sent, Some(Sent::Write(address)) if (CQ..DATA).contains(&address)) {
                entries += 1;
            }
            entries == last
        })?;
        self.take()?;
        Ok((lines / 2 * LINE_BYTES as u64) as f64 / (to - from) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stream_at_most_of_the_ports_width() {
        let FrontReport { report, routes, .. } = measure_pcie(Hw::Large, 1).unwrap();
        let value = |key| report.figure(key).unwrap().value;
        println!("{:?}\n{routes:?}", report.figures);
        // The port moves 64 bytes a cycle.
        assert!(value("dma_bytes_per_cycle") > 50.0 && value("dma_bytes_per_cycle") <= 64.0);
        assert!(value("dma_write_bytes_per_cycle") > 40.0);
        // A page alone: its 64 lines, and a few dozen cycles around them.
        assert!((64.0..400.0).contains(&value("dma_page_cycles")));
        assert!(routes.iter().all(|route| route.stages.len() >= 5));
    }
}
