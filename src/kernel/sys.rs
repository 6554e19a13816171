//! System calls that nix does not offer, the C entry point and the raw clone: the only file with
//! `unsafe`.
//!
//! Each function is one call, typed: borrowed fds in, owned fds out, [`Errno`] for what the kernel
//! refuses. Nothing in here decides anything.
#![allow(unsafe_code)]
#![expect(clippy::inline_always, reason = "see `direct`")]

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use libc::{c_long, c_short};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::ControlMessageOwned;
use nix::sys::utsname::uname;
use nix::unistd::Pid;

/// The result of one call.
pub(crate) type SysResult<T> = std::result::Result<T, Errno>;

/// A system call without a function around it: its number, and arguments that become a register
/// each.
///
/// For the calls of which a sandbox takes many. A kernel that protects its returns leaves the
/// processor without a prediction for those of the caller: each function that returns after a call
/// was made below it takes up to a tenth of a microsecond longer. With the C library's function and
/// ours above it, that was a tenth of the time of a sandbox with hundreds of binds. So these calls,
/// and what leads to them from the loops that make them, are inlined.
macro_rules! direct {
    ($number:ident, $($argument:expr),+) => {
        match syscalls::syscall!(syscalls::Sysno::$number, $($argument),+) {
            Ok(value) => Ok(value),
            Err(errno) => Err(Errno::from_raw(errno.into_raw())),
        }
    };
}

/// The C runtime's entry, which calls a function with the words of the command line, and the
/// allocator.
///
/// Rust's own runtime is left out because it changes what COMMAND inherits: it ignores SIGPIPE and
/// opens /dev/null on closed standard fds.
#[cfg(not(test))]
macro_rules! entry {
    ($run:path) => {
        #[global_allocator]
        static ALLOCATOR: $crate::kernel::sys::allocator::Allocator =
            $crate::kernel::sys::allocator::Allocator::new();

        #[allow(unsafe_code, reason = "the C runtime looks for this name")]
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: std::ffi::c_int,
            argv: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            // Nothing is left to be written or called at the end.
            $crate::kernel::sys::exit_now($run($crate::kernel::sys::words(count, argv)))
        }
    };
}
#[cfg(not(test))]
pub(crate) use entry;

/// The words that the C runtime passes to `main`.
#[cfg(not(test))]
pub(crate) fn words(
    count: c_int,
    argv: *const *const c_char,
) -> impl ExactSizeIterator<Item = &'static CStr> + Clone {
    let count = usize::try_from(count).unwrap_or(0);
    (0..count).map(move |index| {
        // SAFETY: the C runtime passes an array of `count` pointers.
        let slot = unsafe { argv.add(index) };
        // SAFETY: `slot` is inside that array.
        let word = unsafe { *slot };
        // SAFETY: each of them is a NUL-terminated string that lives as long as the process.
        unsafe { CStr::from_ptr(word) }
    })
}

/// The allocator, in the program alone: under test there are threads.
#[cfg(not(test))]
pub(crate) mod allocator {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::{Cell, UnsafeCell};
    use std::ptr;

    use crate::kernel::arena::{CLASSES, Class};

    /// The program's allocator: [`arena`](crate::kernel::arena)'s, and the C library's for large
    /// blocks. Rust's answer to its refusal would be a crash with a trace; ours is a diagnostic and
    /// status 1.
    #[repr(C)]
    pub(crate) struct Allocator {
        /// Where the unused rest of the arena begins and ends.
        rest: Cell<(*mut u8, *mut u8)>,
        /// The blocks that were given back, each of which begins with a pointer to the next.
        free: [Cell<*mut u8>; CLASSES],
        /// What the arena begins with: part of the program's own zeroed memory, mapped already, and
        /// on the same page as the fields above.
        first: First,
    }

    #[repr(align(16))]
    struct First(UnsafeCell<[u8; FIRST]>);

    /// The size of that part.
    const FIRST: usize = 16 * 1024;

    /// What it goes on with; only pages that are used count.
    const FURTHER: usize = 1024 * 1024;

    // SAFETY: there is one thread.
    unsafe impl Sync for Allocator {}

    impl Allocator {
        /// Nothing is handed out yet.
        pub(crate) const fn new() -> Self {
            Self {
                rest: Cell::new((ptr::null_mut(), ptr::null_mut())),
                free: [const { Cell::new(ptr::null_mut()) }; CLASSES],
                first: First(UnsafeCell::new([0; FIRST])),
            }
        }

        /// Passes memory on; without any this is the end.
        fn some(memory: *mut u8) -> *mut u8 {
            if memory.is_null() {
                crate::error::say_out_of_memory();
                super::exit_now(crate::report::status());
            }
            memory
        }

        fn class(layout: Layout) -> Option<Class> {
            Class::of(layout.size(), layout.align())
        }

        /// A block of a class: one that was given back, or the next one.
        fn take(&self, class: Class) -> *mut u8 {
            let Some(list) = self.free.get(class.index) else { return ptr::null_mut() };
            let block = list.get();
            if block.is_null() {
                return self.next(class.size);
            }
            // SAFETY: blocks in the list begin with a pointer.
            list.set(unsafe { block.cast::<*mut u8>().read_unaligned() });
            block
        }

