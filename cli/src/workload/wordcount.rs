//! Word count: how often each word of a text occurs.
//!
//! A word is a run of ASCII letters and digits and of bytes above 127 (letters of other scripts in
//! UTF-8), in lower case as far as ASCII goes. The text, the words and the table that finds them all
//! live in the memory; a word's record is `{count: u64, length: u64, bytes}`.

use std::hash::Hasher as _;

use super::memory::{load, Arena, MemoryError, WorkMemory};
use super::table::ProbeTable;
use super::{Outcome, WorkError, Workload};
use crate::facts::Facts;

/// Bytes of text that are read at a time.
const PIECE: usize = 4096;
/// Longer words are cut here, so that binary input cannot make one without end.
const WORD_MAX: usize = 256;
const COUNT: u64 = 0;
const LENGTH: u64 = 8;
const BYTES: u64 = 16;

/// Counts the words of a text.
#[derive(Debug)]
pub struct WordCount<'a> {
    /// The text.
    pub text: &'a [u8],
}

/// Words and how often they occur, the most frequent first, equally frequent ones by their bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    words: Vec<(Vec<u8>, u64)>,
}

impl Words {
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.iter().map(|(word, count)| (word.as_slice(), *count))
    }
}

impl Workload for WordCount<'_> {
    type Outcome = Words;

    fn run<M: WorkMemory>(
        &self,
        memory: &mut M,
        watch: &mut dyn FnMut(u64, u64),
    ) -> Result<Words, WorkError> {
        if self.text.is_empty() {
            return Err(WorkError::Empty("the text has no bytes"));
        }
        let length = self.text.len() as u64;
        let text = load(memory, self.text)?;
        let mut counter = Counter {
            table: ProbeTable::new(memory)?,
            arena: Arena::default(),
            spelling: vec![0; WORD_MAX],
        };
        let mut piece = vec![0; PIECE];
        let mut word = Vec::with_capacity(WORD_MAX);
        let mut done = 0;
        while done < length {
            let piece = &mut piece[..PIECE.min((length - done) as usize)];
            memory.read(text + done, piece)?;
            for &byte in &*piece {
                if byte.is_ascii_alphanumeric() || byte >= 0x80 {
                    word.push(byte.to_ascii_lowercase());
                    if word.len() < WORD_MAX {
                        continue;
                    }
                }
                if !word.is_empty() {
                    counter.count(memory, &word)?;
                    word.clear();
                }
            }
            done += piece.len() as u64;
            watch(done, length);
        }
        if !word.is_empty() {
            counter.count(memory, &word)?;
        }
        Ok(counter.words(memory)?)
    }
}

struct Counter {
    table: ProbeTable,
    arena: Arena,
    /// Room for the word of a record.
    spelling: Vec<u8>,
}

impl Counter {
    fn count<M: WorkMemory>(&mut self, memory: &mut M, word: &[u8]) -> Result<(), MemoryError> {
        let mut hasher = fnv::FnvHasher::default();
        hasher.write(word);
        let hash = hasher.finish();
        let spelling = &mut self.spelling;
        let found = self.table.find(memory, hash, |memory, record| {
            if memory.read_u64(record + LENGTH)? != word.len() as u64 {
                return Ok(false);
            }
            memory.read(record + BYTES, &mut spelling[..word.len()])?;
            Ok(spelling[..word.len()] == *word)
        })?;
        match found {
            Some(record) => {
                let count = memory.read_u64(record + COUNT)?;
                memory.write_u64(record + COUNT, count + 1)?;
            }
            None => {
                let record = self.arena.alloc(memory, BYTES + word.len() as u64)?;
                memory.write_u64(record + COUNT, 1)?;
                memory.write_u64(record + LENGTH, word.len() as u64)?;
                memory.write(record + BYTES, word)?;
                self.table.insert(memory, hash, record)?;
            }
        }
        memory.operation("count word");
        Ok(())
    }

    fn words<M: WorkMemory>(&self, memory: &mut M) -> Result<Words, MemoryError> {
        let mut words = Vec::new();
        self.table.for_each(memory, |memory, _, record| {
            let count = memory.read_u64(record + COUNT)?;
            // A length that came back wrong must not become an allocation of that size here.
            let length = memory.read_u64(record + LENGTH)?.min(WORD_MAX as u64);
            let mut word = vec![0; length as usize];
            memory.read(record + BYTES, &mut word)?;
            words.push((word, count));
            Ok(())
        })?;
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(Words { words })
    }
}

impl Outcome for Words {
    fn difference(&self, oracle: &Self) -> Option<String> {
        let show = |entry: Option<&(Vec<u8>, u64)>| {
            entry.map_or("nothing".to_owned(), |(word, count)| {
                format!("{:?} {count} times", String::from_utf8_lossy(word))
            })
        };
        let places = self.words.len().max(oracle.words.len());
        (0..places)
            .map(|i| (i, self.words.get(i), oracle.words.get(i)))
            .find(|(_, a, b)| a != b)
            .map(|(i, ours, right)| {
                format!("place {}: counted {}, expected {}", i + 1, show(ours), show(right))
            })
    }

    fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        let total: u64 = self.words.iter().map(|(_, count)| count).sum();
        facts.add("words", "Words", total, "words");
        facts.add("distinct_words", "Distinct words", self.words.len() as u64, "words");
        if let Some((word, count)) = self.words.first() {
            facts.add(
                "top_word",
                "Most frequent word",
                String::from_utf8_lossy(word).into_owned(),
                "",
            );
            facts.add("top_word_count", "It occurs", *count, "times");
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::LocalMemory;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn count(text: &[u8]) -> Words {
        WordCount { text }.run(&mut LocalMemory::new(), &mut |_, _| {}).unwrap()
    }

    /// The same with the standard library, in a few lines.
    fn expected(text: &[u8]) -> Vec<(Vec<u8>, u64)> {
        let mut counts = HashMap::<Vec<u8>, u64>::new();
        for run in text.split(|b| !(b.is_ascii_alphanumeric() || *b >= 0x80)) {
            for word in run.chunks(WORD_MAX) {
                *counts.entry(word.to_ascii_lowercase()).or_default() += 1;
            }
        }
        let mut words: Vec<_> = counts.into_iter().collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words
    }

    #[test]
    fn words_are_counted() {
        let words = count("The cat and the Kater; THE Kater's Größe. 3 the".as_bytes());
        let top: Vec<_> = words.iter().take(2).collect();
        assert_eq!(top, [(&b"the"[..], 4), (&b"kater"[..], 2)]);
        assert!(words.iter().any(|(word, _)| word == "größe".as_bytes()));
    }

    #[test]
    fn a_difference_names_the_word() {
        let (a, b) = (count(b"a a b"), count(b"a a c"));
        assert_eq!(a.difference(&a), None);
        let text = a.difference(&b).unwrap();
        assert!(text.contains("\"b\" 1 times") && text.contains("\"c\" 1 times"), "{text}");
        assert!(count(b"a").difference(&a).unwrap().contains("counted \"a\" 1 times"));
    }

    proptest! {
        #[test]
        fn it_counts_like_the_standard_library(
            text in prop_oneof![
                "[a-c ]{0,300}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 1..2000),
                // Words longer than WORD_MAX and texts longer than PIECE.
                (1usize..6000, "[a-f .]{1,9}").prop_map(|(n, s)| s.into_bytes().into_iter().cycle().take(n).collect()),
            ].prop_filter("a text", |text: &Vec<u8>| !text.is_empty())
        ) {
            prop_assert_eq!(count(&text).words, expected(&text));
        }
    }
}
