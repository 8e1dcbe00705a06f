//! The link layer: flits on one side, channels of messages on the other.
//!
//! | bits of `link_control` | what |
//! | --- | --- |
//! | 0 | reset: the link begins anew |
//! | 1 | INIT.Param is not sent yet, RETRY.Idle in its place |
//! | 2 | the first credits are not given yet |
//! | 12:3, 22:13 | credits for Req and for RwD that the link begins with; at most 64 count |
//! | 30:23 | acknowledgements that are sent by themselves |
//! | 40:31 | cycles that acknowledgements and credits wait for a message to go with |
//!
//! | bits of `link_status` | what |
//! | --- | --- |
//! | 45:0 | what the other end told of itself: [`super::heard`] |
//! | 47:46 | INIT_State: 0 INIT.Param is to be sent, 1 was sent, 2 came too, 3 credits are given |
//! | 55:48 | places of the retry buffer in use |
//! | 62:56, 69:63 | credits for Req and for RwD that wait to be returned |
//! | 79:70, 89:80 | credits for NDR and for DRS that the other end gave |

use super::check::Check;
use super::credits::{CreditsHeld, CreditsOwed};
use super::heard::Heard;
use super::inbox::Inbox;
use super::pack::Pack;
use super::replay::Replay;
use super::retry::Retry;
use super::send::Send;
use super::unpack::Unpack;
use rust_hdl::prelude::*;

#[derive(LogicBlock)]
pub struct CxlLink {
    pub clock: Signal<In, Clock>,
    /// Registered once: hold it for two cycles or more. It begins the link anew: INIT.Param again.
    pub reset: Signal<In, Bit>,
    /// The virtual link state machine of ARB/MUX is in Active. Where it was up and goes down, flits
    /// may have been lost: they are asked for again once it is up.
    pub phy_up: Signal<In, Bit>,
    /// Ask the physical layer to train again; stays until `phy_up` goes down.
    pub retrain: Signal<Out, Bit>,

    /// A flit that came, bytes 0 to 65 from the lowest bit up, without the protocol ID. It must be
    /// taken: there is no way to hold it back.
    pub rx_valid: Signal<In, Bit>,
    pub rx_flit: Signal<In, Bits<528>>,
    /// A flit to be sent. Once up, valid stays with a stable flit until ready, or until `phy_up` goes
    /// down or the link is given up.
    pub tx_valid: Signal<Out, Bit>,
    pub tx_ready: Signal<In, Bit>,
    pub tx_flit: Signal<Out, Bits<528>>,

    /// The channels of [`super::super::device`], pin by pin of the same name.
    pub req_valid: Signal<Out, Bit>,
    pub req_ready: Signal<In, Bit>,
    pub req_opcode: Signal<Out, Bits<4>>,
    pub req_tag: Signal<Out, Bits<16>>,
    pub req_address: Signal<Out, Bits<47>>,
    pub req_ld_id: Signal<Out, Bits<4>>,
    pub rwd_valid: Signal<Out, Bit>,
    pub rwd_ready: Signal<In, Bit>,
    pub rwd_opcode: Signal<Out, Bits<4>>,
    pub rwd_tag: Signal<Out, Bits<16>>,
    pub rwd_address: Signal<Out, Bits<46>>,
    pub rwd_ld_id: Signal<Out, Bits<4>>,
    pub rwd_poison: Signal<Out, Bit>,
    pub rwd_mask: Signal<Out, Bits<64>>,
    pub rwd_data: Signal<Out, Bits<512>>,
    /// Answers to a link that was given up are taken and forgotten.
    pub ndr_valid: Signal<In, Bit>,
    pub ndr_ready: Signal<Out, Bit>,
    pub ndr_tag: Signal<In, Bits<16>>,
    pub ndr_ld_id: Signal<In, Bits<4>>,
    pub drs_valid: Signal<In, Bit>,
    pub drs_ready: Signal<Out, Bit>,
    pub drs_tag: Signal<In, Bits<16>>,
    pub drs_ld_id: Signal<In, Bits<4>>,
    pub drs_poison: Signal<In, Bit>,
    pub drs_data: Signal<In, Bits<512>>,
    pub dev_load: Signal<In, Bits<2>>,