        /// The next block of the arena; null without memory.
        fn next(&self, size: usize) -> *mut u8 {
            let (mut start, mut end) = self.rest.get();
            if start.is_null() {
                (start, end) = self.first();
            }
            // The first block of all may be larger than the first part.
            if size > end.addr() - start.addr() {
                (start, end) = Self::further();
                if start.is_null() {
                    return start;
                }
            }
            self.rest.set((start.wrapping_add(size), end));
            start
        }

        fn first(&self) -> (*mut u8, *mut u8) {
            let start = self.first.0.get().cast::<u8>();
            (start, start.wrapping_add(FIRST))
        }

        /// A new part; what is left of the one before stays unused.
        fn further() -> (*mut u8, *mut u8) {
            let (access, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping takes nobody's place.
            let memory = unsafe { libc::mmap(ptr::null_mut(), FURTHER, access, flags, -1, 0) };
            if memory == libc::MAP_FAILED {
                return (ptr::null_mut(), ptr::null_mut());
            }
            let start = memory.cast::<u8>();
            (start, start.wrapping_add(FURTHER))
        }

        /// Takes a block back. The last one makes room for a larger one.
        fn give_back(&self, block: *mut u8, class: Class) {
            let (start, end) = self.rest.get();
            if block.wrapping_add(class.size) == start {
                self.rest.set((block, end));
            } else if let Some(list) = self.free.get(class.index) {
                // SAFETY: nobody uses the block any more, and it has room for a pointer.
                unsafe { block.cast::<*mut u8>().write_unaligned(list.get()) };
                list.set(block);
            }
        }

        /// Gives the last block another size, if it is the last and there is room.
        fn resize(&self, block: *mut u8, old: Class, new: Class) -> bool {
            let (start, end) = self.rest.get();
            let is_last = block.wrapping_add(old.size) == start;
            if is_last && new.size <= end.addr() - block.addr() {
                self.rest.set((block.wrapping_add(new.size), end));
                return true;
            }
            old == new
        }
    }

    // SAFETY: what is handed out is the C library's, or a block of the arena as large as its class,
    // which is at least as large as asked for, aligned as all blocks are, and nobody else's until
    // it is given back.
    unsafe impl GlobalAlloc for Allocator {
        #[inline(never)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match Self::class(layout) {
                Some(class) => Self::some(self.take(class)),
                // SAFETY: what the caller promises.
                None => Self::some(unsafe { System.alloc(layout) }),
            }
        }

        #[inline(never)]
        unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller promises that the size with this alignment is a layout's.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            match (Self::class(layout), Self::class(new)) {
                (Some(old), Some(new)) if self.resize(memory, old, new) => return memory,
                // SAFETY: what the caller promises.
                (None, None) => return Self::some(unsafe { System.realloc(memory, layout, size) }),
                _ => {}
            }
            // SAFETY: the size is not zero, as the caller promises.
            let moved = unsafe { self.alloc(new) };
            // SAFETY: both are as long as the shorter one, and different blocks.
            unsafe { moved.copy_from_nonoverlapping(memory, layout.size().min(size)) };
            // SAFETY: the caller's block is no longer used.
            unsafe { self.dealloc(memory, layout) };
            moved
        }

        #[inline(never)]
        unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
            match Self::class(layout) {
                Some(class) => self.give_back(memory, class),
                // SAFETY: what the caller promises.
                None => unsafe { System.dealloc(memory, layout) },
            }
        }
    }
}

/// What unwinds the stack, in the program that is released: nothing does.
///
/// A panic aborts, so Rust's library needs these for the trace in its message alone, which says
/// nothing without the names of functions. With the real ones comes all that reads debugging
/// information, a sixth of the program.
#[cfg(all(not(test), not(debug_assertions), panic = "abort"))]
mod unwinder {
    /// There is no frame.
    const NONE: usize = 0;
    /// `_URC_END_OF_STACK`
    const END: i32 = 5;

    macro_rules! answers {
        ($($name:ident $result:ty, $answer:expr;)*) => { $(
            // SAFETY: nobody else has this name, because the C library's has not been linked then.
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> $result {
                $answer
            }
        )* };
    }
    answers! {
        _Unwind_Backtrace i32, END;
        _Unwind_GetDataRelBase usize, NONE;
        _Unwind_GetIP usize, NONE;
        _Unwind_GetIPInfo usize, NONE;
        _Unwind_GetLanguageSpecificData usize, NONE;
        _Unwind_GetRegionStart usize, NONE;
        _Unwind_GetTextRelBase usize, NONE;
        _Unwind_Resume !, super::exit_now(1);
        _Unwind_SetGR (), ();
        _Unwind_SetIP (), ();
    }
}

/// Makes a call again for as long as a signal interrupts it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> SysResult<T>) -> SysResult<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The C convention: -1 and errno.
fn check(result: c_long) -> SysResult<c_long> {
    Errno::result(result)
}

/// An fd that a call has just made.
fn owned(result: c_long) -> SysResult<OwnedFd> {
    made(check(result)?)
}

