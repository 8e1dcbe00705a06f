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
        Self::catch(false)
    }

    /// Catches Ctrl-C, and requests to terminate, for work that must undo what it has set up: however
    /// often they come, they only raise the flag.
    pub fn install_patient() -> Self {
        Self::catch(true)
    }

    fn catch(patient: bool) -> Self {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let caught = ctrlc::set_handler(move || {
            let again = flag.0.swap(true, Ordering::Relaxed);
            match (again, patient) {
                (true, false) => std::process::exit(130),
                (false, false) => eprintln!("\nsplitmem: stopping (once more to stop at once)"),
                (_, true) => eprintln!("\nsplitmem: stopping, and undoing what was set up"),
            }
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
