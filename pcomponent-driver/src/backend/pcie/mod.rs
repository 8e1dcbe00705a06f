//! The component behind its PCIe endpoint: the rings of the DMA engine, and BAR0.
//!
//! [`PcieTransport`] drives any [`PcieDevice`]: one of this machine by way of the kernel ([`vfio`]), a
//! device of a vfio-user server ([`vfio_user`]), or a simulated board in the same process. Pages and lines move by DMA between the component and
//! memory that the device and this process share; a batch of submissions costs one doorbell.
//!
//! The engine works on commands in no order. Submissions that touch a page with work in flight wait for
//! its end, so that two submissions of one pid to one line keep their order.

mod shared;
pub mod vfio;
pub mod vfio_user;

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::geometry::{LINE_BYTES, PAGE_SHIFT, VA_END};
use splitmem_abi::mailbox::Command;
use splitmem_abi::pcie::{
    self, CompletionEntry, Descriptor, DmaOp, DmaStatus, COMPLETION_BYTES, DESCRIPTOR_BYTES,
};
use splitmem_abi::regs::{self, Counter, Register};
use splitmem_abi::request::{Op, Status, FULL_MASK};

use super::mailbox;
use crate::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo, Work,
    PAGE_BYTES,
};

/// Commands in flight, and entries of the rings.
const DEPTH: usize = pcie::RING_MAX as usize;
/// Where the submission ring stands in the shared memory.
const SQ: usize = 0;
/// Where the completion ring stands.
const CQ: usize = SQ + DEPTH * DESCRIPTOR_BYTES;
/// Where the commands' pages stand.
const PAGES: usize = (CQ + DEPTH * COMPLETION_BYTES).next_multiple_of(PAGE_BYTES);
/// Bytes that a device must share.
pub const SHARED_BYTES: usize = PAGES + DEPTH * PAGE_BYTES;
/// How long a device may be silent with work in flight.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one wait for an interrupt is.
const NAP: Duration = Duration::from_millis(1);

/// A device with the endpoint of [`splitmem_abi::pcie`], and memory shared with it.
pub trait PcieDevice: Send {
    /// The backend's short name.
    fn name(&self) -> &'static str;

    /// Clock of the component in MHz, where it is known.
    fn clock_mhz(&self) -> Option<f64> {
        None
    }

    /// Reads a register of BAR0.
    ///
    /// # Errors
    /// [`TransportError::Gone`].
    fn read_register(&mut self, offset: u32) -> Result<u32, TransportError>;

    /// Writes a register of BAR0.
    ///
    /// # Errors
    /// [`TransportError::Gone`].
    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), TransportError>;

    /// The device's address of the shared memory's first byte, a multiple of a page.
    fn shared_address(&self) -> u64;

    /// Reads the shared memory; `at + data.len()` is at most [`SHARED_BYTES`].
    fn load(&self, at: usize, data: &mut [u8]);

    /// Writes the shared memory.
    fn store(&mut self, at: usize, data: &[u8]);

    /// Returns when the device has interrupted, or after about `limit`.
    ///
    /// # Errors
    /// [`TransportError::Gone`].
    fn wait(&mut self, limit: Duration) -> Result<(), TransportError>;
}

/// A command in flight; its index is the command's id and the place of its page.
struct Flying {
    submission: u64,
    page: (u16, u64),
    /// Bytes that its completion has, if it ends well.
    reads: Reads,
}

/// Where a completion's bytes come from.
#[derive(Clone, Copy)]
enum Reads {
    Nothing,
    Page(usize),
    Value,
}

/// A transport over a PCIe device. See the module's documentation.
pub struct PcieTransport<D> {
    device: D,
    flying: Vec<Option<Flying>>,
    free: Vec<usize>,
    pages: HashSet<(u16, u64)>,
    /// Commands put into the submission ring, and entries taken from the completion ring.
    submitted: u64,
    taken: u64,
}

