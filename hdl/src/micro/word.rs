//! The microinstruction: 64 bits that are the machine's control signals, and how a step of the
//! microprogram is written.
//!
//! | bits | field |
//! | --- | --- |
//! | 9..=0 | target |
//! | 13..=10 | [`Next`] |
//! | 23..=14 | scratch address |
//! | 24 | the address is ORed with X |
//! | 28..=25 | [`Source`] of operand B |
//! | 32..=29 | [`Function`] of A and B |
//! | 48..=33 | constant; its low four bits select the bit that a branch tests |
//! | 49..=61 | [`Effect`], one bit each |
//! | 63..=62 | [`Signal`] |

/// Bits of a microinstruction.
pub const WORD_BITS: usize = 64;
/// Bits of its address.
pub const TARGET_BITS: usize = 10;
/// Bits of a scratch address.
pub const SCRATCH_BITS: usize = 10;

/// Where operand B comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Source {
    Scratch = 0,
    Constant = 1,
    /// The memory's word at M.
    Memory = 2,
    /// M itself.
    Address = 3,
    /// The register access: see [`super::component`].
    Access = 4,
    /// The low half of what is written to a register, only the bits that it has.
    WriteLow = 5,
    WriteHigh = 6,
    CycleLow = 7,
    CycleHigh = 8,
    /// The pid's part of the region hash of the scratch word, and that of `va[31:16]` and `va[47:32]`.
    HashPid = 9,
    HashMiddle = 10,
    HashHigh = 11,
}

/// What is computed. R is the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Function {
    B = 0,
    A = 1,
    And = 2,
    Or = 3,
    Xor = 4,
    /// B without the bits of A.
    Without = 5,
    /// `{B[11:0], A[15:12]}`: a page key's word out of two words of an address.
    Key = 6,
    /// `{A[0], B[15:1]}`.
    Half = 7,
    Add = 8,
    /// With the carry of the last sum or difference.
    AddCarry = 9,
    /// B - A; the carry is set if nothing was borrowed.
    Subtract = 10,
    SubtractBorrow = 11,
    Increment = 12,
    Decrement = 13,
    /// `{A[4:0], B[11:1]}`: the word of an address's low bits B in frame A.
    Place = 14,
    /// `A << 5`: the first word of line A.
    Line = 15,
}

/// Which step comes next: the one behind, or the target if ... holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Next {
    Behind = 0,
    Always = 1,
    Zero = 2,
    NotZero = 3,
    Carry = 4,
    NoCarry = 5,
    /// The selected bit of B is set.
    Set = 6,
    Clear = 7,
    /// M was not at the last word of a line.
    InLine = 8,
    /// M was not at the last of eight words.
    InEntry = 9,
    /// X was not at the last scratch word.
    InScratch = 10,
    /// A register access waits.
    Access = 11,
    /// Always; the step behind is kept to return to.
    Call = 12,
    Return = 13,
    /// The register's own step for this kind of access.
    Register = 14,
}

/// What a step does beside computing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Effect {
    /// A := R.
    A = 49,
    /// The scratch word := R.
    Scratch = 50,
    X = 51,
    M = 52,
    /// K, the mask of the next eight words, := R.
    K = 53,
    NextX = 54,
    NextM = 55,
    /// The memory's word at M := R.
    Write = 56,
    /// Only the bytes that K's low two bits select; K moves on by two.
    Masked = 57,
    ReadLow = 58,
    ReadHigh = 59,
    /// The monitor's interrupt line := R is not zero.
    IrqMonitor = 60,
    IrqHost = 61,
}

/// What a step tells the outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Signal {
    None = 0,
    /// The register access is over.
    Done = 1,
    /// The register access is over, and was denied.
    Denied = 2,
    /// A request took effect.
    Retired = 3,
}

/// A step whose target has still its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    word: u64,
    address: Option<u64>,
    pub(super) target: Option<&'static str>,
}

const ADDRESS_LSB: u32 = 14;
const INDEXED: u64 = 1 << 24;
const CONSTANT_LSB: u32 = 33;

const fn from(source: Source) -> Step {
    Step { word: (source as u64) << 25, address: None, target: None }
}

/// B is a scratch word.
pub fn get(address: u16) -> Step {
    from(Source::Scratch).address(address as u64)
}

/// B is the scratch word at `X | offset`.
pub fn at(offset: u16) -> Step {
    from(Source::Scratch).address(INDEXED | offset as u64)
}

/// B is a part of the region hash, of the scratch word at `X | offset`.
pub fn hash_at(part: Source, offset: u16) -> Step {
    from(part).address(INDEXED | offset as u64)
}

/// B is a constant.
pub const fn constant(value: u16) -> Step {
    let Step { word, address, target } = from(Source::Constant);
    Step { word: word | (value as u64) << CONSTANT_LSB, address, target }
}

