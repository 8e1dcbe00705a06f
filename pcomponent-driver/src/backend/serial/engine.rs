//! The thread that speaks on the port: calls of several clients in, their outcomes out.

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, unbounded, Receiver, RecvTimeoutError, Sender};
use serial_link::{Call, Link, Outcome, Patience, Welcome};
use slab::Slab;
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::serial::Space;

use crate::transport::TransportError;

/// How often the engine looks at its clock while nothing happens.
const TICK: Duration = Duration::from_millis(5);

/// A port's two directions. Reading gives up after some milliseconds with `TimedOut`.
pub type Streams = (Box<dyn Read + Send>, Box<dyn Write + Send>);

enum Event {
    Bytes(Vec<u8>),
    Gone(String),
    Call(u64, Call, Sender<(u64, Outcome)>),
    Stop,
}

/// A client's way to the engine.
#[derive(Clone)]
pub struct Client {
    events: Sender<Event>,
    failure: Arc<OnceLock<String>>,
}

impl Client {
    /// Asks something; the outcome comes to `answer` with `id`.
    ///
    /// # Errors
    /// [`TransportError::Gone`].
    pub fn call(
        &self,
        id: u64,
        call: Call,
        answer: &Sender<(u64, Outcome)>,
    ) -> Result<(), TransportError> {
        let event = Event::Call(id, call, answer.clone());
        self.events.send(event).map_err(|_| self.gone())
    }

    /// Why the link is gone.
    pub fn gone(&self) -> TransportError {
        let why = self.failure.get().map_or("its thread has ended", String::as_str);
        TransportError::Gone(why.to_owned())
    }

    /// Whether the link is gone.
    pub fn is_gone(&self) -> bool {
        self.failure.get().is_some()
    }
}

/// The registers of one space; an access waits for its answer.
pub struct SerialBus {
    client: Client,
    space: Space,
    answer: Sender<(u64, Outcome)>,
    outcome: Receiver<(u64, Outcome)>,
}

impl SerialBus {
    /// The registers of `space`.
    pub fn new(client: Client, space: Space) -> Self {
        let (answer, outcome) = bounded(1);
        Self { client, space, answer, outcome }
    }

    fn access(&mut self, call: Call) -> Result<u32, BusError> {
        self.client.call(0, call, &self.answer).map_err(|_| BusError::Gone)?;
        loop {
            match self.outcome.recv_timeout(TICK) {
                Ok((_, Outcome::Register(result))) => return result,
                Ok((_, Outcome::Memory(..))) => return Err(BusError::Gone),
                Err(_) if self.client.is_gone() => return Err(BusError::Gone),
                Err(_) => {}
            }
        }
    }
}

impl RegisterBus for SerialBus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.access(Call::Read(self.space, offset))
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.access(Call::Write(self.space, offset, value)).map(drop)
    }
}

