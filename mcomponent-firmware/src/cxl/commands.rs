//! The commands of the CXL mailbox.

use splitmem_abi::bus::BusError;
use splitmem_abi::cxl::{
    self, Window, WordBus, APERTURE, PAYLOAD_BYTES, POISON_ENTRIES, WINDOWS, WINDOW_SHIFT,
};

use super::log::DEPTH;
use super::{CxlAgent, Platform};

/// Return codes (CXL 3.1, table 8-34).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
enum Code {
    InvalidInput = 2,
    Unsupported = 3,
    Internal = 4,
    InvalidHandle = 0xe,
    InvalidAddress = 0xf,
    InjectLimit = 0x10,
    InvalidLength = 0x16,
    InvalidLog = 0x17,
}

/// Bytes of an answer, or why there is none.
type Answer = Result<usize, Code>;

/// What commands do, for the Command Effects Log: opcode, effect (bit 1 configuration, bit 2 data,
/// bit 3 policy, bit 4 log).
const EFFECTS: [(u16, u16); 17] = [
    (0x0100, 0),
    (0x0101, 1 << 4),
    (0x0102, 0),
    (0x0103, 1 << 3),
    (0x0300, 0),
    (0x0301, 1 << 3),
    (0x0400, 0),
    (0x0401, 0),
    (0x4000, 0),
    (0x4100, 0),
    (0x4200, 0),
    (0x4300, 0),
    (0x4301, 1 << 2),
    (0x4302, 1 << 2),
    (0x4400, 1 << 2),
    (0xc000, 1 << 2),
    (0xc001, 0),
];

/// Command Effects Log, 0da9c0b5-bf41-4b78-8f79-96b1623b3f17.
const EFFECTS_UUID: [u8; 16] = [
    0x0d, 0xa9, 0xc0, 0xb5, 0xbf, 0x41, 0x4b, 0x78, 0x8f, 0x79, 0x96, 0xb1, 0x62, 0x3b, 0x3f, 0x17,
];
const EFFECTS_BYTES: usize = 4 * EFFECTS.len();

const FIRMWARE: &[u8] = b"splitmem 0.1";
/// CXL tells capacity in these.
const UNIT: u64 = 256 << 20;

/// Media states of the memory device's status.
const MEDIA_DISABLED: u32 = 3 << 2;

impl CxlAgent {
    /// Answers the command that stands in the mailbox.
    pub(super) fn serve(
        &mut self,
        bus: &mut impl WordBus,
        platform: &mut impl Platform,
    ) -> Result<(), BusError> {
        let low = bus.read_word(cxl::MAILBOX_COMMAND)?;
        let high = bus.read_word(cxl::MAILBOX_COMMAND + 4)?;
        let opcode = low as u16;
        let length = (low >> 16 | (high & 0x1f) << 16) as usize;
        let mut payload = [0; PAYLOAD_BYTES];
        let answer = if length > PAYLOAD_BYTES {
            Err(Code::InvalidLength)
        } else {
            let words = payload.chunks_exact_mut(4).take(length.div_ceil(4));
            for (i, word) in (0..).zip(words) {
                let value = bus.read_word(cxl::MAILBOX_PAYLOAD + 4 * i)?;
                word.copy_from_slice(&value.to_le_bytes());
            }
            self.execute(bus, platform, opcode, length, &mut payload)?
        };
        let (code, bytes) = match answer {
            Ok(bytes) => (0, bytes),
            Err(code) => (code as u32, 0),
        };
        for (i, word) in (0..).zip(payload.chunks_exact(4).take(bytes.div_ceil(4))) {
            let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            bus.write_word(cxl::MAILBOX_PAYLOAD + 4 * i, value)?;
        }
        bus.write_word(cxl::MAILBOX_COMMAND, u32::from(opcode) | (bytes as u32) << 16)?;
        bus.write_word(cxl::MAILBOX_COMMAND + 4, 0)?;
        bus.write_word(cxl::MAILBOX_STATUS, 0)?;
        bus.write_word(cxl::MAILBOX_STATUS + 4, code)?;
        self.serviced += 1;
        bus.write_word(cxl::MAILBOX_CONTROL, 0)
    }

