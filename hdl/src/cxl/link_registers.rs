//! The link capability's registers (section 8.2.4.19): what the link layer is told, and what it tells.
//!
//! The two bundles of wires are `cxl_link`'s pins of the same names; the layout stands at
//! [`super::link::layer`]. What is told holds from the link's next beginning on, but for the thresholds,
//! which hold at once. Stalls hold back INIT.Param and the first credits.
//!
//! Credits of CXL.cache and of back-invalidation are none here: their fields read zero.

use super::words::{LiveWord, Word, WordAccess};
use rust_hdl::prelude::*;
use splitmem_abi::cxl::link::{
    ACK_TIMER, CAPABILITY, CONTROL, DEFEATURE, RX_CONTROL, RX_RETURNED, TX_STATUS,
};

/// Version of the link layer that is spoken (2: CXL 2.0 and later), and places of the retry buffer.
const SPOKEN: u32 = 2 | 64 << 8;
/// LL_Init_Stall and LL_Crd_Stall.
const STALLS: u32 = 0b110;
/// Cycles for which the link layer is reset.
const RESET_CYCLES: u64 = 3;

#[derive(LogicBlock)]
pub struct LinkRegisters {
    pub clock: Signal<In, Clock>,
    pub bus: Signal<In, WordAccess>,
    pub read_data: Signal<Out, Bits<32>>,
    pub status: Signal<In, Bits<90>>,
    pub control: Signal<Out, Bits<41>>,

    capability_low: LiveWord,
    capability_high: LiveWord,
    stalls: Word,
    state: LiveWord,
    rx_low: Word,
    rx_high: Word,
    returned_low: LiveWord,
    returned_high: LiveWord,
    tx_low: LiveWord,
    tx_high: LiveWord,
    acks: Word,
    defeature: Word,
    resetting: DFF<Bits<2>>,
    written: Signal<Local, Bits<32>>,
    reqs: Signal<Local, Bits<10>>,
    rwds: Signal<Local, Bits<10>>,
}

impl LinkRegisters {
    pub fn new() -> Self {
        let word = |offset, mask, reset| Word::new(offset, mask, mask, reset);
        with_defaults!(Self {
            capability_low: LiveWord::new(CAPABILITY),
            capability_high: LiveWord::new(CAPABILITY + 4),
            stalls: word(CONTROL, STALLS, 0),
            state: LiveWord::new(CONTROL),
            // 64 credits of either kind: memory requests in bits 39:30, memory data in 49:40.
            rx_low: word(RX_CONTROL, 0xc000_0000, 0),
            rx_high: word(RX_CONTROL + 4, 0x0003_ffff, (64 >> 2) | 64 << 8),
            returned_low: LiveWord::new(RX_RETURNED),
            returned_high: LiveWord::new(RX_RETURNED + 4),
            tx_low: LiveWord::new(TX_STATUS),
            tx_high: LiveWord::new(TX_STATUS + 4),
            acks: word(ACK_TIMER, 0x0003_ffff, 16 | 32 << 8),
            // MDH is never sent, whether it is switched off or not.
            defeature: word(DEFEATURE, 1, 0),
        } clock bus read_data status control resetting written reqs rwds)
    }
}