    /// What the link capability's registers say and show; the layout is above. Without them, drive
    /// [`super::CONTROL_AT_RESET`].
    pub link_control: Signal<In, Bits<41>>,
    pub link_status: Signal<Out, Bits<90>>,
    /// INIT.Param came and the link was not given up.
    pub up: Signal<Out, Bit>,
    /// Why it was given up: `abi::cxl::LinkFault`, 0 if it was not. Only a reset begins it anew.
    pub fault: Signal<Out, Bits<4>>,
    /// Pulses for the RAS capability's status registers (8.2.4.17): uncorrectable bits 8 (too many
    /// retrainings), 9 (reserved encoding), 11 (receiver overflow) and 14 (internal: the other end
    /// broke the retry protocol); correctable bits 2 (CRC), 3 (retries) and 6 (physical layer).
    pub ras_uncorrectable: Signal<Out, Bits<17>>,
    pub ras_correctable: Signal<Out, Bits<7>>,

    resets: DFF<Bit>,
    check: Check,
    unpack: Unpack,
    inbox: Inbox,
    retry: Retry,
    replay: Replay,
    pack: Pack,
    send: Send,
    reqs_owed: CreditsOwed,
    rwds_owed: CreditsOwed,
    ndrs_held: CreditsHeld,
    drss_held: CreditsHeld,
    heard: Heard,
    told: DFF<Bit>,
    /// Credits were given.
    begun: DFF<Bit>,
    waits: Signal<Local, Bit>,
    both: Signal<Local, Bit>,
    init_state: Signal<Local, Bits<2>>,
    code: Signal<Local, Bits<4>>,
    tells: Signal<Local, Bit>,
}

impl CxlLink {
    pub fn new() -> Self {
        with_defaults!(Self {
            inbox: Inbox::new(),
            retry: Retry::new(),
            replay: Replay::new(),
            reqs_owed: CreditsOwed::new(),
            rwds_owed: CreditsOwed::new(),
        } clock reset phy_up retrain rx_valid rx_flit tx_valid tx_ready tx_flit req_valid req_ready
          req_opcode req_tag req_address req_ld_id rwd_valid rwd_ready rwd_opcode rwd_tag
          rwd_address rwd_ld_id rwd_poison rwd_mask rwd_data ndr_valid ndr_ready ndr_tag ndr_ld_id
          drs_valid drs_ready drs_tag drs_ld_id drs_poison drs_data dev_load link_control link_status
          up fault
          ras_uncorrectable ras_correctable resets check unpack pack send ndrs_held drss_held heard told
          begun waits both init_state code tells)
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident)+) => { $( self.$pin.connect(); )+ };
        }
        connect!(clock reset phy_up rx_valid rx_flit tx_ready req_ready rwd_ready ndr_valid ndr_tag
            ndr_ld_id drs_valid drs_tag drs_ld_id drs_poison drs_data dev_load link_control);
        self.connect_all();
    }
}

impl Default for CxlLink {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for CxlLink {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, check, unpack, inbox, retry, replay, pack, send);
        clock!(self, clock, reqs_owed, rwds_owed, ndrs_held, drss_held, heard);
        dff_setup!(self, clock, resets, told, begun);
        self.resets.d.next = self.reset.val() || self.link_control.val().get_bit(0);
        self.heard.reset.next = self.resets.q.val();
        self.check.reset.next = self.resets.q.val();
        self.unpack.reset.next = self.resets.q.val();
        self.inbox.reset.next = self.resets.q.val();
        self.retry.reset.next = self.resets.q.val();
        self.replay.reset.next = self.resets.q.val();
        self.pack.reset.next = self.resets.q.val();
        self.send.reset.next = self.resets.q.val();
        self.reqs_owed.reset.next = self.resets.q.val();
        self.rwds_owed.reset.next = self.resets.q.val();
        self.ndrs_held.reset.next = self.resets.q.val();
        self.drss_held.reset.next = self.resets.q.val();

