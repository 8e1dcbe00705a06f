//! The DRAM port's beats: commands are put together from them, replies cut into them.
//!
//! The counterpart of `hdl/src/beats.rs`, which says how they look.

use crate::dram::{LineCommand, LineReply, LINE_BYTES};
use crate::verilated::{Inputs, Outputs};
use splitmem_abi::dram::TAG_BITS;

/// What of a command and of a reply has passed the DRAM port.
pub(crate) struct Beats {
    /// Beats of a line.
    count: usize,
    /// The command under way, and how many of its beats have come.
    command: Option<(LineCommand, usize)>,
    /// The reply under way, and how many of its beats were put on the pins.
    reply: Option<(LineReply, usize)>,
    /// Of each tag: its last command was a write.
    writes: Vec<bool>,
}

impl Beats {
    pub fn new(count: u32) -> Self {
        Self {
            count: count as usize,
            command: None,
            reply: None,
            writes: vec![false; 1 << TAG_BITS],
        }
    }

    /// Whether nothing is half done.
    pub fn is_idle(&self) -> bool {
        self.command.is_none() && self.reply.is_none()
    }

    /// Takes a beat of a command; gives the command when it is whole.
    ///
    /// # Errors
    /// What is wrong with the beats.
    #[inline]
    pub fn take(&mut self, pins: &Outputs) -> Result<Option<LineCommand>, String> {
        let bytes = LINE_BYTES / self.count;
        let (write, tag, line) = (pins.dram_cmd_write, pins.dram_cmd_tag, pins.dram_cmd_line);
        let new = || (LineCommand { tag, write, line, mask: 0, data: [0; LINE_BYTES] }, 0);
        let (mut command, came) = self.command.take().unwrap_or_else(new);
        if (write, tag, line) != (command.write, command.tag, command.line) {
            return Err("the beats of two commands are mixed".to_owned());
        }
        let expected = if write { self.count } else { 1 };
        if pins.dram_cmd_last != (came + 1 == expected) {
            return Err(format!("beat {came} of {expected} of a command is marked wrongly"));
        }
        if write {
            let from = came * bytes;
            command.data[from..from + bytes].copy_from_slice(&pins.dram_cmd_data[..bytes]);
            command.mask |= (pins.dram_cmd_mask & (!0 >> (LINE_BYTES - bytes))) << from;
        }
        if !pins.dram_cmd_last {
            self.command = Some((command, came + 1));
            return Ok(None);
        }
        self.writes[usize::from(tag)] = write;
        Ok(Some(command))
    }

    /// Puts a beat on the pins, if there is a reply: one under way, or a new one.
    #[inline]
    pub fn put(&mut self, pins: &mut Inputs, next: impl FnOnce() -> Option<LineReply>) {
        let Some((reply, put)) = self.reply.take().or_else(|| next().map(|reply| (reply, 0)))
        else {
            return;
        };
        let bytes = LINE_BYTES / self.count;
        let expected = if self.writes[usize::from(reply.tag)] { 1 } else { self.count };
        let from = put * bytes;
        pins.dram_resp_valid = true;
        pins.dram_resp_load = true;
        pins.dram_resp_tag = reply.tag;
        pins.dram_resp_data[..bytes].copy_from_slice(&reply.data[from..from + bytes]);
        pins.dram_resp_last = put + 1 == expected;
        // One poisoned beat poisons the line.
        pins.dram_resp_poison = reply.poison && put == usize::from(reply.tag) % expected;
        if !pins.dram_resp_last {
            self.reply = Some((reply, put + 1));
        }
    }
}
