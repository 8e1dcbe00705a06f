//! Commands to a memory device (CXL 3.1, section 8.2.9), through `/dev/cxl/memN`.
//!
//! The kernel lets some commands through by its own numbers; others only as raw ones, which need a
//! kernel built for debugging. [`Memory`] knows which is which.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::{Action, CxlError};
use super::sys;

/// Sends commands to a device.
pub trait Mailbox {
    /// Sends a command, raw or not, and gives at most `most` bytes of its answer.
    ///
    /// # Errors
    /// [`CxlError`].
    fn send(&mut self, command: &Code, input: &[u8], most: usize) -> Result<Vec<u8>, CxlError>;
}

/// A command's name and numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code {
    /// Its name in the specification.
    pub name: &'static str,
    /// The kernel's number (`CXL_MEM_COMMAND_ID_*`); `None`: only raw.
    pub id: Option<u32>,
    /// The specification's opcode.
    pub opcode: u16,
}

/// The kernel's number of raw commands.
const RAW: u32 = 2;

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $id:expr, $opcode:literal;)+) => {
        impl Code { $($(#[$doc])* pub const $constant: Self = Self { name: $name, id: $id, opcode: $opcode };)+ }
    };
}

codes! {
    /// Identify Memory Device.
    IDENTIFY = "Identify Memory Device", Some(1), 0x4000;
    /// Get Supported Logs.
    LOGS = "Get Supported Logs", Some(3), 0x0400;
    /// Get Partition Info.
    PARTITION = "Get Partition Info", Some(5), 0x4100;
    /// Get Health Info.
    HEALTH = "Get Health Info", Some(7), 0x4200;
    /// Get Event Records.
    EVENTS = "Get Event Records", None, 0x0100;
    /// Clear Event Records.
    CLEAR_EVENTS = "Clear Event Records", None, 0x0101;
    /// Get Poison List. The kernel offers it in sysfs (`trigger_poison_list`), and raw.
    POISON = "Get Poison List", None, 0x4300;
    /// Inject Poison.
    INJECT_POISON = "Inject Poison", None, 0x4301;
    /// Clear Poison.
    CLEAR_POISON = "Clear Poison", None, 0x4302;
    /// Sanitize. The kernel offers it in sysfs (`security/sanitize`), and raw.
    SANITIZE = "Sanitize", None, 0x4400;
}

/// A memory device's file.
#[derive(Debug)]
pub struct Memory {
    file: File,
    path: PathBuf,
}

impl Memory {
    /// Opens `/dev/cxl/NAME`.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    pub fn open(name: &str) -> Result<Self, CxlError> {
        let path = Path::new("/dev/cxl").join(name);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|e| CxlError::refused(Action::Open, &path, e))?;
        Ok(Self { file, path })
    }

    /// The kernel's numbers of the commands that it lets through now.
    ///
    /// # Errors
    /// [`CxlError::Refused`].
    pub fn commands(&self) -> Result<Vec<u32>, CxlError> {
        let action = || Action::Command("QUERY".to_owned());
        let all = sys::query(&self.file).map_err(|e| CxlError::refused(action(), &self.path, e))?;
        let listed = |info: &&sys::CommandInfo| info.size_in != 0 || info.size_out != 0;
        // Bit 0 says enabled; kernels before 6.2 set no flags and list only what is.
        let flagged = all.iter().any(|info| info.flags & 1 == 1);
        let usable =
            all.iter().filter(|info| if flagged { info.flags & 1 == 1 } else { listed(info) });
        Ok(usable.map(|info| info.id).collect())
    }
}

impl Mailbox for Memory {
    fn send(&mut self, command: &Code, input: &[u8], most: usize) -> Result<Vec<u8>, CxlError> {
        let (id, opcode) = match command.id {
            Some(id) => (id, 0),
            None => (RAW, command.opcode),
        };
        let answer = sys::send(&self.file, id, opcode, input, most);
        let action = || Action::Command(command.name.to_owned());
        let (code, output) = answer.map_err(|e| CxlError::refused(action(), &self.path, e))?;
        if code != 0 && code != 1 {
            let device = self.path.display().to_string();
            return Err(CxlError::Device { device, command: command.name.to_owned(), code });
        }
        Ok(output)
    }
}

