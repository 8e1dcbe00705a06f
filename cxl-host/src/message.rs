//! The messages of CXL.mem, in the layout of the 68-byte flit (section 3.3.5 to 3.3.9).
//!
//! A message is a row of bits, the first field in the lowest ones. The order of TC before LD-ID in
//! M2S messages is that of the CXL 2.0 slot tables; the 3.x message tables list them the other way
//! round, but give no positions.

/// Bits of an M2S Req or RwD header.
pub const M2S_BITS: u32 = 87;
/// Bits of an S2M NDR.
pub const NDR_BITS: u32 = 30;
/// Bits of an S2M DRS header.
pub const DRS_BITS: u32 = 40;
/// Physical addresses are this wide.
pub const ADDRESS_BITS: u32 = 52;

/// A message that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A field holds an encoding that the specification reserves.
    #[error("{field} = {value:#x} is a reserved encoding")]
    Reserved {
        /// Name of the field.
        field: &'static str,
        /// What it holds.
        value: u8,
    },
}

macro_rules! encoding {
    ($(#[$doc:meta])* $name:ident, $field:literal { $($(#[$case_doc:meta])* $case:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$case_doc])* $case = $code,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$case),+];

            /// From its code.
            ///
            /// # Errors
            /// [`MessageError::Reserved`].
            pub const fn from_code(code: u8) -> Result<Self, MessageError> {
                match code {
                    $($code => Ok(Self::$case),)+
                    value => Err(MessageError::Reserved { field: $field, value }),
                }
            }
        }
    };
}

encoding! {
    /// MemOpcode of an M2S Req (section 3.3.5, table 3-35). Those that only a device with a coherence
    /// agent of its own (HDM-D, HDM-DB) is sent, and those of trusted execution, count as reserved.
    ReqOpcode, "M2S Req MemOpcode" {
        /// Change metadata only; a host-managed device answers Cmp.
        MemInv = 0b0000,
        /// Read a line; the answer is MemData.
        MemRd = 0b0001,
        /// Read a line whose metadata need not change; the answer is MemData.
        MemRdData = 0b0010,
        /// A hint that a read is coming; no answer, may be dropped.
        MemSpecRd = 0b1000,
        /// As MemInv, the line is not wanted soon.
        MemInvNT = 0b1001,
    }
}

encoding! {
    /// MemOpcode of an M2S RwD (section 3.3.6).
    RwdOpcode, "M2S RwD MemOpcode" {
        /// Write a line.
        MemWr = 0b0001,
        /// Write the bytes of a line that the byte enables select.
        MemWrPtl = 0b0010,
    }
}

encoding! {
    /// Opcode of an S2M NDR (section 3.3.9).
    NdrOpcode, "S2M NDR Opcode" {
        /// Done.
        Cmp = 0b000,
        /// Done, the line may be held shared.
        CmpS = 0b001,
        /// Done, the line may be held exclusively.
        CmpE = 0b010,
        /// Done, the line may be held modified.
        CmpM = 0b011,
        /// The answer to a BIConflict.
        BiConflictAck = 0b100,
    }
}

encoding! {
    /// Opcode of an S2M DRS (section 3.3.10).
    DrsOpcode, "S2M DRS Opcode" {
        /// The line.
        MemData = 0b000,
        /// There is no memory at this address (section 3.3.11).
        MemDataNxm = 0b001,
    }
}

encoding! {
    /// SnpType of an M2S message: what the device would have to do at its own caches.
    SnpType, "SnpType" {
        /// Nothing.
        NoOp = 0b000,
        /// Down to shared or invalid.
        SnpData = 0b001,
        /// The current value, caches unchanged.
        SnpCur = 0b010,
        /// Down to invalid.
        SnpInv = 0b011,
    }
}

encoding! {
    /// MetaField: whether MetaValue means something.
    MetaField, "MetaField" {
        /// MetaValue is the state of a host's cache.
        Meta0State = 0b00,
        /// MetaValue means nothing. What a device without metadata answers.
        NoOp = 0b11,
    }
}

encoding! {
    /// MetaValue of Meta0-State: how a host may hold the line.
    MetaValue, "MetaValue" {
        /// Not at all.
        Invalid = 0b00,
        /// Exclusively or modified.
        Any = 0b10,
        /// Shared.
        Shared = 0b11,
    }
}

