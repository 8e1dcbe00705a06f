//! The bindings against recorded trees, whole and broken, and against the kernel's rules for regions.
#![cfg(target_os = "linux")]

use std::io;
use std::path::Path;

use splitmem_cxl_host::linux::dax::{owned, Dax};
use splitmem_cxl_host::linux::error::CxlError;
use splitmem_cxl_host::linux::mailbox::{Code, Commands as _, Log, Mailbox, Memory, Poison};
use splitmem_cxl_host::linux::region::{create, destroy, Made, Plan};
use splitmem_cxl_host::linux::topology::{topology, DecoderKind, Memdev, DEVICES};
use splitmem_cxl_host::linux::tree::{Recorded, Tree};

const TREE: &str = include_str!("one-device.tree");
const MIB: u64 = 1 << 20;

fn at(path: &str) -> String {
    format!("{DEVICES}/{path}")
}

#[test]
fn a_tree_is_read_as_it_stands() {
    let (found, unreadable) = topology(&Recorded::new(TREE)).unwrap();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let memdev = Memdev {
        name: "mem0".into(),
        serial: Some(0x1234),
        firmware: Some("BWFW VERSION 00".into()),
        node: None,
        volatile: 512 * MIB,
        persistent: 0,
    };
    assert_eq!(found.memdevs, [memdev]);
    assert_eq!(found.ports, ["endpoint2", "port1", "root0"]);
    let root = found.decoders(DecoderKind::Root).next().unwrap();
    assert_eq!((root.name.as_str(), root.start, root.size), ("decoder0.0", 0x1_1000_0000, 1 << 30));
    assert!(root.takes_volatile && !root.locked);
    let endpoint = found.decoders(DecoderKind::Endpoint).next().unwrap();
    assert_eq!((endpoint.mode.as_deref(), endpoint.dpa_size), (Some("none"), Some(0)));
    assert!(found.regions.is_empty());
}

#[test]
fn what_is_broken_does_not_hide_the_rest() {
    let mut tree = Recorded::new(TREE);
    tree.set(at("mem0/ram/size"), "lots");
    tree.set(at("decoder1.0/devtype"), "cxl_decoder_toaster");
    tree.remove(at("decoder2.0/size"));
    let (found, unreadable) = topology(&tree).unwrap();
    assert_eq!(found.decoders.len(), 1);
    let told: Vec<String> = unreadable.iter().map(|u| u.error.to_string()).collect();
    assert!(told[0].contains("decoder1.0/devtype holds \"cxl_decoder_toaster\""), "{}", told[0]);
    assert!(told[1].contains("reading /sys/bus/cxl/devices/decoder2.0/size"), "{}", told[1]);
    assert!(told[2].contains("mem0/ram/size holds \"lots\": expected a number"), "{}", told[2]);
    // An old kernel: attributes that came later are simply not there.
    let mut tree = Recorded::new(TREE);
    for attribute in ["mem0/numa_node", "mem0/pmem", "decoder2.0/mode", "decoder0.0/locked"] {
        tree.remove(at(attribute));
    }
    assert!(topology(&tree).unwrap().1.is_empty());
}

#[test]
fn a_machine_without_cxl_is_told_what_to_load() {
    let error = topology(&Recorded::default()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT));
    let message = error.to_string();
    assert!(message.starts_with("listing /sys/bus/cxl/devices: "), "{message}");
    assert!(message.contains("Next: load the drivers (modprobe cxl_acpi"), "{message}");
}

/// The kernel's side of region creation: the checks of drivers/cxl/core/region.c, on a tree.
struct Kernel {
    tree: Recorded,
    /// Write to this file fails, with this errno.
    fails: Option<(&'static str, i32)>,
    written: Vec<String>,
}

impl Kernel {
    fn new() -> Self {
        Self { tree: Recorded::new(TREE), fails: None, written: Vec::new() }
    }

    fn number(&self, path: &str) -> u64 {
        self.tree.number(Path::new(&at(path))).unwrap()
    }

