//! A board at the end of a serial line, real or simulated.
//!
//! The frames are those of [`splitmem_abi::serial`]; [`serial_link`] keeps them whole. A board whose
//! monitor runs on a soft core keeps its memory from one host to the next. Otherwise the monitor runs
//! in this process, beside the driver, and reaches the component through the same line.

mod engine;
mod monitor;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::{unbounded, Receiver, RecvTimeoutError, Sender};
use mcomponent_firmware::MonitorConfig;
use serial_link::{Call, Outcome, Patience, Welcome};
use splitmem_abi::board;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::config::PORTS;
use splitmem_abi::mailbox::Command;
use splitmem_abi::regs::{field, Counter, CONTROL};
use splitmem_abi::request::Response;
use splitmem_abi::serial::Space;

use self::engine::{Client, Engine, SerialBus};
use self::monitor::MonitorThread;
use super::mailbox;
use super::tags::InFlight;
use crate::transport::{
    Completion, MailboxReply, Submission, Transport, TransportError, TransportInfo,
};

/// Speed of the line; a pseudo-terminal does not mind.
pub const BAUD: u32 = 3_000_000;
/// Submissions in flight before no more are taken.
const DEPTH: usize = 64;
/// Requests that the link is given at once: twice what a board takes, so that none of its places
/// stays empty.
const AHEAD: usize = 64;
/// How long a read of the port blocks.
const BLOCK: Duration = Duration::from_millis(20);
/// How long a board may test its memory, and a monitor think.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between looks at something that has to change.
const NAP: Duration = Duration::from_millis(2);

/// A board behind a serial port.
pub struct SerialTransport {
    // Dropped first: its last accesses need the engine. None if the board has its own.
    monitor: Option<MonitorThread>,
    host: SerialBus,
    client: Client,
    answer: Sender<(u64, Outcome)>,
    outcomes: Receiver<(u64, Outcome)>,
    jobs: InFlight,
    flying: usize,
    done: VecDeque<Completion>,
    welcome: Welcome,
    clock_mhz: f64,
    _engine: Engine,
}

impl SerialTransport {
    /// Opens the port at `path`, greets the board, and boots the monitor or waits for the board's own.
    /// `monitor` counts only if the board has none.
    ///
    /// # Errors
    /// [`TransportError::Gone`] if the port cannot be opened (with the reason: no such port, no
    /// permission), nothing sensible answers, the bitstream is of another version, the board's memory
    /// failed its test (with line and wires), or the monitor does not start.
    pub fn open(path: &str, monitor: MonitorConfig) -> Result<Self, TransportError> {
        let gone = |e: serialport::Error| {
            let hint = match e.kind() {
                serialport::ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => {
                    "; your user may not use it: join the group 'dialout', or see the udev rule that \
                     'splitmem flash ulx3s --udev' prints"
                }
                _ => "",
            };
            TransportError::Gone(format!("{path}: {e}{hint}"))
        };
        let port = serialport::new(path, BAUD).timeout(BLOCK).open().map_err(gone)?;
        let reader = port.try_clone().map_err(gone)?;
        let writer = PatientWriter(port);
        Self::over((Box::new(reader), Box::new(writer)), Patience::default(), monitor)
    }

    /// Over any two streams; reading must give up after a while with `TimedOut`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn over(
        streams: engine::Streams,
        patience: Patience,
        monitor: MonitorConfig,
    ) -> Result<Self, TransportError> {
        let engine = Engine::start(streams, patience)?;
        let welcome = engine.greeting()?;
        let client = engine.client();
        let mut own = SerialBus::new(client.clone(), Space::Board);
        memory_ready(&mut own)?;
        let khz = own.read(board::CLOCK_KHZ).map_err(mailbox::broken)?;
        let mut host = SerialBus::new(client.clone(), Space::Host);
        let monitor = if welcome.own_monitor {
            monitor_ready(&mut host)?;
            None
        } else {
            let bus = SerialBus::new(client.clone(), Space::Monitor);
            Some(MonitorThread::boot(bus, engine.irq(), monitor)?)
        };
        let (answer, outcomes) = unbounded();
        Ok(Self {
            monitor,
            host,
            client,
            answer,
            outcomes,
            jobs: InFlight::default(),
            flying: 0,
            done: VecDeque::new(),
            welcome,
            clock_mhz: f64::from(khz) / 1000.0,
            _engine: engine,
        })
    }

    /// Who answered.
    pub fn board(&self) -> &Welcome {
        &self.welcome
    }

    /// Hands requests to the link, as long as it has few.
    fn feed(&mut self) -> Result<(), TransportError> {
        for port in 0..PORTS {
            while self.flying < AHEAD {
                let Some(request) = self.jobs.offer(port).copied() else { break };
                let id = u64::from(request.tag);
                self.client.call(id, Call::Memory(request), &self.answer)?;
                self.jobs.sent(port);
                self.flying += 1;
            }
        }
        Ok(())
    }

    fn take(&mut self, id: u64, outcome: Outcome) -> Result<(), TransportError> {
        let Outcome::Memory(status, data) = outcome else {
            return Err(TransportError::Protocol("a register's value for a request".to_owned()));
        };
        self.flying -= 1;
        let response = Response { tag: id as u16, status, data };
        self.done.extend(self.jobs.answer(&response, None)?);
        Ok(())
    }

    fn check(&mut self) -> Result<(), TransportError> {
        if self.client.is_gone() {
            return Err(self.client.gone());
        }
        match self.monitor.as_mut().and_then(MonitorThread::failure) {
            Some(why) => Err(TransportError::Gone(format!("its monitor stopped: {why}"))),
            None => Ok(()),
        }
    }
}

