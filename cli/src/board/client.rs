//! The other ends of the board's two ports.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use splitmem_abi::bus::{BusError, RegisterBus};
use verilator_tb::soc::{DebugError, Scan};

use super::BoardError;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(address: &str) -> Result<TcpStream, BoardError> {
    let not_running = |source| BoardError::NotRunning { address: address.to_owned(), source };
    let mut addresses = address.to_socket_addrs().map_err(not_running)?;
    let first = addresses.next().ok_or_else(|| not_running(std::io::ErrorKind::NotFound.into()))?;
    let stream = TcpStream::connect_timeout(&first, Duration::from_secs(5)).map_err(not_running)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The host's registers of a board that runs.
#[derive(Debug)]
pub struct RemoteBus {
    stream: BufReader<TcpStream>,
}

impl RemoteBus {
    /// Connects.
    ///
    /// # Errors
    /// [`BoardError::NotRunning`].
    pub fn connect(address: &str) -> Result<Self, BoardError> {
        Ok(Self { stream: BufReader::new(connect(address)?) })
    }

    fn ask(&mut self, line: &str, offset: u16) -> Result<u32, BusError> {
        let mut reply = String::new();
        let talk = self.stream.get_mut().write_all(line.as_bytes());
        talk.and_then(|()| self.stream.read_line(&mut reply)).map_err(|_| BusError::Gone)?;
        match reply.trim_end().split_once(' ') {
            Some(("ok", value)) => u32::from_str_radix(value, 16).map_err(|_| BusError::Gone),
            None if reply.trim_end() == "denied" => Err(BusError::Denied { offset }),
            _ => Err(BusError::Gone),
        }
    }
}

impl RegisterBus for RemoteBus {
    fn read(&mut self, offset: u16) -> Result<u32, BusError> {
        self.ask(&format!("r {offset:x}\n"), offset)
    }

    fn write(&mut self, offset: u16, value: u32) -> Result<(), BusError> {
        self.ask(&format!("w {offset:x} {value:x}\n"), offset).map(drop)
    }
}

/// A JTAG port over the Black Magic Probe's remote protocol.
#[derive(Debug)]
pub struct RemoteJtag {
    stream: TcpStream,
}

impl RemoteJtag {
    /// Connects, and makes sure that a probe answers.
    ///
    /// # Errors
    /// [`BoardError::NotRunning`], [`BoardError::Protocol`].
    pub fn connect(address: &str) -> Result<Self, BoardError> {
        let mut port = Self { stream: connect(address)? };
        let name = port.ask("!GA#")?;
        if name.is_empty() {
            return Err(BoardError::Protocol(name));
        }
        port.ask("!JS#")?;
        Ok(port)
    }

    /// A packet's reply, without what frames it.
    fn ask(&mut self, packet: &str) -> Result<String, BoardError> {
        self.stream.write_all(packet.as_bytes())?;
        let mut reply = Vec::new();
        let mut byte = [0];
        while byte != *b"#" {
            self.stream.read_exact(&mut byte)?;
            reply.push(byte[0]);
        }
        let reply = String::from_utf8_lossy(&reply).into_owned();
        match reply.strip_prefix("&K").and_then(|rest| rest.strip_suffix('#')) {
            Some(value) => Ok(value.to_owned()),
            None => Err(BoardError::Protocol(reply)),
        }
    }
}

impl Scan for RemoteJtag {
    type Error = BoardError;

    fn tms(&mut self, count: u32, bits: u64) -> Result<(), BoardError> {
        self.ask(&format!("!JT{count:02x}{bits:x}#")).map(drop)
    }

    fn shift(&mut self, count: u32, bits: u64) -> Result<u64, BoardError> {
        let reply = self.ask(&format!("!JD{count:02x}{bits:x}#"))?;
        u64::from_str_radix(&reply, 16).map_err(|_| BoardError::Protocol(reply))
    }
}

impl From<DebugError<BoardError>> for BoardError {
    fn from(error: DebugError<BoardError>) -> Self {
        match error {
            DebugError::Port(error) => error,
            error => Self::Debug(error.to_string()),
        }
    }
}