/// B is something else than a scratch word.
pub const fn take(source: Source) -> Step {
    from(source)
}

/// B is the memory's word at M.
pub const fn memory() -> Step {
    from(Source::Memory)
}

/// R is A.
pub fn a() -> Step {
    from(Source::Constant).function(Function::A)
}

/// R is the first word of line A.
pub fn line() -> Step {
    from(Source::Constant).function(Function::Line)
}

/// Nothing is computed.
pub const fn nothing() -> Step {
    from(Source::Constant)
}

macro_rules! functions {
    ($($name:ident $function:ident)+) => { $(
        pub fn $name(self) -> Self {
            self.function(Function::$function)
        }
    )+ };
}

macro_rules! effects {
    ($($name:ident $effect:ident)+) => { $(
        pub fn $name(self) -> Self {
            Self { word: self.word | 1 << Effect::$effect as u32, ..self }
        }
    )+ };
}

macro_rules! branches {
    ($($name:ident $next:ident)+) => { $(
        pub fn $name(self, target: &'static str) -> Self {
            Self { target: Some(target), ..self.next(Next::$next) }
        }
    )+ };
}

impl Step {
    functions! {
        and And  or Or  xor Xor  without Without  key Key  half Half  add Add  add_carry AddCarry
        subtract Subtract  subtract_borrow SubtractBorrow  increment Increment  decrement Decrement
        place Place
    }
    effects! {
        to_a A  same Scratch  to_x X  to_m M  to_k K  next_x NextX  next_m NextM  write Write
        read_low ReadLow  read_high ReadHigh  irq_monitor IrqMonitor  irq_host IrqHost
    }
    branches! {
        go Always  zero Zero  not_zero NotZero  carry Carry  no_carry NoCarry  in_line InLine
        in_entry InEntry  in_scratch InScratch  access Access  call Call
    }

    /// R goes to a scratch word: the one that B came from, or any if B is none.
    pub fn put(self, address: u16) -> Self {
        self.address(address as u64).same()
    }

    /// R goes to the scratch word at `X | offset`.
    pub fn put_at(self, offset: u16) -> Self {
        self.address(INDEXED | offset as u64).same()
    }

    /// R goes to the bytes at M that K selects.
    pub fn write_masked(self) -> Self {
        let step = self.write();
        Self { word: step.word | 1 << Effect::Masked as u32, ..step }
    }

    /// To `target` if the bit of B is set.
    pub fn set(self, bit: u8, target: &'static str) -> Self {
        self.bit(bit, Next::Set, target)
    }

    /// To `target` if the bit of B is clear.
    pub fn clear(self, bit: u8, target: &'static str) -> Self {
        self.bit(bit, Next::Clear, target)
    }

    /// Back behind the last call.
    pub fn back(self) -> Self {
        self.next(Next::Return)
    }

    /// To the register's own step.
    pub fn register(self) -> Self {
        self.next(Next::Register)
    }

    pub fn done(self) -> Self {
        self.signal(Signal::Done)
    }

    pub fn denied(self) -> Self {
        self.signal(Signal::Denied)
    }

    pub fn retired(self) -> Self {
        self.signal(Signal::Retired)
    }

    fn function(self, function: Function) -> Self {
        assert_eq!(self.word >> 29 & 15, 0, "one function a step");
        Self { word: self.word | (function as u64) << 29, ..self }
    }

    fn signal(self, signal: Signal) -> Self {
        assert_eq!(self.word >> 62, 0, "one signal a step");
        Self { word: self.word | (signal as u64) << 62, ..self }
    }

    fn next(self, next: Next) -> Self {
        assert_eq!(self.word >> 10 & 15, 0, "one way on from a step");
        Self { word: self.word | (next as u64) << 10, ..self }
    }

    fn bit(self, bit: u8, next: Next, target: &'static str) -> Self {
        assert!(
            self.word >> CONSTANT_LSB & 0xffff == 0 && bit < 16,
            "the constant selects the bit"
        );
        let word = self.word | (bit as u64) << CONSTANT_LSB;
        Self { word, target: Some(target), ..self }.next(next)
    }

    /// `address` with [`INDEXED`].
    fn address(self, address: u64) -> Self {
        assert!(self.address.is_none_or(|a| a == address), "a step has one scratch address");
        assert_eq!(address & !INDEXED & !((1 << SCRATCH_BITS) - 1), 0, "beyond the scratch memory");
        let bits = (address & !INDEXED) << ADDRESS_LSB | address & INDEXED;
        Self { word: self.word | bits, address: Some(address), ..self }
    }

    /// The microinstruction, its target resolved.
    pub(super) fn encode(self, target: u16) -> u64 {
        self.word | target as u64
    }
}
