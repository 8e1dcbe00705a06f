//! [`Passing`]: frames of pages that a program passes through in order, which leave first.
//!
//! Who reads memory in order touches a page, goes on, and comes back after all the others, if at all. If
//! what is passed through is more than there are frames, each page of it throws out one that may have been of
//! use, and is itself gone when the next pass comes by. So such pages queue in a share of the frames: when
//! a page has to leave and the queue takes its share, it is the first of the queue. What came early in a pass
//! and had to give way to nobody, and what comes back early (see [`super::history`]), is kept
//! as other pages are. (As 2Q has it, where all new pages queue.)

use super::ahead::WINDOW;
use super::array::Array;
use super::sys::Errno;

/// One of so many frames is for pages that are passed through, where others are wanted too.
const SHARE: usize = 8;
/// But so many are, unless that is more than half of all: what came ahead has yet to be touched.
const LEAST: usize = 2 * WINDOW;
/// Pages more that the queue takes before those at its front are kept: they come in windows and leave in batches.
const SLACK: usize = 4 * WINDOW;
/// A neighbour in the queue that is none.
const END: u32 = 0;

/// A queue of frames, in the order in which their pages came.
pub(super) struct Passing {
    /// By frame: the one behind and the one before it, counted from 1.
    links: Array<[u32; 2]>,
    /// The first and the last one.
    ends: [u32; 2],
    len: usize,
}

/// Towards the newest and towards the oldest.
const NEWER: usize = 0;
const OLDER: usize = 1;

impl Passing {
    /// For so many frames at most.
    pub fn new(frames: usize) -> Result<Self, Errno> {
        Ok(Self { links: Array::new(frames)?, ends: [END; 2], len: 0 })
    }

    /// Bytes for a frame.
    pub const BYTES: usize = size_of::<[u32; 2]>();

    /// A page that is passed through came into one of so many frames, which is not in the queue.
    /// Gives the frame at the front if the queue became too long and its page is kept from now on.
    pub fn push(&mut self, frame: usize, frames: usize) -> Option<usize> {
        let name = frame as u32 + 1;
        let newest = self.ends[OLDER];
        self.links[frame] = [END, newest];
        self.link(newest, NEWER, name);
        self.ends[OLDER] = name;
        self.len += 1;
        let kept = self.oldest().filter(|_| self.len > share(frames) + SLACK.min(frames / 4))?;
        self.remove(kept);
        Some(kept)
    }

    /// Takes a frame out of the queue, if it is there.
    pub fn remove(&mut self, frame: usize) {
        if self.has(frame) {
            let [newer, older] = std::mem::take(&mut self.links[frame]);
            self.link(older, NEWER, newer);
            self.link(newer, OLDER, older);
            self.len -= 1;
        }
    }

    /// Sets a neighbour of a frame, or, past the end, the queue's own.
    fn link(&mut self, of: u32, way: usize, to: u32) {
        match of {
            END => self.ends[way] = to,
            name => self.links[name as usize - 1][way] = to,
        }
    }

    /// Whether a frame is in the queue.
    pub fn has(&self, frame: usize) -> bool {
        self.links[frame] != [END; 2] || self.ends[NEWER] == frame as u32 + 1
    }

    /// The frame that has been in the queue for longest.
    pub fn oldest(&self) -> Option<usize> {
        named(self.ends[NEWER])
    }

    /// The one that came behind a frame in the queue.
    pub fn newer(&self, frame: usize) -> Option<usize> {
        named(self.links[frame][NEWER])
    }

    /// Whether the queue takes more than its share of so many frames.
    pub fn is_long(&self, frames: usize) -> bool {
        self.len > share(frames)
    }

    /// Frames in the queue.
    pub fn len(&self) -> usize {
        self.len
    }
}

fn share(frames: usize) -> usize {
    (frames / SHARE).max(LEAST.min(frames / 2))
}

fn named(name: u32) -> Option<usize> {
    (name as usize).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(queue: &Passing) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(queue.oldest(), |frame| queue.newer(*frame))
    }

    #[test]
    fn whoever_came_first_is_the_oldest_until_it_is_taken_out() {
        let mut queue = Passing::new(64).unwrap();
        let mut expected: Vec<usize> = Vec::new();
        let mut state = 1u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let frame = (state >> 58) as usize;
            let known = expected.iter().position(|known| *known == frame);
            assert_eq!(queue.has(frame), known.is_some());
            match known {
                Some(at) => {
                    queue.remove(frame);
                    expected.remove(at);
                }
                None => {
                    expected.push(frame);
                    // The queue has 32 frames of 64, and 16 more.
                    let kept = (expected.len() > 48).then(|| expected.remove(0));
                    assert_eq!(queue.push(frame, 64), kept);
                }
            }
            assert!(frames(&queue).eq(expected.iter().copied()));
            assert_eq!(queue.len(), expected.len());
            assert_eq!(queue.is_long(64), expected.len() > 32);
        }
        for frame in expected {
            queue.remove(frame);
            queue.remove(frame);
        }
        assert!(queue.oldest().is_none() && queue.len() == 0);
    }
}
