//! The CXL.mem device: the transaction layer with its registers, to stand at a request port.
//!
//! Channels of messages on one side (from the link layer, or from the transaction interface of a
//! vendor's CXL core), a request port of the component on the other, and two register buses: `r_*`
//! for what the host sees in its BARs, `k_*` for the monitor. `irq` is the monitor's interrupt.
//!
//! Message fields that are not here mean nothing to a device without metadata and caches: SnpType,
//! MetaField and MetaValue of M2S are ignored; of S2M the opcode is Cmp (0) or MemData (0), MetaField
//! No-Op (3), MetaValue 0.
//!
//! `ras_*` and `link_*` are [`super::link`]'s, pin by pin of the same name; before another link layer they
//! are tied to zero, and the link capability here is not to be shown.

use super::front::Front;
use super::link_registers::LinkRegisters;
use super::mailbox::CxlMailbox;
use super::port::WordPort;
use super::words::{FixedWords, LiveWord, StickyWord, Word};
use rust_hdl::prelude::*;
use splitmem_abi::cxl;

#[derive(LogicBlock)]
pub struct CxlMem {
    pub clock: Signal<In, Clock>,
    /// Registered once: hold it for two cycles or more.
    pub reset: Signal<In, Bit>,
    pub mem_enable: Signal<In, Bit>,

    pub req_valid: Signal<In, Bit>,
    pub req_ready: Signal<Out, Bit>,
    pub req_opcode: Signal<In, Bits<4>>,
    pub req_tag: Signal<In, Bits<16>>,
    /// Address bits 51:5; bit 5 is ignored, data always come in the line's own order.
    pub req_address: Signal<In, Bits<47>>,
    pub req_ld_id: Signal<In, Bits<4>>,
    pub rwd_valid: Signal<In, Bit>,
    pub rwd_ready: Signal<Out, Bit>,
    pub rwd_opcode: Signal<In, Bits<4>>,
    pub rwd_tag: Signal<In, Bits<16>>,
    /// Address bits 51:6.
    pub rwd_address: Signal<In, Bits<46>>,
    pub rwd_ld_id: Signal<In, Bits<4>>,
    pub rwd_poison: Signal<In, Bit>,
    /// Byte enables; ignored for MemWr.
    pub rwd_mask: Signal<In, Bits<64>>,
    pub rwd_data: Signal<In, Bits<512>>,
    pub ndr_valid: Signal<Out, Bit>,
    pub ndr_ready: Signal<In, Bit>,
    pub ndr_tag: Signal<Out, Bits<16>>,
    pub ndr_ld_id: Signal<Out, Bits<4>>,
    pub drs_valid: Signal<Out, Bit>,
    pub drs_ready: Signal<In, Bit>,
    pub drs_tag: Signal<Out, Bits<16>>,
    pub drs_ld_id: Signal<Out, Bits<4>>,
    pub drs_poison: Signal<Out, Bit>,
    pub drs_data: Signal<Out, Bits<512>>,
    /// DevLoad of the answers that leave in this cycle.
    pub dev_load: Signal<Out, Bits<2>>,

    pub p_req_valid: Signal<Out, Bit>,
    pub p_req_ready: Signal<In, Bit>,
    pub p_req_op: Signal<Out, Bits<3>>,
    pub p_req_tag: Signal<Out, Bits<16>>,
    pub p_req_pid: Signal<Out, Bits<16>>,
    pub p_req_va: Signal<Out, Bits<48>>,
    pub p_req_mask: Signal<Out, Bits<64>>,
    pub p_req_data: Signal<Out, Bits<512>>,
    pub p_resp_valid: Signal<In, Bit>,
    pub p_resp_ready: Signal<Out, Bit>,
    pub p_resp_tag: Signal<In, Bits<16>>,
    pub p_resp_status: Signal<In, Bits<3>>,
    pub p_resp_data: Signal<In, Bits<512>>,

    /// The link layer's errors, pulses in the places of the RAS status registers (8.2.4.17).
    pub ras_uncorrectable: Signal<In, Bits<17>>,
    pub ras_correctable: Signal<In, Bits<7>>,
    /// Its registers; the layout is [`super::link::layer`]'s.
    pub link_status: Signal<In, Bits<90>>,
    pub link_control: Signal<Out, Bits<41>>,
    /// Pulses for the hard IP's error reporting: an error came that is not masked; an uncorrectable one is
    /// fatal or not, as its severity says.
    pub error_fatal: Signal<Out, Bit>,
    pub error_nonfatal: Signal<Out, Bit>,
    pub error_correctable: Signal<Out, Bit>,

