//! The boundary between the component's DRAM port and whatever stands behind it.

use super::{DramStats, LineStore};

/// Bytes in a line, the unit of every transfer on the DRAM port.
pub const LINE_BYTES: usize = 64;

/// One request on the DRAM port: a whole line read, or a write of the masked bytes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineCommand {
    /// Chosen by the requester and given back in the reply; the memory never looks at it.
    pub tag: u16,
    /// Write if true, read if false.
    pub write: bool,
    /// Line number: byte address / 64.
    pub line: u64,
    /// Bytes to write: bit `i` covers `data[i]`. Ignored for a read.
    pub mask: u64,
    /// Bytes to write. Ignored for a read.
    pub data: [u8; LINE_BYTES],
}

impl LineCommand {
    /// Carries the command out on `store` and makes its reply. Beyond the end of the store
    /// nothing is written, and the reply is poison.
    #[inline]
    pub fn perform(&self, store: &mut LineStore) -> LineReply {
        let mut reply = LineReply { tag: self.tag, data: [0; LINE_BYTES], poison: false };
        if self.line >= store.lines() {
            reply.poison = true;
        } else if self.write {
            store.write_masked(self.line, &self.data, self.mask);
        } else {
            reply.data = store.read_line(self.line);
            reply.poison = store.is_poisoned(self.line);
        }
        reply
    }
}

/// The answer to one [`LineCommand`]. Every command, read or write, gets exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReply {
    /// The command's tag.
    pub tag: u16,
    /// The line as read; zeros in the answer to a write.
    pub data: [u8; LINE_BYTES],
    /// The line is uncorrectable, or lies beyond the end of the memory. False for a write within
    /// the memory.
    pub poison: bool,
}

/// A memory of 64-byte lines behind the DRAM port, advanced by the component's clock.
///
/// Replies may come out of order. Commands on one line take effect in the order they were pushed.
pub trait LineMemory {
    /// Whether [`push`](Self::push) may be called now for a write (or a read).
    fn can_accept(&self, write: bool) -> bool;

    /// Hands over one command in the current component clock.
    ///
    /// # Panics
    /// If [`can_accept`](Self::can_accept) is false for it: the requester broke the handshake.
    fn push(&mut self, command: LineCommand);

    /// Ends the current component clock.
    fn tick(&mut self);

    /// Takes a reply that has arrived by now. The port carries one a clock; calling it more often
    /// models a wider one.
    fn pop_reply(&mut self) -> Option<LineReply>;

    /// True if no command is queued or in flight and no reply waits to be taken.
    fn is_idle(&self) -> bool;

    /// The contents, for checkers and loaders: no time passes.
    fn store(&self) -> &LineStore;

    /// The contents, to be changed behind the component's back: no time passes.
    fn store_mut(&mut self) -> &mut LineStore;

    /// What was counted so far.
    fn stats(&self) -> &DramStats;

    /// Forgets the counts (to leave a warm-up out), not the state.
    fn reset_stats(&mut self);
}

impl<M: LineMemory + ?Sized> LineMemory for Box<M> {
    fn can_accept(&self, write: bool) -> bool {
        (**self).can_accept(write)
    }
    fn push(&mut self, command: LineCommand) {
        (**self).push(command);
    }
    fn tick(&mut self) {
        (**self).tick();
    }
    fn pop_reply(&mut self) -> Option<LineReply> {
        (**self).pop_reply()
    }
    fn is_idle(&self) -> bool {
        (**self).is_idle()
    }
    fn store(&self) -> &LineStore {
        (**self).store()
    }
    fn store_mut(&mut self) -> &mut LineStore {
        (**self).store_mut()
    }
    fn stats(&self) -> &DramStats {
        (**self).stats()
    }
    fn reset_stats(&mut self) {
        (**self).reset_stats();
    }
}
