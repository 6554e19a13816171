//! What a call names: the paths and addresses among its arguments, read from the memory of whoever
//! makes it, as messages for the recorder and its looker.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use libc::c_long;
use nix::errno::Errno;

use crate::kernel::sys::{Notified, SysResult};
use crate::record::calls::{self, Kind, Last, Name};
use crate::record::cwd::Cwds;
use crate::record::learn::policy::NAMESPACES;
use crate::record::peers::{self, Address};
use crate::record::ring::Message as Told;
use crate::record::shared::Shared;
use crate::record::task::{Task, number};
use crate::record::uses::Uses;
use crate::record::wanted::question;

/// What is known of those who make calls.
pub(crate) struct Reader<'a> {
    /// The host's /proc.
    pub(crate) proc: BorrowedFd<'a>,
    pub(crate) shared: &'a Shared,
    /// What is to be read, by the numbers of calls.
    kinds: Vec<Option<Kind>>,
    cwds: Cwds<'a>,
    /// The sandbox's mount namespace.
    home: Option<Vec<u8>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(proc: BorrowedFd<'a>, shared: &'a Shared) -> Self {
        let cwds = Cwds::new(&shared.changing);
        Self { proc, shared, kinds: kinds(), cwds, home: None }
    }

    /// What is to be read of a call, by its number.
    pub(crate) fn kind(&self, number: u32) -> Option<Kind> {
        self.kinds.get(usize::try_from(number).ok()?).copied().flatten()
    }

    /// A thread makes a call: what it did before is done.
    pub(crate) fn begin(&mut self, call: &Notified) {
        let task = Task { proc: self.proc, thread: call.thread };
        self.cwds.begin(task, call.number.into());
    }

    fn has_moved(&self) -> bool {
        self.shared.has_moved.load(Ordering::Acquire) != 0
    }

    /// From now on paths may mean something else in some process.
    fn set_moved(&self) {
        self.shared.has_moved.store(1, Ordering::Release);
    }

    /// Reads what a call names.
    pub(crate) fn read(
        &mut self,
        kind: Kind,
        call: &Notified,
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        match kind {
            Kind::Name(name) => {
                told.extend(self.named(call, task, name)?);
                Ok(())
            }
            Kind::Names(names) => {
                for name in names {
                    told.extend(self.named(call, task, name)?);
                }
                Ok(())
            }
            Kind::Open(dir, path, flags) => {
                let created = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
                let flags = flags.map_or(created.unsigned_abs().into(), |place| arg(call, place));
                told.extend(self.opened(call, task, (dir, path, flags))?);
                Ok(())
            }
            Kind::OpenHow => {
                let flags = task.word(arg(call, 2))?;
                told.extend(self.opened(call, task, (Some(0), 1, flags))?);
                Ok(())
            }
            Kind::Socket(uses, address, length) => {
                let (place, length) = (arg(call, address), number(arg(call, length)));
                self.address(call, (uses, place, length), told)
            }
            Kind::Message => self.message(call, arg(call, 1), told),
            Kind::Messages => {
                // `struct mmsghdr`
                const SIZE: u64 = 64;
                let count = u64::from(number(arg(call, 2)).unsigned_abs()).min(64);
                (0..count).try_for_each(|index| {
                    let place = arg(call, 1).wrapping_add(index * SIZE);
                    self.message(call, place, told)
                })
            }
            Kind::Ring | Kind::Turns => Ok(()),
            Kind::Clone3 => {
                self.cloned(task.word(arg(call, 0))?, told);
                Ok(())
            }
            Kind::Moves => self.moves(call, task, told),
        }
    }

    /// The address in a message, if there is one.
    fn message(&mut self, call: &Notified, place: u64, told: &mut Vec<Told>) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        let address = task.word(place)?;
        let length = number(task.word(place.wrapping_add(8))?);
        self.address(call, (Uses::SEND, address, length), told)
    }

    /// The address of a socket.
    fn address(
        &mut self,
        call: &Notified,
        (uses, place, length): (Uses, u64, i32),
        told: &mut Vec<Told>,
    ) -> SysResult<()> {
        let task = Task { proc: self.proc, thread: call.thread };
        let (thread, fd) = (call.thread, number(arg(call, 0)));
        if place == 0 {
            // What was connected before is really used now.
            let peer = self.shared.silent.remove(thread, fd);
            told.extend(peer.map(|(ip, port)| peers::message(Uses::CONNECT, "udp", &ip, port)));
            return Ok(());
        }
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        let bytes = task.bytes(place, length.min(128))?;
        match peers::read(&bytes) {
            Some(Address::Path(path)) => {
                told.extend(self.message_about(task, (None, path, uses, true))?);
            }
            Some(Address::Abstract(name)) => told.push(peers::abstract_message(uses, &name)),
            Some(Address::Net(ip, port)) => {
                let kind = task.file(arg(call, 0)).map(|file| peers::kind(file.as_fd()));
                let kind = kind.unwrap_or("a socket");
                // Resolvers connect datagram sockets only to see which address would be used.
                let is_silent = kind == "udp"
                    && uses == Uses::CONNECT
                    && self.shared.silent.insert(thread, fd, ip, port);
                if !is_silent {
                    told.push(peers::message(uses, kind, &ip, port));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// What flags of clone(2) ask for.
    pub(crate) fn cloned(&self, flags: u64, told: &mut Vec<Told>) {
        if flags & u64::from(libc::CLONE_NEWNS.unsigned_abs()) != 0 {
            self.set_moved();
        }
        if flags & NAMESPACES != 0 {
            told.push(flag("namespaces"));
        }
    }

    /// A file that is opened.
    fn opened(
        &mut self,
        call: &Notified,
        task: Task<'_>,
        (dir, path, flags): (Option<u8>, u8, u64),
    ) -> SysResult<Option<Told>> {
        let name = task.path(arg(call, path))?;
        let dir = dir.map(|dir| arg(call, dir));
        self.message_about(task, (dir, name, calls::opened(flags), calls::follows(flags)))
    }

    /// A path among the arguments.
    fn named(&mut self, call: &Notified, task: Task<'_>, name: Name) -> SysResult<Option<Told>> {
        let place = arg(call, name.path);
        if place == 0 {
            return Ok(None);
        }
        let has = |place: u8, flag: i32| number(arg(call, place)) & flag != 0;
        let follows = match name.last {
            Last::Follow => true,
            Last::Stay => false,
            Last::StayIf(place, flag) => !has(place, flag),
            Last::FollowIf(place, flag) => has(place, flag),
        };
        let path = task.path(place)?;
        self.message_about(task, (name.dir.map(|dir| arg(call, dir)), path, name.uses, follows))
    }

    /// What the monitor is told about a name: as which root and from where it was looked up.
    fn message_about(
        &mut self,
        task: Task<'_>,
        (dir, path, uses, follows): (Option<u64>, Vec<u8>, Uses, bool),
    ) -> SysResult<Option<Told>> {
        let mut top = Vec::new();
        let has_moved = self.has_moved();
        if has_moved {
            let (root, namespace) = task.root()?;
            if self.home.is_some() && self.home.as_ref() != Some(&namespace) {
                return Ok(Some(flag("elsewhere")));
            }
            top = root;
        } else if self.home.is_none() {
            self.home = Some(task.root()?.1);
        }
        let base = match dir.map(number) {
            _ if path.starts_with(b"/") => Vec::new(),
            None | Some(libc::AT_FDCWD) if !has_moved => self.cwds.of(task)?,
            _ => task.directory(dir)?,
        };
        // What is open already was named before, and an fd without a path is no file of anybody's.
        let is_executed_fd = path.is_empty() && uses.any(Uses::EXEC);
        if path.is_empty() && !is_executed_fd
            || !base.is_empty() && (!base.starts_with(b"/") || base.ends_with(b" (deleted)"))
        {
            return Ok(None);
        }
        Ok(Some(question(uses, follows, [&top, &base, &path])))
    }

    /// Calls after which paths mean something else to whoever makes them.
    fn moves(&mut self, call: &Notified, task: Task<'_>, told: &mut Vec<Told>) -> SysResult<()> {
        let number = c_long::from(call.number);
        let place = if number == libc::SYS_chroot {
            Some(0)
        } else if number == libc::SYS_mount {
            Some(1)
        } else {
            None
        };
        let path = place.map(|place| task.path(arg(call, place))).transpose();
        if let Ok(Some(path)) = path {
            told.extend(self.message_about(task, (None, path, Uses::LOOK, true))?);
        }
        self.set_moved();
        Ok(())
    }
}

/// What is known of the calls, by their numbers.
fn kinds() -> Vec<Option<Kind>> {
    let mut kinds = Vec::new();
    for (number, kind) in calls::all() {
        let number = usize::try_from(number).unwrap_or_default();
        kinds.resize(kinds.len().max(number + 1), None);
        if let Some(slot) = kinds.get_mut(number) {
            *slot = Some(kind);
        }
    }
    kinds
}

pub(crate) fn flag(name: &str) -> Told {
    format!("f\0{name}").into_bytes()
}

pub(crate) fn arg(call: &Notified, index: u8) -> u64 {
    call.args.get(usize::from(index)).copied().unwrap_or_default()
}