impl<D: PcieDevice> PcieTransport<D> {
    /// Finds the endpoint and starts its DMA engine.
    ///
    /// # Errors
    /// [`TransportError::Protocol`] if the device has another endpoint or none,
    /// [`TransportError::Timeout`], [`TransportError::Gone`].
    pub fn start(mut device: D) -> Result<Self, TransportError> {
        let id = own(&mut device, &pcie::EP_ID)?;
        let version = own(&mut device, &pcie::EP_VERSION)?;
        if id != pcie::EP_ID_VALUE || version >> 16 != pcie::EP_VERSION_VALUE >> 16 {
            return Err(TransportError::Protocol(format!(
                "the device is no Splitmem endpoint of version {}: it reads id {id:#x}, version \
                 {version:#x}",
                pcie::EP_VERSION_VALUE >> 16
            )));
        }
        set(&mut device, &pcie::DMA_CONTROL, 0)?;
        let idle = |status| {
            pcie::field::DMA_STATUS::READY.get(status) == 1
                && pcie::field::DMA_STATUS::BUSY.get(status) == 0
        };
        let patience = Instant::now() + PATIENCE;
        while !idle(own(&mut device, &pcie::DMA_STATUS)?) {
            if Instant::now() > patience {
                return Err(TransportError::Timeout(format!("{PATIENCE:?}, its DMA engine")));
            }
        }
        device.store(CQ, &vec![0; DEPTH * COMPLETION_BYTES]);
        let (sq, cq) = (device.shared_address() + SQ as u64, device.shared_address() + CQ as u64);
        for (register, value) in [
            (&pcie::SQ_BASE_LO, sq as u32),
            (&pcie::SQ_BASE_HI, (sq >> 32) as u32),
            (&pcie::CQ_BASE_LO, cq as u32),
            (&pcie::CQ_BASE_HI, (cq >> 32) as u32),
            (&pcie::RING_LOG2, pcie::RING_MAX_LOG2),
            (&pcie::SQ_TAIL, 0),
            (&pcie::CQ_HEAD, 0),
            (&pcie::DMA_CONTROL, 1),
        ] {
            set(&mut device, register, value)?;
        }
        Ok(Self {
            device,
            flying: (0..DEPTH).map(|_| None).collect(),
            free: (0..DEPTH).rev().collect(),
            pages: HashSet::new(),
            submitted: 0,
            taken: 0,
        })
    }

    /// The device.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// Puts a submission into the ring.
    fn put(&mut self, slot: usize, submission: &Submission) -> Result<(), TransportError> {
        let at = PAGES + slot * PAGE_BYTES;
        let host = self.device.shared_address() + at as u64;
        let mut descriptor = Descriptor {
            op: DmaOp::Read,
            list: false,
            id: slot as u16,
            pid: submission.pid,
            lines: 1,
            va: submission.va,
            host,
            operand: FULL_MASK,
            expected: 0,
        };
        let (align, reads) = match &submission.work {
            Work::ReadLine => (LINE_BYTES, Reads::Page(LINE_BYTES)),
            Work::ReadPage => {
                descriptor.lines = pcie::LIST_LINES as u16;
                (PAGE_BYTES, Reads::Page(PAGE_BYTES))
            }
            Work::WriteLine { data, mask } => {
                descriptor.op = DmaOp::Write;
                descriptor.operand = *mask;
                self.device.store(at, &data[..]);
                (LINE_BYTES, Reads::Nothing)
            }
            Work::WritePage { data } => {
                descriptor.op = DmaOp::Write;
                descriptor.lines = pcie::LIST_LINES as u16;
                self.device.store(at, &data[..]);
                (PAGE_BYTES, Reads::Nothing)
            }
            Work::Atomic { op, operand, expected } => {
                descriptor.op = match op {
                    Op::FetchAdd => DmaOp::FetchAdd,
                    Op::CompareSwap => DmaOp::CompareSwap,
                    other => {
                        let what = format!("{other:?} is not an atomic");
                        return Err(TransportError::BadSubmission(what));
                    }
                };
                (descriptor.lines, descriptor.host) = (0, 0);
                (descriptor.operand, descriptor.expected) = (*operand, *expected);
                (8, Reads::Value)
            }
        };
        if submission.va % align as u64 != 0 || submission.va >= VA_END {
            return Err(TransportError::BadSubmission(format!(
                "address {:#x} is beyond 48 bits or not aligned to {align} bytes",
                submission.va
            )));
        }
        let place = SQ + self.submitted as usize % DEPTH * DESCRIPTOR_BYTES;
        self.device.store(place, &descriptor.encode());
        self.submitted += 1;
        let page = page_of(submission);
        self.pages.insert(page);
        self.flying[slot] = Some(Flying { submission: submission.id, page, reads });
        Ok(())
    }

