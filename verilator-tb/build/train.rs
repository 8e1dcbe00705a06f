//! Teaches the compiler which of a model's branches are taken: the model is compiled with counters,
//! put under a load (cpp/train.cpp), and compiled again with what was counted.

use crate::tools::{self, Tools};
use splitmem_abi::geometry::{page_key, LINE_SHIFT, PAGE_SHIFT};
use splitmem_abi::hash;
use splitmem_abi::pte::{decode_bucket, encode_slot, Pte};
use splitmem_abi::regs::{self, field};
use splitmem_abi::request::Op;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Buckets of the table, as a power of two; they take the first frames of the memory.
const TABLE_LOG2: u32 = 14;
/// The process whose pages stay in the TLB, and how many these are.
const HOT: (u16, u64) = (3, 64);
/// The process whose pages miss, and are granted frames.
const COLD: (u16, u64) = (0x8003, 16_384);
/// Frames to grant.
const FRAMES: u32 = 256;

/// What the load needs to know, as a C++ header.
pub fn header() -> Result<String, Box<dyn Error>> {
    let mut table = BTreeMap::<u32, [u8; 64]>::new();
    let mut frame = 1 << (TABLE_LOG2 + LINE_SHIFT - PAGE_SHIFT);
    for ((pid, pages), present) in [(HOT, true), (COLD, false)] {
        for page in 0..pages {
            let va = page << PAGE_SHIFT;
            let bucket = table.entry(hash::bucket(pid, va, TABLE_LOG2)).or_insert([0; 64]);
            let slot = decode_bucket(bucket).iter().position(|pte| pte.is_free());
            let slot = slot.ok_or("the trained load's pages do not fit into the table")?;
            let mut pte = Pte {
                valid: true,
                read: true,
                write: true,
                pid,
                key: page_key(va),
                ..Pte::default()
            };
            if present {
                (pte.present, pte.frame) = (true, frame);
                frame += 1;
            }
            encode_slot(bucket, slot, pte);
        }
    }
    let registers = [
        (regs::TABLE_BASE.offset, 0),
        (regs::TABLE_SIZE.offset, TABLE_LOG2),
        (regs::CONTROL.offset, field::CONTROL::ENABLE.mask()),
        (regs::ZERO_BASE.offset, frame),
        (regs::ZERO_PUSH.offset, field::ZERO_PUSH::COUNT.put(FRAMES)),
    ];

    let mut text = String::from("#pragma once\n#include <cstdint>\n");
    for (name, value) in [
        ("READ", Op::Read as u64),
        ("WRITE", Op::Write as u64),
        ("HOT_PID", HOT.0.into()),
        ("HOT_PAGES", HOT.1),
        ("COLD_PID", COLD.0.into()),
        ("COLD_PAGES", COLD.1),
    ] {
        writeln!(text, "constexpr uint64_t {name} = {value};")?;
    }
    text += "constexpr struct { uint16_t offset; uint32_t value; } REGISTERS[] = {\n";
    for (offset, value) in registers {
        writeln!(text, "{{{offset}, {value}}},")?;
    }
    text += "};\nconstexpr struct { uint64_t line; uint8_t bytes[64]; } TABLE[] = {\n";
    for (line, bytes) in table {
        writeln!(text, "{{{line}, {{{}}}}},", bytes.map(|byte| byte.to_string()).join(","))?;
    }
    text += "};\n";
    Ok(text)
}

/// Compiles the model `name`, whose sources are `sources` in `folder`, with what was counted under the
/// load. Gives the object file; none if the compiler is not GCC.
pub fn compile(
    tools: &Tools,
    name: &str,
    sources: &[PathBuf],
    runtime: &Path,
    folder: &Path,
) -> Result<Option<PathBuf>, Box<dyn Error>> {
    // The counts say what is worth more code; level 3 would add more where it is not.
    let mut cpp = tools.cpp(2);
    let compiler = cpp.include(folder).include("cpp").try_get_compiler()?;
    if !compiler.is_like_gnu() {
        return Ok(None);
    }
    // GCC looks for the counts beside the object, under its name: one file, and the same one twice.
    let (whole, object) = (folder.join("trained.cc"), folder.join("trained.o"));
    // Verilator's sources want their own headers only, and check it with this name.
    let include =
        |file: &PathBuf| format!("#undef VL_PCH_INCLUDED\n#include \"{}\"\n", file.display());
    std::fs::write(&whole, sources.iter().map(include).collect::<String>())?;
    let translate = |flags: &[&str]| {
        let mut command = compiler.to_command();
        command.args(flags).arg("-c").arg(&whole).arg("-o").arg(&object);
        tools::run(&mut command)
    };

    translate(&["-fprofile-generate"])?;
    std::fs::write(folder.join("train.h"), header()?)?;
    let program = folder.join("train");
    let mut link = compiler.to_command();
    link.args([format!("-DMODEL={name}_split"), format!("-DMODEL_HEADER=\"{name}_split.h\"")]);
    link.args(["cpp/train.cpp".as_ref(), object.as_path(), "-o".as_ref(), program.as_path()]);
    link.arg("-L").arg(runtime);
    link.args(["-lsplitmem_runtime", "-lz", "-llz4", "-lpthread", "-lgcov"]);
    tools::run(&mut link)?;
    tools::run(&mut Command::new(&program))?;
    std::fs::remove_file(program)?;
    translate(&["-fprofile-use", "-Werror=missing-profile"])?;
    Ok(Some(object))
}