        // In.
        self.check.rx_valid.next = self.rx_valid.val();
        self.check.rx_flit.next = self.rx_flit.val();
        self.unpack.slots.next = self.check.slots.val();
        self.unpack.take.next = self.retry.take.val();
        self.inbox.add.next = self.retry.take.val();
        self.inbox.req_1.next = self.unpack.req_1.val();
        self.inbox.req_2.next = self.unpack.req_2.val();
        self.inbox.req_1_cut.next = self.unpack.req_1_cut.val();
        self.inbox.req_2_cut.next = self.unpack.req_2_cut.val();
        self.inbox.announce.next = self.unpack.announce.val();
        self.inbox.rwd_cut.next = self.unpack.rwd_cut.val();
        self.inbox.data_due.next = self.unpack.data_due.val();
        self.inbox.whole.next = self.unpack.whole.val();
        self.inbox.write_0.next = self.unpack.write_0.val();
        self.inbox.write_1.next = self.unpack.write_1.val();
        self.inbox.write_2.next = self.unpack.write_2.val();
        self.inbox.write_3.next = self.unpack.write_3.val();
        self.inbox.write_mask.next = self.unpack.write_mask.val();
        self.inbox.new_0.next = self.unpack.new_0.val();
        self.inbox.new_1.next = self.unpack.new_1.val();
        self.inbox.new_2.next = self.unpack.new_2.val();
        self.inbox.chunk_0.next = self.unpack.chunk_0.val();
        self.inbox.chunk_1.next = self.unpack.chunk_1.val();
        self.inbox.chunk_2.next = self.unpack.chunk_2.val();
        self.inbox.chunk_3.next = self.unpack.chunk_3.val();
        self.inbox.mask.next = self.unpack.mask.val();
        self.req_valid.next = self.inbox.req_valid.val();
        self.inbox.req_ready.next = self.req_ready.val();
        self.req_opcode.next = self.inbox.req_cut.val().get_bits::<4>(0);
        self.req_tag.next = self.inbox.req_cut.val().get_bits::<16>(4);
        self.req_address.next = self.inbox.req_cut.val().get_bits::<47>(20);
        self.req_ld_id.next = self.inbox.req_cut.val().get_bits::<4>(67);
        self.rwd_valid.next = self.inbox.rwd_valid.val();
        self.inbox.rwd_ready.next = self.rwd_ready.val();
        self.rwd_opcode.next = self.inbox.rwd_head.val().get_bits::<4>(0);
        self.rwd_tag.next = self.inbox.rwd_head.val().get_bits::<16>(4);
        self.rwd_address.next = self.inbox.rwd_head.val().get_bits::<46>(20);
        self.rwd_poison.next = self.inbox.rwd_head.val().get_bit(66);
        self.rwd_ld_id.next = self.inbox.rwd_head.val().get_bits::<4>(67);
        self.rwd_mask.next = self.inbox.rwd_mask.val();
        self.rwd_data.next = self.inbox.rwd_data.val();

