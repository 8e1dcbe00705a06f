//! Memories and constants that RustHDL's widgets do not offer.
//!
//! Depths are run-time values: one RustHDL source gives components of every size. Address ports are
//! as wide as the widest component needs; a memory uses as many low address bits as its depth has.

use rust_hdl::prelude::*;
use splitmem_abi::hash;

/// Bits that index `depth` entries.
pub const fn index_bits(depth: usize) -> usize {
    depth.trailing_zeros() as usize
}

/// `attributes`: without a `ram_style`, synthesis may take block RAM, which is slow to come out, for a
/// distributed RAM with a register behind it.
fn ram_verilog(width: usize, depth: usize, attributes: &str, ports: &str) -> Verilog {
    Verilog::Custom(format!(
        "(* {attributes} *) reg [{}:0] mem [0:{}];\n{ports}",
        width - 1,
        depth - 1
    ))
}

/// The slice of an address port that a memory of `depth` entries uses.
fn index(port: &str, depth: usize) -> String {
    match index_bits(depth) {
        0 => "1'b0".into(),
        bits => format!("{port}[{}:0]", bits - 1),
    }
}

/// Block RAM: one write port, one read port whose data come one cycle after the address. A read of
/// the entry being written gives the old value.
#[derive(LogicBlock)]
pub struct BlockRam<D: Synth, const A: usize> {
    pub clock: Signal<In, Clock>,
    pub read_address: Signal<In, Bits<A>>,
    pub read_data: Signal<Out, D>,
    pub write_address: Signal<In, Bits<A>>,
    pub write_data: Signal<In, D>,
    pub write_enable: Signal<In, Bit>,
    _mem: Vec<D>,
}

impl<D: Synth, const A: usize> BlockRam<D, A> {
    pub fn new(depth: usize) -> Self {
        assert!(depth.is_power_of_two() && index_bits(depth) <= A);
        Self {
            clock: Default::default(),
            read_address: Default::default(),
            read_data: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_enable: Default::default(),
            _mem: vec![D::default(); depth],
        }
    }
}

impl<D: Synth, const A: usize> Logic for BlockRam<D, A> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let mask = self._mem.len() - 1;
            self.read_data.next = self._mem[self.read_address.val().index() & mask];
            if self.write_enable.val() {
                self._mem[self.write_address.val().index() & mask] = self.write_data.val();
            }
        }
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        let depth = self._mem.len();
        ram_verilog(
            D::BITS,
            depth,
            "ram_style = \"block\"",
            &format!(
                "always @(posedge clock) begin\n  read_data <= mem[{}];\n  \
                 if (write_enable) mem[{}] <= write_data;\nend\n",
                index("read_address", depth),
                index("write_address", depth)
            ),
        )
    }
}

/// Block RAM for a pipeline that can stop: as [`BlockRam`], but it reads only in cycles with
/// `read_enable`, and its data stay until the next one.
#[derive(LogicBlock)]
pub struct HeldRam<D: Synth, const A: usize> {
    pub clock: Signal<In, Clock>,
    pub read_enable: Signal<In, Bit>,
    pub read_address: Signal<In, Bits<A>>,
    pub read_data: Signal<Out, D>,
    pub write_address: Signal<In, Bits<A>>,
    pub write_data: Signal<In, D>,
    pub write_enable: Signal<In, Bit>,
    _mem: Vec<D>,
    _loose: bool,
}

impl<D: Synth, const A: usize> HeldRam<D, A> {
    pub fn new(depth: usize) -> Self {
        Self::with(depth, false)
    }

    /// For wide and fast paths: a read of the entry being written gives anything, as with the chips' own
    /// block RAMs. To give the old value takes two registers and a multiplexer for each bit, and a
    /// comparison of addresses, all behind the slow RAM. Simulations and proofs see the bits of both
    /// there, so that nobody relies on either.
    pub fn loose(depth: usize) -> Self {
        Self::with(depth, true)
    }

    fn with(depth: usize, loose: bool) -> Self {
        assert!(depth.is_power_of_two() && index_bits(depth) <= A);
        Self {
            _loose: loose,
            clock: Default::default(),
            read_enable: Default::default(),
            read_address: Default::default(),
            read_data: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_enable: Default::default(),
            _mem: vec![D::default(); depth],
        }
    }
}

