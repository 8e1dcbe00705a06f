//! A component in another process: [`ServedStore`] reaches it through a socket, [`Server`] is the other
//! end.
//!
//! Each connection is one process's memory. Numbers are little-endian.
//!
//! | sent | answered |
//! | --- | --- |
//! | hello: `u64`, 0 or what *keep* gave | `u64`: pages that there is room for; 0: refused |
//! | `u32` 1 (read), `u32` n, n times `u32` number | ok, n pages |
//! | `u32` 2 (write), `u32` n, n times `u32` number, n pages | ok |
//! | `u32` 3 (keep), `u32` 0 | ok, `u64`: names the memory as it is now, for a child's hello |
//!
//! *Ok* is two words of `u32`: 0 and 0. Anything else is an error: 1 the component is full, 2 it is lost,
//! followed by the length of a message and the message.
//!
//! A page that a process and its child share stands in the component once, until one writes it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::store::{Page, PageStore, StoreError};
use super::sys;
use crate::transport::{TransportError, PAGE_BYTES};

const READ: u32 = 1;
const WRITE: u32 = 2;
const KEEP: u32 = 3;

const OK: u32 = 0;
const FULL: u32 = 1;
const LOST: u32 = 2;

/// Most pages in one request.
const PAGES: usize = 1024;
/// Longest message that is taken from the other end.
const MESSAGE: usize = 1 << 10;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn read_u32(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u64(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn gone(error: &io::Error) -> StoreError {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let why = match error.kind() {
        UnexpectedEof | BrokenPipe | ConnectionReset => "its socket was closed".to_owned(),
        // Not the C library's words: for these it looks into the environment, which may be in the very
        // memory that is gone.
        kind if error.raw_os_error().is_some() => kind.to_string(),
        _ => error.to_string(),
    };
    TransportError::Gone(why).into()
}

/// Pages in a component that another process serves.
pub struct ServedStore {
    path: PathBuf,
    socket: UnixStream,
    capacity: u32,
}

impl ServedStore {
    /// Connects to a server, with memory of which nothing was written.
    ///
    /// # Errors
    /// [`StoreError::Transport`] if nobody serves there.
    pub fn connect(path: &Path) -> Result<Self, StoreError> {
        let (socket, capacity) = Self::hello(path, 0).map_err(|error| gone(&error))?;
        Ok(Self { path: path.to_owned(), socket, capacity })
    }

    fn hello(path: &Path, token: u64) -> io::Result<(UnixStream, u32)> {
        let mut socket = UnixStream::connect(path)?;
        socket.write_all(&token.to_le_bytes())?;
        match read_u64(&mut socket)? {
            0 => Err(io::Error::other("it refused the connection")),
            capacity => Ok((socket, capacity.min(u64::from(u32::MAX)) as u32)),
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = sys::send_all(self.socket.as_raw_fd(), bytes);
        sent.map_err(|errno| io::Error::from_raw_os_error(errno.0))
    }

    fn ask(&mut self, request: &[u8], mut pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        let mut exchange = || -> io::Result<Result<(), StoreError>> {
            self.send(request)?;
            while let [(_, page), rest @ ..] = pages {
                self.send(&page.0)?;
                pages = rest;
            }
            let mut socket = &self.socket;
            let (status, len) = (read_u32(&mut socket)?, read_u32(&mut socket)?);
            let mut message = vec![0; (len as usize).min(MESSAGE)];
            socket.read_exact(&mut message)?;
            let text = || String::from_utf8_lossy(&message).into_owned();
            Ok(match status {
                OK => Ok(()),
                FULL => Err(StoreError::Full),
                _ => Err(TransportError::Gone(text()).into()),
            })
        };
        exchange().unwrap_or_else(|error| Err(gone(&error)))
    }
}

impl PageStore for ServedStore {
    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
        for (numbers, into) in numbers.chunks(PAGES).zip(into.chunks_mut(PAGES)) {
            self.ask(&words(&[&[READ, numbers.len() as u32], numbers].concat()), &[])?;
            for page in into {
                self.socket.read_exact(&mut page.0).map_err(|error| gone(&error))?;
            }
        }
        Ok(())
    }

    fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        for pages in pages.chunks(PAGES) {
            let mut request = words(&[WRITE, pages.len() as u32]);
            pages.iter().for_each(|(number, _)| request.extend(number.to_le_bytes()));
            self.ask(&request, pages)?;
        }
        Ok(())
    }

    fn before_fork(&mut self) -> Result<u64, StoreError> {
        self.ask(&words(&[KEEP, 0]), &[])?;
        read_u64(&mut self.socket).map_err(|error| gone(&error))
    }

    fn after_fork(&mut self, token: u64) -> Result<(), StoreError> {
        let (socket, _) = Self::hello(&self.path, token).map_err(|error| gone(&error))?;
        self.socket = socket;
        Ok(())
    }
}

/// A page that no process has there.
const NOWHERE: u32 = u32::MAX;

/// What all connections share.
struct Shared {
    store: Box<dyn PageStore>,
    /// How many pages of processes stand in each page of the store.
    uses: Vec<u32>,
    free: Vec<u32>,
    kept: HashMap<u64, Vec<u32>>,
    tokens: u64,
}

impl Shared {
    fn read(&mut self, table: &[u32], numbers: &[u32]) -> Result<Vec<Page>, StoreError> {
        let place = |number: &u32| table.get(*number as usize).copied().filter(|at| *at != NOWHERE);
        let places: Option<Vec<u32>> = numbers.iter().map(place).collect();
        let never = || TransportError::Protocol("a page that was never written was read".into());
        let places = places.ok_or_else(never)?;
        let mut pages = vec![Page::ZERO; places.len()];
        self.store.read(&places, &mut pages)?;
        Ok(pages)
    }

    fn write(&mut self, table: &mut Vec<u32>, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
        let mut placed = Vec::with_capacity(pages.len());
        for (number, page) in pages {
            let number = *number as usize;
            if number >= self.store.capacity() as usize {
                return Err(StoreError::Full);
            }
            if table.len() <= number {
                table.resize(number + 1, NOWHERE);
            }
            let old = table[number];
            if old == NOWHERE || self.uses[old as usize] > 1 {
                let new = self.take()?;
                self.release(old);
                table[number] = new;
            }
            placed.push((table[number], *page));
        }
        self.store.write(&placed)
    }

    fn take(&mut self) -> Result<u32, StoreError> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.uses.len() < self.store.capacity() as usize => {
                self.uses.push(0);
                self.uses.len() as u32 - 1
            }
            None => return Err(StoreError::Full),
        };
        self.uses[place as usize] = 1;
        Ok(place)
    }

    fn release(&mut self, place: u32) {
        if place != NOWHERE {
            let uses = &mut self.uses[place as usize];
            *uses -= 1;
            if *uses == 0 {
                self.free.push(place);
            }
        }
    }

    fn keep(&mut self, table: &[u32]) -> u64 {
        table.iter().filter(|at| **at != NOWHERE).for_each(|at| self.uses[*at as usize] += 1);
        self.tokens += 1;
        self.kept.insert(self.tokens, table.to_vec());
        self.tokens
    }
}

