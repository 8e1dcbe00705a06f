//! What the CXL.mem device should answer: written from the specification's formulas, over the golden
//! model of the component.

use std::collections::{BTreeSet, HashMap};

use splitmem_abi::cxl::{Denial, Event, Window, POISON_ENTRIES, WINDOWS, WINDOW_SHIFT};
use splitmem_abi::request::{Request, Status};
use splitmem_cxl_host::message::{Message, ReqOpcode, RwdOpcode};
use splitmem_model::Model;

/// A committed HDM decoder, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub base: u64,
    pub size: u64,
    /// log2 of the ways, and of the granularity in 256 bytes.
    pub ways: u32,
    pub granularity: u32,
    pub skip: u64,
}

/// The answer that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Due {
    Cmp,
    Data { poison: bool, data: [u8; 64] },
}

pub struct Golden {
    pub model: Model,
    pub ranges: Vec<Range>,
    pub poison_on_decode: bool,
    pub windows: [Option<Window>; WINDOWS],
    /// Lines of device physical addresses.
    pub poisoned: BTreeSet<u64>,
    pub overflow: bool,
    /// Events that are due, by tag.
    pub events: HashMap<u16, Event>,
    /// How often each way out was taken.
    pub denials: HashMap<&'static str, u64>,
}

impl Golden {
    pub fn new(model: Model) -> Self {
        Self {
            model,
            ranges: Vec::new(),
            poison_on_decode: true,
            windows: [None; WINDOWS],
            poisoned: BTreeSet::new(),
            overflow: false,
            events: HashMap::new(),
            denials: HashMap::new(),
        }
    }

    /// Host to device physical address.
    pub fn dpa(&self, hpa: u64) -> Option<u64> {
        let mut dpa_base = 0;
        for range in &self.ranges {
            dpa_base += range.skip;
            if (range.base..range.base + range.size).contains(&hpa) {
                let off = hpa - range.base;
                let granule = range.granularity + 8;
                let low = off & ((1 << granule) - 1);
                return Some(dpa_base + (low | off >> (granule + range.ways) << granule));
            }
            dpa_base += range.size >> range.ways;
        }
        None
    }

    /// The window's process and its address, and the window.
    pub fn target(&self, dpa: u64) -> Option<(Window, u64)> {
        let slot = (dpa >> WINDOW_SHIFT) as usize;
        let window = (*self.windows.get(slot)?)?;
        let offset = dpa & ((1 << WINDOW_SHIFT) - 1);
        (offset < window.bytes).then_some((window, window.va + offset))
    }

    /// Executes a message; `None` if it has no answer.
    pub fn answer(&mut self, message: &Message) -> Option<Due> {
        let (tag, ld_id, hpa) = match message {
            Message::Req(req) => (req.tag, req.ld_id, req.address & !63),
            Message::Rwd(rwd) => (rwd.tag, rwd.ld_id, rwd.address),
            Message::Ndr(_) | Message::Drs(_) => return None,
        };
        let write = match message {
            Message::Req(req) => match req.opcode {
                ReqOpcode::MemSpecRd => return None,
                ReqOpcode::MemInv | ReqOpcode::MemInvNT => return Some(Due::Cmp),
                ReqOpcode::MemRd | ReqOpcode::MemRdData => None,
            },
            Message::Rwd(rwd) => Some(rwd),
            Message::Ndr(_) | Message::Drs(_) => return None,
        };
        let result = self.execute(tag, hpa, write.copied());
        if let Err(denial) = result {
            let event = Event { denial, write: write.is_some(), ld_id, tag, hpa };
            self.events.insert(tag, event);
            *self.denials.entry(name(denial)).or_default() += 1;
        }
        if write.is_some() {
            return Some(Due::Cmp);
        }
        Some(match result {
            Ok(data) => Due::Data { poison: false, data },
            Err(Denial::NotDecoded) => {
                Due::Data { poison: self.poison_on_decode, data: [0xff; 64] }
            }
            Err(_) => Due::Data { poison: true, data: [0; 64] },
        })
    }

    fn execute(
        &mut self,
        tag: u16,
        hpa: u64,
        write: Option<splitmem_cxl_host::message::Rwd>,
    ) -> Result<[u8; 64], Denial> {
        let dpa = self.dpa(hpa).ok_or(Denial::NotDecoded)?;
        let (window, va) = self.target(dpa).ok_or(Denial::NoWindow)?;
        if !if write.is_some() { window.write } else { window.read } {
            return Err(Denial::WindowPermission);
        }
        let line = dpa >> 6;
        let request = match write {
            None if self.overflow || self.poisoned.contains(&line) => {
                return Err(Denial::Poisoned);
            }
            None => Request::read(tag, window.pid, va),
            Some(rwd) => {
                if rwd.poison {
                    let full = self.poisoned.len() == POISON_ENTRIES;
                    if full && !self.poisoned.contains(&line) {
                        self.overflow = true;
                    } else {
                        self.poisoned.insert(line);
                    }
                } else if rwd.opcode == RwdOpcode::MemWr {
                    self.poisoned.remove(&line);
                }
                Request::write(tag, window.pid, va, rwd.mask, rwd.data)
            }
        };
        let response = self.model.request(0, &request);
        match response.status {
            Status::Ok => Ok(response.data),
            status => Err(Denial::Status(status)),
        }
    }
}

pub fn name(denial: Denial) -> &'static str {
    match denial {
        Denial::NotDecoded => "not decoded",
        Denial::NoWindow => "no window",
        Denial::WindowPermission => "window permission",
        Denial::Poisoned => "poisoned",
        Denial::Status(Status::NotMapped) => "not mapped",
        Denial::Status(Status::NoPermission) => "no permission",
        Denial::Status(_) => "another status",
    }
}
