//! The component and the real memory monitor, through the host's registers and the request ports.

use splitmem_abi::bus::RegisterBus;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Payload, Permission, ReturnCode};
use splitmem_abi::regs::{self, field, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::{Component, Hw, Machine, MonitorOptions, MonitorPlace};

type Dut = Machine<IdealMemory>;

const PLACES: [MonitorPlace; 2] = [MonitorPlace::Host, MonitorPlace::Firmware];

fn boot(hw: Hw, place: MonitorPlace) -> Dut {
    let mut options = MonitorOptions { place, ..MonitorOptions::default() };
    options.config.frames = Some(8192);
    let memory = IdealMemory::new(LineStore::new(8192 << 6, Fill::Noise(1)), 10);
    Machine::boot(Component::new(hw, memory).unwrap(), options).unwrap()
}

fn command(dut: &mut Dut, command: Command) -> (ReturnCode, Payload) {
    let mut payload = [0; MAILBOX_WORDS];
    let (opcode, length) = command.encode(&mut payload);
    let mut host = dut.host();
    for (i, word) in payload.iter().take(usize::from(length).div_ceil(4)).enumerate() {
        host.write(regs::MB_PAYLOAD.at(i as u16), *word).unwrap();
    }
    let header =
        field::MB_COMMAND::OPCODE.put(opcode.into()) | field::MB_COMMAND::LENGTH.put(length.into());
    host.write(regs::MB_COMMAND.offset, header).unwrap();
    host.write(regs::MB_DOORBELL.offset, 1).unwrap();
    while host.read(regs::MB_DOORBELL.offset).unwrap() != 0 {}
    let status = host.read(regs::MB_STATUS.offset).unwrap();
    for (i, word) in payload.iter_mut().enumerate() {
        *word = host.read(regs::MB_PAYLOAD.at(i as u16)).unwrap();
    }
    let code = field::MB_STATUS::CODE.get(status) as u16;
    (ReturnCode::from_code(code).unwrap(), payload)
}

fn alloc(dut: &mut Dut, pid: u16, pages: u32, size: PageSize) -> u64 {
    let permission = Permission::RW;
    let (code, payload) =
        command(dut, Command::Alloc { pid, pages, size, permission, shareable: false });
    assert_eq!(code, ReturnCode::Success);
    Address::decode(&payload).0
}

fn answer(dut: &mut Dut, request: Request) -> (Status, [u8; 64]) {
    dut.port(0).send(request);
    for _ in 0..200_000 {
        dut.tick();
        if let Some(answer) = dut.port(0).receive() {
            return (answer.response.status, answer.response.data);
        }
    }
    panic!("no answer; monitor: {:?}", dut.monitor_failure());
}

#[test]
fn the_monitor_allocates_frees_and_refills() {
    for (hw, place) in Hw::ALL.into_iter().flat_map(|hw| PLACES.map(|place| (hw, place))) {
        let mut dut = boot(hw, place);
        // More first writes than the free list is deep: the monitor must refill it.
        let pages = 3 * hw.config().free_4k;
        let va = alloc(&mut dut, 7, pages, PageSize::Small);
        for page in 0..u64::from(pages) {
            let write = Request::write(1, 7, va + page * 4096, FULL_MASK, [page as u8; 64]);
            assert_eq!(answer(&mut dut, write).0, Status::Ok, "page {page}");
        }
        for page in 0..u64::from(pages) {
            let read = Request::read(2, 7, va + page * 4096);
            assert_eq!(answer(&mut dut, read), (Status::Ok, [page as u8; 64]), "page {page}");
        }
        let range = splitmem_abi::mailbox::Range { pid: 7, va, pages };
        assert_eq!(command(&mut dut, Command::Free(range)).0, ReturnCode::Success);
        assert_eq!(answer(&mut dut, Request::read(3, 7, va)).0, Status::NotMapped);

        // Frames of the freed range come back cleared.
        let va = alloc(&mut dut, 8, pages, PageSize::Small);
        for page in 0..u64::from(pages) {
            let write = Request::write(1, 8, va + page * 4096, 1, [1; 64]);
            assert_eq!(answer(&mut dut, write).0, Status::Ok, "page {page}");
            let read = Request::read(2, 8, va + page * 4096 + 64);
            assert_eq!(answer(&mut dut, read), (Status::Ok, [0; 64]), "page {page}");
        }
        assert_eq!(dut.monitor_failure(), None);
    }
}

#[test]
fn the_same_calls_take_the_same_cycles() {
    let run = |place| {
        let mut dut = boot(Hw::Small, place);
        let va = alloc(&mut dut, 7, 100, PageSize::Small);
        for page in 0..100 {
            answer(&mut dut, Request::write(1, 7, va + page * 4096, FULL_MASK, [1; 64]));
        }
        dut.cycle()
    };
    for place in PLACES {
        assert_eq!(run(place), run(place), "{place}");
    }
}