/// The same, by its number.
fn made(number: impl TryInto<RawFd>) -> SysResult<OwnedFd> {
    let fd = number.try_into().map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this fd for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A pointer to a string, or none.
fn pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(ptr::null(), CStr::as_ptr)
}

/// `getdents64(2)`: the result is how many bytes of entries were read.
pub(crate) fn read_directory(dir: BorrowedFd<'_>, buffer: &mut [u8]) -> SysResult<usize> {
    // SAFETY: the kernel writes no more than the buffer's length into it.
    let count = unsafe {
        libc::syscall(libc::SYS_getdents64, dir.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    };
    Errno::result(count).map(|count| usize::try_from(count).unwrap_or(0))
}

/// `open_tree(2)`: with `OPEN_TREE_CLONE` a detached copy of the mounts at a path.
#[inline(always)]
pub(crate) fn open_tree(dir: BorrowedFd<'_>, path: &CStr, flags: u32) -> SysResult<OwnedFd> {
    // SAFETY: the path is NUL-terminated and only read.
    made(unsafe { direct!(open_tree, dir.as_raw_fd(), path.as_ptr(), flags) }?)
}

/// `mkdirat(2)`
#[inline(always)]
pub(crate) fn mkdirat(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> SysResult<()> {
    // SAFETY: the name is NUL-terminated and only read.
    unsafe { direct!(mkdirat, dir.as_raw_fd(), name.as_ptr(), mode) }.map(drop)
}

/// `move_mount(2)`: attaches the mount that `from` is, or lies at, to the place that `to` is.
#[inline(always)]
pub(crate) fn move_mount(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    to_path: &CStr,
    flags: u32,
) -> SysResult<()> {
    let empty = c"".as_ptr();
    // SAFETY: both paths are NUL-terminated and only read.
    unsafe { direct!(move_mount, from.as_raw_fd(), empty, to.as_raw_fd(), to_path.as_ptr(), flags) }
        .map(drop)
}

/// `fsopen(2)`: a new file system that is still to be configured.
pub(crate) fn fsopen(kind: &CStr) -> SysResult<OwnedFd> {
    const FSOPEN_CLOEXEC: u32 = 1;
    // SAFETY: the name is NUL-terminated and only read.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })
}

/// `fsconfig(2)` with a command, and a key and value where it takes them.
pub(crate) fn fsconfig(
    fs: BorrowedFd<'_>,
    command: u32,
    key: Option<&CStr>,
    value: Option<&CStr>,
) -> SysResult<()> {
    // SAFETY: key and value are null or NUL-terminated, and only read.
    check(unsafe {
        libc::syscall(libc::SYS_fsconfig, fs.as_raw_fd(), command, pointer(key), pointer(value), 0)
    })
    .map(drop)
}

/// `fsmount(2)`: the configured file system as a detached mount.
pub(crate) fn fsmount(fs: BorrowedFd<'_>, attributes: u64) -> SysResult<OwnedFd> {
    const FSMOUNT_CLOEXEC: u32 = 1;
    let attributes = c_ulong::try_from(attributes).map_err(|_| Errno::EINVAL)?;
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fs.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) })
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `mount_setattr(2)`: sets attributes of the mount that `mount` is; clears none.
#[inline(always)]
pub(crate) fn mount_setattr(mount: BorrowedFd<'_>, flags: c_int, set: u64) -> SysResult<()> {
    let attr = MountAttr { attr_set: set, ..MountAttr::default() };
    let size = size_of::<MountAttr>();
    let path = c"".as_ptr();
    // SAFETY: the structure has the size that is passed with it and is only read.
    unsafe { direct!(mount_setattr, mount.as_raw_fd(), path, flags, &raw const attr, size) }
        .map(drop)
}

/// The id of the mount at a path, by `statx(2)`; ENOSYS where the kernel (before 5.8) does not
/// tell.
pub(crate) fn mount_id(dir: BorrowedFd<'_>, path: &CStr, flags: c_int) -> SysResult<u64> {
    // SAFETY: the structure is plain integers, for which zero is valid.
    let mut info: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated and only read, and the kernel writes one such structure.
    Errno::result(unsafe {
        libc::statx(dir.as_raw_fd(), path.as_ptr(), flags, libc::STATX_MNT_ID, &raw mut info)
    })?;
    if info.stx_mask & libc::STATX_MNT_ID == 0 { Err(Errno::ENOSYS) } else { Ok(info.stx_mnt_id) }
}

/// `close_range(2)`: closes every fd from `first` to `last`.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> SysResult<()> {
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    // SAFETY: the callers own every fd in the range, or are about to do nothing else with any of
    // them.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) }).map(drop)
}

/// `close(2)` by number, for a process that keeps a few fds and nothing else. Errors mean that it
/// was closed already.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: the callers own the fd of this number, or are about to do nothing else with it.
    _ = unsafe { libc::close(fd) };
}

/// An fd that is no fd, to see whether a call looks at it.
pub(crate) const fn bad_fd() -> BorrowedFd<'static> {
    // SAFETY: the number is beyond what any table can hold, so it is never open and nobody owns it.
    unsafe { BorrowedFd::borrow_raw(RawFd::MAX) }
}