impl<D: Synth, const A: usize> Logic for HeldRam<D, A> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let mask = self._mem.len() - 1;
            if self.read_enable.val() {
                self.read_data.next = self._mem[self.read_address.val().index() & mask];
            }
            if self.write_enable.val() {
                self._mem[self.write_address.val().index() & mask] = self.write_data.val();
            }
        }
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        let depth = self._mem.len();
        let (read, write) = (index("read_address", depth), index("write_address", depth));
        let (attributes, collision) = match self._loose {
            false => ("ram_style = \"block\"", String::new()),
            true => (
                "ram_style = \"block\", no_rw_check",
                format!(
                    "`ifndef SYNTHESIS\n  if (read_enable && write_enable && {read} == {write}) \
                     read_data <= mem[{read}] | write_data;\n`endif\n"
                ),
            ),
        };
        ram_verilog(
            D::BITS,
            depth,
            attributes,
            &format!(
                "always @(posedge clock) begin\n  if (read_enable) read_data <= mem[{read}];\n  \
                 if (write_enable) mem[{write}] <= write_data;\n{collision}end\n"
            ),
        )
    }
}

/// Distributed RAM: one write port, one read port whose data come in the same cycle.
#[derive(LogicBlock)]
pub struct LutRam<D: Synth, const A: usize> {
    pub clock: Signal<In, Clock>,
    pub read_address: Signal<In, Bits<A>>,
    pub read_data: Signal<Out, D>,
    pub write_address: Signal<In, Bits<A>>,
    pub write_data: Signal<In, D>,
    pub write_enable: Signal<In, Bit>,
    _mem: Vec<D>,
}

impl<D: Synth, const A: usize> LutRam<D, A> {
    pub fn new(depth: usize) -> Self {
        assert!(depth.is_power_of_two() && index_bits(depth) <= A);
        Self {
            clock: Default::default(),
            read_address: Default::default(),
            read_data: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_enable: Default::default(),
            _mem: vec![D::default(); depth],
        }
    }
}

impl<D: Synth, const A: usize> Logic for LutRam<D, A> {
    fn update(&mut self) {
        let mask = self._mem.len() - 1;
        if self.clock.pos_edge() && self.write_enable.val() {
            self._mem[self.write_address.val().index() & mask] = self.write_data.val();
        }
        self.read_data.next = self._mem[self.read_address.val().index() & mask];
    }

    fn connect(&mut self) {
        self.read_data.connect();
    }

    fn hdl(&self) -> Verilog {
        let depth = self._mem.len();
        ram_verilog(
            D::BITS,
            depth,
            "ram_style = \"distributed\"",
            &format!(
                "always @(*) read_data = mem[{}];\n\
                 always @(posedge clock) if (write_enable) mem[{}] <= write_data;\n",
                index("read_address", depth),
                index("write_address", depth)
            ),
        )
    }
}

macro_rules! smallest_by_default {
    ($($ram:ident),+) => { $(
        /// The smallest memory, to be replaced by [`Self::new`] in a block's constructor.
        impl<D: Synth, const A: usize> Default for $ram<D, A> {
            fn default() -> Self {
                Self::new(1)
            }
        }
    )+ };
}
smallest_by_default!(BlockRam, HeldRam, LutRam);

/// A constant of one component, set in a block's constructor: RustHDL's [`Constant`] with a
/// [`Default`], so that blocks can derive theirs.
#[derive(Clone, Debug)]
pub struct Param<T: Synth>(Constant<T>);

impl<T: Synth> Param<T> {
    pub fn new(value: T) -> Self {
        Self(Constant::new(value))
    }

    pub fn val(&self) -> T {
        self.0.val()
    }
}

impl<T: Synth> Default for Param<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Synth> Logic for Param<T> {
    fn update(&mut self) {}
}

impl<T: Synth> Block for Param<T> {
    fn connect_all(&mut self) {}

    fn update_all(&mut self) {}

    fn has_changed(&self) -> bool {
        false
    }

    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        self.0.accept(name, probe);
    }
}

