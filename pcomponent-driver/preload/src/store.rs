//! The memory component of this process.

use pcomponent_driver::backend::model::ModelTransport;
use pcomponent_driver::profile::{Delayed, Profile, ProfileError};
use pcomponent_driver::transparent::served::ServedStore;
use pcomponent_driver::transparent::settings::{RunSettings, PROFILE, SOCKET};
use pcomponent_driver::transparent::{Page, PageStore, StoreError, TransportStore};
use pcomponent_driver::transport::{Expected, TransportError, PAGE_BYTES};
use splitmem_abi::config::HwConfig;

/// The process's number at its component, which is its own.
const PID: u16 = 1;

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The profile cannot be read.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The component cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store that the settings describe.
///
/// # Errors
/// [`Refused`].
pub fn of(settings: &RunSettings) -> Result<Box<dyn PageStore>, Refused> {
    if let (true, Some(folder)) = (settings.served, &settings.folder) {
        return Ok(Box::new(ServedStore::connect(&folder.join(SOCKET))?));
    }
    let profile = profile(settings)?;
    let capacity = (settings.memory / PAGE_BYTES as u64).min(u64::from(u32::MAX)) as u32;
    Ok(Box::new(Model { capacity, profile, store: None }))
}

fn profile(settings: &RunSettings) -> Result<Option<Profile>, ProfileError> {
    let file = settings.folder.as_ref().filter(|_| settings.profile).map(|f| f.join(PROFILE));
    file.map(|file| Profile::named(&file.to_string_lossy())).transpose()
}

/// The golden model, started when the first page has to leave: most processes of a script never need
/// it.
struct Model {
    capacity: u32,
    profile: Option<Profile>,
    store: Option<Box<dyn PageStore>>,
}

impl Model {
    fn store(&mut self) -> Result<&mut dyn PageStore, StoreError> {
        if self.store.is_none() {
            // An eighth more for the component's page table, and what its monitor keeps back.
            let bytes = u64::from(self.capacity) * PAGE_BYTES as u64;
            let bits = (bytes + bytes / 8 + (64 << 20)).next_power_of_two().ilog2();
            let hardware = HwConfig { pa_bits: bits, ..HwConfig::LARGE };
            let transport = ModelTransport::new(hardware)
                .map_err(|error| TransportError::Gone(error.to_string()))?;
            let capacity = self.capacity;
            self.store = Some(match &self.profile {
                Some(profile) => {
                    Box::new(TransportStore::new(Delayed::new(transport, profile), PID, capacity))
                }
                None => Box::new(TransportStore::new(transport, PID, capacity)),
            });
        }
        match &mut self.store {
            Some(store) => Ok(store.as_mut()),
            None => Err(StoreError::Full),
        }
    }
}

impl PageStore for Model {
    fn capacity(&self) -> u32 {
        self.capacity
    }
    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        self.store()?.read(numbers, into)
    }
    fn with_pages(
        &mut self,
        numbers: &[u32],
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, StoreError> {
        self.store()?.with_pages(numbers, take)
    }
    fn stays(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.stays())
    }
    fn expect(&mut self, pages: usize) -> Option<Expected> {
        self.store.as_mut()?.expect(pages)
    }
    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        if pages.is_empty() {
            return Ok(());
        }
        self.store()?.write(pages)
    }
}
