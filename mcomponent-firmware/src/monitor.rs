//! The monitor whole: its three parts, in one piece of memory.

use crate::allocator::{Allocator, FrameAccounts, MonitorConfig};
use crate::error::Error;
use crate::hal::Wait;
use crate::layout::{Layout, MonitorTables};
use crate::mailbox::{Mailbox, Services, Traffic};
use crate::telemetry::Telemetry;
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::mailbox::{Command, Payload, PostMortem, ReturnCode, POST_MORTEM_TEXT};
use splitmem_abi::regs;
use splitmem_abi::regs::field::{IRQ_STATUS, MB_DOORBELL};

/// What one [`Monitor::poll`] found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// The interrupt causes that stood, as in `IRQ_STATUS`.
    pub causes: u32,
    /// What a command was answered, if there was one.
    pub answered: Option<ReturnCode>,
    /// Nothing is left to do until the interrupt line is high: the caller may sleep.
    pub may_sleep: bool,
}

/// The memory monitor of one component. See the crate's documentation.
///
/// Where its parts are to be kept apart, a binary uses them itself: [`Mailbox`], [`Allocator`],
/// [`Telemetry`].
#[derive(Debug)]
pub struct Monitor<'a, B, W> {
    mailbox: Mailbox,
    allocator: Allocator<'a, B, W>,
    telemetry: Telemetry,
}

/// What the mailbox's commands are carried out by, here.
struct Parts<'m, 'a, B, W> {
    allocator: &'m mut Allocator<'a, B, W>,
    telemetry: &'m mut Telemetry,
}

impl<B: RegisterBus, W: Wait> Services for Parts<'_, '_, B, W> {
    fn allocate(
        &mut self,
        command: Command,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        self.allocator.execute(command, payload)
    }

    fn tell(
        &mut self,
        question: Command,
        traffic: Traffic,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        let vitals = self.allocator.vitals();
        self.telemetry.answer(self.allocator.bus(), question, traffic, vitals, payload)
    }
}

impl<'a, B: RegisterBus, W: Wait> Monitor<'a, B, W> {
    fn whole(allocator: Allocator<'a, B, W>) -> Self {
        let telemetry = Telemetry::new(allocator.has_statistics());
        Self { mailbox: Mailbox::new(), allocator, telemetry }
    }

    /// Takes a component that was just reset into use, see [`Allocator::boot`].
    ///
    /// # Errors
    /// Those of [`Allocator::boot`].
    pub fn boot(
        bus: B,
        wait: W,
        tables: MonitorTables<'a>,
        config: &MonitorConfig,
    ) -> Result<Self, Error> {
        Allocator::boot(bus, wait, tables, config).map(Self::whole)
    }

    /// Takes over a component in use, see [`Allocator::recover`].
    ///
    /// # Errors
    /// Those of [`Allocator::recover`].
    pub fn recover(
        bus: B,
        wait: W,
        tables: MonitorTables<'a>,
        config: &MonitorConfig,
    ) -> Result<Self, Error> {
        Allocator::recover(bus, wait, tables, config).map(Self::whole)
    }

    /// Whether the component is in use: then [`Self::recover`] is the way to start, else
    /// [`Self::boot`].
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn in_use(bus: &mut B) -> Result<bool, Error> {
        Allocator::<B, W>::in_use(bus)
    }

    /// What the monitor before this one left when it failed: the host may ask for it.
    pub fn set_post_mortem(&mut self, record: PostMortem, text: [u32; POST_MORTEM_TEXT]) {
        self.telemetry.set_post_mortem(record, text);
    }

    /// Takes care of everything that stands: refills the free lists and answers the mailbox. To be
    /// called when the interrupt line is high (or now and then, without interrupts).
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`]. A command is answered `Internal` first if the mailbox
    /// can still be reached.
    pub fn poll(&mut self) -> Result<Activity, Error> {
        let tended = self.allocator.tend()?;
        let rung = MB_DOORBELL::BUSY.get(self.bus().read(regs::MB_DOORBELL.offset)?) == 1;
        if !rung {
            // The doorbell's own cause may still stand if a reply was all that was missing.
            let may_sleep = tended.idle && IRQ_STATUS::DOORBELL.get(tended.causes) == 0;
            return Ok(Activity { causes: tended.causes, answered: None, may_sleep });
        }
        let answered = Some(self.answer()?);
        Ok(Activity { causes: tended.causes, answered, may_sleep: false })
    }

    /// Answers the command in the mailbox.
    fn answer(&mut self) -> Result<ReturnCode, Error> {
        let Self { mailbox, allocator, telemetry } = self;
        let command = mailbox.read(allocator.bus())?;
        let result = mailbox.handle(command, &mut Parts { allocator, telemetry });
        let (code, length) = result.unwrap_or((ReturnCode::Internal, 0));
        mailbox.write(allocator.bus(), code, length)?;
        allocator.conclude()?;
        allocator.bus().write(regs::MB_DOORBELL.offset, MB_DOORBELL::BUSY.put(1))?;
        result.map(|_| code)
    }

    /// Carries out the command that stands in `payload`, and puts the reply there. Gives the return
    /// code and the reply's bytes (none unless it is `Success`). Every opcode, length and payload
    /// has a defined return code; [`Monitor::poll`] does this with what the host left in the mailbox.
    ///
    /// # Errors
    /// [`Error::Bus`] and [`Error::Stuck`].
    pub fn handle(
        &mut self,
        opcode: u16,
        length: u16,
        payload: &mut Payload,
    ) -> Result<(ReturnCode, u16), Error> {
        let Self { mailbox, allocator, telemetry } = self;
        mailbox.handle_words((opcode, length), payload, &mut Parts { allocator, telemetry })
    }

    /// How the component's memory is divided.
    pub fn layout(&self) -> Layout {
        self.allocator.layout()
    }

    /// Where the frames are now.
    ///
    /// # Errors
    /// [`Error::Bus`].
    pub fn accounts(&mut self) -> Result<FrameAccounts, Error> {
        self.allocator.accounts()
    }

    /// How often the hardware did what its contract forbids, see [`Allocator::anomalies`].
    pub fn anomalies(&self) -> u32 {
        self.allocator.anomalies()
    }

    /// The registers' bus, for what is beyond the monitor.
    pub fn bus(&mut self) -> &mut B {
        self.allocator.bus()
    }
}
