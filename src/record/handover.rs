//! How the recorder gets the listener: the process that is about to become COMMAND installs the
//! filter, sends the listener over a socket, and waits until somebody answers.
//!
//! Nobody answers yet when it sends, so the filter lets exactly this one message pass. Root's set-up
//! cannot be looked into: what it is about to execute is in the message too.

use std::ffi::{CStr, CString};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{MsgFlags, recvmsg};
use nix::sys::stat::Mode;
use nix::unistd::getcwd;

use crate::confine::seccomp::program::Program;
use crate::error::{Context, Error, Result};
use crate::kernel::program;
use crate::kernel::sys::{self, Rights, SysResult};
use crate::links::RecorderEnds;
use crate::record::filter::{self, Passage};
use crate::record::wire::Wire;

/// The longest list of paths that is sent.
const LONGEST: usize = 32 * 1024;

/// The byte that says that somebody answers.
pub(crate) const GO: &[u8] = b"g";

/// What is left to do once nothing else is: everything that takes memory is done.
#[derive(Debug)]
pub(crate) struct Ready {
    message: Box<Rights>,
    program: Vec<libc::sock_filter>,
    flags: libc::c_ulong,
    root: OwnedFd,
    mounts: OwnedFd,
    wire: Wire,
}

impl Ready {
    /// Prepares it all for a program that is about to be executed. `every` call is heard of, or
    /// those that name something.
    /// `policies` are those whose refusals are explained.
    pub(crate) fn new(
        ends: RecorderEnds,
        file: &CStr,
        every: bool,
        policies: &[Program],
    ) -> Result<Self> {
        let wire = Wire::from(ends.wire);
        let mounts = ends.mounts.ok_or_else(|| Error::new("Can't record: no mount namespace"))?;
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let root = open(c"/", flags, Mode::empty()).context("Can't open /")?;
        let cwd = getcwd().map(|path| path.into_os_string().into_encoded_bytes());
        let found = program::found(file).map(CString::into_bytes).unwrap_or_default();
        let mut fields = vec![cwd.unwrap_or_default(), found];
        fields.extend(program::places(file).into_iter().map(CString::into_bytes));
        let mut text = fields.join(&0);
        text.truncate(LONGEST);
        let message = Rights::new(text);
        let socket = wire.as_fd().as_raw_fd();
        let passage = Passage { socket, message: message.address() };
        let program = filter::program(every, passage, policies)?;
        let flags = flags_of_kernel()?;
        Ok(Self { message, program, flags, root, mounts, wire })
    }

    /// Hands the listener over. From here on calls wait for the recorder.
    pub(crate) fn hand_over(mut self) -> Result<()> {
        let listener = sys::install_listener(&self.program, self.flags).map_err(failure)?;
        let fds = [listener.as_raw_fd(), self.root.as_raw_fd(), self.mounts.as_raw_fd()];
        match sys::uninterrupted(|| self.message.send(self.wire.as_fd(), fds)) {
            Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(Error::reported()),
            other => other.context("Can't hand the recorder the listener")?,
        }
        // The end instead means that it cannot record, and has said why.
        match self.wire.receive().context("Can't hear from the recorder")? {
            Some(_) => Ok(()),
            None => Err(Error::reported()),
        }
    }
}

fn failure(errno: Errno) -> Error {
    match errno {
        Errno::EBUSY => Error::new(
            "Can't record: this process is supervised already, by the listener of a seccomp filter",
        ),
        other => Error::os("Can't record: installing a seccomp filter with a listener", other),
    }
}

/// The flags that the kernel knows, of those that are wanted.
pub(crate) fn flags_of_kernel() -> Result<libc::c_ulong> {
    let wanted = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | sys::WAIT_KILLABLE;
    let known = sys::knows_filter_flags(wanted).map_err(failure)?;
    Ok(if known { sys::WAIT_KILLABLE } else { 0 })
}

/// What has been handed over.
#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(crate) listener: OwnedFd,
    /// Its mount namespace: without anybody who holds it the mounts would be gone with COMMAND.
    _mounts: OwnedFd,
    /// COMMAND's working directory.
    pub(crate) cwd: Vec<u8>,
    /// Where COMMAND was found.
    pub(crate) found: Vec<u8>,
    /// All the paths that are tried for it.
    pub(crate) tried: Vec<Vec<u8>>,
}

/// Waits for the listener, and the sandbox's root; nothing if the set-up has failed.
pub(crate) fn receive(wire: &Wire) -> Result<Option<(HandedOver, OwnedFd)>> {
    let (bytes, fds) = message(wire).context("Can't receive the listener")?;
    let Ok([listener, root, mounts]) = <[OwnedFd; 3]>::try_from(fds) else { return Ok(None) };
    let mut fields = bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec);
    let (Some(cwd), Some(found)) = (fields.next(), fields.next()) else { return Ok(None) };
    let tried = fields.collect();
    Ok(Some((HandedOver { listener, _mounts: mounts, cwd, found, tried }, root)))
}

/// A message with the fds that it brings; neither of them at the end.
fn message(wire: &Wire) -> SysResult<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; LONGEST + 1];
    let mut space = nix::cmsg_space!([RawFd; 3]);
    loop {
        let mut buffer = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let socket = wire.as_fd().as_raw_fd();
        match recvmsg::<()>(socket, &mut buffer, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(message) => {
                let mut fds = Vec::new();
                for part in message.cmsgs()? {
                    fds.extend(sys::received(part));
                }
                let count = message.bytes;
                bytes.truncate(count);
                return Ok((bytes, fds));
            }
        }
    }
}
