//! The memory component of this process.

use pcomponent_driver::backend::model::ModelTransport;
use pcomponent_driver::transparent::settings::RunSettings;
use pcomponent_driver::transparent::{Page, PageStore, StoreError, TransportStore};
use pcomponent_driver::transport::{TransportError, PAGE_BYTES};
use splitmem_abi::config::HwConfig;

/// The process's number at its component, which is its own.
const PID: u16 = 1;

/// The store that the settings describe.
pub fn of(settings: &RunSettings) -> Box<dyn PageStore> {
    let capacity = (settings.memory / PAGE_BYTES as u64).min(u64::from(u32::MAX)) as u32;
    Box::new(Model { capacity, store: None })
}

/// The golden model, started when the first page has to leave: most processes of a script never need
/// it.
struct Model {
    capacity: u32,
    store: Option<TransportStore<ModelTransport>>,
}

impl Model {
    fn store(&mut self) -> Result<&mut TransportStore<ModelTransport>, StoreError> {
        if self.store.is_none() {
            // An eighth more for the component's page table, and what its monitor keeps back.
            let bytes = u64::from(self.capacity) * PAGE_BYTES as u64;
            let bits = (bytes + bytes / 8 + (64 << 20)).next_power_of_two().ilog2();
            let hardware = HwConfig { pa_bits: bits, ..HwConfig::LARGE };
            let transport = ModelTransport::new(hardware)
                .map_err(|error| TransportError::Gone(error.to_string()))?;
            self.store = Some(TransportStore::new(transport, PID, self.capacity));
        }
        self.store.as_mut().ok_or(StoreError::Full)
    }
}

impl PageStore for Model {
    fn capacity(&self) -> u32 {
        self.capacity
    }
    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        self.store()?.read(numbers, into)
    }
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        if pages.is_empty() {
            return Ok(());
        }
        self.store()?.write(pages)
    }
}
