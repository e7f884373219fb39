//! Packets as bytes; the head of `launch` has the table.

use raddle_sys::memory::Memory;
use raddle_sys::pidfd::Exit;
use raddle_sys::socket;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

pub(super) const PREPARE: u32 = 1;
pub(super) const FORK: u32 = 2;
pub(super) const KILL: u32 = 3;

pub(super) const READY: u32 = 17;
pub(super) const FORKED: u32 = 18;
pub(super) const REFUSED: u32 = 19;
pub(super) const ENDED: u32 = 20;
pub(super) const FAILED: u32 = 21;

const HEADER: usize = 24;
/// No packet is longer.
const LARGEST: usize = 64 * 1024;
/// Longer bodies stand in a memory file, so that a dozen orders find room in the socket's buffer.
const LONGEST_BODY: usize = 16 * 1024;
const IN_MEMORY: u32 = 1;

/// A packet as it was received.
pub(super) struct Packet {
    pub(super) kind: u32,
    pub(super) number: u32,
    pub(super) ticket: u64,
    pub(super) pid: u32,
    pub(super) text: String,
    pub(super) fds: Vec<OwnedFd>,
    /// How many descriptors were sent. The system drops those for which this process has no room.
    pub(super) expected: u32,
}

/// What came, or why nothing did.
pub(super) enum Received {
    Packet(Packet),
    Nothing,
    End,
}

/// Sends one request.
pub(super) fn send(
    to: BorrowedFd<'_>,
    (kind, ticket, pid): (u32, u64, u32),
    body: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let memory = (body.len() > LONGEST_BODY).then(|| in_memory(body)).transpose()?;
    let (flags, body) = if memory.is_some() { (IN_MEMORY, &[][..]) } else { (0, body) };
    let fds: Vec<BorrowedFd<'_>> = fds.iter().copied().chain(memory.as_ref().map(Memory::fd)).collect();
    let count = u32::try_from(fds.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let mut packet = Vec::with_capacity(HEADER + body.len());
    packet.extend(kind.to_le_bytes());
    packet.extend(flags.to_le_bytes());
    packet.extend(ticket.to_le_bytes());
    packet.extend(pid.to_le_bytes());
    packet.extend(count.to_le_bytes());
    packet.extend(body);
    socket::send(to, &packet, &fds)
}

fn in_memory(body: &[u8]) -> io::Result<Memory> {
    let memory = Memory::new("raddle-order", body.len())?;
    File::from(memory.fd().try_clone_to_owned()?).write_all(body)?;
    Ok(memory)
}

/// Receives one report, without waiting.
pub(super) fn receive(from: BorrowedFd<'_>) -> io::Result<Received> {
    let mut buffer = vec![0; LARGEST];
    let mut received = socket::receive(from, &mut buffer);
    if received.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) {
        // The other end was closed with messages unread. The system says so once, before what that end had sent.
        received = socket::receive(from, &mut buffer);
    }
    let (len, fds) = match received {
        Ok((0, _)) => return Ok(Received::End),
        Ok(received) => received,
        Err(error) => {
            return match error.kind() {
                ErrorKind::WouldBlock => Ok(Received::Nothing),
                ErrorKind::ConnectionReset => Ok(Received::End),
                _ => Err(error),
            };
        }
    };
    let Some((header, text)) = buffer[..len].split_at_checked(HEADER) else {
        return Err(io::Error::new(ErrorKind::InvalidData, "the zygote sent something too short"));
    };
    let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    Ok(Received::Packet(Packet {
        kind: number(0),
        number: number(4),
        ticket: u64::from_le_bytes(header[8..16].try_into().expect("eight bytes")),
        pid: number(16),
        text: String::from_utf8_lossy(text).into_owned(),
        fds,
        expected: number(20),
    }))
}

/// What a wait status means, as waitpid gives it for a process that has ended.
pub(super) fn exit(status: u32) -> Exit {
    let byte = |shift: u32| i32::from((status >> shift).to_le_bytes()[0]);
    match byte(0) & 0x7f {
        0 => Exit::Code(byte(8)),
        signal => Exit::Signal(signal),
    }
}
