//! A host at the component's own registers and request port, while somebody does the monitor's work.

use crate::world::World;
use splitmem_abi::geometry::PageSize;
use splitmem_abi::mailbox::{Address, Command, Payload, Permission, Range, ReturnCode};
use splitmem_abi::regs::{self, field, MAILBOX_WORDS};
use splitmem_abi::request::{Request, Status, FULL_MASK};

/// Whoever does the monitor's work.
pub trait Mind {
    /// A bit of it; simulated time passes.
    fn step(&mut self);
}

/// Lets the monitor work until `over`.
pub fn serve(world: &World, mind: &mut impl Mind, mut over: impl FnMut(&World) -> bool) {
    let patience = world.cycles() + 40_000_000;
    while !over(world) {
        assert!(world.cycles() < patience, "the monitor does not come to an end");
        mind.step();
    }
}

/// A command through the mailbox.
fn call(world: &World, mind: &mut impl Mind, command: Command) -> (ReturnCode, Payload) {
    let mut payload = [0; MAILBOX_WORDS];
    let (opcode, length) = command.encode(&mut payload);
    for (i, word) in (0..).zip(&payload[..usize::from(length) / 4]) {
        world.host_write(regs::MB_PAYLOAD.at(i), *word);
    }
    let header =
        field::MB_COMMAND::OPCODE.put(opcode.into()) | field::MB_COMMAND::LENGTH.put(length.into());
    world.host_write(regs::MB_COMMAND.offset, header);
    world.host_write(regs::MB_DOORBELL.offset, 1);
    serve(world, mind, |world| world.host_read(regs::MB_DOORBELL.offset) == 0);
    let status = world.host_read(regs::MB_STATUS.offset);
    for (i, word) in (0..).zip(&mut payload) {
        *word = world.host_read(regs::MB_PAYLOAD.at(i));
    }
    let code = field::MB_STATUS::CODE.get(status) as u16;
    (ReturnCode::from_code(code).unwrap(), payload)
}

fn alloc(world: &World, mind: &mut impl Mind, pid: u16, pages: u32) -> u64 {
    let (size, permission) = (PageSize::Small, Permission::RW);
    let start = world.cycles();
    let command = Command::Alloc { pid, pages, size, permission, shareable: false };
    let (code, payload) = call(world, mind, command);
    assert_eq!(code, ReturnCode::Success);
    println!("alloc of {pages} pages: {} cycles", world.cycles() - start);
    Address::decode(&payload).0
}

/// A request at port 0, while the monitor goes on with its work.
fn request(world: &World, mind: &mut impl Mind, request: Request) -> (Status, [u8; 64]) {
    world.send(request);
    let mut answer = None;
    serve(world, mind, |world| {
        world.pass(8);
        answer = answer.or(world.receive());
        answer.is_some()
    });
    let response = answer.unwrap().response;
    (response.status, response.data)
}

/// A first write. It may find the hardware's list of free frames empty, if the monitor is slower than
/// the host; then it has changed nothing, and is made again when the monitor did some work.
fn write(world: &World, mind: &mut impl Mind, first: Request) {
    let patience = world.cycles() + 40_000_000;
    loop {
        match request(world, mind, first).0 {
            Status::Ok => return,
            Status::NoMemory => mind.step(),
            other => panic!("{first:?}: {other:?}"),
        }
        assert!(world.cycles() < patience, "the monitor does not refill the list");
    }
}

/// Allocates memory, writes all of its pages and reads them, frees it, and finds what another process
/// gets of it cleared. The other process's pages stay.
pub fn uses_memory(world: &World, mind: &mut impl Mind, pages: u32) {
    let va = alloc(world, mind, 7, pages);
    for page in 0..u64::from(pages) {
        let data = [page as u8; 64];
        write(world, mind, Request::write(1, 7, va + page * 4096, FULL_MASK, data));
    }
    for page in 0..u64::from(pages) {
        let read = request(world, mind, Request::read(2, 7, va + page * 4096));
        assert_eq!(read, (Status::Ok, [page as u8; 64]), "page {page}");
    }
    let range = Range { pid: 7, va, pages };
    assert_eq!(call(world, mind, Command::Free(range)).0, ReturnCode::Success);
    assert_ne!(call(world, mind, Command::Free(range)).0, ReturnCode::Success);
    assert_eq!(request(world, mind, Request::read(3, 7, va)).0, Status::NotMapped);

    let va = alloc(world, mind, 8, pages);
    for page in 0..u64::from(pages) {
        let at = va + page * 4096;
        write(world, mind, Request::write(1, 8, at, 1, [1; 64]));
        let read = request(world, mind, Request::read(2, 8, at + 64));
        assert_eq!(read, (Status::Ok, [0; 64]), "page {page}");
    }
}