/// Whether an fd number is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD only looks.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Makes an fd ours that the caller has left open. It is for `Inherited` alone.
pub(crate) fn inherited(fd: RawFd) -> SysResult<OwnedFd> {
    if !is_open(fd) {
        return Err(Errno::EBADF);
    }
    // SAFETY: it is open, and `Inherited` asks for each number once and before we keep anything
    // open, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The fds that came with a message.
pub(crate) fn received(part: ControlMessageOwned) -> Vec<OwnedFd> {
    let ControlMessageOwned::ScmRights(numbers) = part else { return Vec::new() };
    // SAFETY: they are new, so nobody else owns them.
    numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// `clone(2)` with a null stack: fork's semantics, plus namespaces. `None` in the child.
///
/// There is only ever one thread, so the child may allocate and do all else that a forked process
/// may. `ends` is what its end tells the parent.
pub(crate) fn clone_process(flags: c_int, ends: End) -> SysResult<Option<Pid>> {
    let flags = c_long::from(flags | ends.signal());
    let null = ptr::null::<c_void>();
    // SAFETY: without CLONE_VM the child has its own copy of all memory, as after fork, and a null
    // stack means the same one.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, null, null, null, 0) })?;
    let pid = c_int::try_from(pid).map_err(|_| Errno::EOVERFLOW)?;
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// How a child's end is waited for, see clone(2) and `__WCLONE` in waitpid(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Like that of every forked process.
    Usual,
    /// Without a signal, by [`wait_ours`], until it executes something: whoever has executed us may
    /// have left us children of the usual kind.
    Ours,
}

impl End {
    const fn signal(self) -> c_int {
        match self {
            Self::Usual => libc::SIGCHLD,
            Self::Ours => 0,
        }
    }
}

/// `struct clone_args` of `clone3(2)`, as it is since Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `clone3(2)` with fork's semantics, plus namespaces, into the control group that the directory
/// is. `None` in the child.
pub(crate) fn clone_into_cgroup(
    namespaces: c_int,
    group: BorrowedFd<'_>,
) -> SysResult<Option<Pid>> {
    // The C library's constant is too narrow for its value, and so is 0.
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let number = |value: c_int| u64::try_from(value).map_err(|_| Errno::EINVAL);
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP | number(namespaces)?,
        exit_signal: number(End::Ours.signal())?,
        cgroup: number(group.as_raw_fd())?,
        ..CloneArgs::default()
    };
    // SAFETY: the structure has the size that is passed with it and is only read; without CLONE_VM
    // the child has its own copy of all memory, as after fork, and no stack means the same one.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) })?;
    let pid = c_int::try_from(pid).map_err(|_| Errno::EOVERFLOW)?;
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// A `prctl(2)` whose arguments are integers.
#[inline(always)]
pub(crate) fn prctl(option: c_int, argument: c_ulong, argument3: c_ulong) -> SysResult<c_int> {
    // SAFETY: only options with integer arguments are passed.
    let value = unsafe { direct!(prctl, option, argument, argument3, 0, 0) }?;
    c_int::try_from(value).map_err(|_| Errno::EOVERFLOW)
}

/// Installs a seccomp program on this thread, as it is: by `prctl(2)`, or with flags by
/// `seccomp(2)`.
///
/// A filter that is there already may say that the call has succeeded without letting it through:
/// ECANCELED, if that is to be found out. A program without instructions is EINVAL for the kernel,
/// and looks the same to every filter.
pub(crate) fn install_filter(
    program: &[libc::sock_filter],
    flags: c_ulong,
    is_checked: bool,
) -> SysResult<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let mut fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    if is_checked {
        fprog.len = 0;
        match set_filter(&fprog, flags) {
            Err(Errno::EINVAL) => {}
            Ok(()) => return Err(Errno::ECANCELED),
            other => return other,
        }
        fprog.len = len;
    }
    set_filter(&fprog, flags)
}

#[inline(never)]
fn set_filter(fprog: &libc::sock_fprog, flags: c_ulong) -> SysResult<()> {
    if flags != 0 {
        let operation = libc::SECCOMP_SET_MODE_FILTER;
        // SAFETY: the kernel copies `len` instructions from the slice and keeps no pointer.
        return check(unsafe {
            libc::syscall(libc::SYS_seccomp, operation, flags, &raw const *fprog)
        })
        .map(drop);
    }
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel copies `len` instructions from the slice and keeps no pointer.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const *fprog) }).map(drop)
}

/// `struct landlock_ruleset_attr` of `landlock_create_ruleset(2)`: what is refused unless a rule
/// allows it, and what does not leave.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct LandlockRuleset {
    /// Accesses to files.
    pub(crate) handled_access_fs: u64,
    /// Uses of the network.
    pub(crate) handled_access_net: u64,
    /// What is kept inside.
    pub(crate) scoped: u64,
}

/// `struct landlock_net_port_attr` of `landlock_add_rule(2)`.
#[repr(C)]
struct LandlockPort {
    allowed_access: u64,
    port: u64,
}

/// The version of the kernel's Landlock: ENOSYS if it has none, EOPNOTSUPP if it is switched off.
pub(crate) fn landlock_abi() -> SysResult<c_int> {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag there is no structure.
    let abi = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<c_void>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    })?;
    c_int::try_from(abi).map_err(|_| Errno::EOVERFLOW)
}