/// Little-endian fields of an answer, one after the other.
struct Fields<'a> {
    command: &'static str,
    bytes: &'a [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], CxlError> {
        match self.bytes.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.bytes = rest;
                Ok(*field)
            }
            None => Err(CxlError::Missing {
                what: format!("the answer to {} is too short", self.command),
                hint: "the device does not keep to the specification: update its firmware",
            }),
        }
    }

    fn u8(&mut self) -> Result<u8, CxlError> {
        Ok(self.take::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, CxlError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, CxlError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, CxlError> {
        self.take().map(u64::from_le_bytes)
    }

    /// Capacity, told in units of 256 MiB.
    fn capacity(&mut self) -> Result<u64, CxlError> {
        Ok(self.u64()?.saturating_mul(256 << 20))
    }
}

/// What a device is (8.2.9.9.1.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Firmware revision.
    pub firmware: String,
    /// Bytes of capacity.
    pub total: u64,
    /// Bytes that are always volatile.
    pub volatile: u64,
    /// Bytes that are always persistent.
    pub persistent: u64,
    /// Bytes by which the rest can be divided; 0 if it cannot.
    pub alignment: u64,
    /// Bytes of the label storage area.
    pub label_area: u32,
    /// Most records of the poison list.
    pub poison_most: u32,
}

/// How a device is (8.2.9.9.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// Maintenance is needed.
    pub maintenance: bool,
    /// Performance is degraded.
    pub slow: bool,
    /// It should be replaced.
    pub replace: bool,
    /// State of the media; 0 is normal.
    pub media: u8,
    /// Life used, in percent, if it says so.
    pub life_used: Option<u8>,
    /// Temperature in degrees Celsius, if it says so.
    pub temperature: Option<i16>,
    /// Errors corrected in volatile memory.
    pub corrected: u32,
}

/// How its capacity is divided (8.2.9.9.2.1): bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Volatile now.
    pub volatile: u64,
    /// Persistent now.
    pub persistent: u64,
    /// Volatile after the next reset; 0 if nothing changes.
    pub next_volatile: u64,
    /// Persistent after the next reset.
    pub next_persistent: u64,
}

/// A record of the poison list (8.2.9.9.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poison {
    /// Device physical address.
    pub dpa: u64,
    /// Bytes.
    pub bytes: u64,
    /// How it came: 0 unknown, 1 from outside, 2 inside, 3 injected, 7 the vendor's.
    pub source: u8,
}

/// The event logs (8.2.9.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Log {
    /// Informational.
    Info = 0,
    /// Warnings.
    Warning = 1,
    /// Failures.
    Failure = 2,
    /// Fatal ones.
    Fatal = 3,
}

/// An event record's common part (8.2.9.2.1), and what follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Which kind.
    pub uuid: [u8; 16],
    /// Flags, 24 bits.
    pub flags: u32,
    /// Its name in the log.
    pub handle: u16,
    /// Nanoseconds, as the device counts.
    pub time: u64,
    /// By kind.
    pub data: Vec<u8>,
}

/// Commands by what they ask.
pub trait Commands: Mailbox {
    /// Identify Memory Device.
    ///
    /// # Errors
    /// [`CxlError`].
    fn identify(&mut self) -> Result<Identity, CxlError> {
        // The kernel insists on the size that it knows.
        let answer = self.send(&Code::IDENTIFY, &[], 0x43)?;
        let mut f = Fields { command: Code::IDENTIFY.name, bytes: &answer };
        let firmware: [u8; 16] = f.take()?;
        let firmware = String::from_utf8_lossy(&firmware);
        let identity = Identity {
            firmware: firmware.trim_end_matches(['\0', ' ']).to_owned(),
            total: f.capacity()?,
            volatile: f.capacity()?,
            persistent: f.capacity()?,
            alignment: f.capacity()?,
            label_area: {
                f.take::<8>()?;
                f.u32()?
            },
            poison_most: {
                let [low, middle, high] = f.take()?;
                u32::from_le_bytes([low, middle, high, 0])
            },
        };
        Ok(identity)
    }

    /// Get Health Info.
    ///
    /// # Errors
    /// [`CxlError`].
    fn health(&mut self) -> Result<Health, CxlError> {
        let answer = self.send(&Code::HEALTH, &[], 0x12)?;
        let mut f = Fields { command: Code::HEALTH.name, bytes: &answer };
        let (status, media, _additional, life) = (f.u8()?, f.u8()?, f.u8()?, f.u8()?);
        let temperature = f.u16()?;
        f.u32()?;
        Ok(Health {
            maintenance: status & 1 != 0,
            slow: status & 2 != 0,
            replace: status & 4 != 0,
            media,
            life_used: (life != 0xff).then_some(life),
            // Both values have been seen to say that there is none.
            temperature: (temperature != 0xffff && temperature != 0x7fff)
                .then_some(temperature as i16),
            corrected: f.u32()?,
        })
    }

