//! The calls that need `unsafe`: starting a process under a keeper, and the few facts that no safe wrapper reads.
//!
//! Every run has a keeper between the runner and `bwrap`: a forked child that is the reaper of all orphans below it, so
//! that nothing a case starts can outlive it, not even when the runner itself is killed. Between the fork and the exec
//! only system calls are made, because the runner has several threads.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_long, c_uint, c_ulong, c_void};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{pid_t, sigset_t};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

/// Where the fds that a process is given wait until they are put on their numbers; cases use lower numbers.
pub(crate) const WAITING_FDS: c_int = 400;

/// One instruction of a classic BPF program, as the kernel wants it.
pub(crate) type Instruction = seccompiler::sock_filter;

/// Everything that is settled before the fork.
pub(crate) struct Launch {
    pub(crate) program: CString,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    /// Fds to put on numbers, in order; all of them are closed on exec where they are now.
    pub(crate) fds: Vec<(OwnedFd, RawFd)>,
    /// The uid, gid and supplementary groups to take.
    pub(crate) ids: Option<(u32, u32, Vec<u32>)>,
    pub(crate) umask: u32,
    pub(crate) ignored_signals: Vec<c_int>,
    pub(crate) blocked_signals: Vec<c_int>,
    pub(crate) limits: Vec<(u32, u64, u64)>,
    pub(crate) filters: Vec<Vec<Instruction>>,
    /// Whether fd 0 is a terminal that is to control the new session.
    pub(crate) terminal: bool,
}

/// What the keeper tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// The process exists.
    Started(pid_t),
    /// It could not be made: the step and the errno.
    Failed(i32, i32),
    /// It ended, and so did everything below it; the wait status.
    Ended(c_int),
}

/// A running process and its keeper.
pub(crate) struct Kept {
    keeper: pid_t,
    /// Carries [`News`]; at its end the keeper is done.
    pub(crate) news: OwnedFd,
    /// The keeper kills everything when this is closed.
    pub(crate) leash: Option<OwnedFd>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.leash = None;
        wait(self.keeper);
    }
}

const NEWS_SIZE: usize = 12;

/// Reads one piece of news; `None` at the end.
pub(crate) fn read_news(fd: &OwnedFd) -> Option<News> {
    let mut message = [0_u8; NEWS_SIZE];
    let read = loop {
        match nix::unistd::read(fd, &mut message) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other.ok()?,
        }
    };
    if read != NEWS_SIZE {
        return None;
    }
    let number = |at: usize| i32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
    Some(match number(0) {
        1 => News::Started(number(4)),
        2 => News::Failed(number(4), number(8)),
        _ => News::Ended(number(4)),
    })
}

fn tell(fd: c_int, words: [i32; 3]) {
    let mut message = [0_u8; NEWS_SIZE];
    for (index, word) in words.iter().enumerate() {
        message[index * 4..index * 4 + 4].copy_from_slice(&word.to_ne_bytes());
    }
    // SAFETY: the buffer is valid for its length.
    _ = unsafe { libc::write(fd, message.as_ptr().cast(), NEWS_SIZE) };
}

/// Moves a fd to where it is in nobody's way.
pub(crate) fn out_of_the_way(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let number = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, WAITING_FDS) };
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    drop(fd);
    Ok(own(number))
}