encoding! {
    /// DevLoad: how busy the device is (section 3.3.4).
    DevLoad, "DevLoad" {
        /// It could take more.
        Light = 0b00,
        /// As it should be.
        Optimal = 0b01,
        /// Send less.
        ModerateOverload = 0b10,
        /// Send much less.
        SevereOverload = 0b11,
    }
}

/// Metadata of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meta {
    /// Whether `value` means something.
    pub field: MetaField,
    /// The state.
    pub value: MetaValue,
}

impl Meta {
    /// No metadata.
    pub const NONE: Self = Self { field: MetaField::NoOp, value: MetaValue::Invalid };
}

/// M2S Req: a request without data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Req {
    /// What to do.
    pub opcode: ReqOpcode,
    /// Snoop of the device's caches.
    pub snoop: SnpType,
    /// Metadata.
    pub meta: Meta,
    /// The host's name for it, reflected.
    pub tag: u16,
    /// Physical address, 52 bits, a multiple of 32 (bit 5 says which half of a line is wanted first).
    pub address: u64,
    /// Traffic class, 2 bits.
    pub tc: u8,
    /// Logical device, 4 bits, reflected.
    pub ld_id: u8,
}

/// M2S RwD: a request with a line of data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rwd {
    /// What to do.
    pub opcode: RwdOpcode,
    /// Snoop of the device's caches.
    pub snoop: SnpType,
    /// Metadata.
    pub meta: Meta,
    /// The host's name for it, reflected.
    pub tag: u16,
    /// Physical address, 52 bits, a multiple of 64.
    pub address: u64,
    /// The data are bad.
    pub poison: bool,
    /// Traffic class, 2 bits.
    pub tc: u8,
    /// Logical device, 4 bits, reflected.
    pub ld_id: u8,
    /// The line.
    pub data: [u8; 64],
    /// Bytes of a MemWrPtl that are written; all ones otherwise.
    pub mask: u64,
}

/// S2M NDR: an answer without data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ndr {
    /// What is answered.
    pub opcode: NdrOpcode,
    /// Metadata.
    pub meta: Meta,
    /// The request's tag.
    pub tag: u16,
    /// The request's logical device, 4 bits.
    pub ld_id: u8,
    /// How busy the device is.
    pub load: DevLoad,
}

/// S2M DRS: an answer with a line of data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drs {
    /// What is answered.
    pub opcode: DrsOpcode,
    /// Metadata.
    pub meta: Meta,
    /// The request's tag.
    pub tag: u16,
    /// The data are bad.
    pub poison: bool,
    /// The request's logical device, 4 bits.
    pub ld_id: u8,
    /// How busy the device is.
    pub load: DevLoad,
    /// The line.
    pub data: [u8; 64],
}

/// Any message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant)] // a line is what most of them carry
pub enum Message {
    /// Host to device, without data.
    Req(Req),
    /// Host to device, with data.
    Rwd(Rwd),
    /// Device to host, without data.
    Ndr(Ndr),
    /// Device to host, with data.
    Drs(Drs),
}

/// Fields one after the other, from the lowest bit up.
struct Writer {
    bits: u128,
    at: u32,
}

impl Writer {
    /// Begins with the Valid bit.
    const fn new() -> Self {
        Self { bits: 1, at: 1 }
    }

    const fn put(mut self, width: u32, value: u64) -> Self {
        self.bits |= (value as u128 & ((1 << width) - 1)) << self.at;
        self.at += width;
        self
    }

    const fn meta(self, meta: Meta) -> Self {
        self.put(2, meta.field as u64).put(2, meta.value as u64)
    }
}

struct Reader {
    bits: u128,
}

impl Reader {
    /// Past the Valid bit; `None` if it is clear.
    const fn new(bits: u128) -> Option<Self> {
        if bits & 1 == 1 {
            Some(Self { bits: bits >> 1 })
        } else {
            None
        }
    }

    fn take(&mut self, width: u32) -> u64 {
        let value = self.bits & ((1 << width) - 1);
        self.bits >>= width;
        value as u64
    }

