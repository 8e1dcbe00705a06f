//! The memory monitor beside the driver: the firmware's own code in a thread of the host, which
//! reaches the component through the link's registers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{bounded, Receiver};
use mcomponent_firmware::{
    Error, Monitor, MonitorConfig, MonitorTables, Record, SharedFrame, Wait, Waiting,
};
use splitmem_abi::bus::{BusError, RegisterBus};
use splitmem_abi::regs::HW_MEMORY;

use super::engine::SerialBus;
use crate::transport::TransportError;

/// How long the monitor sleeps when no answer says that its interrupt is up.
const NAP: Duration = Duration::from_millis(5);
/// Ranges of addresses, and shareable frames, that it can remember.
const RECORDS: usize = 4096;
const SHARES: usize = 1 << 14;

/// The monitor's thread. Dropping it ends the thread.
pub struct MonitorThread {
    stop: Arc<AtomicBool>,
    failed: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl MonitorThread {
    /// Boots the monitor, and leaves it running.
    ///
    /// # Errors
    /// [`TransportError::Gone`] with what the monitor says.
    pub fn boot(
        bus: SerialBus,
        irq: Receiver<()>,
        config: MonitorConfig,
    ) -> Result<Self, TransportError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, failed) = bounded(1);
        let (tell_booted, booted) = bounded(1);
        let stopped = Arc::clone(&stop);
        let thread =
            std::thread::Builder::new().name("memory-monitor".to_owned()).spawn(move || {
                let booted = || {
                    // Nobody waits any more: then nobody needs to know.
                    let _ = tell_booted.send(());
                };
                if let Err(error) = serve(bus, &irq, config, &stopped, booted) {
                    let _ = tell.send(error.to_string());
                }
            });
        let thread = thread.map_err(|e| TransportError::Gone(format!("no thread: {e}")))?;
        let mut monitor = Self { stop, failed, thread: Some(thread) };
        if booted.recv().is_err() {
            let why = monitor.failure().unwrap_or_else(|| "its thread died".to_owned());
            return Err(TransportError::Gone(format!("its monitor did not start: {why}")));
        }
        Ok(monitor)
    }

    /// Why it stopped, if it did.
    pub fn failure(&mut self) -> Option<String> {
        self.failed.recv_timeout(Duration::ZERO).ok().or_else(|| {
            // A thread that is about to end says why just before.
            let over = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
            over.then(|| self.failed.recv().unwrap_or_else(|_| "it was told to".to_owned()))
        })
    }
}

impl Drop for MonitorThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told when it happened.
            let _ = thread.join();
        }
    }
}

/// A register access over the wire takes longer than what is waited for: looking again is enough.
struct LookAgain;

impl Wait for LookAgain {
    fn wait(&mut self, _: Waiting) {}
}

fn serve(
    mut bus: SerialBus,
    irq: &Receiver<()>,
    config: MonitorConfig,
    stop: &AtomicBool,
    booted: impl FnOnce(),
) -> Result<(), Error> {
    let layout = config.layout(bus.read(HW_MEMORY.offset)?)?;
    let (mut frames, mut buckets) = (vec![0; layout.frame_words()], vec![0; layout.bucket_words()]);
    let (mut records, mut shares) =
        (vec![Record::EMPTY; RECORDS], vec![SharedFrame::EMPTY; SHARES]);
    let tables = MonitorTables {
        frames: &mut frames,
        buckets: &mut buckets,
        records: &mut records,
        shares: &mut shares,
        // Nothing of the host outlives this thread: there is nothing to recover from.
        journal: &mut [],
    };
    let mut monitor = Monitor::boot(bus, LookAgain, tables, &config)?;
    // The first poll fills the free lists before the host is let in.
    while !monitor.poll()?.may_sleep {}
    booted();
    while !stop.load(Ordering::Relaxed) {
        match monitor.poll() {
            Ok(progress) if progress.may_sleep => {
                let _ = irq.recv_timeout(NAP);
            }
            Ok(_) => {}
            // The driver went first.
            Err(Error::Bus(BusError::Gone)) if stop.load(Ordering::Relaxed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
