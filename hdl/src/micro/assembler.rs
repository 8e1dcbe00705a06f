//! From steps with names to the words of the control store.

use super::word::{Step, TARGET_BITS};
use std::collections::HashMap;

/// Collects steps; whoever names a step twice, or goes to a name that no step has, is told by a panic
/// when the hardware is emitted.
#[derive(Default)]
pub struct Assembler {
    steps: Vec<Step>,
    names: HashMap<&'static str, u16>,
}

impl Assembler {
    /// Names the step that comes next.
    pub fn name(&mut self, name: &'static str) {
        let old = self.names.insert(name, self.steps.len() as u16);
        assert!(old.is_none(), "two steps are named {name}");
    }

    /// Adds steps.
    pub fn steps<const N: usize>(&mut self, steps: [Step; N]) {
        self.steps.extend(steps);
    }

    /// Adds steps of which the first is named.
    pub fn named<const N: usize>(&mut self, name: &'static str, steps: [Step; N]) {
        self.name(name);
        self.steps(steps);
    }

    /// Where a name stands.
    pub fn address(&self, name: &str) -> u16 {
        *self.names.get(name).unwrap_or_else(|| panic!("no step is named {name}"))
    }

    /// The control store's words.
    pub fn words(&self) -> Vec<u64> {
        assert!(self.steps.len() <= 1 << TARGET_BITS, "{} steps", self.steps.len());
        let target = |step: &Step| step.target.map_or(0, |name| self.address(name));
        self.steps.iter().map(|step| step.encode(target(step))).collect()
    }
}