impl Default for LinkRegisters {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for LinkRegisters {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, capability_low, capability_high, stalls, state, rx_low, rx_high);
        clock!(self, clock, returned_low, returned_high, tx_low, tx_high, acks, defeature);
        dff_setup!(self, clock, resetting);
        self.capability_low.bus.next = self.bus.val();
        self.capability_high.bus.next = self.bus.val();
        self.stalls.bus.next = self.bus.val();
        self.state.bus.next = self.bus.val();
        self.rx_low.bus.next = self.bus.val();
        self.rx_high.bus.next = self.bus.val();
        self.returned_low.bus.next = self.bus.val();
        self.returned_high.bus.next = self.bus.val();
        self.tx_low.bus.next = self.bus.val();
        self.tx_high.bus.next = self.bus.val();
        self.acks.bus.next = self.bus.val();
        self.defeature.bus.next = self.bus.val();
        self.stalls.locked.next = false;
        self.rx_low.locked.next = false;
        self.rx_high.locked.next = false;
        self.acks.locked.next = false;
        self.defeature.locked.next = false;
        self.read_data.next = ((self.capability_low.read_data.val()
            | self.capability_high.read_data.val())
            | (self.stalls.read_data.val() | self.state.read_data.val()))
            | ((self.rx_low.read_data.val() | self.rx_high.read_data.val())
                | (self.returned_low.read_data.val() | self.returned_high.read_data.val()))
            | ((self.tx_low.read_data.val() | self.tx_high.read_data.val())
                | (self.acks.read_data.val() | self.defeature.read_data.val()));

        // Version spoken 3:0 and told 7:4, places 15:8 and told 23:16, NUM_RETRY 28:24, NUM_PHY_REINIT
        // 33:29, WrPtr 41:34, ESeq 49:42, NumFreeBuf 57:50; bit 58 clear: it can be reset.
        self.capability_low.value.next = ((bit_cast::<32, 4>(self.status.val().get_bits::<4>(0))
            << 4)
            | (bit_cast::<32, 8>(self.status.val().get_bits::<8>(4)) << 16))
            | ((bit_cast::<32, 5>(self.status.val().get_bits::<5>(12)) << 24)
                | (bit_cast::<32, 3>(self.status.val().get_bits::<3>(17)) << 29))
            | 0x4002;
        self.capability_high.value.next = bit_cast::<32, 26>(self.status.val().get_bits::<26>(20));

        // LL_Reset 0, INIT_State 4:3, LL_Retry_Buffer_Consumed 12:5.
        self.state.value.next = bit_cast::<32, 1>(self.resetting.q.val().any().into())
            | (bit_cast::<32, 10>(self.status.val().get_bits::<10>(46)) << 3);
        if self.resetting.q.val().any() {
            self.resetting.d.next = self.resetting.q.val() - 1;
        }
        self.written.next = self.bus.val().data;
        if self.state.writes.val() && self.written.val().get_bit(0) {
            self.resetting.d.next = 3.into();
        }

        // Memory requests 39:30, memory data 49:40.
        self.returned_low.value.next = bit_cast::<32, 2>(self.status.val().get_bits::<2>(56)) << 30;
        self.returned_high.value.next = bit_cast::<32, 5>(self.status.val().get_bits::<5>(58))
            | (bit_cast::<32, 7>(self.status.val().get_bits::<7>(63)) << 8);
        self.tx_low.value.next = bit_cast::<32, 2>(self.status.val().get_bits::<2>(70)) << 30;
        self.tx_high.value.next = bit_cast::<32, 18>(self.status.val().get_bits::<18>(72));

        self.reqs.next = bit_cast::<10, 2>(self.rx_low.value.val().get_bits::<2>(30))
            | (bit_cast::<10, 8>(self.rx_high.value.val().get_bits::<8>(0)) << 2);
        self.rwds.next = self.rx_high.value.val().get_bits::<10>(8);
        self.control.next = (bit_cast::<41, 1>(self.resetting.q.val().any().into())
            | (bit_cast::<41, 2>(self.stalls.value.val().get_bits::<2>(1)) << 1))
            | ((bit_cast::<41, 10>(self.reqs.val()) << 3)
                | (bit_cast::<41, 10>(self.rwds.val()) << 13))
            | (bit_cast::<41, 18>(self.acks.value.val().get_bits::<18>(0)) << 23);
        if self.bus.val().reset {
            self.resetting.d.next = 0.into();
        }
    }
}

// Numbers in the code above.
const _: () = assert!(RESET_CYCLES == 3 && SPOKEN == 0x4002);
