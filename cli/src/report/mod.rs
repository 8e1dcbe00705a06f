//! [`Report`]: one self-contained HTML file with tables and SVG plots, readable in light and in
//! dark. It appears whole or not at all.
//!
//! | module | what it draws |
//! | --- | --- |
//! | [`chart`] | lines and steps over two axes |
//! | [`bars`] | stacked bars of parts of a whole |
//! | [`scale`] | axes: where a value lies, where the ticks stand |
//! | [`svg`] | elements and text, escaped |

pub mod bars;
pub mod chart;
pub mod scale;
pub mod svg;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::CliError;
use crate::facts::Facts;
use crate::whole_file;
use svg::escape;

/// What a command found out, as a page for people.
#[derive(Debug)]
pub struct Report {
    title: String,
    command: String,
    body: String,
}

impl Report {
    /// An empty page. `command` is the command line that made it.
    pub fn new(title: &str, command: &str) -> Self {
        Self { title: title.to_owned(), command: command.to_owned(), body: String::new() }
    }

    /// Makes the folder for reports, so that a folder that cannot be made is known before the work
    /// and not after it.
    ///
    /// # Errors
    /// [`CliError::Write`].
    pub fn prepare(folder: &Path) -> Result<(), CliError> {
        fs::create_dir_all(folder)
            .map_err(|source| CliError::Write { path: folder.to_owned(), source })
    }

    /// Begins a section.
    pub fn heading(&mut self, text: &str) {
        self.line(format_args!("<h2>{}</h2>", escape(text)));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.line(format_args!("<p>{}</p>", escape(text)));
    }

    /// Adds a table of facts.
    pub fn facts(&mut self, facts: &Facts) {
        self.line(format_args!("<table>"));
        for fact in facts.iter() {
            let part = if fact.label.starts_with(' ') { " class=\"part\"" } else { "" };
            self.line(format_args!(
                "<tr><th{part}>{}</th><td>{}</td><td class=\"unit\">{}</td></tr>",
                escape(&fact.label),
                escape(&fact.value.display()),
                escape(fact.unit)
            ));
        }
        self.line(format_args!("</table>"));
    }

    /// Adds a table with a header; columns after the first are numbers.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            cells.fold(String::new(), |row, cell| row + &format!("<{tag}>{}</{tag}>", escape(cell)))
        };
        let head = cells("th", &mut header.iter().copied());
        self.line(format_args!("<table><thead><tr>{head}</tr></thead><tbody>"));
        for row in rows {
            let (first, rest) = row.split_first().map_or(("", &row[..]), |(a, b)| (a, b));
            let rest = cells("td", &mut rest.iter().map(String::as_str));
            self.line(format_args!("<tr><th>{}</th>{rest}</tr>", escape(first)));
        }
        self.line(format_args!("</tbody></table>"));
    }

    /// Adds a plot with words below it. `svg` is an SVG element, as the plots here give it.
    pub fn figure(&mut self, svg: &str, caption: &str) {
        self.line(format_args!(
            "<figure>{svg}<figcaption>{}</figcaption></figure>",
            escape(caption)
        ));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = writeln!(self.body, "{text}");
    }

    /// The page.
    pub fn html(&self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n<pre>{command}</pre>\n{body}\
             <footer>splitmem {version}. Every number on this page was measured in this run.\
             </footer>\n</body>\n</html>\n",
            title = escape(&self.title),
            command = escape(&self.command),
            body = self.body,
            version = env!("CARGO_PKG_VERSION"),
        )
    }

    /// Writes the page to `NAME.html` in the folder; gives its path.
    ///
    /// # Errors
    /// [`CliError::Write`]; an older page of this name then still stands.
    pub fn write(&self, folder: &Path, name: &str) -> Result<PathBuf, CliError> {
        let path = folder.join(format!("{name}.html"));
        Self::prepare(folder)?;
        whole_file::write(&path, &self.html())?;
        Ok(path)
    }
}

/// Colours of series: those of Okabe and Ito, told apart by the colour-blind too, a bit lighter on
/// dark.
const STYLE: &str = "\
:root { --bg: #fff; --fg: #1c2127; --soft: #5b6570; --grid: #e2e6ea; --box: #f5f7f9;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #cc79a7; --s4: #c58a00; --s5: #56a4d9;
  --s6: #7a5fb5; --s7: #7d8690; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14181c; --fg: #e4e8ec; --soft: #9aa5b1; --grid: #2c333b; --box: #1d2329;
    --s0: #4fa8e0; --s1: #ff8a47; --s2: #2cc295; --s3: #e39cc3; --s4: #e8b53e; --s5: #8fd0fa;
    --s6: #b29be8; --s7: #aab3bc; } }