/// Keys compared all at once: `equal` bit i says whether key i is the one looked for. The caller
/// knows which keys mean anything.
#[derive(LogicBlock)]
pub struct Cam<const K: usize> {
    pub clock: Signal<In, Clock>,
    pub look: Signal<In, Bits<K>>,
    pub equal: Signal<Out, Bits<64>>,
    pub write_address: Signal<In, Bits<7>>,
    pub write_data: Signal<In, Bits<K>>,
    pub write_enable: Signal<In, Bit>,
    _keys: Vec<Bits<K>>,
}

impl<const K: usize> Cam<K> {
    pub fn new(depth: usize) -> Self {
        assert!(depth.is_power_of_two() && depth <= 64);
        Self {
            clock: Default::default(),
            look: Default::default(),
            equal: Default::default(),
            write_address: Default::default(),
            write_data: Default::default(),
            write_enable: Default::default(),
            _keys: vec![Default::default(); depth],
        }
    }
}

impl<const K: usize> Default for Cam<K> {
    fn default() -> Self {
        Self::new(1)
    }
}

impl<const K: usize> Logic for Cam<K> {
    fn update(&mut self) {
        let mask = self._keys.len() - 1;
        if self.clock.pos_edge() && self.write_enable.val() {
            self._keys[self.write_address.val().index() & mask] = self.write_data.val();
        }
        let look = self.look.val();
        let equal = self._keys.iter().enumerate();
        let equal = equal.fold(0u64, |bits, (i, key)| bits | ((*key == look) as u64) << i);
        self.equal.next = equal.into();
    }

    fn connect(&mut self) {
        self.equal.connect();
    }

    fn hdl(&self) -> Verilog {
        let depth = self._keys.len();
        let lines: String =
            (0..depth).map(|i| format!("  equal[{i}] = keys[{i}] == look;\n")).collect();
        Verilog::Custom(format!(
            "reg [{}:0] keys [0:{}];\nalways @(*) begin\n  equal = 64'd0;\n{lines}end\n\
             always @(posedge clock) if (write_enable) keys[{}] <= write_data;\n",
            K - 1,
            depth - 1,
            index("write_address", depth)
        ))
    }
}

/// The index of the one bit that is set; zero if none is.
#[derive(LogicBlock, Default)]
pub struct Encode {
    pub bits: Signal<In, Bits<64>>,
    pub index: Signal<Out, Bits<7>>,
}

impl Logic for Encode {
    fn update(&mut self) {
        let bits = (0..64).fold(0u64, |n, i| n | (self.bits.val().get_bit(i) as u64) << i);
        self.index.next = if bits == 0 { 0 } else { bits.trailing_zeros() as u64 }.into();
    }

    fn connect(&mut self) {
        self.index.connect();
    }

    fn hdl(&self) -> Verilog {
        let lines: String = (0..6)
            .map(|k| {
                let mask = (0..64).filter(|i| i >> k & 1 == 1).fold(0u64, |m, i| m | 1 << i);
                format!("  index[{k}] = |(bits & 64'h{mask:016x});\n")
            })
            .collect();
        Verilog::Custom(format!("always @(*) begin\n{lines}  index[6] = 1'b0;\nend\n"))
    }
}

/// The region hash of `abi::hash`, combinational: 24 parities of the 34 bits `{vregion, pid}`.
#[derive(LogicBlock, Default)]
pub struct RegionHash {
    pub pid: Signal<In, Bits<16>>,
    pub vregion: Signal<In, Bits<18>>,
    pub hash: Signal<Out, Bits<24>>,
}

impl Logic for RegionHash {
    fn update(&mut self) {
        let pid = self.pid.val().index() as u16;
        let vregion = self.vregion.val().index() as u32;
        self.hash.next = (hash::region_hash(pid, vregion) as u64).into();
    }

    fn connect(&mut self) {
        self.hash.connect();
    }

    fn hdl(&self) -> Verilog {
        let rows: String = hash::ROWS
            .iter()
            .enumerate()
            .map(|(k, row)| format!("  hash[{k}] = ^({{vregion, pid}} & 34'h{row:09x});\n"))
            .collect();
        Verilog::Custom(format!("always @(*) begin\n{rows}end\n"))
    }
}
