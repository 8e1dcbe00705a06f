//! Stacked bars: parts of a whole, one bar above the other, all on one scale.

use super::chart::{COLOURS, WIDTH};
use super::scale::{short, Scale, Span};
use super::svg::Svg;

const LEFT: f64 = 120.0;
const RIGHT: f64 = 16.0;
const BAR: f64 = 34.0;
const GAP: f64 = 14.0;
const LEGEND_ROW: f64 = 20.0;
const AXIS: f64 = 44.0;

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name, on the left.
    pub label: String,
    /// Its parts, from left to right.
    pub parts: Vec<Part>,
}

/// A part of a bar.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the legend; parts of one name have one colour.
    pub name: String,
    /// Its length, zero or more.
    pub value: f64,
    /// Its colour, 0 to 7.
    pub series: usize,
}

/// The bars as an SVG element. `unit` labels the axis.
pub fn svg(bars: &[Bar], unit: &str) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for part in bars.iter().flat_map(|bar| &bar.parts) {
        if part.value > 0.0 && !names.iter().any(|(name, _)| *name == part.name) {
            names.push((&part.name, part.series % COLOURS));
        }
    }
    let total = |bar: &Bar| bar.parts.iter().map(|part| part.value).sum::<f64>();
    let span = Span::around(Scale::Linear, bars.iter().map(total));
    let width = WIDTH - LEFT - RIGHT;
    let at = |value: f64| LEFT + span.place(value) * width;

    let columns = 3.min(names.len()).max(1);
    let top = names.len().div_ceil(columns) as f64 * LEGEND_ROW + GAP;
    let bottom = top + bars.len() as f64 * (BAR + GAP);
    let mut svg = Svg::new(WIDTH, bottom + AXIS, unit);
    for (i, (name, series)) in names.iter().enumerate() {
        let x = LEFT + (i % columns) as f64 * width / columns as f64;
        let y = (i / columns) as f64 * LEGEND_ROW;
        svg.rect(&format!("f{series}"), (x, y + 3.0), (12.0, 12.0), name);
        svg.text("", (x + 18.0, y + 13.0), name);
    }
    for (value, label) in span.ticks() {
        svg.line("grid", (at(value), top - 6.0), (at(value), bottom));
        svg.text("soft middle", (at(value), bottom + 18.0), &label);
    }
    svg.text("middle", (LEFT + width / 2.0, bottom + AXIS - 6.0), unit);
    for (i, bar) in bars.iter().enumerate() {
        let y = top + i as f64 * (BAR + GAP);
        svg.text("end", (LEFT - 10.0, y + BAR / 2.0 + 4.0), &bar.label);
        let (mut start, whole) = (0.0, total(bar));
        for part in bar.parts.iter().filter(|part| part.value > 0.0) {
            let (from, to) = (at(start), at(start + part.value));
            let percent = 100.0 * part.value / whole;
            let words = format!("{}: {} {unit}, {percent:.1}%", part.name, short(part.value));
            let class = format!("f{}", part.series % COLOURS);
            svg.rect(&class, (from, y), (to - from, BAR), &words);
            start += part.value;
        }
    }
    svg.finish()
}
