//! The Verilated PCIe endpoint before the Verilated component: registers, window, mailbox.

use splitmem_abi::pcie::{self, Window};
use splitmem_abi::regs;
use std::collections::HashMap;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::pcie::{BarRead, Board, HostMemory, Tlp, UNSUPPORTED};
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
    let mut rng = rand::rngs::SmallRng::seed_from_u64(5);
    use rand::{Rng, SeedableRng};
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
