//! The hardware's end of a link, the codec's model at the other end, and two wires between them.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use splitmem_abi::cxl::LinkFault;
use splitmem_cxl_host::flit::{Direction, Flit, FLIT_BYTES};
use splitmem_cxl_host::link::Link;
use splitmem_cxl_host::message::{DevLoad, Drs, Message, Ndr, Req, ReqOpcode, Rwd, RwdOpcode};
use splitmem_hdl::cxl::link::CONTROL_AT_RESET;

use crate::verilated::Verilated;

/// How probable it is that somebody holds back in a cycle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stalls {
    /// The transaction layer takes no message; it offers no answer.
    pub take: f64,
    pub offer: f64,
    /// ARB/MUX takes no flit; the host's end sends none, or does not look at what came.
    pub ready: f64,
    pub host: f64,
}

impl Stalls {
    pub fn all(chance: f64) -> Self {
        Self { take: chance, offer: chance, ready: chance, host: chance }
    }
}

/// What may happen to a flit on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    /// Up to three of its bits are turned: an error that the CRC always finds.
    pub flip: f64,
    /// It comes as noise.
    pub garbage: f64,
}

/// One way.
#[derive(Default)]
pub struct Wire {
    pub flits: VecDeque<Option<Flit>>,
    pub hits: u64,
    pub sent: u64,
}

impl Wire {
    fn new(flight: usize) -> Self {
        Self { flits: vec![None; flight].into(), hits: 0, sent: 0 }
    }

    fn pass(&mut self, flit: Option<Flit>, rng: &mut SmallRng, damage: Damage) -> Option<Flit> {
        self.sent += u64::from(flit.is_some());
        self.flits.push_back(flit);
        let mut flit = self.flits.pop_front().flatten()?;
        if damage.flip > 0.0 && rng.random_bool(damage.flip) {
            // Different bits: turning one twice would heal it.
            let first = rng.random_range(0..8 * FLIT_BYTES);
            for i in 0..rng.random_range(1..=3) {
                let bit = (first + 131 * i) % (8 * FLIT_BYTES);
                flit.0[bit / 8] ^= 1 << (bit % 8);
            }
            self.hits += 1;
        } else if damage.garbage > 0.0 && rng.random_bool(damage.garbage) {
            flit.0 = std::array::from_fn(|_| rng.random());
            // One in 65,536 would be right.
            flit.0[64] ^= u8::from(flit.is_intact());
            self.hits += 1;
        }
        Some(flit)
    }
}

pub struct Bench {
    pub dut: Verilated,
    pub host: Link,
    pub rng: SmallRng,
    pub down: Wire,
    pub up: Wire,
    pub stalls: Stalls,
    pub damage: Damage,
    pub cycle: u64,
    /// Messages that are due: at the device without data and with, at the host the same.
    pub due: [VecDeque<Message>; 4],
    /// Answers that the transaction layer has not handed over yet.
    pub answers: [VecDeque<Message>; 2],
    pub arrived: u64,
    /// Nobody listens at the other end, and what comes from there is noise.
    pub host_gone: bool,
    /// Cycles until the physical layer is up again.
    pub outage: u32,
    /// Pulses of the RAS capability.
    pub corrupt: u64,
    pub retrained: u64,
    pub uncorrectable: u64,
}

impl Bench {
    /// A link after reset, the physical layer up; `flight` flit times from end to end.
    pub fn new(verilog: &str, seed: u64, flight: usize) -> Self {
        let mut dut = Verilated::new("cxl_link", verilog, seed as u32);
        dut.set("link_control", CONTROL_AT_RESET);
        dut.set("reset", 1);
        (0..4).for_each(|_| dut.tick());
        dut.set("reset", 0);
        (0..2).for_each(|_| dut.tick());
        dut.set("phy_up", 1);
        Self {
            dut,
            host: Link::new(Direction::ToDevice),
            rng: SmallRng::seed_from_u64(seed),
            down: Wire::new(flight),
            up: Wire::new(flight),
            stalls: Stalls::default(),
            damage: Damage::default(),
            cycle: 0,
            due: Default::default(),
            answers: Default::default(),
            arrived: 0,
            host_gone: false,
            outage: 0,
            corrupt: 0,
            retrained: 0,
            uncorrectable: 0,
        }
    }