/// Serves a store to the processes that connect, until dropped.
pub struct Server {
    path: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves at the path of a new socket.
    ///
    /// # Errors
    /// The socket's.
    pub fn start(path: &Path, store: Box<dyn PageStore>) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let (uses, free, kept) = (Vec::new(), Vec::new(), HashMap::new());
        let shared = Arc::new(Mutex::new(Shared { store, uses, free, kept, tokens: 0 }));
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(socket), shared) = (socket, Arc::clone(&shared)) else { continue };
                // It ends with its connection.
                std::thread::spawn(move || connection(socket, &shared));
            }
        });
        Ok(Self { path: path.to_owned(), over, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that it looks.
        if UnixStream::connect(&self.path).is_ok() {
            let _ = self.thread.take().map(JoinHandle::join);
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One process, to its end, or the first thing that it says wrong.
fn connection(mut socket: UnixStream, shared: &Mutex<Shared>) {
    let mut table = Vec::new();
    let _ = converse(&mut socket, shared, &mut table);
    let mut shared = locked(shared);
    table.into_iter().for_each(|place| shared.release(place));
}

fn converse(
    socket: &mut UnixStream,
    shared: &Mutex<Shared>,
    table: &mut Vec<u32>,
) -> io::Result<()> {
    let wrong = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    let token = read_u64(socket)?;
    let capacity = {
        let mut shared = locked(shared);
        match shared.kept.remove(&token) {
            Some(kept) => *table = kept,
            None if token == 0 => {}
            None => return socket.write_all(&0u64.to_le_bytes()),
        }
        u64::from(shared.store.capacity())
    };
    socket.write_all(&capacity.to_le_bytes())?;
    loop {
        let (op, count) = (read_u32(socket)?, read_u32(socket)? as usize);
        if count > PAGES {
            return wrong("too many pages");
        }
        let numbers: Vec<u32> = (0..count).map(|_| read_u32(socket)).collect::<Result<_, _>>()?;
        let mut pages = vec![Page::ZERO; if op == WRITE { count } else { 0 }];
        pages.iter_mut().try_for_each(|page| socket.read_exact(&mut page.0))?;
        let done = match op {
            READ => locked(shared).read(table, &numbers).map(|read| {
                pages = read;
                Vec::new()
            }),
            WRITE => {
                let pairs: Vec<_> = numbers.iter().copied().zip(pages.iter()).collect();
                let written = locked(shared).write(table, &pairs);
                pages.clear();
                written.map(|()| Vec::new())
            }
            KEEP => Ok(locked(shared).keep(table).to_le_bytes().to_vec()),
            _ => return wrong("no such request"),
        };
        let mut answer = Vec::with_capacity(8 + pages.len() * PAGE_BYTES);
        match done {
            Ok(more) => {
                answer.extend(words(&[OK, 0]));
                answer.extend(more);
                pages.iter().for_each(|page| answer.extend(page.0));
            }
            Err(StoreError::Full) => answer.extend(words(&[FULL, 0])),
            Err(error) => {
                let mut message = error.to_string().into_bytes();
                message.truncate(MESSAGE);
                answer.extend(words(&[LOST, message.len() as u32]));
                answer.extend(message);
            }
        }
        socket.write_all(&answer)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain(Vec<Page>);

    impl PageStore for Plain {
        fn capacity(&self) -> u32 {
            self.0.len() as u32
        }
        fn read(&mut self, numbers: &[u32], into: &mut [Page]) -> Result<(), StoreError> {
            numbers.iter().zip(into).for_each(|(n, page)| *page = self.0[*n as usize]);
            Ok(())
        }
        fn write(&mut self, pages: &[(u32, &Page)]) -> Result<(), StoreError> {
            pages.iter().for_each(|(n, page)| self.0[*n as usize] = **page);
            Ok(())
        }
    }

    fn page(byte: u8) -> Page {
        Page([byte; PAGE_BYTES])
    }

    fn read(store: &mut ServedStore, number: u32) -> u8 {
        let mut pages = [Page::ZERO];
        store.read(&[number], &mut pages).unwrap();
        assert!(pages[0].0.iter().all(|byte| *byte == pages[0].0[0]));
        pages[0].0[0]
    }

    #[test]
    fn a_child_has_what_its_parent_had_and_each_its_own_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("component");
        let server = Server::start(&path, Box::new(Plain(vec![Page::ZERO; 3]))).unwrap();
        let mut parent = ServedStore::connect(&path).unwrap();
        assert_eq!(parent.capacity(), 3);
        parent.write(&[(0, &page(1)), (2, &page(2))]).unwrap();
        let token = parent.before_fork().unwrap();
        parent.write(&[(0, &page(3))]).unwrap();
        let mut child = ServedStore::connect(&path).unwrap();
        child.after_fork(token).unwrap();
        assert_eq!((read(&mut parent, 0), read(&mut parent, 2)), (3, 2));
        assert_eq!((read(&mut child, 0), read(&mut child, 2)), (1, 2));
        // Three pages stand in the component: there is no room for a fourth.
        assert!(matches!(child.write(&[(2, &page(4))]), Err(StoreError::Full)));
        drop(parent);
        // What only the parent had is free once its end was seen.
        let written = (0..2000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            child.write(&[(2, &page(4))]).is_ok()
        });
        assert!(written);
        assert_eq!((read(&mut child, 0), read(&mut child, 2)), (1, 4));
        assert!(child.after_fork(token).is_err(), "it was given already");
        drop(server);
        assert!(ServedStore::connect(&path).is_err());
    }
}