    pub r_valid: Signal<In, Bit>,
    pub r_write: Signal<In, Bit>,
    pub r_addr: Signal<In, Bits<17>>,
    pub r_wdata: Signal<In, Bits<32>>,
    pub r_done: Signal<Out, Bit>,
    pub r_rdata: Signal<Out, Bits<32>>,
    pub k_valid: Signal<In, Bit>,
    pub k_write: Signal<In, Bit>,
    pub k_addr: Signal<In, Bits<18>>,
    pub k_wdata: Signal<In, Bits<32>>,
    pub k_done: Signal<Out, Bit>,
    pub k_rdata: Signal<Out, Bits<32>>,
    pub irq: Signal<Out, Bit>,

    resets: DFF<Bit>,
    words: WordPort,
    front: Front,
    mailbox: CxlMailbox,
    fixed: FixedWords,
    fixed_data: DFF<Bits<32>>,
    status: LiveWord,
    reasons: Signal<Local, Bits<32>>,
    uncorrectable: StickyWord,
    uncorrectable_mask: Word,
    uncorrectable_severity: Word,
    correctable: StickyWord,
    correctable_mask: Word,
    link: LinkRegisters,
    new_uncorrectable: Signal<Local, Bits<32>>,
    new_correctable: Signal<Local, Bits<32>>,
    unmasked: Signal<Local, Bits<32>>,
    fatal: DFF<Bit>,
    nonfatal: DFF<Bit>,
    corrected: DFF<Bit>,
}

/// What the device is, register by register.
fn fixed() -> Vec<(u32, u32)> {
    // A capability: id, version, where.
    let component =
        |id: u32, version: u32, at: u32| id | version << 16 | (at - cxl::CACHEMEM) << 20;
    let device = cxl::DEVICE;
    let capability = |n: u32, id: u32, version: u32, at: u32, bytes: u32| {
        let first = device + 0x10 * n;
        [(first, id | version << 16), (first + 4, at - device), (first + 8, bytes)]
    };
    let mut words = vec![
        // Header (8.2.4.5): id 1, version 1, CXL.cachemem version 1, three capabilities.
        (cxl::CACHEMEM, component(1, 1, cxl::CACHEMEM) | 1 << 20 | 3 << 24),
        (cxl::CACHEMEM + 4, component(2, 2, cxl::RAS)),
        (cxl::CACHEMEM + 8, component(4, 2, cxl::LINK)),
        (cxl::CACHEMEM + 12, component(5, 1, cxl::HDM)),
        // RAS control: no multiple headers, no first-error pointer.
        // HDM: two decoders, no targets, addresses interleave by bits 8 to 14, poison on decode
        // error, host-only coherent.
        (cxl::HDM, 1 | 1 << 8 | 1 << 9 | 1 << 10 | 2 << 21),
        // Device capabilities array (8.2.8.1): version 1, three of them.
        (device, 1 << 16),
        (device + 4, 3),
        // Mailbox: payload size.
        (cxl::MAILBOX, cxl::PAYLOAD_SHIFT),
    ];
    words.extend(capability(1, 1, 2, cxl::EVENT_STATUS, 8));
    words.extend(capability(2, 2, 1, cxl::MAILBOX, 0x20 + cxl::PAYLOAD_BYTES as u32));
    words.extend(capability(3, 0x4000, 1, cxl::MEMDEV_STATUS, 8));
    words
}

/// Uncorrectable errors that exist (8.2.4.17.1).
const UNCORRECTABLE: u32 = 0x1_cfff;
/// Correctable errors that exist.
const CORRECTABLE: u32 = 0x7f;