/// `landlock_create_ruleset(2)`
pub(crate) fn landlock_create(ruleset: LandlockRuleset) -> SysResult<OwnedFd> {
    let size = size_of::<LandlockRuleset>();
    // SAFETY: the structure has the size that is passed with it and is only read.
    owned(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0_u32)
    })
}

/// `landlock_add_rule(2)` for a port.
pub(crate) fn landlock_allow_port(
    ruleset: BorrowedFd<'_>,
    port: u16,
    allowed_access: u64,
) -> SysResult<()> {
    const RULE_NET_PORT: c_int = 2;
    let rule = LandlockPort { allowed_access, port: port.into() };
    // SAFETY: the structure is the one of this kind of rule and is only read.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_NET_PORT,
            &raw const rule,
            0_u32,
        )
    })
    .map(drop)
}

/// `struct landlock_path_beneath_attr` of `landlock_add_rule(2)`.
#[repr(C, packed)]
struct LandlockPath {
    allowed_access: u64,
    parent_fd: c_int,
}

/// `landlock_add_rule(2)` for a file, or a directory and what is below it.
pub(crate) fn landlock_allow_path(
    ruleset: BorrowedFd<'_>,
    path: BorrowedFd<'_>,
    allowed_access: u64,
) -> SysResult<()> {
    const RULE_PATH_BENEATH: c_int = 1;
    let rule = LandlockPath { allowed_access, parent_fd: path.as_raw_fd() };
    // SAFETY: the structure is the one of this kind of rule and is only read.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    })
    .map(drop)
}

/// `landlock_restrict_self(2)`
pub(crate) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> SysResult<()> {
    // SAFETY: integers only.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) })
        .map(drop)
}

/// The kernel's version, as `uname(2)` gives it.
pub(crate) fn kernel_release() -> String {
    uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// One half of the sets of `capget(2)` and `capset(2)`: capabilities 0–31 or 32–63.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The header of `capget(2)` and `capset(2)`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: c_int,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// The high and the low half of a set.
fn halves(set: u64) -> (u32, u32) {
    let half = |shift: u32| u32::try_from(set >> shift & u64::from(u32::MAX)).unwrap_or_default();
    (half(32), half(0))
}

/// `NS_GET_USERNS` of ioctl_ns(2): the user namespace that owns another namespace.
pub(crate) fn owner_of_namespace(namespace: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument.
    owned(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) }.into())
}

/// `NS_GET_NSTYPE` of ioctl_ns(2): the `CLONE_NEW*` flag of a namespace's kind. Other files have none
/// and say ENOTTY, or whatever pidfds, which setns(2) would take as well, say on some kernels.
pub(crate) fn kind_of_namespace(namespace: BorrowedFd<'_>) -> SysResult<c_int> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) };
    Errno::result(kind)
}

/// `pidfd_open(2)`
pub(crate) fn pidfd_open(pid: Pid) -> SysResult<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0_u32) })
}

/// `pidfd_send_signal(2)`, as kill(2) would.
pub(crate) fn pidfd_send_signal(process: BorrowedFd<'_>, signal: c_int) -> SysResult<()> {
    let null = ptr::null::<c_void>();
    // SAFETY: a null pointer stands for what kill(2) says about the sender.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, null, 0_u32)
    })
    .map(drop)
}

/// Effective and permitted capabilities of this process.
pub(crate) fn capget() -> SysResult<(u64, u64)> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 has two halves, which is what `data` has room for.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let [low, high] = data;
    let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok((whole(low.effective, high.effective), whole(low.permitted, high.permitted)))
}

/// Sets effective and inheritable to the same set, and permitted to that and more, in one call.
pub(crate) fn capset(set: u64, more: u64) -> SysResult<()> {
    set_capabilities(set, set | more, set)
}

/// Makes permitted capabilities effective; none is inheritable.
pub(crate) fn raise(set: u64) -> SysResult<()> {
    set_capabilities(set, set, 0)
}

/// `capset(2)`
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> SysResult<()> {
    let header = CapHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let [(e_high, e_low), (p_high, p_low), (i_high, i_low)] =
        [effective, permitted, inheritable].map(halves);
    let half = |effective, permitted, inheritable| CapData { effective, permitted, inheritable };
    let data = [half(e_low, p_low, i_low), half(e_high, p_high, i_high)];
    // SAFETY: version 3 has two halves, and `data` is only read.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// A value the kernel passed at exec, see getauxval(3).
pub(crate) fn auxiliary(kind: c_ulong) -> c_ulong {
    // SAFETY: it only looks.
    unsafe { libc::getauxval(kind) }
}

/// The variables of the environment that this process was started with.
pub(crate) fn variables() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: nobody writes to it.
    let start = unsafe { environ };
    if start.is_null() {
        return Vec::new();
    }
    let each = (0..).map_while(|index| {
        // SAFETY: the array ends with a null pointer, where this stops.
        let slot = unsafe { start.add(index) };
        // SAFETY: `slot` is inside that array.
        let variable = unsafe { *slot };
        // SAFETY: each of them is a NUL-terminated string that lives as long as the process.
        (!variable.is_null()).then(|| unsafe { CStr::from_ptr(variable) })
    });
    each.collect()
}