    fn roll(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.rng.random_bool(chance)
    }

    /// A message to the device, of any kind.
    pub fn request(&mut self) -> Message {
        let rng = &mut self.rng;
        let (tag, ld_id, tc) = (rng.random(), rng.random_range(0..16), rng.random_range(0..4));
        let line = rng.random_range(0..1u64 << 46) << 6;
        match rng.random_range(0..4) {
            0..2 => {
                let opcode = ReqOpcode::ALL[rng.random_range(0..ReqOpcode::ALL.len())];
                let address = line | u64::from(rng.random::<bool>()) << 5;
                Req { ld_id, tc, ..Req::new(opcode, tag, address) }.into()
            }
            kind => {
                let data = std::array::from_fn(|_| rng.random());
                let rwd = match kind {
                    2 => Rwd::write(tag, line, data),
                    _ => Rwd::write_bytes(tag, line, data, rng.random()),
                };
                Rwd { ld_id, tc, poison: rng.random(), ..rwd }.into()
            }
        }
    }

    /// An answer of the transaction layer; its DevLoad is known when it leaves.
    pub fn answer(&mut self) -> Message {
        let rng = &mut self.rng;
        let (tag, ld_id) = (rng.random(), rng.random_range(0..16));
        if rng.random() {
            Ndr { ld_id, ..Ndr::cmp(tag) }.into()
        } else {
            let data = std::array::from_fn(|_| rng.random());
            Drs { ld_id, poison: rng.random(), ..Drs::data(tag, data) }.into()
        }
    }

    pub fn send(&mut self, message: Message) {
        self.due[kind(&message)].push_back(message);
        self.host.send(message).unwrap();
    }

    pub fn fault(&self) -> Option<LinkFault> {
        LinkFault::from_code(self.dut.get("fault") as u8)
    }

    /// Everything on the wires is lost, and the physical layer is away for some cycles.
    pub fn cut(&mut self, cycles: u32) {
        self.outage = cycles;
        for wire in [&mut self.down, &mut self.up] {
            wire.flits.iter_mut().for_each(|flit| *flit = None);
        }
        self.host.reinit();
    }

    /// One cycle, a flit time.
    pub fn tick(&mut self) {
        if self.outage == 0 && self.dut.is("retrain") {
            self.retrained += 1;
            self.cut(20);
        }
        let away = self.outage > 0;
        self.outage -= u32::from(away);
        self.dut.set("phy_up", u64::from(!away));

        let silent = away || self.roll(self.stalls.host);
        let flit = match silent {
            true => None,
            false if self.host_gone => Some(Flit([0xa5; FLIT_BYTES])),
            false => self.host.transmit(),
        };
        let flit = self.down.pass(flit, &mut self.rng, self.damage);
        self.drive(flit.as_ref());
        let ready = !away && !self.roll(self.stalls.ready);
        self.dut.set("tx_ready", u64::from(ready));
        for channel in 0..2 {
            let takes = !self.roll(self.stalls.take);
            self.dut.set(["req_ready", "rwd_ready"][channel], u64::from(takes));
            let valid = ["ndr_valid", "drs_valid"][channel];
            if !self.dut.is(valid) && !self.roll(self.stalls.offer) {
                self.offer(channel);
            }
        }
        let load = self.rng.random_range(0..4u8);
        self.dut.set("dev_load", load.into());
        self.dut.settle();

        let leaves = (self.dut.is("tx_valid") && ready)
            .then(|| Flit(self.dut.get_bytes::<FLIT_BYTES>("tx_flit")));
        let came = self.up.pass(leaves, &mut self.rng, self.damage);
        if let Some(flit) = came.filter(|_| !self.host_gone) {
            self.host.receive(&flit).unwrap_or_else(|e| panic!("{e} at {flit:?}"));
        }
        self.taken();
        let left = self.answered(load);
        let correctable = self.dut.get("ras_correctable");
        self.corrupt += correctable >> 2 & 1;
        self.uncorrectable |= self.dut.get("ras_uncorrectable");
        self.dut.tick();
        for valid in left.into_iter().flatten() {
            self.dut.set(valid, 0);
        }
        self.cycle += 1;
        while !self.roll(self.stalls.host) {
            let Some(message) = self.host.take() else { break };
            self.arrives(2 + kind(&message), message);
        }
    }

