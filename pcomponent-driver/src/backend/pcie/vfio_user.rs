//! A device of a vfio-user server (`splitmem serve`), as a [`PcieDevice`].

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::vfio_user::Client;
use splitmem_abi::pcie;

use super::shared::SharedMemory;
use super::{PcieDevice, SHARED_BYTES};
use crate::transport::TransportError;

/// The device's address of the shared memory.
const ADDRESS: u64 = 0x1_0000_0000;
/// Regions of VFIO's PCI devices.
const BAR0: u32 = 0;
const CONFIG: u32 = 7;
/// Command register of configuration space, and its bits memory space and bus master.
const COMMAND: u64 = 4;
const MEMORY_AND_MASTER: u16 = 6;

/// Why a server's device cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens, or the server does not speak vfio-user.
    #[error("cannot connect to {}: {reason}; start one with: splitmem serve --vfio-user {}",
        .path.display(), .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The device is another one.
    #[error("the device at {} is {found:04x?}, not Splitmem's", .path.display())]
    Other {
        /// The socket.
        path: PathBuf,
        /// Vendor and device.
        found: [u16; 2],
    },
    /// The memory that the device is to share.
    #[error("cannot make memory to share with the device: {0}")]
    Memory(std::io::Error),
    /// The server refused something or went away.
    #[error("the server at {} does not go along: {reason}", .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// What and why.
        reason: String,
    },
}

/// A connection to a server's device, and the memory lent to it.
pub struct VfioUserDevice {
    client: Client,
    shared: SharedMemory,
    // Keeps the memory's file as long as the device.
    _file: File,
}

impl VfioUserDevice {
    /// Connects, looks whether the device is Splitmem's, lends it memory and lets it use it.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(path: &Path) -> Result<Self, ConnectError> {
        let refused = |what: &str, error: ::vfio_user::Error| ConnectError::Refused {
            path: path.to_owned(),
            reason: format!("{what}: {error}"),
        };
        let mut client = Client::new(path).map_err(|error| ConnectError::Connect {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let mut id = [0; 4];
        client.region_read(CONFIG, 0, &mut id).map_err(|e| refused("its identity", e))?;
        let found = [u16::from_le_bytes([id[0], id[1]]), u16::from_le_bytes([id[2], id[3]])];
        if found != [pcie::VENDOR_ID, pcie::DEVICE_ID] {
            return Err(ConnectError::Other { path: path.to_owned(), found });
        }
        let file = memory_file().map_err(ConnectError::Memory)?;
        let shared = SharedMemory::of(&file).map_err(ConnectError::Memory)?;
        client
            .dma_map(0, ADDRESS, SHARED_BYTES as u64, file.as_raw_fd())
            .map_err(|e| refused("memory for DMA", e))?;
        client
            .region_write(CONFIG, COMMAND, &MEMORY_AND_MASTER.to_le_bytes())
            .map_err(|e| refused("bus mastering", e))?;
        Ok(Self { client, shared, _file: file })
    }

    /// Resets the device: its endpoint forgets everything, the component nothing. The transport over it
    /// must be started anew.
    ///
    /// # Errors
    /// [`TransportError::Gone`].
    pub fn reset(&mut self) -> Result<(), TransportError> {
        self.client.reset().map_err(gone)?;
        self.client.region_write(CONFIG, COMMAND, &MEMORY_AND_MASTER.to_le_bytes()).map_err(gone)
    }
}

/// A file of [`SHARED_BYTES`] in memory, without a name.
fn memory_file() -> std::io::Result<File> {
    let file = tempfile::tempfile_in("/dev/shm")?;
    file.set_len(SHARED_BYTES as u64)?;
    Ok(file)
}

impl PcieDevice for VfioUserDevice {
    fn name(&self) -> &'static str {
        "vfio-user"
    }

    fn read_register(&mut self, offset: u32) -> Result<u32, TransportError> {
        let mut bytes = [0; 4];
        self.client.region_read(BAR0, offset.into(), &mut bytes).map_err(gone)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), TransportError> {
        self.client.region_write(BAR0, offset.into(), &value.to_le_bytes()).map_err(gone)
    }

    fn shared_address(&self) -> u64 {
        ADDRESS
    }

    fn load(&self, at: usize, data: &mut [u8]) {
        self.shared.load(at, data);
    }

    fn store(&mut self, at: usize, data: &[u8]) {
        self.shared.store(at, data);
    }

    fn wait(&mut self, _limit: Duration) -> Result<(), TransportError> {
        // The server has done everything when the doorbell's write returns: looking again is enough,
        // and a register read tells whether it is still there.
        let id = pcie::ENDPOINT_PAGE + u32::from(pcie::EP_ID.offset);
        self.read_register(id).map(drop)
    }
}

fn gone(error: ::vfio_user::Error) -> TransportError {
    TransportError::Gone(format!("its vfio-user server: {error}"))
}