    fn code(&mut self, width: u32) -> u8 {
        self.take(width) as u8
    }

    fn meta(&mut self) -> Result<Meta, MessageError> {
        let (field, value) = (MetaField::from_code(self.code(2))?, self.code(2));
        // Without a meaning, any value will do.
        let value = match field {
            MetaField::NoOp => MetaValue::Invalid,
            MetaField::Meta0State => MetaValue::from_code(value)?,
        };
        Ok(Meta { field, value })
    }
}

impl Req {
    /// A read of the line at `address`.
    pub const fn read(tag: u16, address: u64) -> Self {
        Self::new(ReqOpcode::MemRd, tag, address)
    }

    /// A request without metadata and snoop.
    pub const fn new(opcode: ReqOpcode, tag: u16, address: u64) -> Self {
        Self { opcode, snoop: SnpType::NoOp, meta: Meta::NONE, tag, address, tc: 0, ld_id: 0 }
    }

    /// Its bits.
    pub const fn pack(&self) -> u128 {
        Writer::new()
            .put(4, self.opcode as u64)
            .put(3, self.snoop as u64)
            .meta(self.meta)
            .put(16, self.tag as u64)
            .put(47, self.address >> 5)
            .put(2, self.tc as u64)
            .put(4, self.ld_id as u64)
            .bits
    }

    /// From its bits; `None` if its Valid bit is clear. Reserved bits are ignored.
    ///
    /// # Errors
    /// [`MessageError::Reserved`].
    pub fn unpack(bits: u128) -> Result<Option<Self>, MessageError> {
        let Some(mut bits) = Reader::new(bits) else { return Ok(None) };
        Ok(Some(Self {
            opcode: ReqOpcode::from_code(bits.code(4))?,
            snoop: SnpType::from_code(bits.code(3))?,
            meta: bits.meta()?,
            tag: bits.take(16) as u16,
            address: bits.take(47) << 5,
            tc: bits.code(2),
            ld_id: bits.code(4),
        }))
    }
}

impl Rwd {
    /// A write of the whole line at `address`.
    pub const fn write(tag: u16, address: u64, data: [u8; 64]) -> Self {
        Self::new(RwdOpcode::MemWr, tag, address, data, u64::MAX)
    }

    /// A write of the bytes that `mask` selects.
    pub const fn write_bytes(tag: u16, address: u64, data: [u8; 64], mask: u64) -> Self {
        Self::new(RwdOpcode::MemWrPtl, tag, address, data, mask)
    }

    const fn new(opcode: RwdOpcode, tag: u16, address: u64, data: [u8; 64], mask: u64) -> Self {
        let (snoop, meta) = (SnpType::NoOp, Meta::NONE);
        Self { opcode, snoop, meta, tag, address, poison: false, tc: 0, ld_id: 0, data, mask }
    }

    /// Its header's bits.
    pub const fn pack(&self) -> u128 {
        Writer::new()
            .put(4, self.opcode as u64)
            .put(3, self.snoop as u64)
            .meta(self.meta)
            .put(16, self.tag as u64)
            .put(46, self.address >> 6)
            .put(1, self.poison as u64)
            .put(2, self.tc as u64)
            .put(4, self.ld_id as u64)
            .bits
    }

    /// From its header's bits, the data zero and the mask full; `None` if its Valid bit is clear.
    /// Reserved bits are ignored.
    ///
    /// # Errors
    /// [`MessageError::Reserved`].
    pub fn unpack(bits: u128) -> Result<Option<Self>, MessageError> {
        let Some(mut bits) = Reader::new(bits) else { return Ok(None) };
        Ok(Some(Self {
            opcode: RwdOpcode::from_code(bits.code(4))?,
            snoop: SnpType::from_code(bits.code(3))?,
            meta: bits.meta()?,
            tag: bits.take(16) as u16,
            address: bits.take(46) << 6,
            poison: bits.take(1) == 1,
            tc: bits.code(2),
            ld_id: bits.code(4),
            data: [0; 64],
            mask: u64::MAX,
        }))
    }
}

impl Ndr {
    /// Done.
    pub const fn cmp(tag: u16) -> Self {
        Self { opcode: NdrOpcode::Cmp, meta: Meta::NONE, tag, ld_id: 0, load: DevLoad::Light }
    }

