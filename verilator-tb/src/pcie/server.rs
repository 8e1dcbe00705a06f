//! The board as a PCI device of another process, by vfio-user.
//!
//! The client (QEMU, or [`vfio_user::Client`]) sees configuration space, BAR0, BAR2 and MSI-X. An access
//! becomes a TLP to the Verilated endpoint, DMA goes to the memory that the client lends, and an MSI-X
//! message becomes a write to the client's eventfd. Simulated time passes while there is work: a write
//! returns when all that it caused has ended, so a command that was rung for is done when the doorbell's
//! write returns.
//!
//! One client at a time. When it goes, its memory is given back and the endpoint is reset; the component
//! keeps its contents, and the next client may come.

use super::board::{BarRead, Board, BoardError, HostMemory, Settings};
use super::client_memory::ClientMemory;
use crate::dram::LineMemory;
use splitmem_abi::pcie;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem::size_of;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use vfio_bindings::bindings::vfio::{
    vfio_region_info, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_READ,
    VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_user::{DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion};

/// Bytes of configuration space.
const CONFIG_BYTES: usize = 4096;
/// Where MSI-X messages go: no memory of the client is there, and bits 7..4 are the vector.
const MESSAGES: u64 = 0xffff_ffff_fee0_0000;
/// The MSI-X capability's place.
const MSIX_CAPABILITY: usize = 0x40;
/// The PCI Express capability's place.
const PCIE_CAPABILITY: usize = 0x60;
/// Its device control register: payload size in bits 7..5, read request size in bits 14..12.
const DEVICE_CONTROL: usize = PCIE_CAPABILITY + 8;
/// Bit of its upper byte: initiate a function level reset.
const INITIATE_RESET: u8 = 0x80;

/// Why the server ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another server listens there.
    #[error("{} is in use: another server listens there; stop it or choose another path", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} exists and is no socket: choose another path", .0.display())]
    NoSocket(PathBuf),
    /// The socket could not be made or used.
    #[error("cannot serve at {}: {reason}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The board does not work.
    #[error(transparent)]
    Board(#[from] BoardError),
}

/// What the server tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// It listens.
    Listening,
    /// A client has gone; why, if it did not say goodbye.
    Gone(Option<&'a str>),
}

/// Serves clients one after the other, until `go_on` says no after one of them.
///
/// # Errors
/// [`ServeError`].
pub fn serve<M: LineMemory>(
    path: &Path,
    board: Board<M>,
    mut go_on: impl FnMut(Event<'_>) -> bool,
) -> Result<Board<M>, ServeError> {
    make_room(path)?;
    let failed = |reason: String| ServeError::Socket { path: path.to_owned(), reason };
    let server = Server::new(path, true, irqs(), regions()).map_err(|e| failed(e.to_string()))?;
    let mut device = Device {
        board,
        config: config_space(),
        memory: Client { lent: ClientMemory::default(), fired: 0 },
        eventfds: Default::default(),
        broken: None,
    };
    if !go_on(Event::Listening) {
        return Ok(device.board);
    }
    loop {
        let ended = server.run(&mut device).err().map(|error| error.to_string());
        if let Some(error) = device.broken.take() {
            return Err(error.into());
        }
        device.begin()?;
        if !go_on(Event::Gone(ended.as_deref())) {
            return Ok(device.board);
        }
    }
}

/// Takes away a socket that nobody listens at.
fn make_room(path: &Path) -> Result<(), ServeError> {
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(there) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !there.file_type().is_socket() {
        return Err(ServeError::NoSocket(path.to_owned()));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ServeError::InUse(path.to_owned()));
    }
    std::fs::remove_file(path)
        .map_err(|e| ServeError::Socket { path: path.to_owned(), reason: e.to_string() })
}

fn irqs() -> Vec<IrqInfo> {
    let count = |index| if index == VFIO_PCI_MSIX_IRQ_INDEX { pcie::VECTORS } else { 0 };
    (0..VFIO_PCI_NUM_IRQS)
        .map(|index| IrqInfo { index, count: count(index), flags: VFIO_IRQ_INFO_EVENTFD })
        .collect()
}

fn regions() -> Vec<ServerRegion> {
    let region = |index| {
        let size = match index {
            VFIO_PCI_BAR0_REGION_INDEX => 1 << pcie::BAR0_BITS,
            VFIO_PCI_BAR2_REGION_INDEX => 1 << pcie::BAR2_BITS,
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_BYTES as u64,
            _ => 0,
        };
        let rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        let region_info = vfio_region_info {
            argsz: size_of::<vfio_region_info>() as u32,
            index,
            size,
            flags: if size == 0 { 0 } else { rw },
            ..Default::default()
        };
        ServerRegion { region_info, sparse_areas: Vec::new(), mmap_fd: None }
    };
    (0..VFIO_PCI_NUM_REGIONS).map(region).collect()
}

/// Configuration space after reset (PCI Local Bus Specification 3.0, chapter 6; PCI Express Base
/// Specification 5.0, section 7.5.3).
fn config_space() -> Vec<u8> {
    let mut config = vec![0; CONFIG_BYTES];
    let mut put = |at: usize, value: u32| {
        config[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    put(0x00, u32::from(pcie::DEVICE_ID) << 16 | u32::from(pcie::VENDOR_ID));
    // Status: there are capabilities.
    put(0x04, 0x0010_0000);
    put(0x08, pcie::CLASS << 8 | 1);
    // BAR0: 32 bits. BAR2: 64 bits, prefetchable.
    put(0x18, 0xc);
    put(0x2c, u32::from(pcie::DEVICE_ID) << 16 | u32::from(pcie::VENDOR_ID));
    put(0x34, MSIX_CAPABILITY as u32);
    // MSI-X; table and pending bits in BAR0.
    put(MSIX_CAPABILITY, (pcie::VECTORS - 1) << 16 | (PCIE_CAPABILITY as u32) << 8 | 0x11);
    put(MSIX_CAPABILITY + 4, pcie::MSIX_TABLE);
    put(MSIX_CAPABILITY + 8, pcie::MSIX_PBA);
    // PCI Express, version 2, an endpoint; the last capability.
    put(PCIE_CAPABILITY, 0x0002_0010);
    // Function level reset, role-based error reporting, payloads of up to 256 bytes.
    put(PCIE_CAPABILITY + 0x04, 1 << 28 | 1 << 15 | 1);
    // Payloads of 128 bytes, reads of 512.
    put(DEVICE_CONTROL, 0x2000);
    // The link that it would have: 8 lanes at 8 GT/s.
    put(PCIE_CAPABILITY + 0x0c, 0x83);
    put(PCIE_CAPABILITY + 0x10, 0x83 << 16);
    put(PCIE_CAPABILITY + 0x2c, 0x0e);
    config
}

/// Whether the client may write this byte of configuration space.
fn is_writable(at: usize) -> bool {
    matches!(at, 0x04 | 0x05 | 0x0c | 0x3c)
        || (0x10..0x28).contains(&at)
        || at == MSIX_CAPABILITY + 3
        || (DEVICE_CONTROL..DEVICE_CONTROL + 2).contains(&at)
}

/// The client's memory, and the messages that were written beside it.
struct Client {
    lent: ClientMemory,
    /// Vectors whose message came.
    fired: u32,
}

impl HostMemory for Client {
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        self.lent.read(address, data)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> bool {
        if address & !0xff == MESSAGES {
            self.fired |= 1 << (address >> 4 & 0xf);
            return true;
        }
        self.lent.write(address, data)
    }
}

struct Device<M> {
    board: Board<M>,
    config: Vec<u8>,
    memory: Client,
    /// Where the vectors' messages go: the client's, whatever becomes of the function.
    eventfds: [Option<File>; pcie::VECTORS as usize],
    /// The board failed: after this client the server ends.
    broken: Option<BoardError>,
}

impl<M: LineMemory> Device<M> {
    /// As after power-up, but for what the component holds.
    fn begin(&mut self) -> Result<(), BoardError> {
        self.memory.lent.clear();
        self.eventfds = Default::default();
        self.restart()
    }

    /// A function level reset.
    fn restart(&mut self) -> Result<(), BoardError> {
        self.config = config_space();
        self.board.reset(&mut self.memory)?;
        self.memory.fired = 0;
        self.apply();
        self.connect_vectors()
    }

    /// Passes the error of the board on to the client, and remembers it.
    fn done<T>(&mut self, result: Result<T, BoardError>) -> io::Result<T> {
        // What interrupted the client during the access.
        let fired = std::mem::take(&mut self.memory.fired);
        for (vector, eventfd) in self.eventfds.iter_mut().enumerate() {
            if let (1, Some(eventfd)) = (fired >> vector & 1, eventfd) {
                eventfd.write_all(&1u64.to_ne_bytes())?;
            }
        }
        result.map_err(|error| {
            let told = io::Error::other(error.to_string());
            self.broken = Some(error);
            told
        })
    }

    /// Whether an access lies within a region.
    fn within(region: u32, offset: u64, bytes: usize) -> bool {
        let size: u64 = match region {
            VFIO_PCI_BAR0_REGION_INDEX => 1 << pcie::BAR0_BITS,
            VFIO_PCI_BAR2_REGION_INDEX => 1 << pcie::BAR2_BITS,
            VFIO_PCI_CONFIG_REGION_INDEX => CONFIG_BYTES as u64,
            _ => 0,
        };
        offset.checked_add(bytes as u64).is_some_and(|end| end <= size)
    }

    /// Tells the endpoint what configuration space now says.
    fn apply(&mut self) {
        let bus_master = self.config[0x04] & 4 != 0;
        let control = [self.config[DEVICE_CONTROL], self.config[DEVICE_CONTROL + 1]];
        let (max_payload, max_read) = (control[0] >> 5, control[1] >> 4 & 7);
        let settings = Settings { bus_master, max_payload, max_read, ..self.board.settings() };
        self.board.configure(settings);
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), BoardError> {
        self.board.write_bar(&mut self.memory, 0, u64::from(offset), &value.to_le_bytes())
    }

    /// Fills the endpoint's MSI-X table: a client of VFIO gives eventfds, not addresses.
    fn connect_vectors(&mut self) -> Result<(), BoardError> {
        let open = self.eventfds.each_ref().map(Option::is_some);
        for (vector, open) in (0..).zip(open) {
            let entry = pcie::MSIX_TABLE + 16 * vector;
            let address = MESSAGES + u64::from(16 * vector);
            let words = [address as u32, (address >> 32) as u32, vector, u32::from(!open)];
            for (i, word) in (0..).zip(words) {
                self.write_register(entry + 4 * i, word)?;
            }
        }
        let msix = open.contains(&true);
        self.board.configure(Settings { msix, ..self.board.settings() });
        Ok(())
    }
}

impl<M: LineMemory> ServerBackend for Device<M> {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        // What is outside reads ones, as on a bus where nobody answers.
        data.fill(0xff);
        if !Self::within(region, offset, data.len()) {
            return Ok(());
        }
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            let at = offset as usize;
            data.copy_from_slice(&self.config[at..at + data.len()]);
            return Ok(());
        }
        let mut at = 0;
        while at < data.len() {
            let from = offset + at as u64;
            let take = pieces(from, data.len() - at);
            let read = self.board.read_bar(&mut self.memory, region as u8, from, take);
            if let BarRead::Data(bytes) = self.done(read)? {
                data[at..at + take].copy_from_slice(&bytes);
            }
            at += take;
        }
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        if !Self::within(region, offset, data.len()) {
            return Ok(());
        }
        if region == VFIO_PCI_CONFIG_REGION_INDEX {
            for (at, byte) in (offset as usize..).zip(data) {
                if at == DEVICE_CONTROL + 1 && byte & INITIATE_RESET != 0 {
                    let reset = self.restart();
                    return self.done(reset);
                }
                if is_writable(at) {
                    self.config[at] = *byte;
                }
            }
            self.apply();
            return Ok(());
        }
        let mut at = 0;
        while at < data.len() {
            let from = offset + at as u64;
            let take = pieces(from, data.len() - at);
            let piece = &data[at..at + take];
            let written = self.board.write_bar(&mut self.memory, region as u8, from, piece);
            self.done(written)?;
            at += take;
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        _flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        file: Option<File>,
    ) -> io::Result<()> {
        match file {
            Some(file) => self.memory.lent.map(address, size, &file, offset),
            // Memory that cannot be shared (a ROM): the device finds nothing there.
            None => Ok(()),
        }
    }

    fn dma_unmap(&mut self, _flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        self.memory.lent.unmap(address, size);
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        let result = self.restart();
        self.done(result)
    }

    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        // Vectors are masked in the client's own copy of the table.
        if index != VFIO_PCI_MSIX_IRQ_INDEX || flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(());
        }
        // No vector at all: none of them any more.
        let (start, count) = match (start as usize, count as usize) {
            (0, 0) => (0, self.eventfds.len()),
            range => range,
        };
        let Some(vectors) = self.eventfds.get_mut(start..start.saturating_add(count)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        // Those without an eventfd are switched off.
        let mut fds = fds.into_iter();
        vectors.iter_mut().for_each(|vector| *vector = fds.next());
        let connected = self.connect_vectors();
        self.done(connected)
    }
}

/// Bytes of the next TLP of an access: at most 64, and not across 64.
fn pieces(from: u64, left: usize) -> usize {
    left.min(64 - (from & 63) as usize)
}
