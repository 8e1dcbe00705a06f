//! Ctrl-C as a flag: long work looks at it and stops at a safe point.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use crate::error::CliError;

/// Whether Ctrl-C was pressed. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches Ctrl-C from now on: the first one raises the flag, a second one ends the program at
    /// once (exit code 130). To be called once; a command that never looks at the flag should not
    /// call it, so that Ctrl-C simply ends it.
    pub fn install() -> Self {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let caught = ctrlc::set_handler(move || {
            if flag.0.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("\nsplitmem: stopping (once more to stop at once)");
        });
        if let Err(error) = caught {
            // Without the handler Ctrl-C still ends the program, only less politely.
            eprintln!("splitmem: Ctrl-C will stop the program at once: {error}");
        }
        interrupt
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises the flag, as Ctrl-C does.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails once Ctrl-C was pressed.
    ///
    /// # Errors
    /// [`CliError::Interrupted`].
    pub fn check(&self) -> Result<(), CliError> {
        if self.is_raised() {
            Err(CliError::Interrupted)
        } else {
            Ok(())
        }
    }
}
