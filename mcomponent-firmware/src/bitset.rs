//! A set of small numbers in borrowed words, which finds its lowest member quickly.

/// Bits of a word. 32, because that is what the soft core computes with.
const BITS: u32 = u32::BITS;

/// Words that a set of `bits` numbers takes.
pub(crate) const fn words(bits: u32) -> usize {
    bits.div_ceil(BITS) as usize
}

/// The set.
#[derive(Debug)]
pub(crate) struct BitSet<'a> {
    words: &'a mut [u32],
    /// No word before this one has a bit set.
    lowest: usize,
}

impl<'a> BitSet<'a> {
    /// An empty set over `words`, which are cleared.
    pub fn new(words: &'a mut [u32]) -> Self {
        words.fill(0);
        Self { words, lowest: 0 }
    }

    pub fn contains(&self, n: u32) -> bool {
        self.words.get((n / BITS) as usize).is_some_and(|w| w >> (n % BITS) & 1 == 1)
    }

    /// Adds `n`, which must be below what the words hold.
    pub fn insert(&mut self, n: u32) {
        let i = (n / BITS) as usize;
        self.words[i] |= 1 << (n % BITS);
        self.lowest = self.lowest.min(i);
    }

    pub fn remove(&mut self, n: u32) {
        self.words[(n / BITS) as usize] &= !(1 << (n % BITS));
    }

    /// The lowest member.
    pub fn first(&mut self) -> Option<u32> {
        while let Some(&word) = self.words.get(self.lowest) {
            if word != 0 {
                return Some(self.lowest as u32 * BITS + word.trailing_zeros());
            }
            self.lowest += 1;
        }
        None
    }
}
