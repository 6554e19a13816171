//! What the processes of a recording have in common: numbers in memory that all of them share.
//!
//! Each is written by a process that may be killed at any moment, so no state in between can make
//! anybody wait: the worst that is left behind is a slot that nobody uses any more.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::kernel::sys::{self, SysResult};

/// How many processes answer.
pub(crate) const ANSWERERS: usize = 2;
/// How many threads may be changing a directory at the same time; if there are more, working
/// directories are no longer remembered.
const CHANGING: usize = 32;
/// How many datagram sockets may be connected without having sent anything.
const SILENT: usize = 64;
/// How many words there are in all.
const WORDS: usize = 7 + 3 * ANSWERERS + CHANGING + 3 * SILENT;

/// All of it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Not 0 once COMMAND itself makes calls, whoever answered the first of them.
    pub(crate) started: &'static AtomicU64,
    /// How many calls were received.
    pub(crate) received: &'static AtomicU64,
    /// The highest id of a call that was received.
    pub(crate) newest: &'static AtomicU64,
    /// Not 0 once paths may mean something else in some process.
    pub(crate) has_moved: &'static AtomicU64,
    /// Not 0 while the second answerer is awake.
    pub(crate) is_helped: &'static AtomicU64,
    /// For each answerer the call that waits for its answer; 0 if none does.
    pub(crate) pending: &'static [AtomicU64],
    /// For each answerer whether it is not known yet if a policy refuses that.
    pub(crate) undecided: &'static [AtomicU64],
    /// For each answerer the last call that it received.
    pub(crate) last: &'static [AtomicU64],
    pub(crate) changing: Changing,
    pub(crate) silent: Silent,
}

/// Threads that may be changing a working directory, or the name of one.
#[derive(Debug)]
pub(crate) struct Changing {
    /// How many times one has begun or ended.
    pub(crate) times: &'static AtomicU64,
    /// How many there are at the least; never less.
    count: &'static AtomicU64,
    threads: &'static [AtomicU64],
}

/// Datagram sockets that are connected, of which nothing has been sent yet. All calls about one
/// come from its thread, one after the other.
#[derive(Debug)]
pub(crate) struct Silent {
    sockets: &'static [AtomicU64],
    /// Two halves of an address, and a port.
    peers: &'static [AtomicU64],
}

impl Shared {
    /// Nothing has happened yet.
    pub(crate) fn new() -> SysResult<Self> {
        let words = sys::shared_numbers(WORDS)?;
        let [started, received, newest, has_moved, is_helped, times, count, rest @ ..] = words
        else {
            return Err(Errno::ENOMEM);
        };
        let (pending, rest) = rest.split_at(ANSWERERS);
        let (undecided, rest) = rest.split_at(ANSWERERS);
        let (last, rest) = rest.split_at(ANSWERERS);
        let (threads, rest) = rest.split_at(CHANGING);
        let (sockets, peers) = rest.split_at(SILENT);
        Ok(Self {
            started,
            received,
            newest,
            has_moved,
            is_helped,
            pending,
            undecided,
            last,
            changing: Changing { times, count, threads },
            silent: Silent { sockets, peers },
        })
    }

    /// Takes the call that waits for an answerer's answer, 0 if none does, and whether it is not
    /// known yet if a policy refuses it.
    pub(crate) fn take(&self, place: usize) -> (u64, bool) {
        let take =
            |slots: &[AtomicU64]| slots.get(place).map_or(0, |slot| slot.swap(0, Ordering::AcqRel));
        (take(self.pending), take(self.undecided) != 0)
    }
}

/// A slot's text of a thread: never 0.
fn word(thread: Pid) -> u64 {
    thread.as_raw().unsigned_abs().into()
}

