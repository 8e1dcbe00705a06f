//! Prints how many random requests a second the golden model answers over 1 GiB of mapped memory.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::config::HwConfig;
use splitmem_abi::geometry::{PageSize, LINE_BYTES, LINE_SHIFT};
use splitmem_abi::regs::{self, field, TableCommand};
use splitmem_abi::request::{Request, Status, FULL_MASK};
use splitmem_model::Model;
use std::time::Instant;

const BYTES: u64 = 1 << 30;
const PID: u16 = 7;
/// One slot in four of the table is used.
const TABLE_LOG2: u32 = 18;

fn main() -> Result<(), BusError> {
    for (size, base) in [(PageSize::Small, 0x40_0000_0000), (PageSize::Huge, 1 << 47)] {
        let mut model = set_up(size, base)?;
        let mut run = |name: &str, requests: u32, request: &mut dyn FnMut(u64) -> Request| {
            let mut random = SmallRng::seed_from_u64(1);
            let start = Instant::now();
            let mut ok = 0;
            for _ in 0..requests {
                let va = base + random.random_range(0..BYTES >> LINE_SHIFT) * LINE_BYTES as u64;
                ok += (model.request(0, &request(va)).status == Status::Ok) as u32;
            }
            let rate = requests as f64 / start.elapsed().as_secs_f64() / 1e6;
            println!("{size:?} pages, {name}: {rate:.1} M/s, {ok} of {requests} ok");
        };
        run("random writes, first pass", 4_000_000, &mut |va| {
            Request::write(0, PID, va, FULL_MASK, [va as u8; 64])
        });
        run("random reads", 10_000_000, &mut |va| Request::read(0, PID, va));
        run("random writes", 10_000_000, &mut |va| {
            Request::write(0, PID, va, FULL_MASK, [va as u8; 64])
        });
        run("random fetch-adds", 10_000_000, &mut |va| Request::fetch_add(0, PID, va, 1));
    }
    Ok(())
}

/// A component with 1 GiB mapped and as many frames pushed.
fn set_up(size: PageSize, base: u64) -> Result<Model, BusError> {
    let mut model = Model::new(HwConfig::LARGE);
    let mut monitor = model.monitor();
    let pages = (BYTES >> size.shift()) as u32;
    monitor.write(regs::TABLE_SIZE.offset, TABLE_LOG2)?;
    let huge = (size == PageSize::Huge) as u32;
    let mut frame = 1 << 18;
    let mut left = pages;
    while left > 0 {
        let count = left.min(0x8000);
        monitor.write(regs::ZERO_BASE.offset, frame)?;
        let push = field::ZERO_PUSH::COUNT.put(count) | field::ZERO_PUSH::HUGE.put(huge);
        monitor.write(regs::ZERO_PUSH.offset, push)?;
        frame += count * size.frames();
        left -= count;
    }
    monitor.write(regs::TE_PID.offset, PID as u32)?;
    monitor.write(regs::TE_VA_LO.offset, base as u32)?;
    monitor.write(regs::TE_VA_HI.offset, (base >> 32) as u32)?;
    monitor.write(regs::TE_COUNT.offset, pages)?;
    let rights = field::TE_FLAGS::READ.put(1) | field::TE_FLAGS::WRITE.put(1);
    monitor.write(regs::TE_FLAGS.offset, rights)?;
    monitor.write(regs::TE_COMMAND.offset, TableCommand::Insert as u32)?;
    assert_eq!(monitor.read(regs::TE_DONE.offset)?, pages);
    Ok(model)
}