/// A program's arguments or environment as exec takes them.
pub(crate) struct Arguments<'a> {
    /// Ends with a null pointer.
    pointers: Vec<*const c_char>,
    words: PhantomData<&'a CStr>,
}

impl<'a> Arguments<'a> {
    /// Makes the array of these words.
    pub(crate) fn of(words: &[&'a CStr]) -> Self {
        let pointers = words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        Self { pointers, words: PhantomData }
    }

    fn set_second(&mut self, word: Option<*const c_char>) {
        // The last one is the null pointer.
        if let ([_, place, _, ..], Some(word)) = (self.pointers.as_mut_slice(), word) {
            *place = word;
        }
    }
}

/// `execve(2)`; returns only if the program cannot be executed. Nothing else is called.
///
/// Another second word than the usual one is for this call only.
pub(crate) fn execve(
    path: &CStr,
    arguments: &mut Arguments<'_>,
    second: Option<&CStr>,
    variables: &Arguments<'_>,
) -> Errno {
    let usual = arguments.pointers.get(1).copied();
    arguments.set_second(second.map(CStr::as_ptr));
    let (words, variables) = (arguments.pointers.as_ptr(), variables.pointers.as_ptr());
    // SAFETY: both arrays end with a null pointer and each string with NUL; exec copies them.
    unsafe { libc::execve(path.as_ptr(), words, variables) };
    let errno = Errno::last();
    arguments.set_second(usual);
    errno
}

/// Flags, not set, in memory that this process shares with all that it forks. They stay until those
/// execute something else or end.
pub(crate) fn shared_flags<const COUNT: usize>() -> SysResult<&'static [AtomicBool; COUNT]> {
    let memory = shared_memory(size_of::<[AtomicBool; COUNT]>())?;
    // SAFETY: the page is zeroed, which is flags that are not set, and nothing ever unmaps it.
    Ok(unsafe { &*memory.cast() })
}

/// `exit_group(2)`, or `exit(2)` where a filter refuses that. Where it refuses both, the end is a
/// crash: the C library's `_exit` might try for ever.
pub(crate) fn exit_now(status: c_int) -> ! {
    for call in [libc::SYS_exit_group, libc::SYS_exit] {
        // SAFETY: it ends the process at once.
        unsafe { libc::syscall(call, status) };
    }
    std::process::abort()
}

/// `waitpid(2)` for any child: which one, and its status as the kernel gives it. nix's cannot tell
/// of real-time signals. If it does not wait there may be none.
pub(crate) fn wait_any(waits: bool) -> SysResult<Option<(Pid, c_int)>> {
    let flags = if waits { libc::__WALL } else { libc::__WALL | libc::WNOHANG };
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags) })?;
    Ok((pid != 0).then(|| (Pid::from_raw(pid), status)))
}

/// The same for a child of the kind [`End::Ours`] that has not executed anything.
pub(crate) fn wait_ours() -> SysResult<c_int> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::__WCLONE) })?;
    Ok(status)
}

/// The same for one child of either kind.
pub(crate) fn wait_for(pid: Pid) -> SysResult<c_int> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    Errno::result(unsafe { libc::waitpid(pid.as_raw(), &raw mut status, libc::__WALL) })?;
    Ok(status)
}

