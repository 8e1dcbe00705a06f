//! What the table engine writes into a bucket for one page. Combinational.
//!
//! In: the command's kind, its flags, and the entry that stands there. Out: the entry and the bytes
//! of it that are written, as `abi::pte` lays them out.

use crate::registers::{constant, lsb};
use rust_hdl::prelude::*;
use splitmem_abi::pte;
use splitmem_abi::regs::field::{TE_FLAGS, TE_RESULT};

#[derive(LogicBlock)]
pub struct PteWriter {
    pub insert: Signal<In, Bit>,
    pub unmap: Signal<In, Bit>,
    pub collect: Signal<In, Bit>,
    /// TE_FLAGS.
    pub flags: Signal<In, Bits<32>>,
    pub pid: Signal<In, Bits<16>>,
    pub key: Signal<In, Bits<36>>,
    pub frame: Signal<In, Bits<28>>,
    /// The entry that stands there: its READ, and the rest as TE_RESULT reports it.
    pub read: Signal<In, Bit>,
    pub report: Signal<In, Bits<32>>,
    pub entry: Signal<Out, Bits<128>>,
    pub bytes: Signal<Out, Bits<16>>,

    valid: Signal<Local, Bit>,
    dying: Signal<Local, Bit>,
    can_read: Signal<Local, Bit>,
    can_write: Signal<Local, Bit>,
    shared: Signal<Local, Bit>,
    present: Signal<Local, Bit>,
    new_frame: Signal<Local, Bits<28>>,
    flag_read: Constant<Bits<5>>,
    flag_write: Constant<Bits<5>>,
    flag_shared: Constant<Bits<5>>,
    flag_present: Constant<Bits<5>>,
    old_write: Constant<Bits<5>>,
    old_shared: Constant<Bits<5>>,
    valid_bit: Constant<Bits<7>>,
    dying_bit: Constant<Bits<7>>,
    read_bit: Constant<Bits<7>>,
    write_bit: Constant<Bits<7>>,
    shared_bit: Constant<Bits<7>>,
    present_bit: Constant<Bits<7>>,
    pid_lsb: Constant<Bits<7>>,
    key_lsb: Constant<Bits<7>>,
    frame_lsb: Constant<Bits<7>>,
    flag_bytes: Constant<Bits<16>>,
    all_bytes: Constant<Bits<16>>,
}

impl Default for PteWriter {
    fn default() -> Self {
        with_defaults!(Self {
            flag_read: lsb(TE_FLAGS::READ),
            flag_write: lsb(TE_FLAGS::WRITE),
            flag_shared: lsb(TE_FLAGS::SHARED),
            flag_present: lsb(TE_FLAGS::PRESENT),
            old_write: lsb(TE_RESULT::WRITE),
            old_shared: lsb(TE_RESULT::SHARED),
            valid_bit: constant(pte::VALID_BIT as u64),
            dying_bit: constant(pte::DYING_BIT as u64),
            read_bit: constant(pte::READ_BIT as u64),
            write_bit: constant(pte::WRITE_BIT as u64),
            shared_bit: constant(pte::SHARED_BIT as u64),
            present_bit: constant(pte::PRESENT_BIT as u64),
            pid_lsb: constant(pte::PID_LSB as u64),
            key_lsb: constant(pte::KEY_LSB as u64),
            frame_lsb: constant(pte::FRAME_LSB as u64),
            flag_bytes: constant(pte::FLAGS_MASK as u64),
            all_bytes: constant((1 << pte::PTE_BYTES) - 1),
        } insert unmap collect flags pid key frame read report entry bytes valid dying can_read
          can_write shared present new_frame)
    }
}

impl Logic for PteWriter {
    #[hdl_gen]
    fn update(&mut self) {
        // UNMAP keeps what the entry allowed, for COLLECT to report; the others take the new flags.
        self.valid.next = !self.unmap.val();
        self.dying.next = self.unmap.val();
        self.can_read.next = self.flags.val().get_bit(self.flag_read.val().index());
        self.can_write.next = self.flags.val().get_bit(self.flag_write.val().index());
        if self.unmap.val() {
            self.can_read.next = self.read.val();
            self.can_write.next = self.report.val().get_bit(self.old_write.val().index());
        }
        self.shared.next = self.report.val().get_bit(self.old_shared.val().index());
        if self.insert.val() {
            self.shared.next = self.flags.val().get_bit(self.flag_shared.val().index());
        }
        self.present.next = self.flags.val().get_bit(self.flag_present.val().index());
        self.new_frame.next = 0.into();
        if self.present.val() {
            self.new_frame.next = self.frame.val();
        }
        self.bytes.next = self.flag_bytes.val();
        if self.insert.val() || self.collect.val() {
            self.bytes.next = self.all_bytes.val();
        }
        self.entry.next = 0.into();
        if !self.collect.val() {
            self.entry.next = ((bit_cast::<128, 1>(self.valid.val().into())
                << self.valid_bit.val())
                | (bit_cast::<128, 1>(self.dying.val().into()) << self.dying_bit.val()))
                | ((bit_cast::<128, 1>(self.can_read.val().into()) << self.read_bit.val())
                    | (bit_cast::<128, 1>(self.can_write.val().into()) << self.write_bit.val()))
                | ((bit_cast::<128, 1>(self.shared.val().into()) << self.shared_bit.val())
                    | (bit_cast::<128, 1>(self.present.val().into()) << self.present_bit.val()))
                | ((bit_cast::<128, 16>(self.pid.val()) << self.pid_lsb.val())
                    | (bit_cast::<128, 36>(self.key.val()) << self.key_lsb.val()))
                | (bit_cast::<128, 28>(self.new_frame.val()) << self.frame_lsb.val());
        }
    }
}