impl Changing {
    /// Whether none does.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// A thread begins. If there is no room for it, it counts for ever.
    pub(crate) fn insert(&self, thread: Pid) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.times.fetch_add(1, Ordering::AcqRel);
        let word = word(thread);
        _ = self.threads.iter().find(|slot| {
            slot.compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
    }

    /// Those that are done.
    pub(crate) fn remove(&self, is_done: impl Fn(Pid) -> bool) {
        for slot in self.threads {
            let word = slot.load(Ordering::Acquire);
            let thread = i32::try_from(word).map(Pid::from_raw);
            if word != 0
                && thread.is_ok_and(&is_done)
                && slot.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            {
                self.times.fetch_add(1, Ordering::AcqRel);
                self.count.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

impl Silent {
    /// What a slot is called while it is being filled.
    const TAKEN: u64 = u64::MAX;

    fn socket(thread: Pid, fd: i32) -> u64 {
        word(thread) << 32 | u64::from(fd.cast_unsigned())
    }

    fn peer(&self, slot: usize) -> &[AtomicU64] {
        self.peers.get(3 * slot..3 * slot + 3).unwrap_or_default()
    }

    /// Remembers whom a socket is connected to; no if there is no room.
    pub(crate) fn insert(&self, thread: Pid, fd: i32, ip: IpAddr, port: u16) -> bool {
        _ = self.remove(thread, fd);
        let free = self.sockets.iter().position(|slot| {
            slot.compare_exchange(0, Self::TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        let Some(free) = free else { return false };
        let bits = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let halves = [bits >> 64, bits & u128::from(u64::MAX)];
        let halves = halves.map(|half| u64::try_from(half).unwrap_or_default());
        for (place, value) in self.peer(free).iter().zip([halves[0], halves[1], port.into()]) {
            place.store(value, Ordering::Relaxed);
        }
        if let Some(slot) = self.sockets.get(free) {
            slot.store(Self::socket(thread, fd), Ordering::Release);
        }
        true
    }

    /// Whom a socket was connected to, which is not silent any more.
    pub(crate) fn remove(&self, thread: Pid, fd: i32) -> Option<(IpAddr, u16)> {
        let socket = Self::socket(thread, fd);
        let found = self.sockets.iter().position(|slot| slot.load(Ordering::Acquire) == socket)?;
        let [high, low, port] = self.peer(found) else { return None };
        let [high, low, port] = [high, low, port].map(|place| place.load(Ordering::Relaxed));
        self.sockets.get(found)?.store(0, Ordering::Release);
        let ip = Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)).to_canonical();
        Some((ip, u16::try_from(port).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_silent_until_they_send() {
        let Ok(shared) = Shared::new() else { return };
        let (thread, other) = (Pid::from_raw(7), Pid::from_raw(8));
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff]);
        assert!(shared.silent.insert(thread, 3, v4, 53));
        assert!(shared.silent.insert(thread, 3, v6, 65535));
        assert!(shared.silent.insert(other, 3, v4, 1));
        assert_eq!(shared.silent.remove(thread, 4), None);
        assert_eq!(shared.silent.remove(thread, 3), Some((v6, 65535)));
        assert_eq!(shared.silent.remove(thread, 3), None);
        assert_eq!(shared.silent.remove(other, 3), Some((v4, 1)));
        let fds = 0..70;
        assert_eq!(fds.filter(|fd| shared.silent.insert(thread, *fd, v4, 53)).count(), SILENT);
    }

    #[test]
    fn threads_change_directories() {
        let Ok(shared) = Shared::new() else { return };
        let changing = &shared.changing;
        let (thread, other) = (Pid::from_raw(7), Pid::from_raw(8));
        assert!(changing.is_empty());
        changing.insert(thread);
        changing.insert(other);
        changing.remove(|found| found == thread);
        changing.remove(|found| found == thread);
        assert!(!changing.is_empty());
        changing.remove(|found| found == other);
        assert!(changing.is_empty());
        assert_eq!(changing.times.load(Ordering::Relaxed), 4);
        // More than there is room for.
        (0..40).for_each(|_| changing.insert(thread));
        changing.remove(|_| true);
        assert!(!changing.is_empty());
    }
}