/// Gives a signal its default disposition.
pub(crate) fn default_signal(signal: c_int) {
    // SAFETY: SIG_DFL runs no code of ours.
    _ = unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ignores a signal.
pub(crate) fn ignore_signal(signal: c_int) {
    // SAFETY: SIG_IGN runs no code of ours.
    _ = unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Does something while a signal is ignored.
pub(crate) fn while_ignored<T>(signal: c_int, act: impl FnOnce() -> T) -> T {
    // SAFETY: SIG_IGN runs no code of ours.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    let result = act();
    // SAFETY: this is what it was before, and no handler of ours.
    _ = unsafe { libc::signal(signal, before) };
    result
}

/// A timer of this process, see timer_create(2).
#[derive(Debug)]
pub(crate) struct Timer(c_int);

impl Timer {
    /// Has the kernel send this process SIGKILL once a time has passed, stopped or not.
    pub(crate) fn kill_self_after(time: Duration) -> SysResult<Self> {
        // SAFETY: the structure is plain integers and pointers, for which zero is valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut id = 0;
        let clock = libc::CLOCK_MONOTONIC;
        // SAFETY: the event is only read, and the kernel writes one integer.
        check(unsafe {
            libc::syscall(libc::SYS_timer_create, clock, &raw const event, &raw mut id)
        })?;
        let timer = Self(id);
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let mut setting = libc::itimerspec { it_interval: zero, it_value: zero };
        setting.it_value.tv_sec = time.as_secs().try_into().map_err(|_| Errno::EINVAL)?;
        setting.it_value.tv_nsec = time.subsec_nanos().into();
        let null = ptr::null::<c_void>();
        // SAFETY: the setting is only read, and a null pointer asks for nothing back.
        check(unsafe {
            libc::syscall(libc::SYS_timer_settime, timer.0, 0, &raw const setting, null)
        })?;
        Ok(timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: integers only.
        _ = unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

/// `flock(2)`, without waiting: EWOULDBLOCK if somebody else has the lock.
pub(crate) fn lock_open_file(file: BorrowedFd<'_>, operation: c_int) -> SysResult<()> {
    // SAFETY: integers only.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) }).map(drop)
}

/// A read lock on a whole file, without waiting, see `F_SETLK` in fcntl(2).
pub(crate) fn lock_shared(file: BorrowedFd<'_>) -> SysResult<()> {
    let [l_type, l_whence] = [libc::F_RDLCK, libc::SEEK_SET].map(c_short::try_from);
    let (l_type, l_whence) =
        (l_type.map_err(|_| Errno::EINVAL)?, l_whence.map_err(|_| Errno::EINVAL)?);
    let lock = libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 };
    fcntl(file, FcntlArg::F_SETLK(&lock)).map(drop)
}

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): a call that has been received waits for
/// its answer without being interrupted by signals that do not kill.
pub(crate) const WAIT_KILLABLE: c_ulong = 1 << 5;

/// Whether the kernel knows these flags of a filter, which `seccomp(2)` looks at before it finds
/// that there is no program.
pub(crate) fn knows_filter_flags(flags: c_ulong) -> SysResult<bool> {
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    let null = ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel reads from the null pointer in its own way, which is EFAULT.
    match check(unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, null) }) {
        Err(Errno::EFAULT) | Ok(_) => Ok(true),
        Err(Errno::EINVAL) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Installs a seccomp program on this thread, with a listener that hears of the calls for which it
/// answers `SECCOMP_RET_USER_NOTIF`.
pub(crate) fn install_listener(
    program: &[libc::sock_filter],
    flags: c_ulong,
) -> SysResult<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::EINVAL)?;
    let fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    let flags = flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // SAFETY: the kernel copies `len` instructions from the slice and keeps no pointer.
    owned(unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const fprog) })
}

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notified {
    /// What the answer has to name.
    pub(crate) id: u64,
    /// The thread, as this process's pid namespace counts.
    pub(crate) thread: Pid,
    /// The call's number.
    pub(crate) number: c_int,
    /// `AUDIT_ARCH_…`
    pub(crate) arch: u32,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// As much room as a kernel to come may want.
#[repr(C)]
struct Notification {
    known: libc::seccomp_notif,
    more: [u64; 32],
}

/// `SECCOMP_IOCTL_NOTIF_RECV`: the next call that waits. ENOENT if its process has been killed.
pub(crate) fn receive_call(listener: BorrowedFd<'_>) -> SysResult<Notified> {
    // SAFETY: the structure is plain integers, for which zero is valid, and zero is wanted.
    let mut notification: Notification = unsafe { std::mem::zeroed() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the kernel writes one structure, which is no longer than what there is.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut notification) })?;
    let libc::seccomp_notif { id, pid, data, .. } = notification.known;
    let thread = Pid::from_raw(pid.cast_signed());
    Ok(Notified { id, thread, number: data.nr, arch: data.arch, args: data.args })
}

/// What becomes of a call that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The kernel does it.
    Continue,
    /// It fails with this errno; 0 is a success.
    Fail(u32),
}

/// `SECCOMP_IOCTL_NOTIF_SEND`: answers a call. ENOENT if it waits no longer.
pub(crate) fn reply_to_call(listener: BorrowedFd<'_>, id: u64, reply: Reply) -> SysResult<()> {
    let (error, flags) = match reply {
        Reply::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        Reply::Fail(errno) => (-errno.cast_signed(), 0),
    };
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
    // SAFETY: the kernel reads one structure of this kind.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const response) })
        .map(drop)
}

/// `SECCOMP_IOCTL_NOTIF_ID_VALID`: whether a call was received and still waits for its answer. It
/// has the number that all kernels know; Linux 5.17 has corrected it, and libc has that one alone.
pub(crate) fn is_call_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    let request = libc::SECCOMP_IOCTL_NOTIF_ID_VALID ^ 0b11 << 30;
    // SAFETY: the kernel reads one number.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw const id) == 0 }
}

/// `SECCOMP_IOCTL_NOTIF_SET_FLAGS`: who waits for an answer is woken up on the answerer's processor
/// (Linux 6.6), which is nearest.
pub(crate) fn wake_near(listener: BorrowedFd<'_>) -> SysResult<()> {
    const SYNC_WAKE_UP: c_ulong = 1;
    let request = libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS;
    // SAFETY: the argument is an integer.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, SYNC_WAKE_UP) }).map(drop)
}

/// `pidfd_getfd(2)`: a copy of another process's fd.
pub(crate) fn pidfd_getfd(process: BorrowedFd<'_>, number: RawFd) -> SysResult<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0_u32) })
}

