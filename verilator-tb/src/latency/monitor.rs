//! What the memory monitor costs: commands through the mailbox, and first writes faster than frames
//! can be cleared.
//!
//! A command's cycles run from the host's doorbell to the monitor's reply, as the host's interrupt
//! line tells it; the round trip has the host's own register accesses around it too.

use super::rig::misbehaved;
use super::speed::ran;
use super::{LatencyError, Options, Report, IDEAL_LATENCY};
use crate::bus::Side;
use crate::component::Component;
use crate::dram::{Fill, IdealMemory, LineStore};
use crate::machine::{Machine, MachineError, MonitorOptions, MonitorPlace};
use crate::soc::{Image, Isolation};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::{PageSize, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::mailbox::{Address, Command, Payload, Permission, Range, ReturnCode};
use splitmem_abi::regs::field::{HOST_IRQ_STATUS, MB_COMMAND, MB_STATUS};
use splitmem_abi::regs::{self, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use std::time::Duration;

/// Frames of the component's memory: 32 MiB, what the small component addresses.
const FRAMES: u32 = 8192;
/// Cycles that a command may take.
const PATIENCE: u64 = 4_000_000;
/// Pages of one storm: several times what the free list holds, and what the memory has.
const STORM: u32 = 5000;
/// How often each command is measured.
const TIMES: u32 = 5;
/// How long the speed of the simulation is measured.
const TIME: Duration = Duration::from_millis(1500);
/// Pages that are read and written meanwhile.
const SPEED_PAGES: u32 = 64;

type Dut = Machine<IdealMemory>;

/// Measures a monitor that runs in `place`, as firmware with this isolation.
///
/// # Errors
/// [`LatencyError`].
pub fn measure_monitor(
    options: &Options,
    place: MonitorPlace,
    isolation: Isolation,
) -> Result<Report, LatencyError> {
    let mut report = Report::default();
    let monitor = MonitorOptions { place, isolation, ..MonitorOptions::default() };
    let costs = commands(&mut boot(options, monitor)?)?;
    report.add("alloc_4k_cycles", "Monitor: allocate 4 KiB", costs.page, "cycles");
    report.add("alloc_1m_cycles", "Monitor: allocate 1 MiB (256 pages)", costs.mib, "cycles");
    report.add("free_4k_cycles", "Monitor: free 4 KiB", costs.free, "cycles");
    let label = "Mailbox round trip (info), host's accesses included";
    report.add("mailbox_round_trip_cycles", label, costs.info, "cycles");
    storms(options, monitor, &mut report)?;
    if place == MonitorPlace::Firmware {
        let image = Image::read(isolation.monitor()).map_err(MachineError::from)?;
        let label = "Firmware: code and constants";
        report.add("firmware_text_bytes", label, image.text_bytes(), "bytes");
        let label = "Firmware: variables and stack";
        report.add("firmware_ram_bytes", label, image.ram_bytes(), "bytes");
        prices(options, &mut report)?;
        speed(options, monitor, &mut report)?;
    }
    Ok(report)
}

/// Keys of what each kind of isolation costs: round trip, allocation, text.
const PRICES: [(Isolation, [&str; 3]); 3] = [
    (Isolation::None, ["none_round_trip_cycles", "none_alloc_4k_cycles", "none_text_bytes"]),
    (
        Isolation::Guards,
        ["guards_round_trip_cycles", "guards_alloc_4k_cycles", "guards_text_bytes"],
    ),
    (Isolation::Full, ["full_round_trip_cycles", "full_alloc_4k_cycles", "full_text_bytes"]),
];

/// What each kind of isolation costs.
fn prices(options: &Options, report: &mut Report) -> Result<(), LatencyError> {
    for (isolation, [info, page, text]) in PRICES {
        let image = Image::read(isolation.monitor()).map_err(MachineError::from)?;
        let place = MonitorPlace::Firmware;
        let monitor = MonitorOptions { place, isolation, ..MonitorOptions::default() };
        let costs = commands(&mut boot(options, monitor)?)?;
        let label = match isolation {
            Isolation::None => "Isolation 'none': mailbox round trip",
            Isolation::Guards => "Isolation 'guards': mailbox round trip",
            Isolation::Full => "Isolation 'full': mailbox round trip",
        };
        report.add(info, label, costs.info, "cycles");
        report.add(page, "  allocate 4 KiB", costs.page, "cycles");
        report.add(text, "  code and constants", image.text_bytes(), "bytes");
    }
    Ok(())
}

/// A machine of [`FRAMES`] over the ideal memory.
pub(super) fn boot(options: &Options, monitor: MonitorOptions) -> Result<Dut, LatencyError> {
    let store = LineStore::new(u64::from(FRAMES) << (PAGE_SHIFT - LINE_SHIFT), Fill::Noise(1));
    let component = Component::new(options.hw, IdealMemory::new(store, IDEAL_LATENCY))?;
    let mut monitor = monitor;
    monitor.config.frames = Some(FRAMES);
    let mut dut = Machine::boot(component, monitor)?;
    let reply = HOST_IRQ_STATUS::REPLY.mask();
    dut.host().write(regs::HOST_IRQ_MASK.offset, reply)?;
    Ok(dut)
}

/// What a command took.
pub(super) struct Took {
    /// Its reply's payload.
    pub(super) payload: Payload,
    /// From the doorbell to the reply.
    monitor: u64,
    /// With the host's register accesses.
    round_trip: u64,
}

/// Sends a command and waits for its reply.
pub(super) fn command(dut: &mut Dut, command: Command) -> Result<Took, LatencyError> {
    let begin = dut.cycle();
    let mut payload = [0; MAILBOX_WORDS];
    let (opcode, length) = command.encode(&mut payload);
    let mut host = dut.host();
    for (i, word) in (0..).zip(&payload[..usize::from(length).div_ceil(4)]) {
        host.write(regs::MB_PAYLOAD.at(i), *word)?;
    }
    let header = MB_COMMAND::OPCODE.put(opcode.into()) | MB_COMMAND::LENGTH.put(length.into());
    host.write(regs::MB_COMMAND.offset, header)?;
    host.write(regs::MB_DOORBELL.offset, 1)?;
    let rung = dut.cycle();
    while !dut.component().irq(Side::Host) {
        if dut.cycle() > rung + PATIENCE {
            return Err(misbehaved("sending commands", format!("no reply to {command:?}")));
        }
        dut.tick();
    }
    let monitor = dut.cycle() - rung;
    let mut host = dut.host();
    let status = host.read(regs::MB_STATUS.offset)?;
    for (i, word) in (0..).zip(&mut payload[..MB_STATUS::LENGTH.get(status) as usize / 4]) {
        *word = host.read(regs::MB_PAYLOAD.at(i))?;
    }
    host.write(regs::HOST_IRQ_STATUS.offset, HOST_IRQ_STATUS::REPLY.mask())?;
    let round_trip = dut.cycle() - begin;
    if MB_STATUS::CODE.get(status) != ReturnCode::Success as u32 {
        let what = format!("{command:?} was answered with code {}", MB_STATUS::CODE.get(status));
        return Err(misbehaved("sending commands", what));
    }
    // What the monitor does after its reply is not the next command's.
    for _ in 0..20_000 {
        dut.tick();
    }
    Ok(Took { payload, monitor, round_trip })
}

/// Allocates pages of 4 KiB.
pub(super) fn alloc(pid: u16, pages: u32) -> Command {
    let (size, permission) = (PageSize::Small, Permission::RW);
    Command::Alloc { pid, pages, size, permission, shareable: false }
}

/// Cycles of commands, on average.
struct Costs {
    page: u32,
    mib: u32,
    free: u32,
    /// The round trip of one that changes nothing.
    info: u32,
}

fn commands(dut: &mut Dut) -> Result<Costs, LatencyError> {
    // The first ones fill the free lists; what is measured is the state that lasts.
    command(dut, alloc(1, 2048))?;
    let mut sums = [0u64; 4];
    for _ in 0..TIMES {
        let page = command(dut, alloc(2, 1))?;
        let va = Address::decode(&page.payload).0;
        let mib = command(dut, alloc(2, 256))?;
        let free = command(dut, Command::Free(Range { pid: 2, va, pages: 1 }))?;
        let info = command(dut, Command::Info)?;
        for (sum, cycles) in
            sums.iter_mut().zip([page.monitor, mib.monitor, free.monitor, info.round_trip])
        {
            *sum += cycles;
        }
    }
    let [page, mib, free, info] = sums.map(|sum| (sum / u64::from(TIMES)) as u32);
    Ok(Costs { page, mib, free, info })
}

/// What became of first writes on consecutive pages, one every so many cycles.
struct Storm {
    /// Pages that got a frame before one first found none.
    served: u32,
    /// Cycles until then.
    cycles: u64,
    /// All pages of the storm.
    pages: u32,
}

fn storm(options: &Options, monitor: MonitorOptions, every: u64) -> Result<Storm, LatencyError> {
    let mut dut = boot(options, monitor)?;
    let pages = STORM;
    let va = Address::decode(&command(&mut dut, alloc(3, pages))?.payload).0;
    // Until the free list is full.
    for _ in 0..200_000 {
        dut.tick();
    }
    let begin = dut.cycle();
    let (mut sent, mut answered) = (0u32, 0u32);
    while answered < pages {
        let due = u64::from(sent) * every <= dut.cycle() - begin;
        if sent < pages && due && dut.port(0).queued() == 0 {
            let va = va + (u64::from(sent) << PAGE_SHIFT);
            dut.port(0).send(Request::write(sent as u16, 3, va, FULL_MASK, [1; 64]));
            sent += 1;
        }
        dut.tick();
        while let Some(answer) = dut.port(0).receive() {
            match answer.response.status {
                Status::Ok => answered += 1,
                Status::NoMemory => {
                    return Ok(Storm { served: answered, cycles: dut.cycle() - begin, pages });
                }
                status => return Err(misbehaved("a storm", format!("answered {status:?}"))),
            }
        }
        if dut.cycle() > begin + PATIENCE {
            return Err(misbehaved("a storm", "it does not end"));
        }
    }
    Ok(Storm { served: answered, cycles: dut.cycle() - begin, pages })
}

fn storms(
    options: &Options,
    monitor: MonitorOptions,
    report: &mut Report,
) -> Result<(), LatencyError> {
    // A frame is cleared by as many writes as it has lines, or beats of lines; no firmware can do
    // better than the DRAM port.
    let least = u64::from(PageSize::Small.lines()) * u64::from(options.hw.config().beats());
    let full = storm(options, monitor, 1)?;
    let label = "Storm of first writes at full port rate: pages served before a frame is missing";
    report.add("storm_full_rate_frames", label, full.served, "frames");
    let label = "  cycles until then";
    report.add("storm_full_rate_cycles", label, full.cycles as u32, "cycles");
    // The pace at which frames come while the list is empty, and a search upwards from there.
    let mut every = least;
    let sustained = loop {
        let storm = storm(options, monitor, every)?;
        if storm.served == storm.pages {
            break storm;
        }
        every += (every / 16).max(1);
        if every > 16 * least {
            return Err(misbehaved("a storm", "no pace of first writes can be sustained"));
        }
    };
    let label = "First writes that are served for ever: one per so many cycles";
    report.add("storm_sustained_every_cycles", label, every as u32, "cycles");
    let label = "  the DRAM port alone allows (writes that clear a frame)";
    report.add("storm_dram_every_cycles", label, least as u32, "cycles");
    let rate = f64::from(sustained.served) * 1000.0 / sustained.cycles as f64;
    let label = "Refill at that pace";
    report.add("refill_frames_per_kcycle", label, rate, "frames per 1000 cycles");
    Ok(())
}

/// The whole component with the sleeping core beside it, under the load of [`super::speed`].
fn speed(
    options: &Options,
    monitor: MonitorOptions,
    report: &mut Report,
) -> Result<(), LatencyError> {
    let mut dut = boot(options, monitor)?;
    let va = Address::decode(&command(&mut dut, alloc(3, SPEED_PAGES))?.payload).0;
    let core_clocks = |dut: &Dut| dut.core().map_or(0, crate::soc::SoftCore::clocks);
    let mut rng = SmallRng::seed_from_u64(options.seed);
    let (mut tag, mut cycles) = (0u16, 0u64);
    let awake = core_clocks(&dut);
    let start = ran();
    while ran() - start < TIME {
        for _ in 0..20_000 {
            for port in 0..2 {
                while dut.port(port).queued() < 2 {
                    tag = tag.wrapping_add(1);
                    let va = va + rng.random_range(0..u64::from(SPEED_PAGES) * 64) * 64;
                    dut.port(port).send(match tag % 4 {
                        0 => Request::write(tag, 3, va, FULL_MASK, [tag as u8; 64]),
                        _ => Request::read(tag, 3, va),
                    });
                }
                while dut.port(port).receive().is_some() {}
            }
            dut.tick();
        }
        cycles += 20_000;
    }
    let rate = cycles as f64 / (ran() - start).as_secs_f64();
    let label = "Simulation with the core built in and idle, loaded, one thread";
    report.add("sim_cycles_per_second", label, rate, "cycles/s").at_least(1_000_000.0);
    let clocks = (core_clocks(&dut) - awake) as f64 * 1000.0 / cycles as f64;
    let label = "  clocks of the idle core per 1000 of the component";
    report.add("idle_core_clocks_per_kcycle", label, clocks, "clocks");
    Ok(())
}