        // Retry.
        self.retry.phy_up.next = self.phy_up.val();
        self.retrain.next = self.retry.retrain.val();
        self.retry.there.next = self.check.there.val();
        self.retry.good.next = self.check.good.val();
        self.retry.slots.next = self.check.slots.val();
        self.retry.all_data.next = self.unpack.all_data.val();
        self.retry.data_due.next = self.unpack.data_due.val();
        self.retry.unpack_fault.next = self.unpack.fault.val();
        self.retry.overflow.next = self.inbox.overflow.val();
        self.retry.used.next = self.replay.used.val();
        self.retry.oldest.next = self.replay.oldest.val();
        self.retry.owed_sent.next = self.send.owed_sent.val();
        self.retry.request_sent.next = self.send.request_sent.val();
        self.retry.answer_sent.next = self.send.answer_sent.val();
        self.retry.sends.next = self.send.sends.val();
        self.replay.push.next = self.send.push.val();
        self.replay.push_all_data.next = self.send.push_all_data.val();
        self.replay.store.next = self.send.store.val();
        self.replay.store_at.next = self.send.store_at.val();
        self.replay.store_flit.next = self.send.store_flit.val();
        self.replay.acks.next = self.retry.acks.val();
        self.replay.rewind.next = self.send.answer_sent.val();
        self.replay.rewind_to.next = self.retry.asked_from.val();
        self.replay.advance.next = self.send.advance.val();

        // What the registers say.
        self.waits.next = self.link_control.val().get_bit(2) && !self.begun.q.val();
        self.both.next = self.send.began.val() && self.retry.open.val();
        if self.both.val() && !self.waits.val() {
            self.begun.d.next = true;
        }
        self.init_state.next = 0.into();
        if self.send.began.val() && !self.retry.down.val() {
            self.init_state.next = 1.into();
            if self.retry.open.val() {
                self.init_state.next = 2.into();
                if self.begun.q.val() {
                    self.init_state.next = 3.into();
                }
            }
        }
        self.send.init_stall.next = self.link_control.val().get_bit(1);
        self.send.force_acks.next = self.link_control.val().get_bits::<8>(23);
        self.send.flush_after.next = self.link_control.val().get_bits::<10>(31);
        self.reqs_owed.given.next = self.link_control.val().get_bits::<10>(3);
        self.rwds_owed.given.next = self.link_control.val().get_bits::<10>(13);
        self.reqs_owed.stalled.next = self.waits.val();
        self.rwds_owed.stalled.next = self.waits.val();
        self.heard.slots.next = self.check.slots.val();
        self.heard.init.next = self.retry.inits.val();
        self.heard.request.next = self.retry.asks.val();
        self.heard.answer.next = self.retry.answers.val();
        self.link_status.next = (bit_cast::<90, 46>(self.heard.told.val())
            | (bit_cast::<90, 2>(self.init_state.val()) << 46))
            | ((bit_cast::<90, 7>(self.replay.used.val()) << 48)
                | ((bit_cast::<90, 7>(self.reqs_owed.count.val()) << 56)
                    | (bit_cast::<90, 7>(self.rwds_owed.count.val()) << 63)))
            | ((bit_cast::<90, 10>(self.ndrs_held.count.val()) << 70)
                | (bit_cast::<90, 10>(self.drss_held.count.val()) << 80));

        // Credits.
        self.reqs_owed.taken.next = self.inbox.req_taken.val();
        self.rwds_owed.taken.next = self.inbox.rwd_taken.val();
        self.reqs_owed.returns.next = self.send.returns.val();
        self.rwds_owed.returns.next = self.send.returns.val();
        self.ndrs_held.given.next = self.retry.credits.val();
        self.drss_held.given.next = self.retry.credits.val();
        // RspCrd and DataCrd of the header.
        self.ndrs_held.code.next = self.check.slots.val().get_bits::<4>(20);
        self.drss_held.code.next = self.check.slots.val().get_bits::<4>(28);
        self.ndrs_held.used.next = self.send.take_header.val() && self.send.with_ndr.val();
        self.drss_held.used.next = self.send.take_header.val() && self.send.with_drs.val();

