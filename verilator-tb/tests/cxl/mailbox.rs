//! The CXL mailbox: the host's commands through the Verilated registers, the answers by the monitor's
//! own code.

use mcomponent_firmware::cxl::{CxlAgent, Platform};
use splitmem_abi::bus::BusError;
use splitmem_abi::cxl::{self, Window, WordBus, APERTURE, WINDOWS, WINDOW_SHIFT};
use splitmem_cxl_host::linux::error::CxlError;
use splitmem_cxl_host::linux::mailbox::{Code, Commands as _, Log, Mailbox};
use splitmem_cxl_host::message::{Message, Req, Rwd};
use verilator_tb::Side;

use super::{plain, Checker, FIRST_VA, SLOT};

/// Remembers what it was asked to do.
#[derive(Default)]
struct Deeds {
    sanitized: Vec<Window>,
    written: Vec<(u16, u64, [u8; 64])>,
}

impl Platform for Deeds {
    fn sanitize(&mut self, windows: &[Option<Window>; WINDOWS]) -> Result<(), BusError> {
        self.sanitized.extend(windows.iter().flatten());
        Ok(())
    }

    fn write_line(&mut self, pid: u16, va: u64, data: &[u8; 64]) -> bool {
        self.written.push((pid, va, *data));
        true
    }
}

/// The host's end of the mailbox, as Linux's `__cxl_pci_mbox_send_cmd` works it.
struct Host {
    check: Checker,
    agent: CxlAgent,
    deeds: Deeds,
}

impl Host {
    fn new() -> Self {
        let mut check = plain();
        let mut agent = CxlAgent::boot(&mut check.dut.words(Side::Monitor)).unwrap();
        let window = check.golden.windows[0];
        agent.set_window(&mut check.dut.words(Side::Monitor), 0, window).unwrap();
        Self { check, agent, deeds: Deeds::default() }
    }

    fn raw(&mut self, opcode: u16, input: &[u8]) -> (u32, Vec<u8>) {
        let mut host = self.check.dut.words(Side::Host);
        assert_eq!(host.read_word(cxl::MAILBOX_CONTROL).unwrap(), 0);
        let header = u64::from(opcode) | (input.len() as u64) << 16;
        host.write_word(cxl::MAILBOX_COMMAND, header as u32).unwrap();
        host.write_word(cxl::MAILBOX_COMMAND + 4, (header >> 32) as u32).unwrap();
        for (i, chunk) in (0..).zip(input.chunks(4)) {
            let word = u32::from_le_bytes(std::array::from_fn(|k| *chunk.get(k).unwrap_or(&0)));
            host.write_word(cxl::MAILBOX_PAYLOAD + 4 * i, word).unwrap();
        }
        host.write_word(cxl::MAILBOX_CONTROL, 1).unwrap();
        assert!(self.check.dut.front().irq());
        let mut monitor = self.check.dut.words(Side::Monitor);
        assert!(self.agent.poll(&mut monitor, &mut self.deeds).unwrap());
        let mut host = self.check.dut.words(Side::Host);
        assert_eq!(host.read_word(cxl::MAILBOX_CONTROL).unwrap(), 0);
        let code = host.read_word(cxl::MAILBOX_STATUS + 4).unwrap() & 0xffff;
        let length = host.read_word(cxl::MAILBOX_COMMAND).unwrap() >> 16;
        let words = (0..length.div_ceil(4)).map(|i| host.read_word(cxl::MAILBOX_PAYLOAD + 4 * i));
        let bytes = words.flat_map(|word| word.unwrap().to_le_bytes());
        (code, bytes.take(length as usize).collect())
    }

    fn read(&mut self, hpa: u64) {
        assert!(self.check.send(hpa, |tag| Message::Req(Req::read(tag, hpa))));
        self.check.drain();
    }
}

impl Mailbox for Host {
    fn send(&mut self, command: &Code, input: &[u8], most: usize) -> Result<Vec<u8>, CxlError> {
        let (code, mut bytes) = self.raw(command.opcode, input);
        if code != 0 {
            let command = command.name.to_owned();
            return Err(CxlError::Device { device: "the device".to_owned(), command, code });
        }
        bytes.truncate(most);
        Ok(bytes)
    }
}

#[test]
fn the_device_says_what_it_is() {
    let mut host = Host::new();
    let status = host.check.dut.words(Side::Host).read_word(cxl::MEMDEV_STATUS).unwrap();
    assert_eq!(status, cxl::MEDIA_READY | cxl::MAILBOX_READY);
    let identity = host.identify().unwrap();
    assert_eq!(identity.firmware, "splitmem 0.1");
    assert_eq!((identity.total, identity.volatile), (APERTURE, APERTURE));
    assert_eq!((identity.persistent, identity.poison_most), (0, 16));
    let partition = host.partition().unwrap();
    assert_eq!((partition.volatile, partition.persistent), (APERTURE, 0));
    let health = host.health().unwrap();
    assert!(!health.maintenance && !health.replace && health.media == 0);
    assert_eq!((health.life_used, health.temperature), (None, None));
    // As Linux finds the Command Effects Log, without which it does not bind.
    let (code, logs) = host.raw(0x0400, &[]);
    assert_eq!((code, logs.len(), logs[0]), (0, 28, 1));
    let size = u32::from_le_bytes(std::array::from_fn(|i| logs[24 + i]));
    let mut input = logs[8..24].to_vec();
    input.extend([0u32.to_le_bytes(), size.to_le_bytes()].concat());
    let (code, effects) = host.raw(0x0401, &input);
    assert_eq!((code, effects.len()), (0, size as usize));
    assert!(effects.chunks(4).any(|effect| effect[..2] == [0x00, 0x40]));
    host.raw(0x0301, &77u64.to_le_bytes());
    assert_eq!(host.raw(0x0300, &[]), (0, 77u64.to_le_bytes().to_vec()));
    for (opcode, input, code) in [
        (0x4567, &[][..], 3),
        (0x4000, &[1], 0x16),
        (0x0100, &[], 0x16),
        (0x0100, &[4], 2),
        (0x4301, &1u64.to_le_bytes(), 0xf),
        (0x4301, &APERTURE.to_le_bytes(), 0xf),
        (0xc001, &[64, 0, 0, 0], 2),
    ] {
        assert_eq!(host.raw(opcode, input).0, code, "{opcode:#x} {input:?}");
    }
}

