//! The monitor in one piece, where nothing is to be kept apart.

use crate::registers::{Component, System};
use crate::{postmortem, power, tables};
use core::convert::Infallible;
use mcomponent_firmware::{Error, Monitor, MonitorConfig};
use splitmem_abi::bus::RegisterBus;
use splitmem_abi::{regs, soc};

/// Runs the monitor.
///
/// # Errors
/// The monitor's.
pub fn run(left: &postmortem::LastWords) -> Result<Infallible, Error> {
    let frames = Some(System.read(&soc::BOARD_FRAMES));
    let config = MonitorConfig { frames, test_memory: true, ..MonitorConfig::default() };
    let layout = config.layout(Component.read(regs::HW_MEMORY.offset)?)?;
    // SAFETY: this runs once.
    let tables = unsafe { tables::take(&layout) }?;
    let recovers = Monitor::<Component, power::Sleeper>::in_use(&mut Component)?;
    let mut monitor = if recovers {
        Monitor::recover(Component, power::Sleeper, tables, &config)?
    } else {
        Monitor::boot(Component, power::Sleeper, tables, &config)?
    };
    monitor.set_post_mortem(left.record, left.text);
    crate::ready(layout.frames(), layout.log2_buckets(), recovers);
    loop {
        power::feed();
        let activity = monitor.poll()?;
        if let Some(code) = activity.answered {
            crate::answered(code as u32);
        }
        if activity.may_sleep {
            power::sleep();
        }
    }
}
