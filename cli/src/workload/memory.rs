//! [`WorkMemory`]: the memory that a workload's data lives in.

/// Why a memory failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// It has no room for this many bytes more.
    #[error(
        "the memory component has no room for {bytes} bytes more: give it more with --memory, or \
         less to do"
    )]
    NoRoom {
        /// Bytes asked for.
        bytes: u64,
    },
    /// A page was written for the first time and no frame is left for it.
    #[error(
        "the memory component is full, address {address:#x} got no frame: give it more memory with \
         --memory, or less to do"
    )]
    Full {
        /// Where.
        address: u64,
    },
    /// No allocation holds all of these bytes.
    #[error("nothing is allocated at {address:#x} ({bytes} bytes)")]
    NotAllocated {
        /// First byte.
        address: u64,
        /// How many.
        bytes: u64,
    },
    /// Ctrl-C was pressed: the access was not made.
    #[error("stopped by Ctrl-C")]
    Interrupted,
    /// The driver or the component failed.
    #[error("the memory component failed: {0}")]
    Component(#[source] Box<dyn std::error::Error + Send + Sync>),
}

type Result<T> = std::result::Result<T, MemoryError>;

/// A memory that a workload's data lives in. Addresses are of bytes; words are little-endian and
/// need no alignment.
pub trait WorkMemory {
    /// Allocates bytes that read zero; gives the address of the first one, which is a multiple of
    /// 64 and not zero.
    ///
    /// # Errors
    /// [`MemoryError::NoRoom`], or the component failed.
    fn alloc(&mut self, bytes: u64) -> Result<u64>;

    /// Gives an allocation back, by its first address.
    ///
    /// # Errors
    /// [`MemoryError::NotAllocated`], or the component failed.
    fn free(&mut self, address: u64) -> Result<()>;

    /// Reads the bytes at `address`.
    ///
    /// # Errors
    /// [`MemoryError::NotAllocated`] unless one allocation holds all of them, or the component
    /// failed.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<()>;

    /// Writes the bytes at `address`.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn write(&mut self, address: u64, from: &[u8]) -> Result<()>;

    /// The accesses since the last call were one operation of this name: for latency statistics.
    fn operation(&mut self, _name: &'static str) {}

    /// Reads a 32-bit word.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn read_u32(&mut self, address: u64) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes a 32-bit word.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn write_u32(&mut self, address: u64, value: u32) -> Result<()> {
        self.write(address, &value.to_le_bytes())
    }

    /// Reads a 64-bit word.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn read_u64(&mut self, address: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes a 64-bit word.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn write_u64(&mut self, address: u64, value: u64) -> Result<()> {
        self.write(address, &value.to_le_bytes())
    }

    /// Reads a number of double precision, bit by bit.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn read_f64(&mut self, address: u64) -> Result<f64> {
        self.read_u64(address).map(f64::from_bits)
    }

    /// Writes a number of double precision, bit by bit.
    ///
    /// # Errors
    /// As [`WorkMemory::read`].
    fn write_f64(&mut self, address: u64, value: f64) -> Result<()> {
        self.write_u64(address, value.to_bits())
    }
}

/// Hands out small pieces of large allocations, one after the other, and never takes one back.
#[derive(Debug, Default)]
pub struct Arena {
    next: u64,
    left: u64,
}

/// What an arena takes from the memory at a time, in bytes.
const ARENA_CHUNK: u64 = 64 << 10;

impl Arena {
    /// `bytes` bytes at a multiple of eight.
    ///
    /// # Errors
    /// As [`WorkMemory::alloc`].
    pub fn alloc<M: WorkMemory>(&mut self, memory: &mut M, bytes: u64) -> Result<u64> {
        let bytes = bytes.next_multiple_of(8);
        if bytes > ARENA_CHUNK / 4 {
            // Of its own, so that it does not waste what is left of the chunk.
            return memory.alloc(bytes);
        }
        if bytes > self.left {
            self.next = memory.alloc(ARENA_CHUNK)?;
            self.left = ARENA_CHUNK;
        }
        let address = self.next;
        self.next += bytes;
        self.left -= bytes;
        Ok(address)
    }
}

/// Copies `bytes` into a new allocation, a page at a time.
///
/// # Errors
/// As [`WorkMemory::alloc`] and [`WorkMemory::write`].
pub fn load<M: WorkMemory>(memory: &mut M, bytes: &[u8]) -> Result<u64> {
    const PIECE: usize = 4096;
    let base = memory.alloc(bytes.len() as u64)?;
    for (i, piece) in bytes.chunks(PIECE).enumerate() {
        memory.write(base + (i * PIECE) as u64, piece)?;
        memory.operation("load page");
    }
    Ok(base)
}
