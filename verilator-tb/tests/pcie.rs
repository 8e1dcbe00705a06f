//! The Verilated PCIe endpoint before the Verilated component: registers, window, mailbox.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::pcie::{self, CompletionEntry, Descriptor, DmaOp, DmaStatus, Window};
use splitmem_abi::regs;
use splitmem_abi::request::Status;
use std::collections::HashMap;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::pcie::{BarRead, Board, HostMemory, Settings, Tlp, UNSUPPORTED};
use verilator_tb::{Component, Hw, Machine, MonitorOptions};

/// Host memory page by page.
#[derive(Default)]
struct Pages(HashMap<u64, Vec<u8>>);

impl HostMemory for Pages {
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        let at = (address & 4095) as usize;
        let Some(page) = self.0.get(&(address >> 12)) else { return false };
        data.copy_from_slice(&page[at..at + data.len()]);
        true
    }

    fn write(&mut self, address: u64, data: &[u8]) -> bool {
        let at = (address & 4095) as usize;
        let Some(page) = self.0.get_mut(&(address >> 12)) else { return false };
        page[at..at + data.len()].copy_from_slice(data);
        true
    }
}

fn board() -> Board<IdealMemory> {
    let dram = IdealMemory::new(LineStore::new(1 << 18, Fill::Noise(1)), 20);
    let component = Component::new(Hw::Small, dram).unwrap();
    Board::new(Machine::boot(component, MonitorOptions::default()).unwrap()).unwrap()
}

fn word(board: &mut Board<IdealMemory>, offset: u32) -> u32 {
    match board.read_bar(&mut Pages::default(), 0, u64::from(offset), 4).unwrap() {
        BarRead::Data(data) => u32::from_le_bytes(data.try_into().unwrap()),
        other => panic!("{other:?} at {offset:#x}"),
    }
}

#[test]
fn both_register_pages_answer() {
    let mut board = board();
    assert_eq!(word(&mut board, regs::ID.offset.into()), regs::ID_VALUE);
    let id = pcie::ENDPOINT_PAGE + u32::from(pcie::EP_ID.offset);
    assert_eq!(word(&mut board, id), pcie::EP_ID_VALUE);
}

#[test]
fn a_window_without_a_mapping_is_refused_and_a_closed_one_unsupported() {
    let mut board = board();
    let mut host = Pages::default();
    let refused = board.read_bar(&mut host, 2, 0, 8).unwrap();
    assert_eq!(refused, BarRead::Refused(UNSUPPORTED));
    let window = Window { pid: 3, read: true, write: true, va: 0x4000, pages: 1 };
    for (i, value) in window.words().into_iter().enumerate() {
        let at = u64::from(pcie::WINDOW_PAGE) + 4 * i as u64;
        board.write_bar(&mut host, 0, at, &value.to_le_bytes()).unwrap();
    }
    // The component has no such page.
    assert_eq!(board.read_bar(&mut host, 2, 0, 8).unwrap(), BarRead::Refused(4));
}

/// Every header's first dword is tried, with payloads that fit and that do not: the endpoint stays
/// within its contract (the board checks it), answers what must be answered, and goes on.
#[test]
fn malformed_tlps_leave_it_working() {
    let mut board = board();
    let mut host = Pages::default();
    let mut rng = SmallRng::seed_from_u64(5);
    for round in 0..3000 {
        let mut header: [u32; 4] = std::array::from_fn(|_| rng.random());
        if rng.random_bool(0.7) {
            // Mostly near what is right.
            header[0] = header[0] & 0xe000_c000 | rng.random_range(0..20);
            header[0] |= [0, 0, 0, 2, 4, 10, 12, 16][rng.random_range(0..8)] << 24;
        }
        let dwords = if rng.random_bool(0.5) {
            (header[0] & 0x3ff).min(40) as usize
        } else {
            rng.random_range(0..20)
        };
        let bar = rng.random_range(0..8);
        let data = (0..4 * dwords).map(|_| rng.random()).collect();
        // Not to the registers, whose values would do things.
        board.send(Tlp { header, bar: if bar == 0 { 2 } else { bar }, data });
        if round % 100 == 99 {
            board.settle(&mut host).unwrap();
            while board.take_completion().is_some() {}
            let id = pcie::ENDPOINT_PAGE + u32::from(pcie::EP_ID.offset);
            assert_eq!(word(&mut board, id), pcie::EP_ID_VALUE, "round {round}");
        }
    }
    let count = |board: &mut Board<_>, register: regs::Register| {
        word(board, pcie::ENDPOINT_PAGE + u32::from(register.offset))
    };
    assert!(count(&mut board, pcie::ERR_MALFORMED) > 100);
    assert!(count(&mut board, pcie::ERR_UNSUPPORTED) > 100);
    assert!(count(&mut board, pcie::ERR_UNEXPECTED) > 20);
}

/// Where the rings stand in the host's memory, and where there is none.
const SQ: u64 = 0;
const CQ: u64 = 0x1000;
const DATA: u64 = 0x2000;
const NOWHERE: u64 = 0x10_0000;
const RING_LOG2: u32 = 4;

fn set(board: &mut Board<IdealMemory>, host: &mut Pages, register: &regs::Register, value: u32) {
    let at = u64::from(pcie::ENDPOINT_PAGE) + u64::from(register.offset);
    board.write_bar(host, 0, at, &value.to_le_bytes()).unwrap();
}