/// Resizes a terminal.
pub(crate) fn resize(terminal: &OwnedFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size is valid for the call, which only reads it.
    if unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes a number that a system call has just returned.
fn own(number: RawFd) -> OwnedFd {
    // SAFETY: the caller has it from the kernel and nobody else does.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Starts a process under a keeper.
pub(crate) fn start(launch: &Launch) -> io::Result<Kept> {
    let (news, news_out) = pipe2(OFlag::O_CLOEXEC)?;
    let (leash_in, leash) = pipe2(OFlag::O_CLOEXEC)?;
    let (news_out, leash_in) = (out_of_the_way(news_out)?, out_of_the_way(leash_in)?);
    let argv = pointers(&launch.argv);
    let env = pointers(&launch.env);
    // SAFETY: the child makes nothing but system calls.
    let keeper = unsafe { libc::fork() };
    if keeper < 0 {
        return Err(io::Error::last_os_error());
    }
    if keeper == 0 {
        keep(launch, &argv, &env, news_out.as_raw_fd(), leash_in.as_raw_fd());
    }
    Ok(Kept { keeper, news, leash: Some(leash) })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

fn signal_set(signals: &[c_int]) -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: it is written by the call.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    for &signal in signals {
        // SAFETY: it was initialised above.
        unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: it was initialised above.
    unsafe { set.assume_init() }
}

fn all_signals() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: it is written by the call.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    // SAFETY: it was initialised above.
    unsafe { set.assume_init() }
}

fn set_mask(set: &sigset_t) {
    // SAFETY: the set is initialised.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, set, ptr::null_mut()) };
}

pub(crate) fn leave(code: c_int) -> ! {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(code) }
}

/// The keeper's whole life.
fn keep(launch: &Launch, argv: &[*const libc::c_char], env: &[*const libc::c_char], news: c_int, leash: c_int) -> ! {
    // All signals but the two that cannot be blocked: a terminal's ^C must not end the keeper before its work is done.
    set_mask(&all_signals());
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    // SAFETY: no memory is involved.
    unsafe { libc::setpgid(0, 0) };
    let children = signal_set(&[libc::SIGCHLD]);
    // SAFETY: the set is initialised.
    let signals = unsafe { libc::signalfd(-1, &raw const children, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    // SAFETY: this process has one thread.
    let main = unsafe { libc::fork() };
    if main == 0 {
        become_command(launch, argv, env, news);
    }
    if main < 0 {
        tell(news, [2, 0, errno()]);
        leave(1);
    }
    tell(news, [1, main, 0]);
    close_all_but([signals, news, leash]);
    let status = watch(main, signals, leash);
    kill_all_below();
    tell(news, [3, status, 0]);
    leave(0)
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Lets go of the ends of pipes that the runner waits on; the numbers may come in any order.
fn close_all_but(mut kept: [c_int; 3]) {
    kept.sort_unstable();
    let mut from = 0;
    for fd in kept {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, c_int::MAX);
}

fn close_range(from: c_int, to: c_int) {
    if from <= to {
        // SAFETY: no memory is involved.
        unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    }
}

/// Waits for `main` and reaps the orphans; kills `main` when the leash is let go.
fn watch(main: pid_t, signals: c_int, leash: c_int) -> c_int {
    let mut leash = leash;
    let mut buffer = [0_u8; 128];
    loop {
        let mut ready = [
            libc::pollfd { fd: signals, events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: leash, events: libc::POLLIN, revents: 0 },
        ];
        // SAFETY: both entries are valid.
        unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) };
        if ready[1].revents != 0 {
            leash = -1;
            // SAFETY: no memory is involved.
            unsafe { libc::kill(-main, libc::SIGKILL) };
            // SAFETY: no memory is involved.
            unsafe { libc::kill(main, libc::SIGKILL) };
        }
        // SAFETY: the buffer is valid for its length.
        unsafe { libc::read(signals, buffer.as_mut_ptr().cast(), buffer.len()) };
        loop {
            let mut status = 0;
            // SAFETY: the status is written by the call.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid == main {
                return status;
            }
            if pid <= 0 {
                break;
            }
        }
    }
}

/// Kills the children, then the grandchildren that became children by that, until there are none.
fn kill_all_below() {
    let mut text = [0_u8; 4096];
    loop {
        // SAFETY: the path is a C string.
        let file = unsafe { libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
        // SAFETY: the buffer is valid for its length.
        let read = unsafe { libc::read(file, text.as_mut_ptr().cast(), text.len()) };
        // SAFETY: no memory is involved.
        unsafe { libc::close(file) };
        let mut pid = 0;
        for &byte in &text[..usize::try_from(read).unwrap_or(0)] {
            if byte.is_ascii_digit() {
                pid = pid * 10 + pid_t::from(byte - b'0');
            } else if pid > 0 {
                // SAFETY: no memory is involved.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                pid = 0;
            }
        }
        // Without that file nobody can be found, and waiting would be for ever.
        let options = if read > 0 { 0 } else { libc::WNOHANG };
        // SAFETY: the status is not wanted.
        if unsafe { libc::waitpid(-1, ptr::null_mut(), options) } <= 0 {
            return;
        }
    }
}

/// Sets the stage and executes the program.
fn become_command(launch: &Launch, argv: &[*const libc::c_char], env: &[*const libc::c_char], news: c_int) -> ! {
    let step = set_stage(launch);
    if step == 0 {
        // SAFETY: NUL-terminated strings in null-terminated arrays.
        unsafe { libc::execve(launch.program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    }
    tell(news, [2, step, errno()]);
    leave(127)
}

/// The number of the step that failed; 0 if none did.
fn set_stage(launch: &Launch) -> i32 {
    // SAFETY: no memory is involved.
    let group = if launch.terminal { unsafe { libc::setsid() } } else { unsafe { libc::setpgid(0, 0) } };
    if group < 0 {
        return 1;
    }
    // An fd of another trial may be here, made by a function that cannot close it on exec.
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_close_range, 3, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    for number in 0..3 {
        // SAFETY: no memory is involved; a number that the case does not give stays closed.
        unsafe { libc::close(number) };
    }
    for (from, to) in &launch.fds {
        // SAFETY: no memory is involved.
        if unsafe { libc::dup2(from.as_raw_fd(), *to) } < 0 {
            return 2;
        }
    }
    // SAFETY: no memory is involved.
    if launch.terminal && unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } < 0 {
        return 3;
    }
    // SAFETY: no memory is involved.
    unsafe { libc::umask(launch.umask) };
    for &(resource, soft, hard) in &launch.limits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the limit is valid; the cast is between the C library's names for one type.
        if unsafe { libc::setrlimit(resource as _, &raw const limit) } < 0 {
            return 4;
        }
    }
    if launch.ids.as_ref().is_some_and(|(uid, gid, groups)| take_ids(*uid, *gid, groups) < 0) {
        return 5;
    }
    // SAFETY: the path is a C string.
    if unsafe { libc::chdir(launch.cwd.as_ptr()) } < 0 {
        return 6;
    }
    set_signals(launch);
    filter(launch)
}

/// The raw calls, because the C library's would look after threads that this process does not have.
fn take_ids(uid: u32, gid: u32, groups: &[u32]) -> c_long {
    // SAFETY: the list is valid for its length.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    // SAFETY: no memory is involved.
    let result = if result < 0 { result } else { unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } };
    // SAFETY: no memory is involved.
    if result < 0 { result } else { unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } }
}