    fn rules(&mut self, path: &str, value: &str) -> Result<(), i32> {
        let value = value.trim_end();
        let region = |attribute: &str| format!("region0/{attribute}");
        match path.strip_prefix(&at("")).unwrap_or(path) {
            "decoder0.0/create_ram_region" => {
                if value != "region0" {
                    return Err(libc::EBUSY);
                }
                for (attribute, value) in [
                    ("size", "0x0"),
                    ("resource", "0xffffffffffffffff"),
                    ("interleave_ways", "0"),
                    ("interleave_granularity", "0"),
                    ("commit", "0"),
                    ("mode", "ram"),
                ] {
                    self.tree.set(at(&region(attribute)), value);
                }
                return Ok(());
            }
            "decoder0.0/delete_region" => {
                self.tree.remove(at("region0"));
                return Ok(());
            }
            "region0/interleave_ways" => {
                let ways: u64 = value.parse().map_err(|_| libc::EINVAL)?;
                for n in 0..ways {
                    self.tree.set(at(&region(&format!("target{n}"))), "");
                }
            }
            "region0/size" => {
                if self.number(&region("interleave_ways")) == 0 {
                    return Err(libc::ENXIO);
                }
                self.tree.set(at(&region("resource")), "0x110000000");
            }
            "decoder2.0/mode" if self.number("decoder2.0/dpa_size") != 0 => {
                return Err(libc::EBUSY);
            }
            "decoder2.0/dpa_size" if value != "0" => {
                let size = u64::from_str_radix(value.trim_start_matches("0x"), 16).unwrap();
                let mode = self.tree.get(at("decoder2.0/mode"));
                if mode != Some("ram") || size % (256 * MIB) != 0 {
                    return Err(libc::EINVAL);
                }
                if size > self.number("mem0/ram/size") {
                    return Err(libc::ENOSPC);
                }
            }
            "decoder2.0/dpa_size" => {
                // Still the target of a region.
                let target = self.tree.get(at(&region("target0")));
                if target == Some("decoder2.0") {
                    return Err(libc::EBUSY);
                }
            }
            "region0/target0" if !value.is_empty() => {
                if value != "decoder2.0" {
                    return Err(libc::ENODEV);
                }
                if self.number("decoder2.0/dpa_size") != self.number(&region("size")) {
                    return Err(libc::EINVAL);
                }
            }
            "region0/commit"
                if value == "1" && self.tree.get(at(&region("target0"))) != Some("decoder2.0") =>
            {
                return Err(libc::ENXIO);
            }
            "/sys/bus/cxl/drivers/cxl_region/bind" => {
                if self.number(&region("commit")) != 1 {
                    return Err(libc::ENODEV);
                }
                self.tree.set("/sys/bus/dax/devices/dax0.0/size", "268435456");
            }
            "/sys/bus/cxl/drivers/cxl_region/unbind" => {
                self.tree.remove("/sys/bus/dax/devices/dax0.0");
            }
            _ => {}
        }
        self.tree.store(Path::new(path), value).map_err(|e| e.raw_os_error().unwrap_or(0))
    }
}

impl Tree for Kernel {
    fn load(&self, path: &Path) -> io::Result<String> {
        self.tree.load(path)
    }