/// Waits until the board has tested its memory.
fn memory_ready(own: &mut SerialBus) -> Result<(), TransportError> {
    let started = Instant::now();
    loop {
        let state = own.read(board::MEMORY).map_err(mailbox::broken)?;
        if state & board::MEMORY_FAILED != 0 {
            let line = own.read(board::FAIL_LINE).map_err(mailbox::broken)?;
            let wires = own.read(board::FAIL_BITS).map_err(mailbox::broken)?;
            let wires: Vec<_> =
                (0..16).filter(|i| wires >> i & 1 == 1).map(|i| format!("D{i}")).collect();
            return Err(TransportError::Gone(format!(
                "its SDRAM failed the test at address {:#x}, data wires {}: nothing is served from it",
                u64::from(line) * 64,
                wires.join(", ")
            )));
        }
        if state & board::MEMORY_READY != 0 {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(TransportError::Timeout(format!(
                "{PATIENCE:?}: it still tests its memory"
            )));
        }
        std::thread::sleep(NAP);
    }
}

/// Waits until the board's own monitor is up, and has answered the last host's command: that host may
/// have gone without waiting for it.
fn monitor_ready(host: &mut SerialBus) -> Result<(), TransportError> {
    let started = Instant::now();
    loop {
        let control = host.read(CONTROL.offset).map_err(mailbox::broken)?;
        if field::CONTROL::ENABLE.get(control) == 1 && !mailbox::busy(host)? {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(TransportError::Timeout(format!(
                "{PATIENCE:?}: its memory monitor is not up; press PWR, or flash the board again"
            )));
        }
        std::thread::sleep(NAP);
    }
}

/// A port whose buffer may be full for a while.
struct PatientWriter(Box<dyn serialport::SerialPort>);

impl std::io::Write for PatientWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let started = Instant::now();
        loop {
            match self.0.write(bytes) {
                Err(e)
                    if e.kind() == std::io::ErrorKind::TimedOut && started.elapsed() < PATIENCE => {
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Transport for SerialTransport {
    fn info(&self) -> TransportInfo {
        TransportInfo { name: "serial", clock_mhz: Some(self.clock_mhz), depth: DEPTH }
    }

    fn submit(&mut self, batch: &mut VecDeque<Submission>) -> Result<usize, TransportError> {
        let room = DEPTH.saturating_sub(self.jobs.len()).min(batch.len());
        for submission in batch.drain(..room) {
            self.jobs.submit(submission, None)?;
        }
        self.feed()?;
        Ok(room)
    }

    fn poll(&mut self, done: &mut Vec<Completion>, wait: bool) -> Result<usize, TransportError> {
        loop {
            while let Ok((id, outcome)) = self.outcomes.try_recv() {
                self.take(id, outcome)?;
            }
            self.feed()?;
            if !wait || !self.done.is_empty() || self.jobs.is_empty() {
                break;
            }
            match self.outcomes.recv_timeout(BLOCK) {
                Ok((id, outcome)) => self.take(id, outcome)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => self.check()?,
            }
        }
        let count = self.done.len();
        done.extend(self.done.drain(..));
        Ok(count)
    }

    fn mailbox(&mut self, command: &Command) -> Result<MailboxReply, TransportError> {
        mailbox::send(&mut self.host, command)?;
        let started = Instant::now();
        loop {
            if let Some(reply) = mailbox::receive(&mut self.host)? {
                return Ok(reply);
            }
            self.check()?;
            if started.elapsed() > PATIENCE {
                return Err(TransportError::Timeout(format!(
                    "{PATIENCE:?}: no reply of the monitor"
                )));
            }
            std::thread::sleep(NAP);
        }
    }

    fn cycles(&self) -> Option<u64> {
        None
    }

    fn counter(&mut self, counter: Counter) -> Result<u64, TransportError> {
        mailbox::counter(&mut self.host, counter)
    }
}