#[test]
fn what_was_denied_is_in_the_logs() {
    let mut host = Host::new();
    // The window's end, and beyond all windows.
    for hpa in [SLOT + (30 << 12), 2 * SLOT] {
        host.read(hpa);
    }
    host.inject_poison(64).unwrap();
    host.check.golden.poisoned.insert(1);
    host.read(SLOT + 64);
    host.check.golden.events.clear();
    let mut monitor = host.check.dut.words(Side::Monitor);
    assert!(host.agent.poll(&mut monitor, &mut host.deeds).unwrap());
    let status = host.check.dut.words(Side::Host).read_word(cxl::EVENT_STATUS).unwrap();
    assert_eq!(status, 0b0110, "warnings and failures");
    let (records, more) = host.events(Log::Warning).unwrap();
    assert!(!more);
    let address = |data: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| data[i])) & !63;
    let addresses: Vec<u64> = records.iter().map(|record| address(&record.data)).collect();
    assert_eq!(addresses, [30 << 12, SLOT]);
    let (failures, _) = host.events(Log::Failure).unwrap();
    assert_eq!((failures.len(), address(&failures[0].data)), (1, 64));
    // Out of order nothing is cleared.
    let (first, second) = (records[0].handle, records[1].handle);
    assert!(host.clear_events(Log::Warning, &[second]).is_err());
    host.clear_events(Log::Warning, &[first]).unwrap();
    assert_eq!(host.events(Log::Warning).unwrap().0, records[1..]);
    host.clear_events(Log::Warning, &[second]).unwrap();
    let status = host.check.dut.words(Side::Host).read_word(cxl::EVENT_STATUS).unwrap();
    assert_eq!(status, 0b0100);
}

#[test]
fn poison_is_injected_listed_and_cleared() {
    let mut host = Host::new();
    let hpa = SLOT + 0x1040;
    assert!(host.check.send(hpa, |tag| Message::Rwd(Rwd::write(tag, hpa, [9; 64]))));
    host.check.drain();
    host.inject_poison(0x1040).unwrap();
    host.inject_poison(0x1040).unwrap();
    host.check.golden.poisoned.insert(0x41);
    host.read(hpa);
    let (list, more) = host.poison(0, APERTURE).unwrap();
    assert!(!more);
    assert_eq!(list.iter().map(|p| (p.dpa, p.bytes)).collect::<Vec<_>>(), [(0x1040, 64)]);
    assert_eq!(host.poison(0x1080, 4096).unwrap().0, []);
    host.clear_poison(0x1040, &[5; 64]).unwrap();
    assert_eq!(host.deeds.written, [(1, FIRST_VA + 0x1040, [5; 64])]);
    host.check.golden.poisoned.clear();
    host.read(hpa);
    for line in 0..16 {
        host.inject_poison(line << 6).unwrap();
    }
    let limit = host.inject_poison(0x1000).unwrap_err();
    assert!(limit.to_string().contains("inject poison limit reached"), "{limit}");
}

#[test]
fn a_sanitized_device_shows_nothing() {
    let mut host = Host::new();
    host.inject_poison(0).unwrap();
    let shown = host.check.golden.windows[0].unwrap();
    host.sanitize().unwrap();
    assert_eq!(host.deeds.sanitized, [shown]);
    host.check.golden.windows[0] = None;
    host.read(SLOT);
    assert_eq!(host.poison(0, APERTURE).unwrap().0, []);
    // A window of another process, by the vendor's command.
    let mut input = vec![0; 32];
    (input[4], input[6]) = (2, 1);
    input[16..24].copy_from_slice(&FIRST_VA.to_le_bytes());
    input[24..32].copy_from_slice(&(8u64 << 12).to_le_bytes());
    assert_eq!(host.raw(0xc000, &input).0, 0);
    let window = Window { pid: 2, va: FIRST_VA, bytes: 8 << 12, read: true, write: false };
    host.check.golden.windows[0] = Some(window);
    host.read(SLOT);
    assert_eq!(host.raw(0xc001, &[0; 4]), (0, input.clone()));
    input[24..32].copy_from_slice(&(2u64 << WINDOW_SHIFT).to_le_bytes());
    assert_eq!(host.raw(0xc000, &input).0, 2, "larger than a slot");
}