        // Out.
        self.pack.ndr_tag.next = self.ndr_tag.val();
        self.pack.ndr_ld.next = self.ndr_ld_id.val();
        self.pack.drs_tag.next = self.drs_tag.val();
        self.pack.drs_ld.next = self.drs_ld_id.val();
        self.pack.drs_poison.next = self.drs_poison.val();
        self.pack.drs_data.next = self.drs_data.val();
        self.pack.load.next = self.dev_load.val();
        self.pack.with_drs.next = self.send.with_drs.val();
        self.pack.with_ndr.next = self.send.with_ndr.val();
        self.pack.ack.next = self.send.ack.val();
        self.pack.req_credit.next = self.reqs_owed.code.val();
        self.pack.data_credit.next = self.rwds_owed.code.val();
        self.pack.take_header.next = self.send.take_header.val();
        self.pack.take_data.next = self.send.take_data.val();
        self.send.tx_ready.next = self.tx_ready.val();
        self.tx_valid.next = self.send.tx_valid.val();
        self.tx_flit.next = self.send.tx_flit.val();
        self.send.hush.next = self.retry.hush.val();
        self.send.alive.next = self.retry.alive.val();
        self.send.asked.next = self.retry.asked.val();
        self.send.asks.next = self.retry.asks.val();
        self.send.asked_from.next = self.retry.asked_from.val();
        self.send.asked_number.next = self.retry.asked_number.val();
        self.send.request.next = self.retry.request.val();
        self.send.expected.next = self.retry.expected.val();
        self.send.number.next = self.retry.number.val();
        self.send.trainings.next = self.retry.trainings.val();
        self.send.waits.next = self.retry.waits.val();
        self.send.owed.next = self.retry.owed.val();
        self.send.write_at.next = self.replay.write_at.val();
        self.send.used.next = self.replay.used.val();
        self.send.again.next = self.replay.again.val();
        self.send.again_all_data.next = self.replay.again_all_data.val();
        self.send.flit.next = self.replay.flit.val();
        self.send.header_flit.next = self.pack.header_flit.val();
        self.send.data_flit.next = self.pack.data_flit.val();
        self.send.due.next = self.pack.due.val();
        self.send.all_data.next = self.pack.all_data.val();
        self.send.ndr_valid.next = self.ndr_valid.val();
        self.send.ndr_credit.next = self.ndrs_held.any.val();
        self.send.drs_valid.next = self.drs_valid.val();
        self.send.drs_credit.next = self.drss_held.any.val();
        self.send.req_credit.next = self.reqs_owed.code.val();
        self.send.data_credit.next = self.rwds_owed.code.val();
        self.send.credits_owed.next = self.reqs_owed.any.val() || self.rwds_owed.any.val();
        self.ndr_ready.next =
            (self.send.take_header.val() && self.send.with_ndr.val()) || self.retry.down.val();
        self.drs_ready.next =
            (self.send.take_header.val() && self.send.with_drs.val()) || self.retry.down.val();

        // What is told.
        self.up.next = self.retry.open.val() && !self.retry.down.val();
        self.fault.next = self.retry.fault.val();
        self.told.d.next = self.retry.down.val();
        self.tells.next = self.retry.down.val() && !self.told.q.val();
        self.code.next = self.retry.fault.val();
        self.ras_uncorrectable.next = 0.into();
        if self.tells.val() {
            self.ras_uncorrectable.next = 0x200.into();
            if self.code.val() == 8 {
                self.ras_uncorrectable.next = 0x800.into();
            }
            if (self.code.val() == 9) || (self.code.val() == 10) {
                self.ras_uncorrectable.next = 0x4000.into();
            }
            if self.code.val() == 11 {
                self.ras_uncorrectable.next = 0x100.into();
            }
        }
        self.ras_correctable.next = (bit_cast::<7, 1>(self.retry.corrupt.val().into()) << 2)
            | ((bit_cast::<7, 1>(self.retry.gave_up.val().into()) << 3)
                | (bit_cast::<7, 1>(self.retry.lost.val().into()) << 6));
        if self.resets.q.val() {
            self.told.d.next = false;
            self.begun.d.next = false;
        }
    }
}