    fn execute(
        &mut self,
        bus: &mut impl WordBus,
        platform: &mut impl Platform,
        opcode: u16,
        length: usize,
        p: &mut [u8; PAYLOAD_BYTES],
    ) -> Result<Answer, BusError> {
        let wanted = match opcode {
            0x0100 => 1..=1,
            0x0101 => 6..=6 + 2 * 255,
            0x0103 => 4..=5,
            0x0301 => 8..=8,
            0x0401 => 24..=24,
            0x4300 => 16..=16,
            0x4301 => 8..=8,
            0x4302 => 72..=72,
            0xc000 => 32..=32,
            0xc001 => 4..=4,
            _ => 0..=0,
        };
        if !EFFECTS.iter().any(|(known, _)| *known == opcode) {
            return Ok(Err(Code::Unsupported));
        }
        if !wanted.contains(&length) {
            return Ok(Err(Code::InvalidLength));
        }
        Ok(match opcode {
            0x0100 => {
                let log = p[0];
                self.logs.get(log, p).ok_or(Code::InvalidInput)
            }
            0x0101 => {
                let answer = self.clear_events(length, p);
                bus.write_word(cxl::EVENT_STATUS, self.logs.status())?;
                answer
            }
            0x0102 => {
                p[..4].copy_from_slice(&self.policy);
                Ok(4)
            }
            0x0103 => {
                self.policy.copy_from_slice(&p[..4]);
                Ok(0)
            }
            0x0300 => {
                put(p, 0, self.timestamp);
                Ok(8)
            }
            0x0301 => {
                self.timestamp = get(p, 0);
                Ok(0)
            }
            0x0400 => {
                p[..8].fill(0);
                p[0] = 1;
                p[8..24].copy_from_slice(&EFFECTS_UUID);
                p[24..28].copy_from_slice(&(EFFECTS_BYTES as u32).to_le_bytes());
                Ok(28)
            }
            0x0401 => effects(p),
            0x4000 => Ok(identify(p)),
            0x4100 => {
                p[..0x20].fill(0);
                put(p, 0, APERTURE / UNIT);
                Ok(0x20)
            }
            0x4200 => {
                let status = bus.read_word(cxl::STATUS)?;
                p[..0x12].fill(0);
                // Media status: 0 normal, 2 data are lost.
                p[1] = if status & cxl::status::OVERFLOW != 0 { 2 } else { 0 };
                p[3] = 0xff;
                p[4..6].copy_from_slice(&0xffffu16.to_le_bytes());
                Ok(0x12)
            }
            0x4300 => list_poison(bus, p)?,
            0x4301 => inject(bus, get(p, 0))?,
            0x4302 => self.clear_poison(bus, platform, p)?,
            0x4400 => self.sanitize(bus, platform)?,
            0xc000 => self.show(bus, p)?,
            0xc001 => self.shown(p),
            _ => Err(Code::Unsupported),
        })
    }

    fn clear_events(&mut self, length: usize, p: &[u8; PAYLOAD_BYTES]) -> Answer {
        let (log, flags, count) = (p[0], p[1], usize::from(p[2]));
        let handles = p.get(6..6 + 2 * count).filter(|handles| length == 6 + handles.len());
        match (flags & 1, handles) {
            (1, _) if self.logs.clear(log, None) => Ok(0),
            (0, Some(handles)) if self.logs.clear(log, Some(handles)) => Ok(0),
            (0, None) => Err(Code::InvalidLength),
            (0, Some(_)) => Err(Code::InvalidHandle),
            _ => Err(Code::InvalidInput),
        }
    }