impl CxlMem {
    pub fn new() -> Self {
        with_defaults!(Self {
            fixed: FixedWords::new(fixed()),
            status: LiveWord::new(cxl::STATUS),
            uncorrectable: StickyWord::new(cxl::RAS),
            uncorrectable_mask: Word::new(cxl::RAS + 4, UNCORRECTABLE, UNCORRECTABLE, UNCORRECTABLE),
            uncorrectable_severity:
                Word::new(cxl::RAS + 8, UNCORRECTABLE, UNCORRECTABLE, UNCORRECTABLE),
            correctable: StickyWord::new(cxl::RAS + 0xc),
            correctable_mask: Word::new(cxl::RAS + 0x10, CORRECTABLE, CORRECTABLE, CORRECTABLE),
        } clock reset mem_enable req_valid req_ready req_opcode req_tag req_address req_ld_id
          rwd_valid rwd_ready rwd_opcode rwd_tag rwd_address rwd_ld_id rwd_poison rwd_mask rwd_data
          ndr_valid ndr_ready ndr_tag ndr_ld_id drs_valid drs_ready drs_tag drs_ld_id drs_poison
          drs_data dev_load p_req_valid p_req_ready p_req_op p_req_tag p_req_pid p_req_va
          p_req_mask p_req_data p_resp_valid p_resp_ready p_resp_tag p_resp_status p_resp_data
          ras_uncorrectable ras_correctable link_status link_control error_fatal error_nonfatal
          error_correctable r_valid r_write r_addr r_wdata r_done r_rdata k_valid k_write k_addr k_wdata k_done
          k_rdata irq resets words front mailbox fixed_data reasons link new_uncorrectable
          new_correctable unmasked fatal nonfatal corrected)
    }

    /// Marks the pins as driven from outside, which RustHDL wants before it emits.
    pub fn connect_pins(&mut self) {
        macro_rules! connect {
            ($($pin:ident)+) => { $( self.$pin.connect(); )+ };
        }
        connect!(clock reset mem_enable req_valid req_opcode req_tag req_address req_ld_id rwd_valid
            rwd_opcode rwd_tag rwd_address rwd_ld_id rwd_poison rwd_mask rwd_data ndr_ready drs_ready
            p_req_ready p_resp_valid p_resp_tag p_resp_status p_resp_data ras_uncorrectable
            ras_correctable link_status r_valid r_write r_addr
            r_wdata k_valid k_write k_addr k_wdata);
        self.connect_all();
    }
}

impl Default for CxlMem {
    fn default() -> Self {
        Self::new()
    }
}

