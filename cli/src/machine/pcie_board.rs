//! A simulated board in this process, as a [`PcieDevice`]: the Verilated endpoint and component without
//! a socket between.

use std::time::Duration;

use pcomponent_driver::backend::pcie::{PcieDevice, SHARED_BYTES};
use pcomponent_driver::transport::TransportError;
use verilator_tb::dram::LineMemory;
use verilator_tb::pcie::{BarRead, Board, BoardError, HostMemory, Settings};

/// Where the shared memory stands in the board's view of the host.
const ADDRESS: u64 = 0x1_0000_0000;

struct Shared(Vec<u8>);

impl Shared {
    fn range(&self, address: u64, bytes: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(address.checked_sub(ADDRESS)?).ok()?;
        (start.checked_add(bytes)? <= self.0.len()).then(|| start..start + bytes)
    }
}

impl HostMemory for Shared {
    fn read(&mut self, address: u64, data: &mut [u8]) -> bool {
        let Some(range) = self.range(address, data.len()) else { return false };
        data.copy_from_slice(&self.0[range]);
        true
    }

    fn write(&mut self, address: u64, data: &[u8]) -> bool {
        let Some(range) = self.range(address, data.len()) else { return false };
        self.0[range].copy_from_slice(data);
        true
    }
}

/// A board in this process.
pub struct BoardDevice<M> {
    board: Board<M>,
    shared: Shared,
    clock_mhz: Option<f64>,
}

impl<M: LineMemory> BoardDevice<M> {
    /// Over a board, which is told that it may master the bus. `clock_mhz` turns its cycles into time.
    pub fn new(mut board: Board<M>, clock_mhz: Option<f64>) -> Self {
        board.configure(Settings { bus_master: true, ..board.settings() });
        Self { board, shared: Shared(vec![0; SHARED_BYTES]), clock_mhz }
    }

    /// The board.
    pub fn board(&mut self) -> &mut Board<M> {
        &mut self.board
    }
}

impl<M: LineMemory + Send> PcieDevice for BoardDevice<M> {
    fn name(&self) -> &'static str {
        "board"
    }

    fn clock_mhz(&self) -> Option<f64> {
        self.clock_mhz
    }

    fn read_register(&mut self, offset: u32) -> Result<u32, TransportError> {
        match self.board.read_bar(&mut self.shared, 0, offset.into(), 4).map_err(broken)? {
            BarRead::Data(bytes) => {
                Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
            }
            other => Err(TransportError::Protocol(format!("register {offset:#x}: {other:?}"))),
        }
    }

    fn write_register(&mut self, offset: u32, value: u32) -> Result<(), TransportError> {
        let bytes = value.to_le_bytes();
        self.board.write_bar(&mut self.shared, 0, offset.into(), &bytes).map_err(broken)
    }

    fn shared_address(&self) -> u64 {
        ADDRESS
    }

    fn load(&self, at: usize, data: &mut [u8]) {
        data.copy_from_slice(&self.shared.0[at..at + data.len()]);
    }

    fn store(&mut self, at: usize, data: &[u8]) {
        self.shared.0[at..at + data.len()].copy_from_slice(data);
    }

    fn wait(&mut self, _limit: Duration) -> Result<(), TransportError> {
        self.board.settle(&mut self.shared).map_err(broken)
    }
}

fn broken(error: BoardError) -> TransportError {
    match error {
        BoardError::Protocol(what) => TransportError::Protocol(what),
        other => TransportError::Gone(other.to_string()),
    }
}