    fn clear_poison(
        &mut self,
        bus: &mut impl WordBus,
        platform: &mut impl Platform,
        p: &[u8; PAYLOAD_BYTES],
    ) -> Result<Answer, BusError> {
        let dpa = get(p, 0);
        if !is_line(dpa) {
            return Ok(Err(Code::InvalidAddress));
        }
        let mut data = [0; 64];
        data.copy_from_slice(&p[8..72]);
        let offset = dpa & ((1 << WINDOW_SHIFT) - 1);
        let window = self.windows[(dpa >> WINDOW_SHIFT) as usize];
        let window = window.filter(|window| offset < window.bytes);
        // Data first: between the two, the line still reads as poison.
        if !window.is_some_and(|w| platform.write_line(w.pid, w.va + offset, &data)) {
            return Ok(Err(Code::InvalidAddress));
        }
        if let Some(entry) = find(bus, dpa)? {
            bus.write_word(cxl::POISON_INDEX, entry)?;
            bus.write_word(cxl::POISON_CHANGE, 2)?;
        }
        Ok(Ok(0))
    }

    fn sanitize(
        &mut self,
        bus: &mut impl WordBus,
        platform: &mut impl Platform,
    ) -> Result<Answer, BusError> {
        bus.write_word(cxl::MEMDEV_STATUS, MEDIA_DISABLED | cxl::MAILBOX_READY)?;
        let windows = self.windows;
        // Without windows nothing reaches the memory any more, whatever comes.
        for slot in 0..WINDOWS {
            self.set_window(bus, slot, None)?;
        }
        if platform.sanitize(&windows).is_err() {
            // The media stays disabled: what is in it is not known.
            return Ok(Err(Code::Internal));
        }
        for entry in 0..POISON_ENTRIES as u32 {
            bus.write_word(cxl::POISON_INDEX, entry)?;
            bus.write_word(cxl::POISON_CHANGE, 2)?;
        }
        bus.write_word(cxl::POISON_CHANGE, 4)?;
        bus.write_word(cxl::MEMDEV_STATUS, cxl::MEDIA_READY | cxl::MAILBOX_READY)?;
        Ok(Ok(0))
    }

    /// Set Window: `{slot u32, pid u16, rights u16 (bit 0 read, 1 write), reserved u64, va u64,
    /// bytes u64}`; no bytes: nothing is shown.
    fn show(
        &mut self,
        bus: &mut impl WordBus,
        p: &[u8; PAYLOAD_BYTES],
    ) -> Result<Answer, BusError> {
        let slot = u32::from_le_bytes([p[0], p[1], p[2], p[3]]) as usize;
        let window = Window {
            pid: u16::from_le_bytes([p[4], p[5]]),
            va: get(p, 16),
            bytes: get(p, 24),
            read: p[6] & 1 != 0,
            write: p[6] & 2 != 0,
        };
        let window = (window.bytes != 0).then_some(window);
        Ok(if self.set_window(bus, slot, window)? { Ok(0) } else { Err(Code::InvalidInput) })
    }

    fn shown(&self, p: &mut [u8; PAYLOAD_BYTES]) -> Answer {
        let slot = u32::from_le_bytes([p[0], p[1], p[2], p[3]]) as usize;
        let window = self.windows.get(slot).ok_or(Code::InvalidInput)?;
        p[4..32].fill(0);
        if let Some(w) = window {
            p[4..6].copy_from_slice(&w.pid.to_le_bytes());
            p[6] = u8::from(w.read) | u8::from(w.write) << 1;
            put(p, 16, w.va);
            put(p, 24, w.bytes);
        }
        Ok(32)
    }
}

fn get(p: &[u8; PAYLOAD_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| p[at + i]))
}

