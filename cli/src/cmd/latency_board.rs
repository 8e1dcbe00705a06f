//! `splitmem latency --board`: a simulated board at its pins, as a host and as the SDRAM find it.

use board_sim::host::{Host, HostError, Wire};
use board_sim::{memory, Board, CLOCK_KHZ, CORE_KHZ};
use pcomponent_driver::backend::mailbox;
use serial_link::{Call, Outcome};
use splitmem_abi::board::READY_CYCLES;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Permission};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_abi::serial::{Kind, Space};
use splitmem_hdl::board::ulx3s::{self, BAUD, PLL_WAIT_CYCLES};
use verilator_tb::soc::{Image, Isolation};

use super::output::{command_line, OutputArgs};
use super::serve::ServeError;
use crate::error::CliError;
use crate::facts::Facts;
use crate::machine::MachineError;
use crate::report::Report;

/// Whose memory is read.
const PID: u16 = 7;
/// Pages that are fetched at once.
const PAGES: u64 = 4;
const PAGE_LINES: u64 = 64;
/// SDRAM lines of each kind.
const LINES: u64 = 2000;
/// Simulated time within which the monitor is up, in us.
const BOOT_US: u64 = 1_000_000;

/// Measures and prints.
pub(super) fn run(seed: u64, output: &OutputArgs) -> Result<(), CliError> {
    let facts = measure(seed)?;
    if let Some(folder) = &output.report {
        let mut report = Report::new("splitmem latency --board", &command_line());
        report.heading("Figures");
        report.facts(&facts);
        report.write(folder, "latency-board")?;
    }
    facts.print(output.json)
}

fn measure(seed: u64) -> Result<Facts, CliError> {
    let failed = |error: HostError| CliError::from(ServeError::from(error));
    let mhz = f64::from(CLOCK_KHZ) / 1000.0;
    let ms = |cycles: u64| cycles as f64 / mhz / 1000.0;
    let image = Image::read(Isolation::within(ulx3s::SOC.pmp_regions).monitor())
        .map_err(verilator_tb::MachineError::from);
    let image = image.map_err(MachineError::from)?;
    let board = Board::power_up(image.segments(), None).map_err(ServeError::from)?;
    let mut facts = Facts::new();
    facts.add("board", "Board", "ulx3s", "");
    facts.add("clock_mhz", "Clock", mhz, "MHz");
    facts.add("core_clock_mhz", "  of the soft core", f64::from(CORE_KHZ) / 1000.0, "MHz");

    let mut host = Host::greet(board, 1, Wire::new(0, seed)).map_err(failed)?;
    if !host.monitor_up(BOOT_US).map_err(failed)? {
        return Err(failed(HostError::NoAnswer));
    }
    let up = PLL_WAIT_CYCLES + host.board().cycle();
    let ready = host.register(Space::Board, READY_CYCLES).map_err(failed)?;
    let ready = PLL_WAIT_CYCLES + u64::from(ready.unwrap_or(0));
    facts.add("ready_cycles", "Power-up to memory tested and ready", ready, "cycles");
    facts.add("ready_ms", "  that is", ms(ready), "ms");
    facts.add("pll_wait_cycles", "  of these until the PLL is trusted", PLL_WAIT_CYCLES, "cycles");
    facts.add("monitor_ms", "Power-up to monitor up, as the host sees it", ms(up), "ms");

    let calls = lines(&mut host)?;
    let read = |host: &mut Host, calls: &[Call]| -> Result<u64, CliError> {
        let start = host.board().cycle();
        let outcomes = host.ask(calls).map_err(failed)?;
        let good = |outcome: &Outcome| matches!(outcome, Outcome::Memory(Status::Ok, _));
        if !outcomes.iter().all(good) {
            return Err(CliError::Mismatch("a line of the board could not be read".to_owned()));
        }
        Ok(host.board().cycle() - start)
    };
    // The first one may miss the TLB.
    read(&mut host, &calls[..1])?;
    let one = read(&mut host, &calls[..1])?;
    let bytes = (Kind::Read.frame() + Kind::Line.frame()) as u64;
    let wire = (bytes * 10 * u64::from(CLOCK_KHZ) * 1000).div_ceil(u64::from(BAUD));
    facts.add("line_read_cycles", "Line read, from call to reply", one, "cycles");
    facts.add("line_read_us", "  at 3 Mbaud", one as f64 / mhz, "us");
    facts.add(
        "line_read_wire_cycles",
        format!("  of these its {bytes} bytes on the wire"),
        wire,
        "cycles",
    );
    facts.add("line_read_board_cycles", "  and the board", one.saturating_sub(wire), "cycles");
    let all = read(&mut host, &calls)?;
    let bits = (PAGES * 4096 * 10) as f64;
    let sent = all as f64 / mhz / 1e6 * f64::from(BAUD);
    facts.add(
        "page_fetch_efficiency",
        "Page fetches (goal: 0.8 or more)",
        bits / sent,
        "of the baud rate",
    );

    let reads = memory::measure(LINES, seed).map_err(ServeError::from)?;
    let of = "of the peak";
    facts.add(
        "sdram_sequential",
        "SDRAM, sequential lines (goal: 0.85 or more)",
        reads.sequential,
        of,
    );
    facts.add("sdram_random", "SDRAM, random lines", reads.random, of);
    facts.add("sdram_random_bound", "  what bank timing allows (goal: 0.9 of it)", reads.bound, of);
    Ok(facts)
}

/// Lines of pages that have their frames: reads of all of them.
fn lines(host: &mut Host) -> Result<Vec<Call>, CliError> {
    let failed = |error: HostError| CliError::from(ServeError::from(error));
    let command = Command::Alloc {
        pid: PID,
        pages: PAGES as u32,
        size: PageSize::Small,
        permission: Permission::RW,
        shareable: false,
    };
    let memory = |error| CliError::Machine(MachineError::Board(error));
    mailbox::send(host, &command).map_err(memory)?;
    let reply = loop {
        if let Some(reply) = mailbox::receive(host).map_err(memory)? {
            break reply;
        }
    };
    let base = Address::decode(&reply.payload).0;
    let at = |line: u64| base + 64 * line;
    let writes: Vec<_> = (0..PAGES)
        .map(|page| Request::write(0, PID, at(page * PAGE_LINES), FULL_MASK, [page as u8; 64]))
        .map(Call::Memory)
        .collect();
    host.ask(&writes).map_err(failed)?;
    let reads = (0..PAGES * PAGE_LINES).map(|line| Call::Memory(Request::read(0, PID, at(line))));
    Ok(reads.collect())
}
