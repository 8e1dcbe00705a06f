//! [`Chart`]: lines or steps over two axes.

use std::fmt::Write as _;

use super::scale::{Scale, Span};
use super::svg::{number, Svg};

/// Width of the picture in its own units.
pub const WIDTH: f64 = 720.0;
/// Height between the axis and the top of the plot.
const PLOT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 48.0;
const LEGEND_ROW: f64 = 18.0;
/// Room for a line sample and the gap before it.
const KEY_WIDTH: f64 = 38.0;
/// Colours there are.
pub const COLOURS: usize = 8;

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How values spread.
    pub scale: Scale,
    /// Its ends; `None`: what the values need.
    pub range: Option<(f64, f64)>,
}

impl Axis {
    fn span(&self, values: impl Iterator<Item = f64>) -> Span {
        match self.range {
            Some((low, high)) => Span::new(self.scale, low, high),
            None => Span::around(self.scale, values),
        }
    }
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points, by rising x.
    pub points: Vec<(f64, f64)>,
    /// Whether a value holds until the next point (else points are joined by straight lines).
    pub steps: bool,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// The lines; from the ninth on colours repeat.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart as an SVG element.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let x = self.x.span(points().map(|p| p.0));
        let y = self.y.span(points().map(|p| p.1));
        let legend = self.legend_rows();
        let top = 24.0 + legend.len() as f64 * LEGEND_ROW;
        let (right, bottom) = (WIDTH - RIGHT, top + PLOT);
        let height = bottom + BOTTOM;
        let at_x = |value: f64| LEFT + x.place(value) * (right - LEFT);
        let at_y = |value: f64| bottom - y.place(value) * PLOT;

        let title = format!("{} over {}", self.y.label, self.x.label);
        let mut svg = Svg::new(WIDTH, height, &title);
        for (value, label) in y.ticks() {
            svg.line("grid", (LEFT, at_y(value)), (right, at_y(value)));
            svg.text("soft end", (LEFT - 8.0, at_y(value) + 4.0), &label);
        }
        for (value, label) in x.ticks() {
            svg.line("grid", (at_x(value), top), (at_x(value), bottom));
            svg.text("soft middle", (at_x(value), bottom + 18.0), &label);
        }
        svg.line("axis", (LEFT, bottom), (right, bottom));
        svg.text("middle", ((LEFT + right) / 2.0, height - 8.0), &self.x.label);
        svg.text("", (8.0, 14.0), &self.y.label);
        for (i, series) in self.series.iter().enumerate() {
            let places: Vec<_> = series.points.iter().map(|p| (at_x(p.0), at_y(p.1))).collect();
            let class = format!("line s{}", i % COLOURS);
            svg.path(&class, &path(&places, series.steps), &series.name);
        }
        self.legend(&mut svg, &legend);
        svg.finish()
    }

    /// Names above the plot, flush right; a single series needs none.
    fn legend(&self, svg: &mut Svg, rows: &[Vec<usize>]) {
        for (row, y) in rows.iter().zip((0..).map(|i| 30.0 + f64::from(i) * LEGEND_ROW)) {
            let mut x = WIDTH - RIGHT;
            for &i in row.iter().rev() {
                let name = &self.series[i].name;
                x -= text_width(name);
                svg.text("", (x, y), name);
                let class = format!("line s{}", i % COLOURS);
                svg.line(&class, (x - 22.0, y - 4.0), (x - 6.0, y - 4.0));
                x -= KEY_WIDTH;
            }
        }
    }

    /// Which series stand in which row of the legend.
    fn legend_rows(&self) -> Vec<Vec<usize>> {
        let mut rows = Vec::new();
        if self.series.len() < 2 {
            return rows;
        }
        let mut left = 0.0;
        for (i, series) in self.series.iter().enumerate() {
            let width = text_width(&series.name) + KEY_WIDTH;
            match rows.last_mut() {
                Some(row) if width <= left => {
                    Vec::push(row, i);
                    left -= width;
                }
                _ => {
                    rows.push(vec![i]);
                    left = WIDTH - LEFT - RIGHT - width;
                }
            }
        }
        rows
    }
}

/// About the width of a text. No font's measures are known here; 6.6 units a character is a little
/// more than most take at this size.
fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

fn path(places: &[(f64, f64)], steps: bool) -> String {
    let mut d = String::new();
    for (i, &(x, y)) in places.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = match (i, steps) {
            (0, _) => write!(d, "M{} {}", number(x), number(y)),
            (_, true) => write!(d, "H{}V{}", number(x), number(y)),
            (_, false) => write!(d, "L{} {}", number(x), number(y)),
        };
    }
    d
}
