//! Sizes as people write them: `4096`, `64KiB`, `1GiB`, and `25%` of something.

use std::str::FromStr;

use bytesize::ByteSize;

/// A size in bytes, or a share of something whose size is only known later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// Bytes, at least one.
    Bytes(u64),
    /// A share, above 0 and at most 1.
    Share(f64),
}

/// A size that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Neither a number with a unit nor a percentage.
    #[error("expected bytes, a size like 64KiB, 1MiB, 1GiB, or a share like 25%")]
    Malformed,
    /// Zero bytes or zero per cent.
    #[error("must be more than zero")]
    Zero,
    /// More than 100 %.
    #[error("a share is at most 100%")]
    OverWhole,
    /// A share where bytes are needed.
    #[error("needs bytes, such as 64KiB: there is nothing to take a share of")]
    ShareOfNothing,
}

impl Size {
    /// The size in bytes, a share taken of `whole` and rounded up.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Share(share) => (whole as f64 * share).ceil() as u64,
        }
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| SizeError::Malformed)?;
            return match percent {
                0.0 => Err(SizeError::Zero),
                p if p > 100.0 => Err(SizeError::OverWhole),
                p if p > 0.0 => Ok(Self::Share(p / 100.0)),
                _ => Err(SizeError::Malformed),
            };
        }
        match text.parse::<ByteSize>() {
            Ok(ByteSize(0)) => Err(SizeError::Zero),
            Ok(ByteSize(bytes)) => Ok(Self::Bytes(bytes)),
            Err(_) => Err(SizeError::Malformed),
        }
    }
}

/// For clap: a size in bytes, where a share means nothing.
///
/// # Errors
/// [`SizeError`].
pub fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    match text.parse()? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Share(_) => Err(SizeError::ShareOfNothing),
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{}", ByteSize(*bytes).display().iec()),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("64KiB", 64 << 10),
            ("64 KiB", 64 << 10),
            ("1.5MiB", 3 << 19),
            ("1GiB", 1 << 30),
            ("10kB", 10_000),
        ] {
            assert_eq!(text.parse(), Ok(Size::Bytes(bytes)), "{text}");
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        assert_eq!("25%".parse(), Ok(Size::Share(0.25)));
        assert_eq!("100 %".parse(), Ok(Size::Share(1.0)));
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(Size::Share(0.25).of(1000), 250);
        assert_eq!(Size::Share(0.001).of(1), 1);
        assert_eq!(Size::Bytes(7).of(1000), 7);
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, error) in [
            ("", SizeError::Malformed),
            ("lots", SizeError::Malformed),
            ("-1", SizeError::Malformed),
            ("64XiB", SizeError::Malformed),
            ("-5%", SizeError::Malformed),
            ("NaN%", SizeError::Malformed),
            ("%", SizeError::Malformed),
            ("0", SizeError::Zero),
            ("0%", SizeError::Zero),
            ("101%", SizeError::OverWhole),
        ] {
            assert_eq!(text.parse::<Size>(), Err(error), "{text:?}");
        }
        assert_eq!(parse_bytes("25%"), Err(SizeError::ShareOfNothing));
    }
}
