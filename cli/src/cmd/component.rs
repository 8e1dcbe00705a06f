//! `splitmem component`: commands to the memory monitor of a board that runs.

use clap::Subcommand;
use pcomponent_driver::backend::client::{MailboxClient, MailboxError, Patience};
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{
    Address, Command, Compartment, Health, Info, Payload, Permission, PostMortem, Range,
    ReturnCode, POST_MORTEM_TEXT,
};
use std::time::Duration;

use crate::board::client::RemoteBus;
use crate::board::{Board, BoardError, HOST_ADDRESS};
use crate::error::CliError;
use crate::facts::Facts;

/// Ask and command the memory monitor of a board that runs.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples (with 'splitmem board' running in another terminal):
  splitmem component info
  splitmem component alloc --pid 7 --pages 16
  splitmem component free --pid 7 --at 0x40000000 --pages 16
  splitmem component health --json")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Which board
    #[arg(long, global = true, default_value_t = Board::Sim)]
    board: Board,
    /// Where the board listens for hosts
    #[arg(long, global = true, value_name = "HOST:PORT", default_value = HOST_ADDRESS)]
    host: String,
    /// Seconds to wait for the monitor's reply
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,
    /// One JSON object instead of a table
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// What the component is and has
    Info,
    /// Allocate pages for a process
    Alloc {
        /// The process
        #[arg(long)]
        pid: u16,
        /// How many pages
        #[arg(long)]
        pages: u32,
        /// 2 MiB pages instead of 4 KiB ones
        #[arg(long)]
        huge: bool,
        /// Loads only
        #[arg(long)]
        read_only: bool,
        /// Populate it now, so that it can be shared
        #[arg(long)]
        shareable: bool,
    },
    /// Give pages back
    Free {
        /// The process
        #[arg(long)]
        pid: u16,
        /// The first page's address
        #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
        at: u64,
        /// How many pages
        #[arg(long)]
        pages: u32,
    },
    /// The component's state of health, and what the last monitor left if it failed
    Health,
    /// Take the oldest events out of the component's log
    Events,
    /// Give back all memory of a process
    Reset {
        /// The process
        #[arg(long)]
        pid: u16,
    },
}

fn parse_address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| "expected a hexadecimal address".to_owned())
}

