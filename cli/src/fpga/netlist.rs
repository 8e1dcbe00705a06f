//! How many cells of each kind a block takes: counted in Yosys' netlist, in which a cell's name tells
//! the blocks around it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;

use super::boards::Board;
use super::report::BlockUse;
use super::tools::FpgaError;
use crate::error::CliError;

#[derive(Deserialize)]
struct Netlist {
    modules: BTreeMap<String, Module>,
}

#[derive(Deserialize)]
struct Module {
    cells: BTreeMap<String, Cell>,
}

#[derive(Deserialize)]
struct Cell {
    r#type: String,
}

/// The cells of each of the board's blocks, and of what is around them.
///
/// # Errors
/// The file, or [`FpgaError::Report`].
pub fn by_block(board: &Board, folder: &Path) -> Result<Vec<BlockUse>, CliError> {
    let path = folder.join(format!("{}.json", board.name));
    let file = File::open(&path).map_err(|source| CliError::Read { path, source })?;
    let netlist: Netlist = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| FpgaError::Report(format!("the netlist: {error}")))?;
    Ok(count(board, &netlist))
}

fn count(board: &Board, netlist: &Netlist) -> Vec<BlockUse> {
    let mut blocks: Vec<BlockUse> = board
        .blocks
        .iter()
        .map(|(name, _)| *name)
        .chain(["around them"])
        .map(|name| BlockUse { block: name.to_owned(), ..BlockUse::default() })
        .collect();
    let cells = netlist.modules.get(&board.module()).into_iter().flat_map(|module| &module.cells);
    for (name, cell) in cells {
        let of = |prefix: &str| {
            name.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        };
        let block = board.blocks.iter().position(|(_, prefix)| of(prefix));
        let block = &mut blocks[block.unwrap_or(board.blocks.len())];
        match cell.r#type.as_str() {
            "LUT4" | "SB_LUT4" => block.lut += 1,
            // Two LUTs as an adder of two bits; four of a slice's as a memory of 16 words of 4 bits.
            "CCU2C" => block.lut += 2,
            "TRELLIS_DPR16X4" => block.lut += 4,
            kind if kind.starts_with("TRELLIS_FF") || kind.starts_with("SB_DFF") => block.ff += 1,
            "DP16KD" | "SB_RAM40_4K" => block.ram += 1,
            "MULT18X18D" | "SB_MAC16" => block.dsp += 1,
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fpga::boards::BoardName;

    #[test]
    fn cells_are_counted_where_their_names_say() {
        let netlist = r#"{"modules": {"ulx3s": {"cells": {
            "core.component.tlb.x_LUT4_Z": {"type": "LUT4", "attributes": {}},
            "core.component.tlb.x_TRELLIS_FF_Q": {"type": "TRELLIS_FF"},
            "core.components": {"type": "LUT4"},
            "core.memory.sdram.sum_CCU2C_S0": {"type": "CCU2C"},
            "core.link.slots.answers.mem.0.0": {"type": "DP16KD"},
            "pll": {"type": "EHXPLLL"}}}}}"#;
        let netlist = serde_json::from_str(netlist).expect("a netlist");
        let blocks = count(BoardName::Ulx3s.board(), &netlist);
        let of = |name: &str| blocks.iter().find(|b| b.block == name).cloned().expect("a block");
        assert_eq!((of("component").lut, of("component").ff), (1, 1));
        assert_eq!(of("SDRAM controller and test").lut, 2);
        assert_eq!(of("serial link").ram, 1);
        assert_eq!(of("around them").lut, 1);
    }
}