    fn drive(&mut self, flit: Option<&Flit>) {
        self.dut.set("rx_valid", u64::from(flit.is_some()));
        if let Some(flit) = flit {
            self.dut.set_bytes("rx_flit", &flit.0);
        }
    }

    /// The next answer onto its channel.
    fn offer(&mut self, channel: usize) {
        match self.answers[channel].front() {
            Some(Message::Ndr(ndr)) => {
                self.dut.set("ndr_valid", 1);
                self.dut.set("ndr_tag", ndr.tag.into());
                self.dut.set("ndr_ld_id", ndr.ld_id.into());
            }
            Some(Message::Drs(drs)) => {
                let (tag, ld_id, poison) = (drs.tag, drs.ld_id, drs.poison);
                let data = drs.data;
                self.dut.set("drs_valid", 1);
                self.dut.set("drs_tag", tag.into());
                self.dut.set("drs_ld_id", ld_id.into());
                self.dut.set("drs_poison", poison.into());
                self.dut.set_line("drs_data", &data);
            }
            _ => {}
        }
    }

    /// Messages that the transaction layer takes.
    fn taken(&mut self) {
        let d = &self.dut;
        let fires = |name: &str| d.is(&format!("{name}_valid")) && d.is(&format!("{name}_ready"));
        let req = fires("req").then(|| {
            let opcode = ReqOpcode::ALL.iter().find(|o| **o as u64 == d.get("req_opcode"));
            let req = Req::new(
                *opcode.expect("an opcode that was sent"),
                d.get("req_tag") as u16,
                d.get("req_address") << 5,
            );
            Req { ld_id: d.get("req_ld_id") as u8, ..req }
        });
        let rwd = fires("rwd").then(|| {
            let (tag, address) = (d.get("rwd_tag") as u16, d.get("rwd_address") << 6);
            let data = d.get_line("rwd_data");
            let rwd = match d.get("rwd_opcode") {
                n if n == RwdOpcode::MemWr as u64 => Rwd::write(tag, address, data),
                _ => Rwd::write_bytes(tag, address, data, d.get("rwd_mask")),
            };
            Rwd { ld_id: d.get("rwd_ld_id") as u8, poison: d.is("rwd_poison"), ..rwd }
        });
        if let Some(req) = req {
            self.arrives(0, req.into());
        }
        if let Some(rwd) = rwd {
            self.arrives(1, rwd.into());
        }
    }

    fn arrives(&mut self, kind: usize, mut got: Message) {
        let Some(mut due) = self.due[kind].pop_front() else { panic!("not sent: {got:x?}") };
        // Traffic class is nothing to the device.
        for message in [&mut got, &mut due] {
            match message {
                Message::Req(req) => req.tc = 0,
                Message::Rwd(rwd) => rwd.tc = 0,
                _ => {}
            }
        }
        assert_eq!(got, due, "in cycle {}", self.cycle);
        self.arrived += 1;
    }

    /// Answers that leave the transaction layer: the valid pins that go down after the clock edge.
    fn answered(&mut self, load: u8) -> [Option<&'static str>; 2] {
        let load = DevLoad::from_code(load).unwrap();
        let mut left = [None; 2];
        let channels = [("ndr_valid", "ndr_ready"), ("drs_valid", "drs_ready")];
        for (channel, (valid, ready)) in channels.into_iter().enumerate() {
            if self.dut.is(valid) && self.dut.is(ready) {
                let answer = match self.answers[channel].pop_front() {
                    Some(Message::Ndr(ndr)) => Message::Ndr(Ndr { load, ..ndr }),
                    Some(Message::Drs(drs)) => Message::Drs(Drs { load, ..drs }),
                    _ => unreachable!("it was offered"),
                };
                self.due[2 + channel].push_back(answer);
                left[channel] = Some(valid);
            }
        }
        left
    }

    /// Messages on their way, either way.
    pub fn is_idle(&self) -> bool {
        self.due.iter().all(VecDeque::is_empty) && self.answers.iter().all(VecDeque::is_empty)
    }
}

/// 0 for a message without data, 1 for one with.
pub fn kind(message: &Message) -> usize {
    usize::from(matches!(message, Message::Rwd(_) | Message::Drs(_)))
}