impl Logic for CxlMem {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, words, front, mailbox, status);
        clock!(self, clock, uncorrectable, uncorrectable_mask, uncorrectable_severity);
        clock!(self, clock, correctable, correctable_mask, link);
        dff_setup!(self, clock, resets, fixed_data, fatal, nonfatal, corrected);
        self.resets.d.next = self.reset.val();
        self.words.reset.next = self.resets.q.val();

        // Messages.
        self.front.enable.next = self.mem_enable.val();
        self.front.req_valid.next = self.req_valid.val();
        self.req_ready.next = self.front.req_ready.val();
        self.front.req_opcode.next = self.req_opcode.val();
        self.front.req_tag.next = self.req_tag.val();
        self.front.req_line.next = bit_cast::<46, 47>(self.req_address.val() >> 1);
        self.front.req_ld.next = self.req_ld_id.val();
        self.front.rwd_valid.next = self.rwd_valid.val();
        self.rwd_ready.next = self.front.rwd_ready.val();
        self.front.rwd_opcode.next = self.rwd_opcode.val();
        self.front.rwd_tag.next = self.rwd_tag.val();
        self.front.rwd_line.next = self.rwd_address.val();
        self.front.rwd_ld.next = self.rwd_ld_id.val();
        self.front.rwd_poison.next = self.rwd_poison.val();
        self.front.rwd_mask.next = self.rwd_mask.val();
        self.front.rwd_data.next = self.rwd_data.val();
        self.ndr_valid.next = self.front.ndr_valid.val();
        self.front.ndr_ready.next = self.ndr_ready.val();
        self.ndr_tag.next = self.front.ndr_tag.val();
        self.ndr_ld_id.next = self.front.ndr_ld.val();
        self.drs_valid.next = self.front.drs_valid.val();
        self.front.drs_ready.next = self.drs_ready.val();
        self.drs_tag.next = self.front.drs_tag.val();
        self.drs_ld_id.next = self.front.drs_ld.val();
        self.drs_poison.next = self.front.drs_poison.val();
        self.drs_data.next = self.front.drs_data.val();
        self.dev_load.next = self.front.load.val();

        // Requests.
        self.p_req_valid.next = self.front.p_req_valid.val();
        self.front.p_req_ready.next = self.p_req_ready.val();
        self.p_req_op.next = bit_cast::<3, 1>(self.front.p_req_write.val().into());
        self.p_req_tag.next = self.front.p_req_tag.val();
        self.p_req_pid.next = self.front.p_req_pid.val();
        self.p_req_va.next = self.front.p_req_va.val();
        self.p_req_mask.next = self.front.p_req_mask.val();
        self.p_req_data.next = self.front.p_req_data.val();
        self.front.p_resp_valid.next = self.p_resp_valid.val();
        self.p_resp_ready.next = self.front.p_resp_ready.val();
        self.front.p_resp_tag.next = self.p_resp_tag.val();
        self.front.p_resp_status.next = self.p_resp_status.val();
        self.front.p_resp_data.next = self.p_resp_data.val();

        // Registers.
        self.words.r_valid.next = self.r_valid.val();
        self.words.r_write.next = self.r_write.val();
        self.words.r_addr.next = self.r_addr.val();
        self.words.r_wdata.next = self.r_wdata.val();
        self.r_done.next = self.words.r_done.val();
        self.r_rdata.next = self.words.r_rdata.val();
        self.words.k_valid.next = self.k_valid.val();
        self.words.k_write.next = self.k_write.val();
        self.words.k_addr.next = self.k_addr.val();
        self.words.k_wdata.next = self.k_wdata.val();
        self.k_done.next = self.words.k_done.val();
        self.k_rdata.next = self.words.k_rdata.val();
        self.front.bus.next = self.words.bus.val();
        self.mailbox.bus.next = self.words.bus.val();
        self.status.bus.next = self.words.bus.val();
        self.uncorrectable.bus.next = self.words.bus.val();
        self.uncorrectable_mask.bus.next = self.words.bus.val();
        self.uncorrectable_mask.locked.next = false;
        self.uncorrectable_severity.bus.next = self.words.bus.val();
        self.uncorrectable_severity.locked.next = false;
        self.correctable.bus.next = self.words.bus.val();
        self.correctable_mask.bus.next = self.words.bus.val();
        self.correctable_mask.locked.next = false;
        // Bit 9: reserved encoding; bit 5: poison received.
        self.new_uncorrectable.next = (bit_cast::<32, 1>(self.front.reserved.val().into()) << 9)
            | bit_cast::<32, 17>(self.ras_uncorrectable.val());
        self.new_correctable.next = (bit_cast::<32, 1>(self.front.poison_in.val().into()) << 5)
            | bit_cast::<32, 7>(self.ras_correctable.val());
        self.uncorrectable.set.next = self.new_uncorrectable.val();
        self.correctable.set.next = self.new_correctable.val();
        self.unmasked.next = self.new_uncorrectable.val() & (!self.uncorrectable_mask.value.val());
        self.fatal.d.next = (self.unmasked.val() & self.uncorrectable_severity.value.val()).any();
        self.nonfatal.d.next =
            (self.unmasked.val() & (!self.uncorrectable_severity.value.val())).any();
        self.corrected.d.next =
            (self.new_correctable.val() & (!self.correctable_mask.value.val())).any();
        self.error_fatal.next = self.fatal.q.val();
        self.error_nonfatal.next = self.nonfatal.q.val();
        self.error_correctable.next = self.corrected.q.val();
        self.link.bus.next = self.words.bus.val();
        self.link.status.next = self.link_status.val();
        self.link_control.next = self.link.control.val();
        self.fixed.address.next = self.words.bus.val().address;
        self.fixed_data.d.next = self.fixed.read_data.val();
        self.reasons.next = bit_cast::<32, 1>(self.mailbox.doorbell.val().into())
            | (bit_cast::<32, 1>(self.front.event_waits.val().into()) << 1)
            | (bit_cast::<32, 1>(self.front.overflow.val().into()) << 2);
        self.status.value.next = self.reasons.val();
        self.irq.next = self.reasons.val().any();
        self.words.read_data.next = (self.front.read_data.val() | self.mailbox.read_data.val())
            | ((self.fixed_data.q.val() | self.status.read_data.val()) | self.link.read_data.val())
            | ((self.uncorrectable.read_data.val() | self.uncorrectable_mask.read_data.val())
                | (self.uncorrectable_severity.read_data.val()
                    | (self.correctable.read_data.val() | self.correctable_mask.read_data.val())));
    }
}
