//! What the monitor tells about the component: health, the event log, how the last monitor ended.

use crate::error::Error;
use crate::mailbox::Traffic;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{
    Command, Health, Payload, PostMortem, ReturnCode, EVENTS_PER_REPLY, POST_MORTEM_TEXT,
};
use splitmem_abi::regs::field::EVENT_STATUS;
use splitmem_abi::regs::{self, Counter};

/// Answers questions about the component's state.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The hardware has counters.
    statistics: bool,
    post_mortem: (PostMortem, [u32; POST_MORTEM_TEXT]),
}

impl Telemetry {
    /// For hardware with or without counters.
    pub fn new(statistics: bool) -> Self {
        Self { statistics, post_mortem: (PostMortem::default(), [0; POST_MORTEM_TEXT]) }
    }

    /// What the monitor before this one left when it failed: the host may ask for it.
    pub fn set_post_mortem(&mut self, record: PostMortem, text: [u32; POST_MORTEM_TEXT]) {
        self.post_mortem = (record, text);
    }

    /// Answers a question; `vitals` is what the allocator knows, and only looked at for
    /// [`Command::Health`]. Gives the
    /// return code and the reply's bytes. Other commands are answered `UnknownCommand`.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn answer(
        &mut self,
        bus: &mut impl RegisterBus,
        question: Command,
        traffic: Traffic,
        vitals: Health,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        let length = match question {
            Command::Health => self.health(bus, traffic, vitals)?.encode(payload),
            Command::Events => events(bus, payload)?,
            Command::PostMortem => self.last_words(payload),
            _ => return Ok((ReturnCode::UnknownCommand, 0)),
        };
        Ok((ReturnCode::Success, length))
    }

    fn health(
        &self,
        bus: &mut impl RegisterBus,
        traffic: Traffic,
        vitals: Health,
    ) -> Result<Health, Error> {
        let dropped = EVENT_STATUS::DROPPED.get(bus.read(regs::EVENT_STATUS.offset)?);
        let mut health = Health {
            flags: vitals.flags | (Health::EVENTS_DROPPED * (dropped > 0) as u32),
            commands: traffic.commands,
            commands_refused: traffic.refused,
            ..vitals
        };
        if self.statistics {
            // The allocator counts interrupts, the hardware requests.
            health.no_memory_events = bus.read(Counter::NoMemory.offset())?;
            health.uncorrectable_events = bus.read(Counter::Uncorrectable.offset())?;
        }
        Ok(health)
    }

    fn last_words(&self, payload: &mut Payload) -> u16 {
        let (record, text) = &self.post_mortem;
        let start = record.encode(payload) as usize / 4;
        payload[start..start + text.len()].copy_from_slice(text);
        4 * (start + text.len()) as u16
    }
}

fn events(bus: &mut impl RegisterBus, payload: &mut Payload) -> Result<u16, Error> {
    let logged = EVENT_STATUS::COUNT.get(bus.read(regs::EVENT_STATUS.offset)?);
    let count = (logged as usize).min(EVENTS_PER_REPLY);
    payload[0] = count as u32;
    for event in payload[1..].chunks_exact_mut(4).take(count) {
        for (i, word) in (0..).zip(event) {
            *word = bus.read(regs::EVENT.at(i))?;
        }
        bus.write(regs::EVENT_POP.offset, 1)?;
    }
    Ok(4 * (1 + 4 * count as u16))
}