    /// Takes the next entry of the completion ring, if it is there.
    fn take(&mut self) -> Result<Option<Completion>, TransportError> {
        let mut bytes = [0; COMPLETION_BYTES];
        self.device.load(CQ + self.taken as usize % DEPTH * COMPLETION_BYTES, &mut bytes);
        let entry = CompletionEntry::decode(&bytes);
        let round = self.taken / DEPTH as u64;
        if entry.phase != (round % 2 == 0) {
            return Ok(None);
        }
        // What the device wrote before the entry is read after it.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        self.taken += 1;
        let slot = usize::from(entry.id);
        let command = self.flying.get_mut(slot).and_then(Option::take).ok_or_else(|| {
            TransportError::Protocol(format!("a completion of command {slot}, not in flight"))
        })?;
        self.free.push(slot);
        self.pages.remove(&command.page);
        let status = match DmaStatus::from_code(entry.status) {
            Some(DmaStatus::Component(status)) => status,
            Some(other) => return Err(TransportError::Protocol(other.to_string())),
            None => {
                let what = format!("completion status {:#x}", entry.status);
                return Err(TransportError::Protocol(what));
            }
        };
        let mut data = Vec::new();
        if status == Status::Ok {
            match command.reads {
                Reads::Nothing => {}
                Reads::Value => data.extend(entry.value.to_le_bytes()),
                Reads::Page(size) => {
                    data.resize(size, 0);
                    self.device.load(PAGES + slot * PAGE_BYTES, &mut data);
                }
            }
        }
        let cycles = Some(u64::from(entry.cycles));
        Ok(Some(Completion { id: command.submission, status, data, cycles }))
    }

    fn in_flight(&self) -> usize {
        DEPTH - self.free.len()
    }
}

impl<D: PcieDevice> Transport for PcieTransport<D> {
    fn info(&self) -> TransportInfo {
        let (name, clock_mhz) = (self.device.name(), self.device.clock_mhz());
        TransportInfo { name, clock_mhz, depth: DEPTH }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let before = self.submitted;
        while let Some(submission) = batch.front() {
            if self.pages.contains(&page_of(submission)) {
                break;
            }
            let Some(slot) = self.free.pop() else { break };
            if let Err(error) = self.put(slot, submission) {
                self.free.push(slot);
                return Err(error);
            }
            batch.pop_front();
        }
        if self.submitted != before {
            set(&mut self.device, &pcie::SQ_TAIL, self.submitted as u32 & 0xffff)?;
        }
        Ok((self.submitted - before) as usize)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        let before = done.len();
        let patience = Instant::now() + PATIENCE;
        loop {
            while let Some(completion) = self.take()? {
                done.push(completion);
            }
            if done.len() > before || !wait || self.in_flight() == 0 {
                break;
            }
            if Instant::now() > patience {
                return Err(TransportError::Timeout(format!("{PATIENCE:?}, a DMA command")));
            }
            self.device.wait(NAP)?;
        }
        if done.len() > before {
            set(&mut self.device, &pcie::CQ_HEAD, self.taken as u32 & 0xffff)?;
        }
        Ok(done.len() - before)
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        mailbox::send(&mut ComponentPage(&mut self.device), command)?;
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(reply) = mailbox::receive(&mut ComponentPage(&mut self.device))? {
                return Ok(reply);
            }
            if Instant::now() > patience {
                return Err(TransportError::Timeout(format!("{PATIENCE:?}, the monitor")));
            }
        }
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        mailbox::counter(&mut ComponentPage(&mut self.device), counter)
    }
}

fn page_of(submission: &Submission) -> (u16, u64) {
    (submission.pid, submission.va >> PAGE_SHIFT)
}

fn own(device: &mut impl PcieDevice, register: &Register) -> Result<u32, TransportError> {
    device.read_register(pcie::ENDPOINT_PAGE + u32::from(register.offset))
}

fn set(
    device: &mut impl PcieDevice,
    register: &Register,
    value: u32,
) -> Result<(), TransportError> {
    device.write_register(pcie::ENDPOINT_PAGE + u32::from(register.offset), value)
}

/// The component's registers, through BAR0. What is not allowed there reads zero.
struct ComponentPage<'a, D>(&'a mut D);

impl<D: PcieDevice> RegisterBus for ComponentPage<'_, D> {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        check_page(offset)?;
        self.0.read_register(pcie::COMPONENT_PAGE + u32::from(offset)).map_err(|_| BusError::Gone)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        check_page(offset)?;
        self.0
            .write_register(pcie::COMPONENT_PAGE + u32::from(offset), value)
            .map_err(|_| BusError::Gone)
    }
}

fn check_page(offset: u16) -> Result<(), BusError> {
    if offset < regs::WINDOW_BYTES {
        Ok(())
    } else {
        Err(BusError::Denied { offset })
    }
}
