//! A run while it lasts: the runner's ends of all fds, served together until the keeper says that everything has ended.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::fds::Near;
use super::outcome::number_in;
use super::{Exit, Result};
use crate::sys::{Kept, News, read_news, resize};
use crate::text::text;

struct Stream {
    /// Gone at the end of the stream.
    fd: Option<OwnedFd>,
    /// What is still to be written; a held pipe writes only what it is told.
    unwritten: Option<Vec<u8>>,
    read: Vec<u8>,
    /// How much of it [`Live::wait_for_next`] has passed.
    passed: usize,
    held: bool,
}

/// A run.
pub(crate) struct Live {
    streams: BTreeMap<RawFd, Stream>,
    kept: Kept,
    deadline: Instant,
    pid: Option<i32>,
    ended: bool,
    status: Option<i32>,
    failure: Option<String>,
    timed_out: bool,
}

impl Live {
    pub(crate) fn new(kept: Kept, near: Vec<(RawFd, Near)>, timeout: Duration) -> Result<Self> {
        let mut streams = BTreeMap::new();
        for (number, near) in near {
            let (fd, unwritten, held) = match near {
                Near::Reads(fd) => (fd, None, false),
                Near::Writes(fd, content) => (fd, Some(content), false),
                Near::Holds(fd) => (fd, Some(vec![]), true),
            };
            fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| format!("O_NONBLOCK: {e}"))?;
            streams.insert(number, Stream { fd: Some(fd), unwritten, read: vec![], passed: 0, held });
        }
        let deadline = Instant::now() + timeout;
        Ok(Self { streams, kept, deadline, pid: None, ended: false, status: None, failure: None, timed_out: false })
    }

    /// The pid of the process that was started.
    pub(crate) fn pid(&mut self) -> Result<i32> {
        self.pump(|live| live.pid.is_some())?;
        self.pid.ok_or_else(|| "no pid".to_owned())
    }

    /// What has been written to a captured fd up to now.
    pub(crate) fn text(&self, fd: RawFd) -> String {
        self.streams.get(&fd).map_or_else(String::new, |s| text(&s.read))
    }

    /// Waits until a captured fd's writers are all gone.
    pub(crate) fn wait_for_end(&mut self, fd: RawFd) -> Result<String> {
        self.pump(|live| live.streams.get(&fd).is_none_or(|s| s.fd.is_none()))?;
        Ok(self.text(fd))
    }

    /// Waits until something was written to a captured fd.
    pub(crate) fn wait_for(&mut self, fd: RawFd, words: &str) -> Result<String> {
        self.pump(|live| live.text(fd).contains(words) || live.streams.get(&fd).is_none_or(|s| s.fd.is_none()))?;
        if self.text(fd).contains(words) { Ok(self.text(fd)) } else { Err(format!("fd {fd} ended without {words:?}")) }
    }

    /// Waits for words on a captured fd, after those that earlier calls have waited for.
    pub(crate) fn wait_for_next(&mut self, fd: RawFd, words: &str) -> Result<()> {
        let rest = |live: &Self| live.streams.get(&fd).map_or_else(String::new, |s| text(&s.read[s.passed..]));
        let ended = |live: &Self| live.streams.get(&fd).is_none_or(|s| s.fd.is_none());
        _ = self.pump(|live| rest(live).contains(words) || ended(live));
        let Some(stream) = self.streams.get_mut(&fd) else { return Err(format!("fd {fd} is not captured")) };
        let position = stream.read[stream.passed..].windows(words.len()).position(|found| found == words.as_bytes());
        let end = stream.read.len().saturating_sub(1000).max(stream.passed);
        let at = position.ok_or_else(|| format!("no {words:?} at the end of {:?}", text(&stream.read[end..])))?;
        stream.passed += at + words.len();
        Ok(())
    }

    /// Resizes the terminal.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let terminal = self.streams.get(&1).and_then(|s| s.fd.as_ref()).ok_or("there is no terminal")?;
        resize(terminal, rows, columns).map_err(|e| format!("resizing the terminal: {e}"))
    }

    /// Waits for a number in what is written to a captured fd, such as `child-pid`.
    pub(crate) fn wait_for_number(&mut self, fd: RawFd, member: &str) -> Result<u64> {
        let text = self.wait_for(fd, &format!("\"{member}\": "))?;
        let text = if text.contains('\n') { text } else { self.wait_for(fd, "\n")? };
        number_in(&text, member)
    }

    /// Writes to a held fd.
    pub(crate) fn write(&mut self, fd: RawFd, content: &[u8]) {
        if let Some(unwritten) = self.streams.get_mut(&fd).and_then(|s| s.unwritten.as_mut()) {
            unwritten.extend_from_slice(content);
        }
    }

    /// Closes a fd of the runner's, after what is still to be written.
    pub(crate) fn close(&mut self, fd: RawFd) -> Result<()> {
        if let Some(stream) = self.streams.get_mut(&fd) {
            stream.held = false;
        }
        self.pump(|live| live.streams.get(&fd).is_none_or(|s| s.fd.is_none() || s.unwritten.is_none()))
    }

    /// Sees the run to its end.
    pub(crate) fn finish(mut self) -> Result<(Exit, BTreeMap<RawFd, Vec<u8>>)> {
        for stream in self.streams.values_mut() {
            stream.held = false;
        }
        let done = |live: &Self| live.ended && live.streams.values().all(|s| s.fd.is_none() || s.unwritten.is_some());
        if self.pump(done).is_err() {
            self.kill();
            // Nothing is left that could keep a stream open, so this one ends.
            self.deadline = Instant::now() + Duration::from_secs(30);
            self.pump(done)?;
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let status = self.status.ok_or("the keeper was killed")?;
        let exit = match status {
            _ if self.timed_out => Exit::TimedOut,
            _ if libc::WIFEXITED(status) => Exit::Code(libc::WEXITSTATUS(status)),
            _ => Exit::Signal(libc::WTERMSIG(status)),
        };
        let captured = self.streams.into_iter().filter(|(_, s)| s.unwritten.is_none());
        Ok((exit, captured.map(|(number, stream)| (number, stream.read)).collect()))
    }

    fn kill(&mut self) {
        self.timed_out = true;
        self.kept.leash = None;
    }

    /// Serves all streams until something is so.
    fn pump(&mut self, done: impl Fn(&Self) -> bool) -> Result<()> {
        while !done(self) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.ended && self.streams.values().all(|s| s.fd.is_none()) {
                return if done(self) { Ok(()) } else { Err("it took too long".to_owned()) };
            }
            let ready = self.poll(left)?;
            for number in ready {
                match number {
                    None => self.hear(),
                    Some(number) => self.streams.get_mut(&number).map_or((), Stream::serve),
                }
            }
        }
        Ok(())
    }

    /// The numbers of streams that can be served; `None` is the keeper.
    fn poll(&mut self, left: Duration) -> Result<Vec<Option<RawFd>>> {
        let mut numbers = vec![];
        let mut fds = vec![];
        if !self.ended {
            numbers.push(None);
            fds.push(PollFd::new(self.kept.news.as_fd(), PollFlags::POLLIN));
        }
        for (number, stream) in &mut self.streams {
            if stream.is_written() {
                stream.fd = None;
            }
            let Some(fd) = &stream.fd else { continue };
            let events = match &stream.unwritten {
                None => PollFlags::POLLIN,
                Some(content) if content.is_empty() => continue,
                Some(_) => PollFlags::POLLOUT,
            };
            numbers.push(Some(*number));
            fds.push(PollFd::new(fd.as_fd(), events));
        }
        if fds.is_empty() {
            return Ok(vec![]);
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(vec![]),
            other => other.map_err(|e| format!("poll: {e}"))?,
        };
        let ready = fds.iter().map(|fd| fd.any().unwrap_or(true));
        Ok(numbers.iter().zip(ready).filter_map(|(number, ready)| ready.then_some(*number)).collect())
    }

    fn hear(&mut self) {
        match read_news(&self.kept.news) {
            Some(News::Started(pid)) => self.pid = Some(pid),
            Some(News::Failed(step, errno)) => {
                let error = std::io::Error::from_raw_os_error(errno);
                self.failure = Some(format!("starting it failed in step {step}: {error}"));
            }
            Some(News::Ended(status)) => self.status = Some(status),
            None => self.ended = true,
        }
    }
}

impl Stream {
    fn is_written(&self) -> bool {
        !self.held && self.unwritten.as_ref().is_some_and(Vec::is_empty)
    }

    fn serve(&mut self) {
        let Some(fd) = &self.fd else { return };
        let end = if let Some(content) = &mut self.unwritten {
            match nix::unistd::write(fd, content) {
                Ok(written) => {
                    content.drain(..written);
                    false
                }
                Err(error) => error != Errno::EAGAIN && error != Errno::EINTR,
            }
        } else {
            let mut buffer = [0; 16384];
            match nix::unistd::read(fd, &mut buffer) {
                // EIO is how the end of a terminal looks.
                Ok(0) | Err(Errno::EIO) => true,
                Ok(read) => {
                    self.read.extend_from_slice(&buffer[..read]);
                    false
                }
                Err(error) => error != Errno::EAGAIN && error != Errno::EINTR,
            }
        };
        if end {
            self.fd = None;
        }
    }
}
