//! The driver over the PCIe endpoint: the rings in this process, and through a vfio-user server.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use assert_cmd::Command;
use pcomponent_driver::backend::pcie::vfio_user::{ConnectError, VfioUserDevice};
use pcomponent_driver::backend::pcie::PcieTransport;
use pcomponent_driver::config::ExCacheConfig;
use pcomponent_driver::transport::{Submission, Transport, TransportError, Work};
use pcomponent_driver::RemoteMemory;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::request::{Op, Status};
use splitmem_cli::machine::pcie_board::BoardDevice;
use verilator_tb::dram::{Fill, IdealMemory, LineStore};
use verilator_tb::pcie::{serve, Board, Event, ServeError};
use verilator_tb::{Component, Hw, Machine, MonitorOptions};

fn board(hw: Hw) -> Board<IdealMemory> {
    let dram = IdealMemory::new(LineStore::new(1 << 18, Fill::Noise(1)), 20);
    let machine = Machine::boot(Component::new(hw, dram).unwrap(), MonitorOptions::default());
    Board::new(machine.unwrap()).unwrap()
}

/// Writes and reads at random places, against an array.
fn check_random(memory: &RemoteMemory, seed: u64, accesses: usize) {
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let slice = memory.alloc::<u64>(96 * 512).unwrap();
    let mut local = vec![0u64; slice.len()];
    for _ in 0..accesses {
        let i = rng.random_range(0..local.len());
        if rng.random_bool(0.5) {
            local[i] = rng.random();
            slice.set(i, local[i]).unwrap();
        } else {
            assert_eq!(slice.get(i).unwrap(), local[i], "element {i}");
        }
    }
    memory.flush().unwrap();
    for (i, wanted) in local.iter().enumerate().step_by(7) {
        assert_eq!(slice.get(i).unwrap(), *wanted, "element {i} at the end");
    }
}

#[test]
fn excache_over_the_rings() {
    let transport = PcieTransport::start(BoardDevice::new(board(Hw::Small), None)).unwrap();
    // 64 frames for 96 pages: it evicts all the time.
    let memory = RemoteMemory::connect(transport, 7, ExCacheConfig::with_bytes(64 * 4096)).unwrap();
    check_random(&memory, 3, 400);
}

#[test]
fn lines_atomics_and_refusals() {
    let mut transport = PcieTransport::start(BoardDevice::new(board(Hw::Small), None)).unwrap();
    let mut run = |pid, va, work| {
        let mut batch = VecDeque::from([Submission { id: 5, pid, va, work }]);
        transport.submit(&mut batch)?;
        let mut done = Vec::new();
        transport.poll(&mut done, true)?;
        Ok::<_, TransportError>(done.remove(0))
    };
    // Nobody has allocated anything.
    let nothing = run(9, 0x4000, Work::ReadPage).unwrap();
    assert_eq!((nothing.status, nothing.data.len()), (Status::NotMapped, 0));
    let atomic = Work::Atomic { op: Op::FetchAdd, operand: 1, expected: 0 };
    assert_eq!(run(9, 0x4008, atomic).unwrap().status, Status::NotMapped);
    let line = Work::WriteLine { data: Box::new([1; 64]), mask: 3 };
    assert_eq!(run(9, 0x4040, line).unwrap().status, Status::NotMapped);
    assert!(matches!(run(9, 0x4008, Work::ReadLine), Err(TransportError::BadSubmission(_))));
}

fn socket(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[test]
fn a_process_beyond_a_socket() {
    let (_folder, path) = socket("board");
    let (tell, told) = mpsc::channel();
    let server = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut gone = 0;
            serve(&path, board(Hw::Small), |event| match event {
                Event::Listening => tell.send(()).is_ok(),
                Event::Gone(_) => {
                    gone += 1;
                    gone < 3
                }
            })
            .map(drop)
        })
    };
    told.recv().unwrap();
    // A second server does not take the place of the first.
    let second = serve(&path, board(Hw::Small), |_| false).map(drop);
    // Its look at the socket counted as a client that went at once.
    assert!(matches!(second, Err(ServeError::InUse(_))), "{second:?}");

    // One client goes with commands in flight.
    let mut transport = PcieTransport::start(VfioUserDevice::connect(&path).unwrap()).unwrap();
    let submission = Submission { id: 1, pid: 1, va: 0x5000, work: Work::ReadPage };
    transport.submit(&mut VecDeque::from([submission])).unwrap();
    drop(transport);

    // The next one works, and survives a reset of the device.
    let mut device = VfioUserDevice::connect(&path).unwrap();
    device.reset().unwrap();
    let transport = PcieTransport::start(device).unwrap();
    let memory = RemoteMemory::connect(transport, 7, ExCacheConfig::with_bytes(64 * 4096)).unwrap();
    let start = Instant::now();
    check_random(&memory, 4, 200);
    println!("200 accesses and a flush: {:?}", start.elapsed());
    drop(memory);
    server.join().unwrap().unwrap();
    assert!(!path.exists(), "the socket was taken away");
    let nobody = VfioUserDevice::connect(&path).map(drop);
    assert!(matches!(nobody, Err(ConnectError::Connect { .. })), "{nobody:?}");
}

#[test]
fn misses_through_the_socket_are_measured() {
    let output = Command::cargo_bin("splitmem")
        .unwrap()
        .args(["latency", "--port", "vfio-user", "--json"])
        .assert()
        .success();
    let facts: serde_json::Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let number = |key: &str| facts[key].as_f64().unwrap_or_else(|| panic!("{key} in {facts}"));
    // One touch in four hits.
    for count in ["vfio_user_miss_count", "vfio_user_miss_dirty_count"] {
        assert!((1300.0..1700.0).contains(&number(count)), "{count} in {facts}");
    }
    // A page is 64 lines, and none comes faster than one a cycle.
    assert!((64.0..1000.0).contains(&number("vfio_user_page_cycles")), "{facts}");
    assert!(number("vfio_user_miss_us_p50") > 0.0, "{facts}");
}
