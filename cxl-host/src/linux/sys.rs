//! The two system calls behind the bindings; with `dax`, the only unsafe code of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// `CXL_MEM_QUERY_COMMANDS`.
const QUERY: libc::c_ulong = 0x8008_ce01;
/// `CXL_MEM_SEND_COMMAND`.
const SEND: libc::c_ulong = 0xc030_ce02;

/// `struct cxl_command_info` (include/uapi/linux/cxl_mem.h).
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct CommandInfo {
    pub id: u32,
    pub flags: u32,
    pub size_in: u32,
    pub size_out: u32,
}

/// `struct cxl_send_command`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SendCommand {
    id: u32,
    flags: u32,
    /// Of a raw command only.
    opcode: u16,
    reserved: u16,
    retval: u32,
    in_size: i32,
    in_reserved: u32,
    in_payload: u64,
    out_size: i32,
    out_reserved: u32,
    out_payload: u64,
}

const _: () = assert!(size_of::<SendCommand>() == 48 && size_of::<CommandInfo>() == 16);

/// Commands that the kernel lets through.
pub(super) fn query(device: &File) -> io::Result<Vec<CommandInfo>> {
    // `struct cxl_mem_query_commands`: a count, a reserved word, the commands.
    let mut count = [0u32; 2];
    // SAFETY: QUERY with a count of 0 writes only the count, which `count` holds; the descriptor is
    // open for the whole call.
    if unsafe { libc::ioctl(device.as_raw_fd(), QUERY as _, count.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // The header is half as long as a command: one place more holds it.
    let known = count[0].min(1024);
    let mut buffer = vec![CommandInfo::default(); known as usize + 1];
    let words = buffer.as_mut_ptr().cast::<u32>();
    // SAFETY: `buffer` has at least the 8 bytes of the header and is aligned for u32.
    unsafe { words.write(known) };
    // SAFETY: the kernel writes at most `known` commands of 16 bytes behind the 8 of the header, and
    // `buffer` has room for them; the descriptor is open for the whole call.
    if unsafe { libc::ioctl(device.as_raw_fd(), QUERY as _, words) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `buffer` holds that many words, all of them initialised.
    let all = unsafe { std::slice::from_raw_parts(words, 4 * (known as usize + 1)) };
    let read = known.min(all[0]) as usize;
    Ok(all[2..2 + 4 * read]
        .chunks_exact(4)
        .map(|w| CommandInfo { id: w[0], flags: w[1], size_in: w[2], size_out: w[3] })
        .collect())
}

/// Sends a command; gives the device's return code and the bytes that it answered.
pub(super) fn send(
    device: &File,
    id: u32,
    opcode: u16,
    input: &[u8],
    most: usize,
) -> io::Result<(u32, Vec<u8>)> {
    let mut output = vec![0u8; most];
    let mut command = SendCommand {
        id,
        opcode,
        in_size: i32::try_from(input.len()).unwrap_or(i32::MAX),
        in_payload: if input.is_empty() { 0 } else { input.as_ptr() as u64 },
        out_size: i32::try_from(most).unwrap_or(i32::MAX),
        out_payload: if most == 0 { 0 } else { output.as_mut_ptr() as u64 },
        ..SendCommand::default()
    };
    // SAFETY: SEND reads `in_size` bytes at `in_payload` and writes at most `out_size` ones at
    // `out_payload`; both buffers are that long and outlive the call, as does the descriptor.
    if unsafe { libc::ioctl(device.as_raw_fd(), SEND as _, &mut command) } < 0 {
        return Err(io::Error::last_os_error());
    }
    output.truncate(usize::try_from(command.out_size).unwrap_or(0));
    Ok((command.retval, output))
}
