//! The Verilated component does what its pins promise, seen through [`Component`].

use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::regs::{self, field, TableCommand};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::{Answer, Component, Hw, RawRequest, Side, Stalls};

type Dut = Component<IdealMemory>;

const PID: u16 = 7;
const PAGE: u64 = 0x40_0000;
const HUGE: u64 = 1 << 47;

fn memory() -> IdealMemory {
    IdealMemory::new(LineStore::new(1 << 19, Fill::Noise(3)), 20)
}

/// Table in the first frame, 4 KiB frames from 16 on, one 2 MiB frame at 512; one page of each size
/// for [`PID`].
fn set_up(dut: &mut Dut) {
    let clear = [0; 64];
    for line in 0..64 {
        verilator_tb::dram::LineMemory::store_mut(dut.memory_mut()).write_line(line, &clear);
    }
    let mut bus = dut.bus(Side::Monitor);
    for (base, push) in [(16, 32), (512, 1 | field::ZERO_PUSH::HUGE.mask())] {
        bus.write(regs::ZERO_BASE.offset, base).unwrap();
        bus.write(regs::ZERO_PUSH.offset, push).unwrap();
    }
    for va in [PAGE, HUGE] {
        let rights = field::TE_FLAGS::READ.mask() | field::TE_FLAGS::WRITE.mask();
        let writes = [
            (regs::TE_PID, PID.into()),
            (regs::TE_VA_LO, va as u32),
            (regs::TE_VA_HI, (va >> 32) as u32),
            (regs::TE_COUNT, 1),
            (regs::TE_FLAGS, rights),
            (regs::TE_COMMAND, TableCommand::Insert as u32),
        ];
        for (register, value) in writes {
            bus.write(register.offset, value).unwrap();
        }
        while bus.read(regs::TE_STATUS.offset).unwrap() != 0 {}
    }
    bus.write(regs::CONTROL.offset, field::CONTROL::ENABLE.mask()).unwrap();
}

fn answer(dut: &mut Dut, port: usize, request: impl Into<RawRequest>) -> Answer {
    dut.port(port).send(request);
    for _ in 0..200_000 {
        dut.tick();
        if let Some(answer) = dut.port(port).receive() {
            return answer;
        }
    }
    panic!("no answer");
}

#[test]
fn registers_answer_both_sides() {
    for hw in Hw::ALL {
        let mut dut = Component::new(hw, memory()).unwrap();
        assert_eq!(dut.bus(Side::Monitor).read(regs::ID.offset), Ok(regs::ID_VALUE));
        assert_eq!(dut.bus(Side::Host).read(regs::VERSION.offset), Ok(regs::VERSION_VALUE));
        let offset = regs::TABLE_BASE.offset;
        assert_eq!(dut.bus(Side::Host).read(offset), Err(BusError::Denied { offset }));
        dut.bus(Side::Monitor).write(offset, 0x1234).unwrap();
        assert_eq!(dut.bus(Side::Monitor).read(offset), Ok(0x1234));
    }
}

#[test]
fn both_page_sizes_fault_in_zeroed_frames() {
    for hw in Hw::ALL {
        let mut dut = Component::new(hw, memory()).unwrap();
        set_up(&mut dut);
        for (port, page) in [(0, PAGE), (1, HUGE)] {
            let mut data = [0; 64];
            data[5] = 0x55;
            let read = answer(&mut dut, port, Request::read(1, PID, page + 64));
            assert_eq!((read.response.status, read.response.data), (Status::Ok, [0; 64]));
            let write =
                answer(&mut dut, port, Request::write(2, PID, page + 64, 1 << 5, [0x55; 64]));
            assert_eq!((write.response.status, write.response.data), (Status::Ok, [0; 64]));
            let read = answer(&mut dut, 1 - port, Request::read(3, PID, page + 64));
            assert_eq!((read.response.tag, read.response.data), (3, data));
            let next = answer(&mut dut, port, Request::read(4, PID, page + 128));
            assert_eq!((next.response.status, next.response.data), (Status::Ok, [0; 64]));
            let other = answer(&mut dut, port, Request::read(5, PID + 1, page + 64));
            assert_eq!((other.response.status, other.response.data), (Status::NotMapped, [0; 64]));
        }
        let bad = RawRequest { op: 5, ..Request::read(6, PID, PAGE).into() };
        assert_eq!(answer(&mut dut, 0, bad).response.status, Status::BadRequest);
    }
}

#[test]
fn the_same_seed_gives_the_same_cycles() {
    let run = |seed| {
        let mut dut = Component::new(Hw::Small, memory()).unwrap();
        set_up(&mut dut);
        dut.stall(seed, Stalls::all(0.3));
        for i in 0..100u64 {
            let va = PAGE + i % 64 * 64;
            dut.port(0).send(Request::write(i as u16, PID, va, FULL_MASK, [i as u8; 64]));
            dut.port(1).send(Request::fetch_add(i as u16, PID, va + 8, i));
        }
        let mut answers = Vec::new();
        while !(dut.port(0).is_idle() && dut.port(1).is_idle()) {
            dut.tick();
            for port in 0..2 {
                answers.extend(dut.port(port).receive());
            }
        }
        assert_eq!(answers.len(), 200);
        (dut.cycle(), answers)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_trace_is_whole_after_the_component_is_gone() {
    let folder = std::env::temp_dir().join(format!("splitmem-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("run.fst");
    let mut dut = Component::traced(Hw::Small, memory(), &path).unwrap();
    set_up(&mut dut);
    answer(&mut dut, 0, Request::read(1, PID, PAGE));
    let cycles = dut.cycle();
    drop(dut);
    let bytes = std::fs::read(&path).unwrap();
    // FST begins with a header block of 329 bytes (type 0); a whole file's header has an end time.
    assert_eq!((bytes[0], bytes[8]), (0, 73));
    // Two samples a cycle.
    let end = u64::from_be_bytes(bytes[17..25].try_into().unwrap());
    assert_eq!(end, 2 * cycles - 1);
    std::fs::remove_dir_all(&folder).unwrap();

    let error = Component::traced(Hw::Small, memory(), &path).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("run.fst"), "{error}");
    let mut untraced = Component::new(Hw::Small, memory()).unwrap();
    assert!(untraced.start_trace(&std::env::temp_dir().join("never")).is_err());
}
