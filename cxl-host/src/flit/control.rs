//! Control flits (section 4.2.7, tables 4-9 and 4-10): only slot 0 means something. Bits 32 to 39 are
//! LLCTRL and SubType, bits 64 to 127 the payload.

use super::{Flit, Header, SLOTS};

/// Receivers know this version of the link layer: CXL 2.0 and later.
const INTERCONNECT_VERSION: u64 = 2;

/// What a control flit says. Flits of link encryption (IDE) are not spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// LLCRD: credits, and acknowledgements beyond one header's.
    Ack {
        /// Flits acknowledged: 0 to 255.
        acks: u8,
    },
    /// RETRY.Idle: nothing; sent while waiting for a retry.
    RetryIdle,
    /// RETRY.Req: resend from a sequence number.
    RetryRequest(RetryRequest),
    /// RETRY.Ack: what was asked for follows.
    RetryAck(RetryAck),
    /// RETRY.Frame: a RETRY.Req or RETRY.Ack follows.
    RetryFrame,
    /// INIT.Param: the first flit of a link.
    InitParam {
        /// Flits that the sender's retry buffer holds.
        wrap: u8,
    },
}

/// Payload of RETRY.Req.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryRequest {
    /// Sequence number of the first flit that is missing.
    pub sequence: u8,
    /// How often it was asked for, 5 bits.
    pub retries: u8,
    /// How often the physical layer was trained again for it, 5 bits.
    pub retrains: u8,
}

/// Payload of RETRY.Ack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryAck {
    /// Nothing has to be resent.
    pub empty: bool,
    /// The sender is in viral state.
    pub viral: bool,
    /// The request's `retries`, 5 bits.
    pub retries: u8,
    /// The sender's write pointer.
    pub write_pointer: u8,
    /// The request's sequence number.
    pub sequence: u8,
    /// Free places of the sender's retry buffer.
    pub free: u8,
}

/// A control flit that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a control flit of unknown kind: format {format}, LLCTRL {kind:#x}, SubType {sub:#x}")]
pub struct ControlError {
    /// CTL_FMT.
    pub format: u8,
    /// LLCTRL.
    pub kind: u8,
    /// SubType.
    pub sub: u8,
}

impl Control {
    /// Whether the flit takes a place in the retry buffer (it can be lost and is resent).
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Ack { .. } | Self::InitParam { .. })
    }

    const fn code(self) -> (u8, u8) {
        match self {
            Self::Ack { .. } => (0x0, 1),
            Self::RetryIdle => (0x1, 0),
            Self::RetryRequest(_) => (0x1, 1),
            Self::RetryAck(_) => (0x1, 2),
            Self::RetryFrame => (0x1, 3),
            Self::InitParam { .. } => (0xc, 8),
        }
    }

    /// The flit. Of `header` only an LLCRD carries the credits and the lowest bit but three of the
    /// acknowledgements, the Ak bit.
    pub fn to_flit(self, header: Header) -> Flit {
        let (kind, sub) = self.code();
        let mut header = Header { control: true, formats: [0; SLOTS], ..header };
        let payload = match self {
            Self::Ack { acks } => {
                // Full_Ack = {Payload[7:4], Ak, Payload[2:0]}
                header.ack = acks >> 3 & 1 == 1;
                u64::from(acks & 0xf7)
            }
            Self::RetryIdle | Self::RetryFrame => 0,
            Self::RetryRequest(r) => {
                u64::from(r.sequence)
                    | u64::from(r.retries & 0x1f) << 16
                    | u64::from(r.retrains & 0x1f) << 21
            }
            Self::RetryAck(a) => {
                u64::from(a.empty)
                    | u64::from(a.viral) << 1
                    | u64::from(a.retries & 0x1f) << 3
                    | u64::from(a.write_pointer) << 8
                    | u64::from(a.sequence) << 16
                    | u64::from(a.free) << 24
            }
            Self::InitParam { wrap } => INTERCONNECT_VERSION | u64::from(wrap) << 24,
        };
        if !matches!(self, Self::Ack { .. }) {
            header = Header { control: true, ..Header::default() };
        }
        let slot = u128::from(header.to_bits())
            | u128::from(kind | sub << 4) << 32
            | u128::from(payload) << 64;
        Flit::new([slot, 0, 0, 0])
    }

    /// From a flit whose header says that it is a control flit.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn from_flit(flit: &Flit) -> Result<Self, ControlError> {
        let slot = flit.slots()[0];
        let header = flit.header();
        let payload = (slot >> 64) as u64;
        let (kind, sub) = ((slot >> 32) as u8 & 0xf, (slot >> 36) as u8 & 0xf);
        let format = header.formats[0];
        if format != 0 {
            return Err(ControlError { format, kind, sub });
        }
        Ok(match (kind, sub) {
            (0x0, 1) => Self::Ack { acks: payload as u8 & 0xf7 | u8::from(header.ack) << 3 },
            (0x1, 0) => Self::RetryIdle,
            (0x1, 1) => Self::RetryRequest(RetryRequest {
                sequence: payload as u8,
                retries: (payload >> 16) as u8 & 0x1f,
                retrains: (payload >> 21) as u8 & 0x1f,
            }),
            (0x1, 2) => Self::RetryAck(RetryAck {
                empty: payload & 1 == 1,
                viral: payload >> 1 & 1 == 1,
                retries: (payload >> 3) as u8 & 0x1f,
                write_pointer: (payload >> 8) as u8,
                sequence: (payload >> 16) as u8,
                free: (payload >> 24) as u8,
            }),
            (0x1, 3) => Self::RetryFrame,
            (0xc, 8) => Self::InitParam { wrap: (payload >> 24) as u8 },
            _ => return Err(ControlError { format, kind, sub }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flit::Credit;

    #[test]
    fn control_flits_have_the_known_bytes() {
        let idle = Control::RetryIdle.to_flit(Header::default());
        assert_eq!((idle.0[0], idle.0[4], idle.crc()), (0x01, 0x01, 0xc341));
        let frame = Control::RetryFrame.to_flit(Header::default());
        assert_eq!((frame.0[0], frame.0[4], frame.crc()), (0x01, 0x31, 0x4198));
        let init = Control::InitParam { wrap: 64 }.to_flit(Header::default());
        assert_eq!((init.0[4], init.0[8], init.0[11]), (0x8c, 2, 64));
    }

    #[test]
    fn every_control_flit_comes_back() {
        let header = Header { request_credit: Credit::of(8), ..Header::default() };
        let request = RetryRequest { sequence: 0xa5, retries: 31, retrains: 17 };
        let ack = RetryAck {
            empty: true,
            viral: true,
            retries: 21,
            write_pointer: 200,
            sequence: 100,
            free: 255,
        };
        let all = [
            Control::Ack { acks: 0xff },
            Control::Ack { acks: 8 },
            Control::Ack { acks: 7 },
            Control::RetryIdle,
            Control::RetryRequest(request),
            Control::RetryAck(ack),
            Control::RetryFrame,
            Control::InitParam { wrap: 200 },
        ];
        for control in all {
            let flit = control.to_flit(header);
            assert!(flit.is_intact() && flit.header().control);
            assert_eq!(Control::from_flit(&flit), Ok(control));
            let carries = matches!(control, Control::Ack { .. });
            assert_eq!(flit.header().request_credit.count() == 8, carries);
        }
    }
}
