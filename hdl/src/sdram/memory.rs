//! The memory as its user finds it: initialised, tested, and closed for good if the test failed.
//!
//! `ready` goes up when the test passed; before that, and if it fails, no command is taken.
//!
//! Commands and replies pass a register each way between user and controller, because on an FPGA
//! these lie far apart.

use super::controller::Sdram;
use super::self_test::SelfTest;
use super::timing::Cycles;
use crate::relay::Relay;
use rust_hdl::prelude::*;

#[derive(LogicBlock, Default)]
pub struct Memory {
    pub clock: Signal<In, Clock>,
    pub reset: Signal<In, Bit>,
    pub thorough: Signal<In, Bit>,
    pub ready: Signal<Out, Bit>,
    pub failed: Signal<Out, Bit>,
    pub fail_line: Signal<Out, Bits<19>>,
    pub fail_bits: Signal<Out, Bits<16>>,

    pub cmd_valid: Signal<In, Bit>,
    pub cmd_ready: Signal<Out, Bit>,
    pub cmd_write: Signal<In, Bit>,
    pub cmd_tag: Signal<In, Bits<10>>,
    pub cmd_line: Signal<In, Bits<19>>,
    pub cmd_mask: Signal<In, Bits<8>>,
    pub cmd_data: Signal<In, Bits<64>>,
    pub cmd_last: Signal<In, Bit>,
    pub resp_valid: Signal<Out, Bit>,
    pub resp_ready: Signal<In, Bit>,
    pub resp_tag: Signal<Out, Bits<10>>,
    pub resp_data: Signal<Out, Bits<64>>,
    pub resp_last: Signal<Out, Bit>,

    pub cke: Signal<Out, Bit>,
    pub cs_n: Signal<Out, Bit>,
    pub ras_n: Signal<Out, Bit>,
    pub cas_n: Signal<Out, Bit>,
    pub we_n: Signal<Out, Bit>,
    pub ba: Signal<Out, Bits<2>>,
    pub a: Signal<Out, Bits<13>>,
    pub dqm: Signal<Out, Bits<2>>,
    pub dq_out: Signal<Out, Bits<16>>,
    pub dq_drive: Signal<Out, Bit>,
    pub dq_in: Signal<In, Bits<16>>,

    sdram: Sdram,
    test: SelfTest,
    open: DFF<Bit>,
    /// `[63:0]` data, `[71:64]` mask, `[90:72]` line, `[100:91]` tag, `[101]` write, `[102]` last.
    commands: Relay<Bits<103>>,
    /// `[63:0]` data, `[73:64]` tag, `[74]` last.
    replies: Relay<Bits<75>>,
}

impl Memory {
    pub fn new(cycles: &Cycles) -> Self {
        Self { sdram: Sdram::new(cycles), test: SelfTest::new(), ..Default::default() }
    }

    /// Marks the pins as driven from outside, which RustHDL wants of a top block before it emits.
    pub fn connect_pins(&mut self) {
        self.clock.connect();
        self.reset.connect();
        self.thorough.connect();
        self.cmd_valid.connect();
        self.cmd_write.connect();
        self.cmd_tag.connect();
        self.cmd_line.connect();
        self.cmd_mask.connect();
        self.cmd_data.connect();
        self.cmd_last.connect();
        self.resp_ready.connect();
        self.dq_in.connect();
        self.connect_all();
    }
}