impl Args {
    /// Sends the command and prints the reply.
    ///
    /// # Errors
    /// [`CliError::Board`].
    pub fn run(self) -> Result<(), CliError> {
        let Board::Sim = self.board;
        let bus = RemoteBus::connect(&self.host)?;
        let patience = Patience { reply: Duration::from_secs(self.timeout), ..Patience::default() };
        let mut client = MailboxClient::new(bus, patience);
        let mut facts = Facts::new();
        let mut call = |command| client.call(&command).map_err(BoardError::from);
        match self.action {
            Action::Info => info(&Info::decode(&*call(Command::Info)?), &mut facts),
            Action::Alloc { pid, pages, huge, read_only, shareable } => {
                let size = if huge { PageSize::Huge } else { PageSize::Small };
                let permission = if read_only { Permission::RO } else { Permission::RW };
                let reply = call(Command::Alloc { pid, pages, size, permission, shareable })?;
                facts.add("pid", "Process", u64::from(pid), "");
                facts.add("address", "Address", format!("{:#x}", Address::decode(&reply).0), "");
                facts.add("bytes", "Size", u64::from(pages) * size.bytes(), "bytes");
            }
            Action::Free { pid, at, pages } => {
                call(Command::Free(Range { pid, va: at, pages }))?;
                facts.add("freed_pages", "Freed", u64::from(pages), "pages");
            }
            Action::Health => {
                health(&Health::decode(&*call(Command::Health)?), &mut facts);
                match call(Command::PostMortem) {
                    Ok(reply) => post_mortem(&reply, &mut facts),
                    // A monitor in the host, or an older one, has no such command.
                    Err(BoardError::Mailbox(MailboxError::Refused(ReturnCode::UnknownCommand))) => {
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Action::Events => events(&*call(Command::Events)?, &mut facts),
            Action::Reset { pid } => {
                call(Command::Drop { pid })?;
                facts.add("pid", "All memory given back of process", u64::from(pid), "");
            }
        }
        facts.print(self.json)
    }
}

fn info(info: &Info, facts: &mut Facts) {
    let version = format!("{}.{}", info.monitor_version >> 16, info.monitor_version & 0xffff);
    facts.add("monitor_version", "Memory monitor", version, "");
    let bytes = |frames: u32| u64::from(frames) * PageSize::Small.bytes();
    facts.add("memory_bytes", "Memory", bytes(info.frames_total), "bytes");
    facts.add("free_bytes", "  not promised to anybody", bytes(info.frames_free), "bytes");
    facts.add("buckets", "Page table", u64::from(info.buckets), "buckets");
    facts.add("mappings", "  entries", u64::from(info.mappings), "pages");
    facts.add("processes", "Processes with memory", u64::from(info.processes), "");
    facts.add("pa_bits", "Physical addresses", u64::from(info.pa_bits), "bits");
    let can = |capability: u32| info.capabilities & capability != 0;
    facts.add("memory_tested", "Memory was tested at the start", can(Info::MEMORY_TESTED), "");
    facts.add("recovers", "A restarted monitor loses nothing", can(Info::RECOVERS), "");
}

fn health(health: &Health, facts: &mut Facts) {
    let flag = |bit: u32| health.flags >> bit & 1 == 1;
    facts.add("frames_low", "Frames are low", flag(0), "");
    facts.add("table_full", "Page table is nearly full", flag(1), "");
    facts.add("uncorrectable", "Uncorrectable error seen", flag(2), "");
    facts.add("events_dropped", "Events were dropped", flag(3), "");
    let counts = [
        ("no_memory_events", "First writes without a frame", health.no_memory_events),
        ("uncorrectable_events", "Uncorrectable errors", health.uncorrectable_events),
        ("commands", "Commands", health.commands),
        ("commands_refused", "  refused", health.commands_refused),
        ("refills", "Refills of the free lists", health.refills),
        ("shootdowns", "Shootdowns", health.shootdowns),
        ("no_address", "Allocations without an address", health.no_address),
    ];
    for (key, label, count) in counts {
        facts.add(key, label, u64::from(count), "");
    }
    let longest = u64::from(health.shootdown_cycles_max);
    facts.add("shootdown_cycles_max", "Longest shootdown", longest, "cycles");
    facts.add("recovered", "Monitor took over a component in use", health.restarts == 1, "");
}

fn post_mortem(reply: &Payload, facts: &mut Facts) {
    let left = PostMortem::decode(reply);
    facts.add("starts", "Starts of the monitor since power-up", u64::from(left.starts), "");
    if left.kind == 0 {
        return;
    }
    let kind = match left.kind {
        1 => "panic",
        2 => "exception",
        _ => "no sign of life until the watchdog",
    };
    let start = usize::from(PostMortem::BYTES) / 4;
    let text: Vec<u8> =
        reply[start..start + POST_MORTEM_TEXT].iter().flat_map(|w| w.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned();
    facts.add("last_failure", "Last failure of the monitor", kind, "");
    let compartment = Compartment::from_number(left.compartment).map_or("?", Compartment::name);
    facts.add("last_failure_compartment", "  in", compartment, "");
    facts.add("last_failure_text", "  message", text, "");
    if left.kind == 2 {
        facts.add("last_failure_pc", "  at", format!("{:#010x}", left.pc), "");
        facts.add("last_failure_cause", "  mcause", u64::from(left.cause), "");
        facts.add("last_failure_value", "  mtval", format!("{:#010x}", left.value), "");
    }
    if left.kind == 1 {
        facts.add("last_failure_line", "  line", u64::from(left.value), "");
    }
}

fn events(reply: &Payload, facts: &mut Facts) {
    let count = reply[0].min(splitmem_abi::mailbox::EVENTS_PER_REPLY as u32);
    facts.add("events", "Events", u64::from(count), "");
    for (i, event) in reply[1..].chunks_exact(4).take(count as usize).enumerate() {
        let words = event.iter().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(" ");
        facts.add(EVENT_KEYS[i], format!("  {}", i + 1), words, "");
    }
}

/// Keys of the events of one reply.
const EVENT_KEYS: [&str; 15] = [
    "event_1", "event_2", "event_3", "event_4", "event_5", "event_6", "event_7", "event_8",
    "event_9", "event_10", "event_11", "event_12", "event_13", "event_14", "event_15",
];
