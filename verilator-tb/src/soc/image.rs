//! A firmware image: an ELF file for the core.

use object::elf::PT_LOAD;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};
use splitmem_abi::soc::{SocConfig, RAM_BASE};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// How much is kept apart in the monitor's firmware (`mcomponent-firmware/softcore/isolation.toml`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// Nothing.
    None,
    /// Code is read-only, the stack has a guard.
    Guards,
    /// Parser, allocator and telemetry also from one another.
    Full,
}

impl Isolation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Guards, Self::Full];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Guards => "guards",
            Self::Full => "full",
        }
    }

    /// The most that a core with so many PMP regions can keep apart.
    pub const fn within(pmp_regions: u32) -> Self {
        match pmp_regions {
            16.. => Self::Full,
            3.. => Self::Guards,
            _ => Self::None,
        }
    }

    /// The memory monitor built so with this crate: an ELF file.
    pub fn monitor(self) -> &'static [u8] {
        match self {
            Self::None => include_bytes!(env!("SPLITMEM_FIRMWARE_NONE")),
            Self::Guards => include_bytes!(env!("SPLITMEM_FIRMWARE_GUARDS")),
            Self::Full => include_bytes!(env!("SPLITMEM_FIRMWARE_FULL")),
        }
    }
}

impl Default for Isolation {
    /// What the firmware's table chooses.
    fn default() -> Self {
        env!("SPLITMEM_FIRMWARE_ISOLATION").parse().unwrap_or(Self::Full)
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|isolation| isolation.name() == name)
            .ok_or_else(|| format!("no such isolation: {name}; there are none, guards and full"))
    }
}

/// What compiled [`Isolation::monitor`].
pub const COMPILER: &str = env!("SPLITMEM_FIRMWARE_COMPILER");

/// A hash of the code that [`Isolation::monitor`] is compiled from, in hexadecimal.
pub const FIRMWARE_SOURCES: &str = env!("SPLITMEM_FIRMWARE_SOURCES");

/// Why an image cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an ELF file, or a broken one.
    #[error("not a firmware image: {0}")]
    Format(String),
    /// For another processor.
    #[error("the image is for another chip: it is not a 32-bit RISC-V executable")]
    WrongChip,
    /// It wants memory that the core does not have.
    #[error(
        "the image does not fit: it occupies {start:#x} to {end:#x}, the core's memory is \
         {RAM_BASE:#x} to {:#x}", RAM_BASE as u64 + u64::from(SocConfig::DEFAULT.ram_bytes())
    )]
    TooLarge {
        /// Its first byte beyond the memory.
        start: u64,
        /// Its end.
        end: u64,
    },
}

/// An image that fits the core's memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// Address and bytes of what is loaded.
    segments: Vec<(u32, Vec<u8>)>,
    symbols: HashMap<String, u32>,
    text: u32,
    ram: u32,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// [`ImageError`].
    pub fn read(elf: &[u8]) -> Result<Self, ImageError> {
        let format = |error: object::Error| ImageError::Format(error.to_string());
        let kind = object::FileKind::parse(elf).map_err(format)?;
        if kind != object::FileKind::Elf32 {
            return Err(ImageError::WrongChip);
        }
        let file = ElfFile32::<Endianness>::parse(elf).map_err(format)?;
        if file.architecture() != object::Architecture::Riscv32 {
            return Err(ImageError::WrongChip);
        }
        let end_of_ram = u64::from(RAM_BASE) + u64::from(SocConfig::DEFAULT.ram_bytes());
        let mut image = Self { segments: Vec::new(), symbols: HashMap::new(), text: 0, ram: 0 };
        let endian = file.endian();
        for header in file.elf_program_headers() {
            let (kind, flags) = (header.p_type(endian), header.p_flags(endian));
            let (at, size) = (header.p_paddr(endian), header.p_memsz(endian));
            if kind != PT_LOAD || size == 0 {
                continue;
            }
            let (start, end) = (u64::from(at), u64::from(at) + u64::from(size));
            if start < u64::from(RAM_BASE) || end > end_of_ram {
                return Err(ImageError::TooLarge { start, end });
            }
            let bytes = header
                .data(endian, elf)
                .map_err(|()| ImageError::Format("a segment is beyond the file".to_owned()))?;
            if flags & object::elf::PF_W == 0 {
                image.text += bytes.len() as u32;
            } else {
                image.ram += size;
            }
            if !bytes.is_empty() {
                image.segments.push((at, bytes.to_vec()));
            }
        }
        if image.segments.is_empty() {
            return Err(ImageError::Format("nothing in it is to be loaded".to_owned()));
        }
        for symbol in file.symbols() {
            if let Ok(name) = symbol.name() {
                image.symbols.insert(name.to_owned(), symbol.address() as u32);
            }
        }
        Ok(image)
    }

    /// What is loaded, and where.
    pub fn segments(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.segments.iter().map(|(at, bytes)| (*at, bytes.as_slice()))
    }

    /// The address of a symbol.
    pub fn symbol(&self, name: &str) -> Option<u32> {
        self.symbols.get(name).copied()
    }

    /// The address of the first symbol whose name has all of these parts: of a function of Rust, whose
    /// whole name is the compiler's.
    pub fn symbol_with(&self, parts: &[&str]) -> Option<u32> {
        let has_all = |name: &&String| parts.iter().all(|part| name.contains(part));
        let name = self.symbols.keys().filter(has_all).min()?;
        self.symbol(name)
    }

    /// Bytes of code and constants.
    pub fn text_bytes(&self) -> u32 {
        self.text
    }

    /// Bytes of variables, stack included.
    pub fn ram_bytes(&self) -> u32 {
        self.ram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor() -> &'static [u8] {
        Isolation::default().monitor()
    }

    #[test]
    fn the_monitor_is_an_image() {
        let image = Image::read(monitor()).unwrap();
        assert!(image.text_bytes() > 10_000, "{}", image.text_bytes());
        assert!(image.symbol("_SEGGER_RTT").is_some());
    }

    #[test]
    fn what_is_none_is_refused() {
        assert!(matches!(Image::read(b"hello"), Err(ImageError::Format(_))));
        let mut other = monitor().to_vec();
        // The machine field: ARM.
        other[18] = 40;
        assert!(matches!(Image::read(&other), Err(ImageError::WrongChip)));
        assert!(Image::read(&monitor()[..1000]).is_err());
        // The first segment somewhere else.
        let mut far = monitor().to_vec();
        let headers = u32::from_le_bytes(far[28..32].try_into().unwrap()) as usize;
        for i in 0..8 {
            let at = headers + 32 * i;
            if far[at] == 1 {
                far[at + 12..at + 16].copy_from_slice(&0x9000_0000u32.to_le_bytes());
                break;
            }
        }
        let error = Image::read(&far).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("0x90000000"), "{error}");
    }
}