    fn store(&mut self, path: &Path, value: &str) -> io::Result<()> {
        let path = path.to_str().unwrap();
        if let Some((file, errno)) = self.fails {
            if path.ends_with(file) && !["0", "\n"].contains(&value) {
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        self.written.push(format!("{path}={}", value.trim_end()));
        self.rules(path, value).map_err(io::Error::from_raw_os_error)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        self.tree.names(path)
    }
}

#[test]
fn a_region_is_made_and_unmade() {
    let mut kernel = Kernel::new();
    let made = create(&mut kernel, &Plan::of(256 * MIB)).unwrap();
    let wanted =
        Made { name: "region0".into(), resource: 0x1_1000_0000, dax: Some("dax0.0".into()) };
    assert_eq!(made, wanted);
    let (found, unreadable) = topology(&kernel).unwrap();
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let region = &found.regions[0];
    assert!(region.committed);
    assert_eq!((region.size, region.targets.len()), (256 * MIB, 1));
    // The only decoder is in use.
    let again = create(&mut kernel, &Plan::of(256 * MIB)).unwrap_err();
    assert!(again.to_string().contains("no endpoint decoder is free"), "{again}");
    destroy(&mut kernel, "region0").unwrap();
    let (found, _) = topology(&kernel).unwrap();
    assert!(found.regions.is_empty());
    assert_eq!(kernel.number("decoder2.0/dpa_size"), 0);
    let last: Vec<&str> =
        kernel.written.iter().rev().take(4).rev().map(|w| w.rsplit('/').next().unwrap()).collect();
    assert_eq!(last, ["commit=0", "target0=", "dpa_size=0", "delete_region=region0"]);
    let gone = destroy(&mut kernel, "region0").unwrap_err();
    assert!(gone.to_string().starts_with("there is no region0"), "{gone}");
}

/// Every step's failure names file, value, errno and what to do next, and leaves nothing behind.
#[test]
fn a_step_that_fails_is_told_and_taken_back() {
    for (file, errno, words) in [
        ("create_ram_region", libc::EBUSY, "writing \"region0\" to"),
        ("interleave_ways", libc::EINVAL, "write a number of ways"),
        ("region0/size", libc::ERANGE, "has no room of this size left"),
        ("decoder2.0/mode", libc::ENXIO, "no volatile capacity"),
        ("decoder2.0/dpa_size", libc::ENOSPC, "see ram/size"),
        ("target0", libc::ENXIO, "must be below the region's root decoder"),
        ("commit", libc::ENXIO, "hypervisor=off"),
        ("commit", libc::ETIMEDOUT, "within 20 ms"),
        ("bind", libc::ENODEV, "no driver takes it"),
        ("create_ram_region", libc::EACCES, "become root"),
    ] {
        let mut kernel = Kernel::new();
        kernel.fails = Some((file, errno));
        let error = create(&mut kernel, &Plan::of(256 * MIB)).unwrap_err();
        let message = error.to_string();
        assert_eq!(error.errno(), Some(errno), "{message}");
        assert!(message.contains(file) && message.contains(words), "{message}");
        assert!(message.contains("\nNext: "), "{message}");
        assert!(topology(&kernel).unwrap().0.regions.is_empty(), "{message}");
        assert_eq!(kernel.number("decoder2.0/dpa_size"), 0, "{message}");
    }
}

#[test]
fn plans_that_cannot_be_are_refused_before_anything_is_written() {
    let mut kernel = Kernel::new();
    assert!(create(&mut kernel, &Plan::of(0)).is_err());
    assert!(create(&mut kernel, &Plan::of(100 * MIB)).is_err());
    kernel.tree.set(at("decoder0.0/cap_ram"), "0");
    let error = create(&mut kernel, &Plan::of(256 * MIB)).unwrap_err();
    assert!(error.to_string().contains("no root decoder takes volatile memory"), "{error}");
    assert_eq!(kernel.written, Vec::<String>::new());
    // A kernel that cannot make volatile regions at all.
    let mut kernel = Kernel::new();
    kernel.tree.remove(at("decoder0.0/create_ram_region"));
    let error = create(&mut kernel, &Plan::of(256 * MIB)).unwrap_err();
    assert!(error.to_string().contains("6.3 or later"), "{error}");
}

/// A device that answers what it was told to, and keeps what it was sent.
#[derive(Default)]
struct Device {
    answer: Vec<u8>,
    sent: Vec<(u16, Vec<u8>)>,
}

impl Mailbox for Device {
    fn send(&mut self, command: &Code, input: &[u8], most: usize) -> Result<Vec<u8>, CxlError> {
        self.sent.push((command.opcode, input.to_vec()));
        Ok(self.answer.iter().copied().take(most).collect())
    }
}

#[test]
fn answers_are_taken_apart_field_by_field() {
    let mut device = Device::default();
    let mut identity = b"BWFW VERSION 00\0".to_vec();
    for units in [2u64, 1, 0, 1] {
        identity.extend(units.to_le_bytes());
    }
    identity.extend([1, 0, 2, 0, 3, 0, 4, 0]);
    identity.extend(0x4000u32.to_le_bytes());
    identity.extend([0x00, 0x01, 0x00, 0, 0, 0, 0]);
    device.answer = identity;
    let identity = device.identify().unwrap();
    assert_eq!(identity.firmware, "BWFW VERSION 00");
    assert_eq!((identity.total, identity.volatile), (512 * MIB, 256 * MIB));
    assert_eq!((identity.label_area, identity.poison_most), (0x4000, 0x100));

    device.answer = vec![5, 0, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    let health = device.health().unwrap();
    assert!(health.maintenance && !health.slow && health.replace);
    assert_eq!((health.life_used, health.temperature, health.corrected), (None, None, 7));

    device.answer = vec![0; 0x20];
    device.answer[0] = 1;
    device.answer[0xa] = 2;
    device.answer.extend([0x43, 0x12, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    device.answer.extend([0x80, 0x20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let (list, more) = device.poison(0, 512 * MIB).unwrap();
    assert!(more);
    let first = Poison { dpa: 0x1240, bytes: 128, source: 3 };
    assert_eq!(list, [first, Poison { dpa: 0x2080, bytes: 64, source: 0 }]);
    let (opcode, input) = device.sent.last().unwrap();
    assert_eq!(
        (*opcode, input.len(), input[8..].to_vec()),
        (0x4300, 16, vec![0, 0, 0x80, 0, 0, 0, 0, 0])
    );

    device.answer = vec![0; 0x20 + 0x80];
    (device.answer[0], device.answer[20]) = (2, 1);
    device.answer[0x20 + 20] = 9;
    let (records, more) = device.events(Log::Failure).unwrap();
    assert!(more);
    assert_eq!((records.len(), records[0].handle), (1, 9));
    device.clear_events(Log::Failure, &[9]).unwrap();
    assert_eq!(device.sent.last().unwrap().1, [2, 0, 1, 0, 0, 0, 9, 0]);

    device.answer.truncate(40);
    let short = device.events(Log::Failure).unwrap_err();
    assert!(short.to_string().contains("too short"), "{short}");
}

#[test]
fn files_that_are_no_devices_are_refused() {
    let error = Memory::open("no-such").unwrap_err();
    assert!(error.to_string().starts_with("opening /dev/cxl/no-such: "), "{error}");
    let error = Dax::open("no-such").unwrap_err();
    assert!(error.to_string().contains("/sys/bus/dax/devices/no-such/size"), "{error}");
}

#[test]
fn a_mapping_reads_and_writes_whole_lines() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(4096).unwrap();
    let dax = Dax::map(file.path(), 4096).unwrap();
    let line: [u8; 64] = std::array::from_fn(|i| i as u8);
    assert!(dax.write_line(4032, &line));
    assert_eq!(dax.read_line(4032), Some(line));
    assert_eq!(std::fs::read(file.path()).unwrap()[4032..], line);
    for beyond in [4096, 32, u64::MAX - 63] {
        assert_eq!((dax.read_line(beyond), dax.write_line(beyond, &line)), (None, false));
    }
}

#[test]
fn memory_of_ones_own_is_the_largest_power_of_two() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(owned(file.path()).unwrap_err().to_string().contains("is empty"));
    file.as_file().set_len(3 << 20).unwrap();
    let mut chunks = owned(file.path()).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [2 << 20]);
    chunks[0][77] = 5;
    drop(chunks);
    assert_eq!(std::fs::read(file.path()).unwrap()[77], 5);
    let error = owned(Path::new("dax77.0")).unwrap_err();
    assert!(error.to_string().starts_with("opening /dev/dax77.0: "), "{error}");
}