fn set_signals(launch: &Launch) {
    for signal in 1..=64 {
        // SAFETY: no handler is installed; what cannot be changed stays.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    for &signal in &launch.ignored_signals {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    set_mask(&signal_set(&launch.blocked_signals));
}

fn filter(launch: &Launch) -> i32 {
    if launch.filters.is_empty() {
        return 0;
    }
    let one: c_ulong = 1;
    // SAFETY: no memory is involved.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, 0, 0, 0) } < 0 {
        return 7;
    }
    for program in &launch.filters {
        let length = u16::try_from(program.len()).unwrap_or(0);
        let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut().cast() };
        // SAFETY: the program is valid for its length and the kernel copies it.
        if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) } < 0 {
            return 8;
        }
    }
    0
}

/// Waits for one child.
pub(crate) fn wait(pid: pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: the status is written by the call.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 && errno() == libc::EINTR {}
    status
}

/// Makes a process of its own in new namespaces that does nothing until it is killed.
///
/// With ids it takes them first. `CLONE_NEWPID` puts the process itself into the new pid namespace, as its PID 1.
pub(crate) fn idle_in(flags: c_int, ids: Option<(u32, u32)>) -> io::Result<(pid_t, OwnedFd)> {
    let (ready, ready_out) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the child makes nothing but system calls.
    let helper = unsafe { libc::fork() };
    if helper < 0 {
        return Err(io::Error::last_os_error());
    }
    if helper == 0 {
        idle(flags, ids, ready_out.as_raw_fd());
    }
    Ok((helper, ready))
}

/// The life of that process.
fn idle(flags: c_int, ids: Option<(u32, u32)>, ready: c_int) -> ! {
    if ids.is_some_and(|(uid, gid)| take_ids(uid, gid, &[]) < 0) {
        leave(1);
    }
    // SAFETY: no memory is involved.
    if unsafe { libc::unshare(flags) } < 0 {
        leave(1);
    }
    // Taking ids made the process undumpable, and then its maps would not be its own.
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
    let mut link = [-1; 2];
    // SAFETY: two fds are written to the array.
    if unsafe { libc::pipe2(link.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        leave(1);
    }
    // SAFETY: this process has one thread.
    let first = if flags & libc::CLONE_NEWPID == 0 { -1 } else { unsafe { libc::fork() } };
    // Last, because a change of credentials takes it back.
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    let mut byte = 0_u8;
    if first == 0 {
        // SAFETY: the byte is valid.
        unsafe { libc::write(link[1], (&raw const byte).cast(), 1) };
    } else {
        if first > 0 {
            // The parent may be killed from the moment it is ready, and the child has to be ready for that.
            // SAFETY: the byte is valid.
            unsafe { libc::read(link[0], (&raw mut byte).cast(), 1) };
        }
        tell(ready, [1, first, 0]);
    }
    loop {
        // SAFETY: no memory is involved.
        unsafe { libc::pause() };
    }
}

/// Kills and reaps a process of ours.
pub(crate) fn end(pid: pid_t) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    wait(pid);
}

