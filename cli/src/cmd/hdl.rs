//! `splitmem hdl`: the component's hardware as Verilog.

use std::fs;
use std::path::PathBuf;

use crate::error::CliError;
use crate::machine::hardware::Hardware;
use crate::machine::MachineError;
use crate::whole_file;

/// Emit the component's hardware.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

const EMIT_EXAMPLES: &str = "\
Examples:
  splitmem hdl emit --config large -o build
  splitmem hdl emit --config board.toml -o build

hdl/configs/large.toml is a file to start from.";

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Write the component as Verilog (DIR/top.v, module `top`), and the front ends that stand at its
    /// request ports (DIR/NAME.v, module NAME): the CXL.mem device cxl_mem and its link layer cxl_link,
    /// the PCIe endpoint on a plain TLP interface, pcie_plain, and on AMD's UltraScale+ block,
    /// pcie_uscale, and the AXI4 subordinate axi_port; and beside its monitor's bus, the SPI bridge
    /// spi_bridge.
    #[command(after_help = EMIT_EXAMPLES)]
    Emit {
        /// Hardware configuration: large, small, or a TOML file.
        #[arg(long, value_name = "NAME|FILE.toml", default_value = "large")]
        config: Hardware,
        /// Folder to write to; it is made if it is not there.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CliError::Machine`] if there is no such configuration or it cannot be built,
    /// [`CliError::Write`].
    pub fn run(self) -> Result<(), CliError> {
        let Action::Emit { config, output } = self.action;
        let config = config.config().map_err(MachineError::from)?;
        fs::create_dir_all(&output)
            .map_err(|source| CliError::Write { path: output.clone(), source })?;
        whole_file::write(&output.join("top.v"), &splitmem_hdl::emit(&config))?;
        // The front ends are the same for every configuration.
        whole_file::write(&output.join("cxl_mem.v"), &splitmem_hdl::cxl::emit())?;
        whole_file::write(&output.join("cxl_link.v"), &splitmem_hdl::cxl::link::emit())?;
        whole_file::write(&output.join("pcie_plain.v"), &splitmem_hdl::pcie::emit_plain())?;
        whole_file::write(&output.join("pcie_uscale.v"), &splitmem_hdl::pcie::emit_uscale())?;
        whole_file::write(&output.join("axi_port.v"), &splitmem_hdl::axi::emit())?;
        whole_file::write(&output.join("spi_bridge.v"), &splitmem_hdl::spi::emit())
    }
}
