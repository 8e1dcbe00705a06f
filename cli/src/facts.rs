//! [`Facts`]: what a command found out, in order. Printed as a table with units for people, or as
//! one flat JSON object for programs; both come from the same list, so they cannot disagree.

use std::borrow::Cow;
use std::io::Write as _;

use comfy_table::{presets, CellAlignment, ContentArrangement, Table, TableComponent};
use serde_json::Value as Json;

use crate::error::CliError;

/// The value of a [`Fact`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A number that was measured or computed. Not finite: there was nothing to measure (`null`).
    Real(f64),
    /// Words.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Count(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl Value {
    /// As people read it: `1,234,567`, `0.125`, `yes`.
    pub fn display(&self) -> String {
        match self {
            Self::Count(n) => grouped(*n),
            Self::Real(x) if !x.is_finite() => "-".to_owned(),
            Self::Real(x) => {
                let digits = if x.abs() >= 1000.0 { 0 } else { 3 };
                let text = format!("{x:.digits$}");
                // Too small for three places: keep the leading digits instead.
                if *x != 0.0 && text.bytes().all(|b| matches!(b, b'0' | b'.' | b'-')) {
                    format!("{x:.2e}")
                } else if digits == 0 {
                    grouped_digits(&text)
                } else {
                    text
                }
            }
            Self::Text(text) => text.clone(),
            Self::Flag(true) => "yes".to_owned(),
            Self::Flag(false) => "no".to_owned(),
        }
    }

    fn json(&self) -> Json {
        match self {
            Self::Count(n) => (*n).into(),
            Self::Real(x) => serde_json::Number::from_f64(*x).map_or(Json::Null, Json::Number),
            Self::Text(text) => text.as_str().into(),
            Self::Flag(flag) => (*flag).into(),
        }
    }
}

/// A whole number with its thousands apart.
pub fn grouped(n: u64) -> String {
    grouped_digits(&n.to_string())
}

fn grouped_digits(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// One thing that a command found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Name in JSON: `snake_case`, with the unit in it where there is one.
    pub key: Cow<'static, str>,
    /// Name for people. Two spaces before it: a part of what stands above.
    pub label: String,
    /// What it is.
    pub value: Value,
    /// Unit for people; empty if it has none.
    pub unit: &'static str,
}

/// What a command found out, in the order in which it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(Vec<Fact>);

impl Facts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        label: impl Into<String>,
        value: impl Into<Value>,
        unit: &'static str,
    ) {
        self.0.push(Fact { key: key.into(), label: label.into(), value: value.into(), unit });
    }

    /// Adds those of `other` at the end.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Fact> {
        self.0.iter()
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.remove_style(TableComponent::HorizontalLines);
        table.remove_style(TableComponent::MiddleIntersections);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // A serial console does not tell its width.
        if table.width() == Some(0) {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        table.set_header(["", "value", "unit"]);
        for fact in self.iter() {
            table.add_row([&fact.label, &fact.value.display(), fact.unit]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    /// The flat object for programs, on one line.
    pub fn json(&self) -> String {
        // serde_json's own map sorts its keys; the order here is part of being readable.
        let fields: Vec<String> = self
            .iter()
            .map(|fact| format!("{}:{}", Json::from(fact.key.as_ref()), fact.value.json()))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    /// As JSON for a file: one field a line.
    pub fn json_lines(&self) -> String {
        let fields: Vec<String> = self
            .iter()
            .map(|fact| format!("  {}: {}", Json::from(fact.key.as_ref()), fact.value.json()))
            .collect();
        format!("{{\n{}\n}}\n", fields.join(",\n"))
    }

    /// Prints them to the standard output, as JSON or as a table.
    ///
    /// # Errors
    /// [`CliError::Output`].
    pub fn print(&self, json: bool) -> Result<(), CliError> {
        let text = if json { self.json() } else { self.table() };
        writeln!(std::io::stdout().lock(), "{text}").map_err(CliError::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(Value::from(0.125).display(), "0.125");
        assert_eq!(Value::from(-123_456.7).display(), "-123,457");
        assert_eq!(Value::from(0.000_012).display(), "1.20e-5");
        assert_eq!(Value::from(0.0).display(), "0.000");
        assert_eq!(Value::from(f64::NAN).display(), "-");
    }

    #[test]
    fn json_is_one_flat_object_in_order() {
        let mut facts = Facts::new();
        facts.add("zeta", "Z", 3u64, "cycles");
        facts.add("alpha", "A", "say \"hi\"", "");
        facts.add("ratio", "R", f64::NAN, "");
        facts.add("done", "D", true, "");
        assert_eq!(facts.json(), r#"{"zeta":3,"alpha":"say \"hi\"","ratio":null,"done":true}"#);
    }

    #[test]
    fn the_table_carries_label_value_and_unit() {
        let mut facts = Facts::new();
        facts.add("cycles", "Simulated time", 1_000_000u64, "cycles");
        let table = facts.table();
        let row = table.lines().find(|line| line.contains("Simulated time")).unwrap_or("");
        assert!(row.contains("1,000,000") && row.contains("cycles"), "{table}");
    }
}