/// The disposition of a signal: `Some(true)` if it is ignored.
pub(crate) fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the action is written by the call.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: all zeroes is a valid action.
    let action = unsafe { action.assume_init() };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// The blocked signals as the kernel's 64 bits, so that the C library's own signals show too.
pub(crate) fn blocked_signals() -> u64 {
    let mut mask = 0_u64;
    // SAFETY: the mask is written by the call and has the size that is told.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<c_void>(), &raw mut mask, size_of::<u64>()) };
    mask
}

/// `prctl` for the questions whose answer is its result.
pub(crate) fn ask(question: c_int, about: c_ulong) -> c_int {
    // SAFETY: no memory is involved in the questions asked here.
    unsafe { libc::prctl(question, about, 0, 0, 0) }
}

/// Whether an ambient capability is raised.
pub(crate) fn is_ambient(capability: c_ulong) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1 }
}

/// The signal that is sent when the parent dies.
pub(crate) fn parent_death_signal() -> c_int {
    let mut signal = 0;
    // SAFETY: the signal is written by the call.
    unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
    signal
}

/// The nice value.
pub(crate) fn nice_value() -> c_int {
    // SAFETY: no memory is involved.
    unsafe { libc::getpriority(libc::PRIO_PROCESS as _, 0 as c_uint as _) }
}