    /// Its bits.
    pub const fn pack(&self) -> u128 {
        Writer::new()
            .put(3, self.opcode as u64)
            .meta(self.meta)
            .put(16, self.tag as u64)
            .put(4, self.ld_id as u64)
            .put(2, self.load as u64)
            .bits
    }

    /// From its bits; `None` if its Valid bit is clear.
    ///
    /// # Errors
    /// [`MessageError::Reserved`].
    pub fn unpack(bits: u128) -> Result<Option<Self>, MessageError> {
        let Some(mut bits) = Reader::new(bits) else { return Ok(None) };
        Ok(Some(Self {
            opcode: NdrOpcode::from_code(bits.code(3))?,
            meta: bits.meta()?,
            tag: bits.take(16) as u16,
            ld_id: bits.code(4),
            load: DevLoad::from_code(bits.code(2))?,
        }))
    }
}

impl Drs {
    /// The line that was read.
    pub const fn data(tag: u16, data: [u8; 64]) -> Self {
        Self {
            opcode: DrsOpcode::MemData,
            meta: Meta::NONE,
            tag,
            poison: false,
            ld_id: 0,
            load: DevLoad::Light,
            data,
        }
    }

    /// Its header's bits.
    pub const fn pack(&self) -> u128 {
        Writer::new()
            .put(3, self.opcode as u64)
            .meta(self.meta)
            .put(16, self.tag as u64)
            .put(1, self.poison as u64)
            .put(4, self.ld_id as u64)
            .put(2, self.load as u64)
            .bits
    }

    /// From its header's bits, the data zero; `None` if its Valid bit is clear. Reserved bits are
    /// ignored.
    ///
    /// # Errors
    /// [`MessageError::Reserved`].
    pub fn unpack(bits: u128) -> Result<Option<Self>, MessageError> {
        let Some(mut bits) = Reader::new(bits) else { return Ok(None) };
        Ok(Some(Self {
            opcode: DrsOpcode::from_code(bits.code(3))?,
            meta: bits.meta()?,
            tag: bits.take(16) as u16,
            poison: bits.take(1) == 1,
            ld_id: bits.code(4),
            load: DevLoad::from_code(bits.code(2))?,
            data: [0; 64],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_slot_tables_say() {
        // An H5 slot's positions, less its 32 bits of flit header.
        let req = Req { tc: 3, ld_id: 0b1001, ..Req::read(0xbeef, 0xf_ffff_ffff_ffe0) };
        let bits = req.pack();
        assert_eq!(bits & 1, 1);
        assert_eq!(bits >> 1 & 0xf, 1);
        assert_eq!(bits >> 8 & 3, 0b11, "MetaField No-Op");
        assert_eq!(bits >> 12 & 0xffff, 0xbeef);
        assert_eq!(bits >> 28 & ((1 << 47) - 1), (1 << 47) - 1);
        assert_eq!(bits >> 75 & 3, 3);
        assert_eq!(bits >> 77, 0b1001);
        let rwd = Rwd { poison: true, ..Rwd::write(0x1234, 0x40, [0; 64]) };
        assert_eq!(rwd.pack() >> 28 & ((1 << 46) - 1), 1);
        assert_eq!(rwd.pack() >> 74, 1);
        assert_eq!(Ndr { ld_id: 0xf, ..Ndr::cmp(0) }.pack() >> 24, 0xf);
        assert_eq!(Drs { poison: true, ..Drs::data(0, [0; 64]) }.pack() >> 24, 1);
    }

    #[test]
    fn reserved_encodings_are_told() {
        let refused = Req::unpack(1 | 0b0011 << 1);
        assert_eq!(
            refused,
            Err(MessageError::Reserved { field: "M2S Req MemOpcode", value: 0b0011 })
        );
        assert_eq!(Req::unpack(0b0011 << 1), Ok(None), "not valid: nothing is looked at");
        assert!(Rwd::unpack(1).is_err() && Ndr::unpack(1 | 5 << 1).is_err());
        assert!(Drs::unpack(1 | 2 << 1).is_err());
        assert!(Ndr::unpack(1 | 0b10 << 4).is_err(), "a reserved MetaField");
    }
}