impl Logic for Memory {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, open);
        clock!(self, clock, sdram, test, commands, replies);
        self.sdram.reset.next = self.reset.val();
        self.commands.reset.next = self.reset.val();
        self.replies.reset.next = self.reset.val();
        self.test.reset.next = self.reset.val();
        self.test.start.next = self.sdram.ready.val();
        self.test.thorough.next = self.thorough.val();
        self.open.d.next = self.test.done.val() && !self.test.failed.val();
        self.ready.next = self.open.q.val();
        self.failed.next = self.test.failed.val();
        self.fail_line.next = self.test.fail_line.val();
        self.fail_bits.next = self.test.fail_bits.val();

        self.commands.in_valid.next = self.cmd_valid.val() && self.open.q.val();
        self.cmd_ready.next = self.commands.in_ready.val() && self.open.q.val();
        self.commands.in_data.next = bit_cast::<103, 64>(self.cmd_data.val())
            | (bit_cast::<103, 8>(self.cmd_mask.val()) << 64)
            | (bit_cast::<103, 19>(self.cmd_line.val()) << 72)
            | (bit_cast::<103, 10>(self.cmd_tag.val()) << 91)
            | (bit_cast::<103, 1>(self.cmd_write.val().into()) << 101)
            | (bit_cast::<103, 1>(self.cmd_last.val().into()) << 102);
        self.resp_valid.next = self.replies.out_valid.val();
        self.replies.out_ready.next = self.resp_ready.val();
        self.resp_data.next = self.replies.out_data.val().get_bits::<64>(0);
        self.resp_tag.next = self.replies.out_data.val().get_bits::<10>(64);
        self.resp_last.next = self.replies.out_data.val().get_bit(74);

        // The controller is the test's, then the user's.
        self.test.cmd_ready.next = self.sdram.cmd_ready.val();
        self.test.resp_valid.next = self.sdram.resp_valid.val() && !self.open.q.val();
        self.test.resp_data.next = self.sdram.resp_data.val();
        self.test.resp_last.next = self.sdram.resp_last.val();
        self.sdram.cmd_valid.next = self.test.cmd_valid.val();
        self.sdram.cmd_write.next = self.test.cmd_write.val();
        self.sdram.cmd_tag.next = 0.into();
        self.sdram.cmd_line.next = self.test.cmd_line.val();
        self.sdram.cmd_mask.next = self.test.cmd_mask.val();
        self.sdram.cmd_data.next = self.test.cmd_data.val();
        self.sdram.cmd_last.next = self.test.cmd_last.val();
        self.sdram.resp_ready.next = true;
        self.commands.out_ready.next = self.sdram.cmd_ready.val();
        self.replies.in_valid.next = false;
        self.replies.in_data.next = bit_cast::<75, 64>(self.sdram.resp_data.val())
            | (bit_cast::<75, 10>(self.sdram.resp_tag.val()) << 64)
            | (bit_cast::<75, 1>(self.sdram.resp_last.val().into()) << 74);
        if self.open.q.val() {
            self.sdram.cmd_valid.next = self.commands.out_valid.val();
            self.sdram.cmd_data.next = self.commands.out_data.val().get_bits::<64>(0);
            self.sdram.cmd_mask.next = self.commands.out_data.val().get_bits::<8>(64);
            self.sdram.cmd_line.next = self.commands.out_data.val().get_bits::<19>(72);
            self.sdram.cmd_tag.next = self.commands.out_data.val().get_bits::<10>(91);
            self.sdram.cmd_write.next = self.commands.out_data.val().get_bit(101);
            self.sdram.cmd_last.next = self.commands.out_data.val().get_bit(102);
            self.sdram.resp_ready.next = self.replies.in_ready.val();
            self.replies.in_valid.next = self.sdram.resp_valid.val();
        }

        self.cke.next = self.sdram.cke.val();
        self.cs_n.next = self.sdram.cs_n.val();
        self.ras_n.next = self.sdram.ras_n.val();
        self.cas_n.next = self.sdram.cas_n.val();
        self.we_n.next = self.sdram.we_n.val();
        self.ba.next = self.sdram.ba.val();
        self.a.next = self.sdram.a.val();
        self.dqm.next = self.sdram.dqm.val();
        self.dq_out.next = self.sdram.dq_out.val();
        self.dq_drive.next = self.sdram.dq_drive.val();
        self.sdram.dq_in.next = self.dq_in.val();
        if self.reset.val() {
            self.open.d.next = false;
        }
    }
}
