//! Byte ranges cut at the boundaries of lines or pages.

/// A part of a range that lies in one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Number of the unit.
    pub unit: usize,
    /// First byte in the unit.
    pub offset: usize,
    /// First byte in the caller's buffer.
    pub at: usize,
    /// Bytes.
    pub len: usize,
}

impl Part {
    /// The part's bytes in the caller's buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.at..self.at + self.len
    }

    /// A bit for each byte, in a unit of 64 bytes.
    pub fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.len) << self.offset
    }
}

/// Cuts `len` bytes from `start` on at multiples of `unit` bytes.
pub(crate) fn parts(start: usize, len: usize, unit: usize) -> impl Iterator<Item = Part> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == len {
            return None;
        }
        let offset = (start + at) % unit;
        let part =
            Part { unit: (start + at) / unit, offset, at, len: (unit - offset).min(len - at) };
        at += part.len;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_boundaries() {
        let cut: Vec<_> = parts(60, 72, 64).collect();
        assert_eq!(
            cut,
            [
                Part { unit: 0, offset: 60, at: 0, len: 4 },
                Part { unit: 1, offset: 0, at: 4, len: 64 },
                Part { unit: 2, offset: 0, at: 68, len: 4 },
            ]
        );
        assert_eq!(cut.iter().map(Part::mask).collect::<Vec<_>>(), [0xf << 60, u64::MAX, 0xf]);
        assert_eq!(parts(64, 0, 64).count(), 0);
    }
}
