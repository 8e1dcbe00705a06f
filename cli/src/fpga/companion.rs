//! A microcontroller that configures the FPGA beside it: both their programs go into its flash, by
//! probe-rs.

use std::path::Path;
use std::process::Command;

use super::boards::Board;
use super::loader::FlashError;
use crate::error::CliError;

/// The microcontroller of a board.
pub struct Companion {
    /// probe-rs' name for it.
    pub chip: &'static str,
    /// Where it looks for the bitstream.
    pub bitstream_at: u32,
}

impl Companion {
    /// Writes the board's bitstream, if the file is one.
    ///
    /// # Errors
    /// [`FlashError::NoBitstream`], [`FlashError::NotABitstream`].
    pub fn bitstream(
        &self,
        board: &'static Board,
        path: &Path,
        probe: Option<&str>,
    ) -> Result<Command, CliError> {
        let bytes = std::fs::read(path)
            .map_err(|_| FlashError::NoBitstream { path: path.to_owned(), board: board.name })?;
        // The preamble that an iCE40 waits for (Lattice TN1248), behind a comment.
        let head = &bytes[..bytes.len().min(1024)];
        if !head.windows(4).any(|window| window == [0x7E, 0xAA, 0x99, 0x7E]) {
            let part = board.device;
            return Err(FlashError::NotABitstream { path: path.to_owned(), part }.into());
        }
        let mut command = self.download(probe);
        command.args(["--binary-format", "bin", "--base-address"]);
        command.arg(format!("{:#x}", self.bitstream_at)).arg(path);
        Ok(command)
    }

    /// Writes its firmware, if the file is an ELF file.
    ///
    /// # Errors
    /// [`CliError::Read`], [`CliError::Usage`].
    pub fn firmware(&self, path: &Path, probe: Option<&str>) -> Result<Command, CliError> {
        let bytes = std::fs::read(path)
            .map_err(|source| CliError::Read { path: path.to_owned(), source })?;
        if !bytes.starts_with(b"\x7FELF") {
            return Err(CliError::Usage(format!("{} is no ELF file", path.display())));
        }
        let mut command = self.download(probe);
        command.arg(path);
        Ok(command)
    }

    fn download(&self, probe: Option<&str>) -> Command {
        let mut command = Command::new("probe-rs");
        command.args(["download", "--chip", self.chip]);
        if let Some(probe) = probe {
            command.args(["--probe", probe]);
        }
        command
    }
}
