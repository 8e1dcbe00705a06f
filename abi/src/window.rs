//! The request window: native requests through registers, one at a time.
//!
//! The microprogrammed component has no request port: it is as wide as a register access. Whoever
//! relays requests to it (a microcontroller beside the FPGA) writes a request here, sets it off with
//! [`RQ_GO`], looks at [`RQ_STATUS`] until it is answered, and reads the answer. The registers stand
//! on the host's side of the register map, behind those of [`crate::regs`].
//!
//! While a request waits or is under way, writes to the window are denied.

use crate::bus::{BusError, RegisterBus};
use crate::regs::{registers, Access, Field, Register, Reset};
use crate::request::{Line, Request, Response, Status};

registers! {
    /// Process of the request.
    RQ_PID[1] @ 0x300: None / Rw = Reset::Value(0);
    { PID 0 + 16: "Process" }
    /// Low half of its virtual address.
    RQ_VA_LO[1] @ 0x304: None / Rw = Reset::Value(0);
    /// High half of its virtual address.
    RQ_VA_HI[1] @ 0x308: None / Rw = Reset::Value(0);
    { VA 0 + 16: "va[47:32]" }
    /// What it does, and its name.
    RQ_HEAD[1] @ 0x30C: None / Rw = Reset::Value(0);
    {
        OP 8 + 3: "Op code, see `request::Op`",
        TAG 16 + 16: "The requester's own name for it"
    }
    /// Bytes that a write changes, the first 32 of the line.
    RQ_MASK_LO[1] @ 0x310: None / Rw = Reset::Value(0);
    /// Bytes that a write changes, the last 32 of the line.
    RQ_MASK_HI[1] @ 0x314: None / Rw = Reset::Value(0);
    /// Any write sets the request off. It waits until the monitor has set `CONTROL.ENABLE`.
    RQ_GO[1] @ 0x318: None / Wo = Reset::Value(0);
    { GO 0 + 1: "Not looked at" }
    /// State of the request.
    RQ_STATUS[1] @ 0x31C: None / Ro = Reset::Value(0);
    {
        BUSY 0 + 1: "It is not answered yet",
        STATUS 1 + 3: "What it was answered with, see `request::Status`",
        TAG 16 + 16: "Its tag"
    }
    /// Data of a write, or operands of an atomic, when written; the answer's data, zeros where it
    /// has none, when read.
    RQ_DATA[16] @ 0x340: None / Rw = Reset::Value(0);
}

/// Set in a register's offset, it is the host's side that is accessed, where both sides share a bus: on
/// boards on which a microcontroller is monitor and relay. No register has it in its own offset.
pub const HOST_SIDE: u16 = 1;

/// The host's side of a bus that both sides share: see [`HOST_SIDE`].
#[derive(Clone, Copy, Debug)]
pub struct HostSide<B>(pub B);

impl<B: RegisterBus> RegisterBus for HostSide<B> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.0.read(offset | HOST_SIDE).map_err(|error| error.at(offset))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.0.write(offset | HOST_SIDE, value).map_err(|error| error.at(offset))
    }
}

/// The words to write for a request: a register's offset and its value. Words that a request of its
/// kind does not use are left out; [`RQ_GO`] is the last.
pub fn writes(request: &Request) -> impl Iterator<Item = (u16, u32)> + '_ {
    use crate::request::Op;
    let Request { op, tag, pid, va, mask, .. } = *request;
    let data = match op {
        Op::Read => 0,
        Op::Write => 16,
        Op::FetchAdd => 2,
        Op::CompareSwap => 4,
    };
    let masks = [(RQ_MASK_LO.offset, mask as u32), (RQ_MASK_HI.offset, (mask >> 32) as u32)];
    let word = |i: u16| {
        let at = 4 * i as usize;
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&request.data[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    [
        (RQ_HEAD.offset, field::RQ_HEAD::OP.put(op as u32) | field::RQ_HEAD::TAG.put(tag as u32)),
        (RQ_PID.offset, pid as u32),
        (RQ_VA_LO.offset, va as u32),
        (RQ_VA_HI.offset, (va >> 32) as u32),
    ]
    .into_iter()
    .chain(masks.into_iter().filter(move |_| op == Op::Write))
    .chain((0..data).map(move |i| (RQ_DATA.at(i), word(i))))
    .chain([(RQ_GO.offset, 1)])
}

/// What [`RQ_STATUS`] tells: the answer without its data, or nothing yet. `None` too for a status that
/// there is not.
pub fn answer(rq_status: u32) -> Option<Response> {
    if field::RQ_STATUS::BUSY.get(rq_status) == 1 {
        return None;
    }
    let status = Status::from_code(field::RQ_STATUS::STATUS.get(rq_status) as u8)?;
    let tag = field::RQ_STATUS::TAG.get(rq_status) as u16;
    let data: Line = [0; crate::geometry::LINE_BYTES];
    Some(Response { tag, status, data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regs;

    #[test]
    fn the_window_stands_beside_the_components_registers() {
        for ours in ALL {
            let end = ours.at(ours.count);
            let apart =
                |other: &Register| end <= other.offset || other.at(other.count) <= ours.offset;
            assert!(regs::ALL.iter().all(apart), "{}", ours.name);
        }
    }

    #[test]
    fn a_request_is_written_as_far_as_it_goes() {
        let written = |request| writes(&request).map(|(offset, _)| offset).collect::<Vec<_>>();
        assert_eq!(written(Request::read(1, 2, 64)), [0x30c, 0x300, 0x304, 0x308, 0x318]);
        assert_eq!(written(Request::write(1, 2, 64, 3, [7; 64])).len(), 4 + 2 + 16 + 1);
        let request = Request::compare_swap(0x1234, 2, 8, 5 << 32, 9);
        let words: Vec<_> = writes(&request).collect();
        assert_eq!(words[0], (RQ_HEAD.offset, 0x1234_0300));
        assert_eq!(words[4..8], [(0x340, 9), (0x344, 0), (0x348, 0), (0x34c, 5)]);
    }

    #[test]
    fn only_an_answered_request_has_an_answer() {
        assert_eq!(answer(0xffff_0001), None);
        assert_eq!(answer(0x0012_000e), None);
        let answer = answer(0x0012_0002).unwrap();
        assert_eq!((answer.tag, answer.status), (0x12, Status::NotMapped));
    }
}