/// One resource limit, soft and hard.
pub(crate) fn limit(resource: u32) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written by the call; the cast is between the C library's names for one type.
    unsafe { libc::getrlimit(resource as _, &raw mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

/// Whether a number is an open fd: its fd flags and its status flags.
pub(crate) fn fd_flags(fd: RawFd) -> Option<(c_int, c_int)> {
    // SAFETY: no memory is involved.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    // SAFETY: no memory is involved.
    let status = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    (flags >= 0).then_some((flags, status))
}

/// Sets close-on-exec, so that what the runner inherited reaches no case.
pub(crate) fn close_on_exec(fd: RawFd) {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
}

/// Whether the kernel knows mount_setattr(2), which came with Linux 5.12.
pub(crate) fn has_mount_setattr() -> bool {
    // SAFETY: with no attributes at all the call is refused before it looks at anything.
    let result = unsafe { libc::syscall(libc::SYS_mount_setattr, -1, ptr::null::<u8>(), 0, ptr::null::<u8>(), 0) };
    result != -1 || io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

/// A path as the kernel takes it.
pub(crate) fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes.split(|b| *b == 0).next().unwrap_or_default()).unwrap_or_else(|_| CStr::to_owned(c""))
}

/// One argument of a system call, for the probe that tries whatever a hostile program might.
pub(crate) enum Word<'a> {
    Number(i64),
    Text(&'a CStr),
    In(&'a [u8]),
    Out(&'a mut [u8]),
}

/// A system call by its number. Not for calls that change this process's memory or end in another process's.
pub(crate) fn call(number: c_long, words: &mut [Word<'_>]) -> io::Result<c_long> {
    let mut raw: [c_long; 6] = [0; 6];
    let address = |pointer: usize| c_long::try_from(pointer).unwrap_or(-1);
    for (slot, word) in raw.iter_mut().zip(words) {
        *slot = match word {
            Word::Number(number) => *number as c_long,
            Word::Text(text) => address(text.as_ptr().expose_provenance()),
            Word::In(bytes) => address(bytes.as_ptr().expose_provenance()),
            Word::Out(bytes) => address(bytes.as_mut_ptr().expose_provenance()),
        };
    }
    // SAFETY: every address is that of a word, which outlives the call; that its size is right is up to the caller.
    let result = unsafe { libc::syscall(number, raw[0], raw[1], raw[2], raw[3], raw[4], raw[5]) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes an fd that [`call`] has returned.
pub(crate) fn adopt(number: c_long) -> OwnedFd {
    own(RawFd::try_from(number).unwrap_or(-1))
}

/// A socket that takes packets in sequence at a path.
pub(crate) fn listen_for_packets(path: &std::path::Path) -> io::Result<OwnedFd> {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket)
}

/// Does something in a child of its own, and tells whether it said yes. For programs with one thread.
pub(crate) fn in_child(action: impl FnOnce() -> bool) -> bool {
    const YES: c_int = 77;
    // SAFETY: the probe has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        leave(if action() { YES } else { 0 });
    }
    let status = if child < 0 { 0 } else { wait(child) };
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == YES
}

/// Has this process killed when its parent ends.
pub(crate) fn die_with_parent() {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

/// Takes over an fd that was passed at a number, and closes it on exec.
#[allow(dead_code, reason = "the fault injection's")]
pub(crate) fn take_over(fd: RawFd) -> io::Result<OwnedFd> {
    fd_flags(fd).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?;
    close_on_exec(fd);
    Ok(own(fd))
}

/// Has a command traced by this process from its exec on.
#[allow(dead_code, reason = "the fault injection's")]
pub(crate) fn trace_from_start(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let trace = || Ok(nix::sys::ptrace::traceme()?);
    // SAFETY: between fork and exec it makes one system call.
    unsafe { command.pre_exec(trace) };
}

/// Whether the kernel's Landlock has this ABI.
pub(crate) fn has_landlock(abi: c_long) -> bool {
    let words = &mut [Word::Number(0), Word::Number(0), Word::Number(1)];
    call(libc::SYS_landlock_create_ruleset, words).is_ok_and(|has| has >= abi)
}

/// Whether a listener's calls can wait without being interrupted: with this flag the kernel looks for a program, and finds none.
pub(crate) fn has_killable_listener() -> bool {
    const NEW_LISTENER: c_long = 1 << 3;
    const WAIT_KILLABLE_RECV: c_long = 1 << 5;
    let words = &mut [Word::Number(1), Word::Number(NEW_LISTENER | WAIT_KILLABLE_RECV), Word::Number(0)];
    call(libc::SYS_seccomp, words).is_err_and(|error| error.raw_os_error() == Some(libc::EFAULT))
}

/// How a call ended that a process made which then ended itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// Its errno, or 0.
    Returned(i32),
    /// The process was killed by this signal.
    Killed(i32),
}

/// What a filter that is installed already does to a call, in a process of its own and without the call ever being made: a second filter
/// answers all that the first one lets through with `SECCOMP_RET_TRACE`, which is ENOSYS where nobody traces, and which is less than any
/// refusal.
pub(crate) fn try_filtered(number: u32, args: [u64; 6]) -> Tried {
    /// What exit_group is called with, so that it can be told from one that is tried.
    const MARK: u32 = 0x5a_5a00;
    /// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_ALU | BPF_AND | BPF_K` and `BPF_RET | BPF_K`.
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const AND: u16 = 0x54;
    const ANSWER: u16 = 0x06;
    let exit_group = u32::try_from(libc::SYS_exit_group).unwrap_or(u32::MAX);
    let step = |code, k, jt, jf| Instruction { code, jt, jf, k };
    let program = [
        step(LOAD, 0, 0, 0),
        step(EQUAL, exit_group, 0, 3),
        step(LOAD, 16, 0, 0),
        step(AND, 0xffff_ff00, 0, 0),
        step(EQUAL, MARK, 1, 0),
        step(ANSWER, libc::SECCOMP_RET_TRACE, 0, 0),
        step(ANSWER, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog { len: 7, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the child makes system calls only.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let [first, second, third, fourth, fifth, sixth] = args;
        // SAFETY: the program lives during the call.
        let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
        let errno = if installed == 0 {
            // SAFETY: it is not made, see above.
            let result = unsafe { libc::syscall(c_long::from(number), first, second, third, fourth, fifth, sixth) };
            if result == -1 { nix::errno::Errno::last_raw() } else { 0 }
        } else {
            255
        };
        // SAFETY: it ends this process.
        unsafe { libc::syscall(libc::SYS_exit_group, c_long::from(MARK) | c_long::from(errno & 0xff)) };
    }
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 && nix::errno::Errno::last_raw() == libc::EINTR {}
    if libc::WIFSIGNALED(status) { Tried::Killed(libc::WTERMSIG(status)) } else { Tried::Returned(libc::WEXITSTATUS(status)) }
}
