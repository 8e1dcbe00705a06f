//! Address mapping: which bank, row and column a line lies in.

use super::config::Geometry;
use std::fmt;
use thiserror::Error;

/// The parts of a DRAM address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Row,
    Bank,
    BankGroup,
    Column,
}

impl Field {
    const ALL: [Field; 4] = [Field::Row, Field::Bank, Field::BankGroup, Field::Column];

    fn name(self) -> &'static str {
        match self {
            Field::Row => "row",
            Field::Bank => "bank",
            Field::BankGroup => "bankgroup",
            Field::Column => "column",
        }
    }

    /// Address bits above the line offset that the field takes.
    fn bits(self, geometry: &Geometry) -> u32 {
        match self {
            Field::Row => geometry.rows.ilog2(),
            Field::Bank => geometry.banks_per_group.ilog2(),
            Field::BankGroup => geometry.bank_groups.ilog2(),
            Field::Column => geometry.lines_per_row().ilog2(),
        }
    }
}

/// Why a mapping text was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MappingError {
    /// Not the name of a field.
    #[error(
        "unknown field `{0}` in the address mapping; it names row, bank, bankgroup and column \
         once each, most significant first, such as {default}",
        default = AddressMapping::DEFAULT
    )]
    UnknownField(String),
    /// A field is named twice.
    #[error("field `{0}` stands twice in the address mapping")]
    Repeated(&'static str),
    /// A field is not named.
    #[error("field `{0}` is missing in the address mapping")]
    Missing(&'static str),
}

/// Where a line lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Bank number within the rank: group * banks per group + bank.
    pub bank: u8,
    /// Row within the bank.
    pub row: u32,
    /// Line within the row.
    pub column: u32,
}

/// Cuts a line number into row, bank, bank group and column.
///
/// Written as the four names from the most to the least significant, with colons between. The
/// six address bits of the offset in a 64-byte line (three of them DRAM column bits, a burst of
/// eight) always lie below the last. Addresses beyond the rank wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMapping {
    order: [Field; 4],
    /// Shift and mask of each field, in the order of [`Field::ALL`].
    slices: [(u32, u64); 4],
    banks_per_group: u32,
}

impl AddressMapping {
    /// Consecutive lines lie in one row of one bank, then move to the next bank group: a
    /// sequential stream is held to one line per tCCD_L.
    pub const DEFAULT: &'static str = "row:bank:bankgroup:column";

    /// Consecutive lines alternate between the bank groups: a sequential stream reaches one line
    /// per tCCD_S.
    pub const INTERLEAVED: &'static str = "row:bank:column:bankgroup";

    /// [`DEFAULT`](Self::DEFAULT) over `geometry`.
    pub fn default_for(geometry: &Geometry) -> Self {
        Self::new(Field::ALL, geometry)
    }

    /// Reads a mapping such as [`DEFAULT`](Self::DEFAULT). `bankgroup` may be left out if the
    /// device has one group.
    ///
    /// # Errors
    /// If a name is unknown, stands twice, or is missing.
    pub fn parse(text: &str, geometry: &Geometry) -> Result<Self, MappingError> {
        let mut order = Vec::with_capacity(4);
        for name in text.split(':') {
            let field = Field::ALL
                .into_iter()
                .find(|field| field.name() == name.trim())
                .ok_or_else(|| MappingError::UnknownField(name.to_owned()))?;
            if order.contains(&field) {
                return Err(MappingError::Repeated(field.name()));
            }
            order.push(field);
        }
        if geometry.bank_groups == 1 && !order.contains(&Field::BankGroup) {
            order.push(Field::BankGroup);
        }
        let missing = Field::ALL.into_iter().find(|f| !order.contains(f));
        match (missing, <[Field; 4]>::try_from(order)) {
            (None, Ok(order)) => Ok(Self::new(order, geometry)),
            (missing, _) => Err(MappingError::Missing(missing.unwrap_or(Field::Row).name())),
        }
    }

    fn new(order: [Field; 4], geometry: &Geometry) -> Self {
        let mut slices = [(0, 0); 4];
        let mut shift = 0;
        for field in order.into_iter().rev() {
            let bits = field.bits(geometry);
            slices[field as usize] = (shift, (1 << bits) - 1);
            shift += bits;
        }
        Self { order, slices, banks_per_group: geometry.banks_per_group }
    }

    /// Where line `line` (byte address / 64) lies.
    #[inline]
    pub fn locate(&self, line: u64) -> Location {
        let slice = |field: Field| {
            let (shift, mask) = self.slices[field as usize];
            ((line >> shift) & mask) as u32
        };
        Location {
            bank: (slice(Field::BankGroup) * self.banks_per_group + slice(Field::Bank)) as u8,
            row: slice(Field::Row),
            column: slice(Field::Column),
        }
    }
}

impl fmt::Display for AddressMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.order.map(Field::name).join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preset;
    use super::*;

    #[test]
    fn the_default_walks_a_row_then_the_bank_groups() {
        let config = Preset::Ddr4_2400.config();
        let at = |line| {
            let l = config.mapping.locate(line);
            (l.bank, l.row, l.column)
        };
        assert_eq!(config.mapping.to_string(), AddressMapping::DEFAULT);
        assert_eq!(at(127), (0, 0, 127));
        assert_eq!(at(128), (4, 0, 0), "next bank group");
        assert_eq!(at(128 * 4), (1, 0, 0), "next bank");
        assert_eq!(at(128 * 16), (0, 1, 0), "next row");
        assert_eq!(at(config.geometry.lines() - 1), (15, 0xffff, 127));
        assert_eq!(at(config.geometry.lines()), (0, 0, 0), "wraps");
    }

    #[test]
    fn the_interleaved_one_changes_bank_group_with_every_line() {
        let geometry = Preset::Ddr4_2400.config().geometry;
        let mapping = AddressMapping::parse(AddressMapping::INTERLEAVED, &geometry);
        let banks: Option<Vec<_>> =
            mapping.ok().map(|m| (0..5).map(|line| m.locate(line).bank).collect());
        assert_eq!(banks, Some(vec![0, 4, 8, 12, 0]));
    }

    #[test]
    fn every_line_has_its_own_place() {
        for text in ["row:bank:bankgroup:column", "column:bankgroup:row:bank"] {
            let geometry = Geometry { bank_groups: 2, banks_per_group: 4, rows: 16, columns: 64 };
            let mapping = AddressMapping::parse(text, &geometry).unwrap();
            let places: std::collections::HashSet<_> = (0..geometry.lines())
                .map(|line| mapping.locate(line))
                .map(|l| (l.bank, l.row, l.column))
                .collect();
            assert_eq!(places.len() as u64, geometry.lines());
        }
    }

    #[test]
    fn a_wrong_text_is_told_what_is_wrong() {
        let ddr4 = Preset::Ddr4_2400.config().geometry;
        let ddr3 = Preset::Ddr3_1600.config().geometry;
        let parse = AddressMapping::parse;
        assert_eq!(parse("row:bank:column", &ddr4), Err(MappingError::Missing("bankgroup")));
        assert!(parse("row:bank:column", &ddr3).is_ok());
        assert_eq!(parse("row:row:bank:column", &ddr4), Err(MappingError::Repeated("row")));
        assert_eq!(parse("row:rank:column", &ddr4), Err(MappingError::UnknownField("rank".into())));
    }
}