/// Empty rings, and a timeout that is over soon.
fn begin(board: &mut Board<IdealMemory>, host: &mut Pages) {
    board.configure(Settings { bus_master: true, ..board.settings() });
    host.0.insert(CQ >> 12, vec![0; 4096]);
    for (register, value) in [
        (&pcie::SQ_BASE_LO, SQ as u32),
        (&pcie::CQ_BASE_LO, CQ as u32),
        (&pcie::RING_LOG2, RING_LOG2),
        (&pcie::TIMEOUT, 400),
        (&pcie::DMA_CONTROL, 1),
    ] {
        set(board, host, register, value);
    }
}

fn submit(board: &mut Board<IdealMemory>, host: &mut Pages, commands: &[Descriptor]) {
    for (i, command) in commands.iter().enumerate() {
        let at = SQ + (i * pcie::DESCRIPTOR_BYTES) as u64;
        assert!(host.write(at, &command.encode()));
    }
    // Not waited for: what comes meanwhile is the point.
    let tail = (commands.len() as u32).to_le_bytes();
    let doorbell = u64::from(pcie::ENDPOINT_PAGE) + u64::from(pcie::SQ_TAIL.offset);
    board.send(Tlp::memory(0, doorbell, tail.len(), 0, Some(&tail)));
}

/// The completion entries of so many commands, in the order in which they ended.
fn entries(board: &mut Board<IdealMemory>, host: &mut Pages, count: usize) -> Vec<CompletionEntry> {
    for _ in 0..200_000 {
        let found: Vec<_> = (0..count)
            .map(|i| {
                let mut bytes = [0; pcie::COMPLETION_BYTES];
                assert!(host.read(CQ + (i * pcie::COMPLETION_BYTES) as u64, &mut bytes));
                CompletionEntry::decode(&bytes)
            })
            .filter(|entry| entry.phase)
            .collect();
        if found.len() == count {
            return found;
        }
        board.tick(host);
    }
    panic!("not all of {count} commands end");
}

/// DMA from and to memory that there is and that there is not, while completions come that nobody asked
/// for, of any status, length and tag: every command ends, and after a reset everything is as before.
#[test]
fn every_command_ends_whatever_completions_come() {
    let mut board = board();
    let mut host = Pages((0..8).map(|page| (page, vec![0; 4096])).collect());
    let mut rng = SmallRng::seed_from_u64(6);
    let mut met = HashMap::new();
    for round in 0..30 {
        begin(&mut board, &mut host);
        let commands: Vec<Descriptor> = (0..12)
            .map(|id| Descriptor {
                op: if rng.random_bool(0.7) { DmaOp::Write } else { DmaOp::Read },
                list: false,
                id,
                pid: 1,
                lines: rng.random_range(1..=64),
                va: rng.random_range(0..16) << 12,
                host: if rng.random_bool(0.8) { DATA } else { NOWHERE },
                operand: u64::MAX,
                expected: 0,
            })
            .collect();
        submit(&mut board, &mut host, &commands);
        for _ in 0..rng.random_range(0..80) {
            let dwords = if rng.random_bool(0.7) { 16 } else { rng.random_range(0..40u32) };
            let status = [0, 0, 0, 1, 4, 7][rng.random_range(0..6)];
            let poison = u32::from(rng.random_bool(0.5));
            let tag = rng.random_range(0..40u32);
            board.send(Tlp {
                header: [
                    2 << 29 | 10 << 24 | poison << 14 | dwords,
                    status << 13 | 64,
                    tag << 8,
                    0,
                ],
                bar: 0,
                data: (0..4 * dwords).map(|_| rng.random()).collect(),
            });
            for _ in 0..rng.random_range(0..20) {
                board.tick(&mut host);
            }
        }
        for entry in entries(&mut board, &mut host, commands.len()) {
            assert!(DmaStatus::from_code(entry.status).is_some(), "round {round}: {entry:?}");
            *met.entry(entry.status).or_insert(0) += 1;
        }
        board.reset(&mut host).unwrap();
        while board.take_completion().is_some() {}
    }
    println!("{met:?}");
    let not_mapped = Status::NotMapped as u8;
    for code in
        [not_mapped, DmaStatus::HOST_REFUSED, DmaStatus::HOST_POISONED, DmaStatus::HOST_TIMEOUT]
    {
        assert!(met.contains_key(&code), "{code:#x} was not met: {met:?}");
    }

    begin(&mut board, &mut host);
    let command = |id, op, host| Descriptor {
        op,
        list: false,
        id,
        pid: 1,
        lines: if op == DmaOp::Nop { 0 } else { 64 },
        va: 0,
        host,
        operand: u64::MAX,
        expected: 0,
    };
    let commands = [
        command(1, DmaOp::Nop, 0),
        command(2, DmaOp::Read, DATA),
        command(3, DmaOp::Write, DATA),
        command(4, DmaOp::Write, NOWHERE),
    ];
    submit(&mut board, &mut host, &commands);
    let mut ended: Vec<_> =
        entries(&mut board, &mut host, 4).iter().map(|entry| (entry.id, entry.status)).collect();
    ended.sort_unstable();
    let refused = DmaStatus::HOST_REFUSED;
    assert_eq!(ended, [(1, 0), (2, not_mapped), (3, not_mapped), (4, refused)]);
}