/// The engine's threads. Dropping it ends them.
pub struct Engine {
    client: Client,
    welcome: Receiver<Welcome>,
    /// Something comes in here when an answer says that the monitor's interrupt is up.
    irq: Receiver<()>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts to speak on a port.
    ///
    /// # Errors
    /// [`TransportError::Gone`] if no thread can be had.
    pub fn start((reader, writer): Streams, patience: Patience) -> Result<Self, TransportError> {
        let (events, inbox) = unbounded();
        let (greet, welcome) = bounded(1);
        let (raise, irq) = bounded(1);
        let failure = Arc::new(OnceLock::new());
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            let builder = std::thread::Builder::new().name(name.to_owned());
            builder.spawn(body).map_err(|e| TransportError::Gone(format!("no thread: {e}")))
        };
        // A number that a host that was here before most likely did not use.
        let session = std::process::id() as u8 ^ rand::random::<u8>();
        let (sender, stopped) = (events.clone(), Arc::clone(&stop));
        let listens = move || listen(reader, &sender, &stopped);
        let speaker = Speaker {
            link: Link::new(session, patience),
            writer,
            started: Instant::now(),
            flying: Slab::new(),
            greet: Some(greet),
            raise,
        };
        let why = Arc::clone(&failure);
        let speaks = move || {
            if let Err(reason) = speaker.run(&inbox) {
                let _ = why.set(reason);
            }
            let _ = why.set("the link was closed".to_owned());
        };
        let mut engine =
            Self { client: Client { events, failure }, welcome, irq, stop, threads: Vec::new() };
        engine.threads.push(spawn("serial-listener", Box::new(listens))?);
        engine.threads.push(spawn("serial-speaker", Box::new(speaks))?);
        Ok(engine)
    }

    /// A way to the engine.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where the monitor's interrupt shows.
    pub fn irq(&self) -> Receiver<()> {
        self.irq.clone()
    }

    /// Waits for the board's greeting.
    ///
    /// # Errors
    /// [`TransportError::Gone`] with the reason.
    pub fn greeting(&self) -> Result<Welcome, TransportError> {
        self.welcome.recv().map_err(|_| {
            // The speaker drops its end before it says why.
            for _ in 0..100 {
                if self.client.is_gone() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            self.client.gone()
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.client.events.send(Event::Stop);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Hands on what comes in, until told to stop.
fn listen(mut reader: Box<dyn Read + Send>, events: &Sender<Event>, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let event = match reader.read(&mut buffer) {
            Ok(0) => Event::Gone("the port was closed at its other end".to_owned()),
            Ok(count) => Event::Bytes(buffer[..count].to_vec()),
            Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => continue,
            Err(e) => Event::Gone(format!("the port failed (cable pulled?): {e}")),
        };
        let over = matches!(event, Event::Gone(_));
        if events.send(event).is_err() || over {
            return;
        }
    }
}

struct Speaker {
    link: Link,
    writer: Box<dyn Write + Send>,
    started: Instant,
    /// The clients' names for calls under way, and where their outcomes go.
    flying: Slab<(u64, Sender<(u64, Outcome)>)>,
    greet: Option<Sender<Welcome>>,
    raise: Sender<()>,
}

impl Speaker {
    fn run(mut self, inbox: &Receiver<Event>) -> Result<(), String> {
        let mut out = Vec::new();
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(event) => {
                    if self.take(event)? {
                        return Ok(());
                    }
                    // All that is there, before anything is sent.
                    while let Ok(event) = inbox.try_recv() {
                        if self.take(event)? {
                            return Ok(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.link.bytes_out(self.now(), &mut out);
            if !out.is_empty() {
                self.writer
                    .write_all(&out)
                    .and_then(|()| self.writer.flush())
                    .map_err(|e| format!("the port failed (cable pulled?): {e}"))?;
                out.clear();
            }
            if let Some(error) = self.link.error() {
                return Err(error.to_string());
            }
        }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Whether it is over.
    fn take(&mut self, event: Event) -> Result<bool, String> {
        match event {
            Event::Stop => return Ok(true),
            Event::Gone(why) => return Err(why),
            Event::Call(id, call, answer) => {
                let key = self.flying.insert((id, answer));
                self.link.call(key as u64, call);
            }
            Event::Bytes(bytes) => {
                let now = self.now();
                self.link.bytes_in(&bytes, now);
                while let Some(reply) = self.link.reply() {
                    if let Some((id, answer)) = self.flying.try_remove(reply.id as usize) {
                        // A client that has gone wants no answer.
                        let _ = answer.send((id, reply.outcome));
                    }
                }
                if self.link.irq_monitor() {
                    let _ = self.raise.try_send(());
                }
                if let (Some(welcome), Some(greet)) = (self.link.welcome(), &self.greet) {
                    let _ = greet.send(*welcome);
                    self.greet = None;
                }
            }
        }
        Ok(false)
    }
}