body { background: var(--bg); color: var(--fg); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin-bottom: .5rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
pre { background: var(--box); padding: .6rem .8rem; border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .9rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem; }
th { text-align: left; font-weight: 400; } thead th { color: var(--soft); }
th.part { color: var(--soft); }
th, td { padding: .2rem 1.4rem .2rem 0; border-bottom: 1px solid var(--grid); }
th.part { padding-left: 1rem; }
td, thead th:not(:first-child) { text-align: right; }
td.unit { text-align: left; color: var(--soft); }
figure { margin: 1rem 0; } figcaption, footer { color: var(--soft); font-size: .9rem; }
footer { margin-top: 3rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--fg); font: 12px system-ui, sans-serif; }
svg text.soft { fill: var(--soft); } svg text.end { text-anchor: end; }
svg text.middle { text-anchor: middle; }
svg .grid { stroke: var(--grid); stroke-width: 1; } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .s0 { stroke: var(--s0); } svg .f0 { fill: var(--s0); }
svg .s1 { stroke: var(--s1); } svg .f1 { fill: var(--s1); }
svg .s2 { stroke: var(--s2); } svg .f2 { fill: var(--s2); }
svg .s3 { stroke: var(--s3); } svg .f3 { fill: var(--s3); }
svg .s4 { stroke: var(--s4); } svg .f4 { fill: var(--s4); }
svg .s5 { stroke: var(--s5); } svg .f5 { fill: var(--s5); }
svg .s6 { stroke: var(--s6); } svg .f6 { fill: var(--s6); }
svg .s7 { stroke: var(--s7); } svg .f7 { fill: var(--s7); }
";

#[cfg(test)]
mod tests {
    use super::*;
    use bars::{Bar, Part};
    use chart::{Axis, Chart, Series};
    use proptest::prelude::*;
    use scale::Scale;

    fn chart(points: Vec<(f64, f64)>, scale: Scale, name: &str) -> Chart {
        Chart {
            x: Axis { label: name.to_owned(), scale, range: None },
            y: Axis { label: "y".to_owned(), scale: Scale::Linear, range: Some((0.0, 1.0)) },
            series: vec![Series { name: name.to_owned(), points, steps: true }],
        }
    }

    fn sample() -> Report {
        let mut report = Report::new("A <run> & more", "splitmem sim \"x\" <&>");
        let mut facts = Facts::new();
        facts.add("a", "Label with <angle>", "value & more", "cycles");
        report.heading("Facts & figures");
        report.facts(&facts);
        report.paragraph("1 < 2");
        report.table(&["op", "p50"], &[vec!["read".into(), "5".into()]]);
        let points = (0..50).map(|i| (f64::from(i * i), f64::from(i) / 49.0)).collect();
        report.figure(&chart(points, Scale::Log, "latency & <more>").svg(), "a \"caption\"");
        let bar = Bar {
            label: "all".into(),
            parts: vec![Part { name: "reads <&".into(), value: 3.0, series: 0 }],
        };
        report.figure(&bars::svg(&[bar], "cycles"), "");
        report
    }

    fn parse(html: &str) -> roxmltree::Document<'_> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        roxmltree::Document::parse_with_options(html, options).unwrap()
    }

    #[test]
    fn a_page_is_well_formed_and_shows_what_it_was_given() {
        let html = sample().html();
        let page = parse(&html);
        let text = |tag: &str| -> Vec<String> {
            page.descendants()
                .filter(|node| node.has_tag_name(tag))
                .map(|node| node.text().unwrap_or("").to_owned())
                .collect()
        };
        assert_eq!(text("h1"), ["A <run> & more"]);
        assert_eq!(text("pre"), ["splitmem sim \"x\" <&>"]);
        assert!(text("td").contains(&"value & more".to_owned()));
        assert_eq!(page.descendants().filter(|n| n.tag_name().name() == "svg").count(), 2);
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let html = sample().html();
        let page = parse(&html);
        for node in page.descendants() {
            for name in ["src", "href", "data", "action"] {
                assert_eq!(node.attribute(name), None, "{:?}", node.tag_name());
            }
            assert_ne!(node.tag_name().name(), "script");
        }
        assert!(!html.contains("url(") && !html.contains("@import"));
    }

    #[test]
    fn a_page_replaces_an_older_one_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/folder");
        let path = sample().write(&folder, "sim").unwrap();
        let path_again = sample().write(&folder, "sim").unwrap();
        assert_eq!(path, path_again);
        assert_eq!(fs::read_to_string(&path).unwrap(), sample().html());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "temporary files stay behind");
    }

    #[test]
    fn a_page_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A folder stands where the page should go, so the rename fails at the very end.
        fs::create_dir_all(folder.path().join("sim.html/x")).unwrap();
        let error = sample().write(folder.path(), "sim").unwrap_err();
        assert!(matches!(error, CliError::Write { .. }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Report::prepare(&file.join("x")), Err(CliError::Write { .. })));
    }

    proptest! {
        /// Any numbers and names: the plot parses, and every coordinate is a finite number within
        /// the picture.
        #[test]
        fn plots_of_any_numbers_are_well_formed(
            mut points in prop::collection::vec((0.0..1e12f64, -1.0..2.0f64), 0..40),
            log in any::<bool>(),
            name in "\\PC{0,12}",
        ) {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            let chart = chart(points, if log { Scale::Log } else { Scale::Linear }, &name);
            let svg = chart.svg();
            let page = parse(&svg);
            for path in page.descendants().filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "path"))) {
                let d = path.attribute("d").unwrap_or("");
                for number in d.split(|c: char| "MLHV ,".contains(c)).filter(|n| !n.is_empty()) {
                    let number: f64 = number.parse().unwrap();
                    prop_assert!((0.0..=chart::WIDTH).contains(&number), "{d}");
                }
            }
        }
    }
}