/// When the file that an fd is was made, by `statx(2)`; nothing where the file system does not say.
pub(crate) fn birth(file: BorrowedFd<'_>) -> SysResult<Option<(i64, u32)>> {
    // SAFETY: the structure is plain integers, for which zero is valid.
    let mut info: libc::statx = unsafe { std::mem::zeroed() };
    let (path, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the path is NUL-terminated and only read, and the kernel writes one such structure.
    Errno::result(unsafe {
        libc::statx(file.as_raw_fd(), path, flags, libc::STATX_BTIME, &raw mut info)
    })?;
    let is_known = info.stx_mask & libc::STATX_BTIME != 0;
    Ok(is_known.then_some((info.stx_btime.tv_sec, info.stx_btime.tv_nsec)))
}

/// Whether the mount that a file is on follows no symbolic links, by `statvfs(3)`: a flag that no
/// library has a name for.
pub(crate) fn is_nosymfollow(file: BorrowedFd<'_>) -> SysResult<bool> {
    const ST_NOSYMFOLLOW: c_ulong = 0x2000;
    // SAFETY: the structure is plain integers, for which zero is valid.
    let mut info: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: one such structure is written.
    Errno::result(unsafe { libc::fstatvfs(file.as_raw_fd(), &raw mut info) })?;
    Ok(info.f_flag & ST_NOSYMFOLLOW != 0)
}

/// Numbers, 0 at first, in memory that this process shares with all that it forks. It stays until
/// they execute something else or end.
pub(crate) fn shared_numbers(count: usize) -> SysResult<&'static [AtomicU64]> {
    let memory = shared_memory(count.checked_mul(size_of::<AtomicU64>()).ok_or(Errno::ENOMEM)?)?;
    // SAFETY: the mapping has so many zeroed numbers, and nothing ever unmaps it.
    Ok(unsafe { std::slice::from_raw_parts(memory.cast::<AtomicU64>(), count) })
}

/// Words in memory that is shared with all that this process forks while it has them.
#[derive(Debug)]
pub(crate) struct SharedWords {
    first: ptr::NonNull<AtomicU64>,
    count: usize,
}

impl SharedWords {
    /// So many, all of them 0.
    pub(crate) fn new(count: usize) -> SysResult<Self> {
        let memory =
            shared_memory(count.checked_mul(size_of::<AtomicU64>()).ok_or(Errno::ENOMEM)?)?;
        let first = ptr::NonNull::new(memory.cast()).ok_or(Errno::ENOMEM)?;
        Ok(Self { first, count })
    }

    pub(crate) const fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has so many words, zeroed at first, and lasts as long as `self`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        let size = self.count * size_of::<AtomicU64>();
        // SAFETY: the mapping is this one's alone, and nobody can have a reference into it any more.
        unsafe { libc::munmap(self.first.as_ptr().cast(), size) };
    }
}

/// New pages that are shared with all that this process forks.
fn shared_memory(size: usize) -> SysResult<*mut c_void> {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping takes nobody's place.
    let memory = unsafe { libc::mmap(ptr::null_mut(), size, access, flags, -1, 0) };
    if memory == libc::MAP_FAILED { Err(Errno::last()) } else { Ok(memory) }
}

/// A message that brings three fds, in memory that does not move: a filter may know it by where it
/// is.
pub(crate) struct Rights {
    header: libc::msghdr,
    part: libc::iovec,
    /// One control message with three fds, aligned as its header has to be.
    control: [u64; 4],
    text: Vec<u8>,
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights").field("text", &self.text).finish_non_exhaustive()
    }
}

impl Rights {
    /// A message with this text.
    #[expect(clippy::unnecessary_box_returns, reason = "what a filter knows it by must not move")]
    pub(crate) fn new(text: Vec<u8>) -> Box<Self> {
        // SAFETY: the structure is plain integers and pointers, for which zero is valid.
        let header: libc::msghdr = unsafe { std::mem::zeroed() };
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Box::new(Self { header, part, control: [0; 4], text })
    }

    /// Where the kernel is told to look.
    pub(crate) fn address(&self) -> u64 {
        u64::try_from((&raw const self.header).addr()).unwrap_or_default()
    }

    /// `sendmsg(2)`
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, fds: [RawFd; 3]) -> SysResult<()> {
        // The kernel's own layout: the length, SOL_SOCKET and SCM_RIGHTS, three numbers.
        const LENGTH: u64 = 28;
        let word = |low: RawFd, high: RawFd| {
            let (low, high) = (low.cast_unsigned(), high.cast_unsigned());
            let halves = if cfg!(target_endian = "little") { (low, high) } else { (high, low) };
            u64::from(halves.0) | u64::from(halves.1) << 32
        };
        let [first, second, third] = fds;
        self.control =
            [LENGTH, word(libc::SOL_SOCKET, libc::SCM_RIGHTS), word(first, second), word(third, 0)];
        self.part.iov_base = self.text.as_mut_ptr().cast();
        self.part.iov_len = self.text.len();
        self.header.msg_iov = &raw mut self.part;
        self.header.msg_iovlen = 1;
        self.header.msg_control = (&raw mut self.control).cast();
        self.header.msg_controllen = 32;
        let header = &raw const self.header;
        let flags = libc::MSG_NOSIGNAL;
        // SAFETY: the header points to memory of this object, which is only read, with its lengths.
        check(unsafe { libc::syscall(libc::SYS_sendmsg, socket.as_raw_fd(), header, flags) })
            .map(drop)
    }
}
