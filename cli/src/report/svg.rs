//! Writing SVG: text that is escaped, numbers that are short.

use std::fmt::Write as _;

/// Escapes text for HTML and SVG, inside and outside of attributes. Characters that XML forbids
/// become the replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// A coordinate, to a hundredth of a unit.
pub fn number(x: f64) -> String {
    trim(&format!("{x:.2}")).to_owned()
}

/// A decimal number without the zeros at its end.
pub fn trim(text: &str) -> &str {
    if !text.contains('.') {
        return text;
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0"
    } else {
        text
    }
}

/// An SVG element that grows.
#[derive(Debug)]
pub struct Svg(String);

impl Svg {
    /// A picture of this size, in its own units; it is scaled to the width of the page. `title` is
    /// what a screen reader says.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\">\
             <title>{}</title>",
            number(width),
            number(height),
            escape(title)
        ))
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            number(x1),
            number(y1),
            number(x2),
            number(y2)
        ));
    }

    /// Text at a place; the class says which end of it stands there.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
            number(x),
            number(y),
            escape(text)
        ));
    }

    /// A filled rectangle with a tooltip.
    pub fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), tooltip: &str) {
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">\
             <title>{}</title></rect>",
            number(at.0),
            number(at.1),
            number(size.0),
            number(size.1),
            escape(tooltip)
        ));
    }

    /// A path (`d` as SVG has it) with a tooltip.
    pub fn path(&mut self, class: &str, d: &str, tooltip: &str) {
        self.add(format_args!(
            "<path class=\"{class}\" d=\"{d}\"><title>{}</title></path>",
            escape(tooltip)
        ));
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(text);
    }

    /// The element.
    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a<b>&\"c\"\0"), "a&lt;b&gt;&amp;&quot;c&quot;\u{fffd}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1.0), "1");
        assert_eq!(number(1.256), "1.26");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(100.0), "100");
    }
}