    /// Get Partition Info.
    ///
    /// # Errors
    /// [`CxlError`].
    fn partition(&mut self) -> Result<Partition, CxlError> {
        let answer = self.send(&Code::PARTITION, &[], 0x20)?;
        let mut f = Fields { command: Code::PARTITION.name, bytes: &answer };
        Ok(Partition {
            volatile: f.capacity()?,
            persistent: f.capacity()?,
            next_volatile: f.capacity()?,
            next_persistent: f.capacity()?,
        })
    }

    /// Get Event Records: some of a log, and whether there are more.
    ///
    /// # Errors
    /// [`CxlError`].
    fn events(&mut self, log: Log) -> Result<(Vec<Record>, bool), CxlError> {
        let answer = self.send(&Code::EVENTS, &[log as u8], 0x20 + 3 * 0x80)?;
        let mut f = Fields { command: Code::EVENTS.name, bytes: &answer };
        let flags = f.u8()?;
        f.take::<19>()?;
        let count = f.u16()?;
        f.take::<10>()?;
        let mut records = Vec::new();
        for _ in 0..count {
            let uuid = f.take()?;
            f.u8()?;
            let [low, middle, high] = f.take()?;
            let handle = f.u16()?;
            f.u16()?;
            let time = f.u64()?;
            f.take::<16>()?;
            let data: [u8; 0x50] = f.take()?;
            let flags = u32::from_le_bytes([low, middle, high, 0]);
            records.push(Record { uuid, flags, handle, time, data: data.to_vec() });
        }
        Ok((records, flags & 2 != 0))
    }

    /// Clear Event Records: those of these handles, in the order in which they were got.
    ///
    /// # Errors
    /// [`CxlError`].
    fn clear_events(&mut self, log: Log, handles: &[u16]) -> Result<(), CxlError> {
        let count = u8::try_from(handles.len()).map_err(|_| CxlError::Missing {
            what: format!("{} handles do not fit a command", handles.len()),
            hint: "clear at most 255 at a time",
        })?;
        let mut input = vec![log as u8, 0, count, 0, 0, 0];
        input.extend(handles.iter().flat_map(|handle| handle.to_le_bytes()));
        self.send(&Code::CLEAR_EVENTS, &input, 0).map(drop)
    }

    /// Get Poison List: of the bytes from `dpa` on, both multiples of 64; and whether there is more.
    ///
    /// # Errors
    /// [`CxlError`].
    fn poison(&mut self, dpa: u64, bytes: u64) -> Result<(Vec<Poison>, bool), CxlError> {
        let mut input = dpa.to_le_bytes().to_vec();
        input.extend((bytes / 64).to_le_bytes());
        let answer = self.send(&Code::POISON, &input, 512)?;
        let mut f = Fields { command: Code::POISON.name, bytes: &answer };
        let flags = f.u8()?;
        f.take::<9>()?;
        let count = f.u16()?;
        f.take::<20>()?;
        let mut list = Vec::new();
        for _ in 0..count {
            let address = f.u64()?;
            let bytes = u64::from(f.u32()?) * 64;
            f.u32()?;
            list.push(Poison { dpa: address & !63, bytes, source: (address & 7) as u8 });
        }
        Ok((list, flags & 1 != 0))
    }

    /// Inject Poison in the line at `dpa`.
    ///
    /// # Errors
    /// [`CxlError`].
    fn inject_poison(&mut self, dpa: u64) -> Result<(), CxlError> {
        self.send(&Code::INJECT_POISON, &dpa.to_le_bytes(), 0).map(drop)
    }

    /// Clear Poison: writes `data` to the line at `dpa`.
    ///
    /// # Errors
    /// [`CxlError`].
    fn clear_poison(&mut self, dpa: u64, data: &[u8; 64]) -> Result<(), CxlError> {
        let mut input = dpa.to_le_bytes().to_vec();
        input.extend(data);
        self.send(&Code::CLEAR_POISON, &input, 0).map(drop)
    }

    /// Sanitize: all data go. Runs in the background; the media is disabled meanwhile.
    ///
    /// # Errors
    /// [`CxlError`].
    fn sanitize(&mut self) -> Result<(), CxlError> {
        self.send(&Code::SANITIZE, &[], 0).map(drop)
    }
}

impl<M: Mailbox + ?Sized> Commands for M {}
