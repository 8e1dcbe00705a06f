//! The simulated board: a component with its firmware, its JTAG port and its host's registers each
//! at a TCP port. One debugger and one host at a time.
//!
//! The host's protocol is lines of text: `r OFFSET` and `w OFFSET VALUE`, hexadecimal, answered with
//! `ok VALUE`, `denied` or `gone`. Simulated time passes while somebody asks, and a little besides.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use splitmem_abi::bus::{BusError, RegisterBus};
use verilator_tb::dram::LineMemory;
use verilator_tb::soc::Remote;
use verilator_tb::Machine;

use super::BoardError;

/// Cycles that pass per round after a host has asked, and while the core is awake.
const BUSY: u64 = 4000;
/// Cycles that pass per round while a debugger works: it should not wait for us.
const DEBUGGED: u64 = 16;
/// A debugger that has not asked for so long has nothing to do.
const QUIET: Duration = Duration::from_millis(50);
/// Cycles that pass per round otherwise.
const IDLE: u64 = 200;
/// Sleep per round in which nobody asked.
const PAUSE: Duration = Duration::from_millis(1);

/// A port with at most one client.
struct Service {
    listener: TcpListener,
    client: Option<TcpStream>,
}

impl Service {
    fn listen(address: &str) -> Result<Self, BoardError> {
        let listen = |source| BoardError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        Ok(Self { listener, client: None })
    }

    /// What has come. `None`: nothing.
    fn receive(&mut self) -> Option<Vec<u8>> {
        if self.client.is_none() {
            let (client, _) = self.listener.accept().ok()?;
            let ready = client.set_nonblocking(true).and_then(|()| client.set_nodelay(true));
            self.client = ready.is_ok().then_some(client);
        }
        let mut bytes = vec![0; 4096];
        match self.client.as_mut()?.read(&mut bytes) {
            Ok(0) => self.client = None,
            Ok(count) => {
                bytes.truncate(count);
                return Some(bytes);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.client = None,
        }
        None
    }

    fn send(&mut self, bytes: &[u8]) {
        let Some(client) = &mut self.client else { return };
        // A client that does not take what it asked for is gone.
        let sent = client
            .set_nonblocking(false)
            .and_then(|()| client.set_write_timeout(Some(Duration::from_secs(5))))
            .and_then(|()| client.write_all(bytes))
            .and_then(|()| client.set_nonblocking(true));
        if sent.is_err() {
            self.client = None;
        }
    }
}

/// The board's two ports.
pub struct Server {
    debug: Service,
    host: Service,
    remote: Remote,
    line: Vec<u8>,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// [`BoardError::Listen`].
    pub fn listen(debug: &str, host: &str) -> Result<Self, BoardError> {
        Ok(Self {
            debug: Service::listen(debug)?,
            host: Service::listen(host)?,
            remote: Remote::default(),
            line: Vec::new(),
        })
    }

    /// Serves until `go_on` says no.
    pub fn serve<M: LineMemory>(
        &mut self,
        machine: &mut Machine<M>,
        mut go_on: impl FnMut(&mut Machine<M>) -> bool,
    ) {
        let mut debugged: Option<Instant> = None;
        while go_on(machine) {
            let mut asked = false;
            if let Some(bytes) = self.debug.receive() {
                debugged = Some(Instant::now());
                let replies = self.remote.serve(machine, &bytes);
                self.debug.send(&replies);
            }
            if let Some(bytes) = self.host.receive() {
                asked = true;
                let replies = self.answer(machine, &bytes);
                self.host.send(&replies);
            }
            let awake = machine.core().is_some_and(|core| !core.is_asleep());
            let debugs = debugged.is_some_and(|last| last.elapsed() < QUIET);
            let cycles = if debugs && !asked {
                DEBUGGED
            } else if asked || awake {
                BUSY
            } else {
                IDLE
            };
            for _ in 0..cycles {
                machine.tick();
            }
            if !asked && !awake && !debugs {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// The host's lines.
    fn answer<M: LineMemory>(&mut self, machine: &mut Machine<M>, bytes: &[u8]) -> Vec<u8> {
        let mut replies = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                // What is longer than any line is none.
                if self.line.len() < 64 {
                    self.line.push(byte);
                }
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            let mut words = line.split_whitespace();
            let number = |words: &mut std::str::SplitWhitespace<'_>| {
                words.next().and_then(|word| u32::from_str_radix(word, 16).ok())
            };
            let kind = words.next().unwrap_or("").to_owned();
            let offset = number(&mut words).and_then(|offset| u16::try_from(offset).ok());
            let reply = match (kind.as_str(), offset, number(&mut words)) {
                ("r", Some(offset), None) => Some(machine.host().read(offset)),
                ("w", Some(offset), Some(value)) => {
                    Some(machine.host().write(offset, value).map(|()| 0))
                }
                _ => None,
            };
            let reply = match reply {
                Some(Ok(value)) => format!("ok {value:x}\n"),
                Some(Err(BusError::Denied { .. })) => "denied\n".to_owned(),
                Some(Err(BusError::Gone)) => "gone\n".to_owned(),
                None => "what\n".to_owned(),
            };
            replies.extend(reply.into_bytes());
        }
        replies
    }
}