fn put(p: &mut [u8; PAYLOAD_BYTES], at: usize, value: u64) {
    p[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn is_line(dpa: u64) -> bool {
    dpa % 64 == 0 && dpa < APERTURE
}

/// Identify Memory Device (8.2.9.9.1.1), 43h bytes as of CXL 2.0.
fn identify(p: &mut [u8; PAYLOAD_BYTES]) -> usize {
    p[..0x43].fill(0);
    p[..FIRMWARE.len()].copy_from_slice(FIRMWARE);
    put(p, 0x10, APERTURE / UNIT);
    put(p, 0x18, APERTURE / UNIT);
    // Sizes of the four logs.
    for log in 0..4 {
        p[0x30 + 2 * log..0x32 + 2 * log].copy_from_slice(&(DEPTH as u16).to_le_bytes());
    }
    p[0x3c] = POISON_ENTRIES as u8;
    p[0x3f] = POISON_ENTRIES as u8;
    // Poison caps: bit 0, injected poison is handled like any other.
    p[0x41] = 1;
    0x43
}

/// Get Log: `{uuid, offset u32, length u32}`.
fn effects(p: &mut [u8; PAYLOAD_BYTES]) -> Answer {
    if p[..16] != EFFECTS_UUID {
        return Err(Code::InvalidLog);
    }
    let word = |at: usize| u32::from_le_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]]) as usize;
    let (offset, length) = (word(16), word(20));
    if offset.checked_add(length).is_none_or(|end| end > EFFECTS_BYTES) {
        return Err(Code::InvalidInput);
    }
    let mut log = [0; EFFECTS_BYTES];
    for (place, (opcode, effect)) in log.chunks_exact_mut(4).zip(EFFECTS) {
        place[..2].copy_from_slice(&opcode.to_le_bytes());
        place[2..].copy_from_slice(&effect.to_le_bytes());
    }
    p[..length].copy_from_slice(&log[offset..offset + length]);
    Ok(length)
}

/// The line of an entry of the poison list.
fn line_of(bus: &mut impl WordBus, entry: u32) -> Result<u64, BusError> {
    bus.write_word(cxl::POISON_INDEX, entry)?;
    let low = bus.read_word(cxl::POISON_LINE_LOW)? as u64;
    Ok((low | (bus.read_word(cxl::POISON_LINE_HIGH)? as u64) << 32) << 6)
}

fn find(bus: &mut impl WordBus, dpa: u64) -> Result<Option<u32>, BusError> {
    let used = bus.read_word(cxl::POISON_USED)?;
    for entry in (0..POISON_ENTRIES as u32).filter(|entry| used >> entry & 1 == 1) {
        if line_of(bus, entry)? == dpa {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Get Poison List: `{dpa u64, 64-byte units u64}`.
fn list_poison(bus: &mut impl WordBus, p: &mut [u8; PAYLOAD_BYTES]) -> Result<Answer, BusError> {
    let (from, units) = (get(p, 0), get(p, 8));
    let end = units.checked_mul(64).and_then(|bytes| from.checked_add(bytes));
    let Some(end) = end.filter(|end| from % 64 == 0 && *end <= APERTURE) else {
        return Ok(Err(Code::InvalidAddress));
    };
    let overflow = bus.read_word(cxl::STATUS)? & cxl::status::OVERFLOW != 0;
    let used = bus.read_word(cxl::POISON_USED)?;
    p[..0x20].fill(0);
    let mut count = 0;
    for entry in (0..POISON_ENTRIES as u32).filter(|entry| used >> entry & 1 == 1) {
        let dpa = line_of(bus, entry)?;
        if (from..end).contains(&dpa) {
            let at = 0x20 + 16 * count;
            // Source 1: from outside the device.
            put(p, at, dpa | 1);
            put(p, at + 8, 1);
            count += 1;
        }
    }
    p[0] = u8::from(overflow) << 1;
    p[10] = count as u8;
    Ok(Ok(0x20 + 16 * count))
}

fn inject(bus: &mut impl WordBus, dpa: u64) -> Result<Answer, BusError> {
    if !is_line(dpa) {
        return Ok(Err(Code::InvalidAddress));
    }
    // Poison that is there already is no error.
    if find(bus, dpa)?.is_some() {
        return Ok(Ok(0));
    }
    let used = bus.read_word(cxl::POISON_USED)?;
    let Some(entry) = (0..POISON_ENTRIES as u32).find(|entry| used >> entry & 1 == 0) else {
        return Ok(Err(Code::InjectLimit));
    };
    bus.write_word(cxl::POISON_INDEX, entry)?;
    bus.write_word(cxl::POISON_LINE_LOW, (dpa >> 6) as u32)?;
    bus.write_word(cxl::POISON_LINE_HIGH, (dpa >> 38) as u32)?;
    bus.write_word(cxl::POISON_CHANGE, 1)?;
    Ok(Ok(0))
}
