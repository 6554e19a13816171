//! The floor: what a sandbox of a given shape costs at the least. Every call in here is one without which the sandbox would not be
//! the one that was asked for. Nothing is parsed, checked, explained or tidied up, so this is no program to use.
//!
//! `floor SHAPE BINDS SKIP [SKIPPED...] COMMAND [ARGS...]`, for an ordinary user; SHAPE is `plain`, `binds`, `usr`, `typical` or
//! `share-net`. SKIP words are skipped: they are those of the real program's command line, which the kernel has to copy.
//!
//! There is no C library, no Rust runtime and no relocation: the kernel enters at `_start`, and all that follows is system calls. The
//! benchmark compiles this file by `rustc` alone, for x86-64 or aarch64.
#![no_std]
#![no_main]

use core::arch::{asm, naked_asm};
use core::ffi::{CStr, c_char, c_int, c_long, c_uint};
use core::mem::MaybeUninit;
use core::ptr::null;

/// A call whose result counts.
macro_rules! syscall {
    ($name:ident $(, $argument:expr)*) => {{
        let mut arguments = [0_usize; 6];
        let words = [$(Argument::word($argument)),*];
        arguments[..words.len()].copy_from_slice(&words);
        unsafe { syscall(nr::$name, arguments) }
    }};
}

/// A call that has to succeed. Its result.
macro_rules! call {
    ($name:ident $(, $argument:expr)*) => {{
        let result = syscall!($name $(, $argument)*);
        if result < 0 {
            exit(2)
        }
        result as c_int
    }};
}

/// A call whose result does not matter.
macro_rules! attempt {
    ($name:ident $(, $argument:expr)*) => {
        _ = syscall!($name $(, $argument)*)
    };
}

/// Where the kernel enters: the stack pointer leads to the number of words, the words and the environment.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "bl {main}", "brk 0", main = sym main);
}

/// A system call, with zeroes for the arguments that it does not take.
unsafe fn syscall(number: c_long, arguments: [usize; 6]) -> c_long {
    let [a, b, c, d, e, f] = arguments;
    let result: c_long;
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack));
    }
    result
}

/// An argument of a call, as wide as a register.
trait Argument {
    fn word(self) -> usize;
}

macro_rules! arguments {
    ($($kind:ty)*) => { $(impl Argument for $kind { fn word(self) -> usize { self as usize } })* };
}
arguments!(c_int c_uint c_long u64 usize);

impl<T> Argument for *const T {
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Argument for *mut T {
    fn word(self) -> usize {
        self as usize
    }
}

/// What compilers call for arrays; there is no library that has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: c_int, count: usize) -> *mut u8 {
    for at in 0..count {
        unsafe { to.add(at).write_volatile(byte as u8) }
    }
    to
}

/// The same.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    for at in 0..count {
        unsafe { to.add(at).write_volatile(*from.add(at)) }
    }
    to
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(3)
}

fn exit(status: c_int) -> ! {
    loop {
        attempt!(EXIT_GROUP, status);
    }
}

/// The system calls, by the numbers that x86-64 and the others have for them.
mod nr {
    use core::ffi::c_long;

    macro_rules! numbers {
        ($($name:ident $x86:literal $other:literal,)*) => {
            $(pub const $name: c_long = if cfg!(target_arch = "x86_64") { $x86 } else { $other };)*
        };
    }
    numbers! {
        WRITE 1 64, CLOSE 3 57, SOCKET 41 198, SENDTO 44 206, RECVFROM 45 207, SOCKETPAIR 53 199, CLONE 56 220, WAIT4 61 260,
        GETCWD 79 17, CHDIR 80 49, FCHDIR 81 50, CAPSET 126 91, PIVOT_ROOT 155 41, PRCTL 157 167, OPENAT 257 56, MKDIRAT 258 34,
        MKNODAT 259 33, SYMLINKAT 266 36, UNSHARE 272 97, UMOUNT2 166 39, READ 0 63, OPEN_TREE 428 428, MOVE_MOUNT 429 429,
        FSOPEN 430 430, FSCONFIG 431 431, FSMOUNT 432 432, CLOSE_RANGE 436 436, MOUNT_SETATTR 442 442, GETUID 102 174, PRLIMIT64 302 261,
        GETGID 104 176, EXECVE 59 221, EXIT_GROUP 231 94,
    }
}

const AT_FDCWD: c_int = -100;
const CLOEXEC: c_int = 0o2_000_000;
const O_PATH: c_int = 0o10_000_000;
const EMPTY: *const c_char = c"".as_ptr();
const RDONLY_NOSUID_NODEV: u64 = 7;
const NOSUID: u64 = 2;
const SIGCHLD: c_long = 17;
const SIGKILL: c_long = 9;
const NEWNS: c_long = 0x2_0000;
const NEWUSER: c_long = 0x1000_0000;
const NEWNET: c_long = 0x4000_0000;
/// cgroup, uts, ipc and pid.
const NEWOTHERS: c_long = 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x2000_0000;

/// Decimal text of a number, in a buffer.
fn digits(number: c_uint, buffer: &mut [u8], mut at: usize) -> usize {
    let mut divisor = 1;
    while number / divisor >= 10 {
        divisor *= 10;
    }
    while divisor > 0 {
        buffer[at] = b'0' + (number / divisor % 10) as u8;
        at += 1;
        divisor /= 10;
    }
    at
}

fn write_file(proc: c_int, path: &CStr, text: &[u8]) {
    let fd = call!(OPENAT, proc, path.as_ptr(), 1 | CLOEXEC, 0);
    call!(WRITE, fd, text.as_ptr(), text.len());
    call!(CLOSE, fd);
}

fn write_map(proc: c_int, path: &CStr, inside: c_uint, outside: c_uint) {
    let mut line = [b' '; 32];
    let end = digits(inside, &mut line, 0);
    let end = digits(outside, &mut line, end + 1);
    line[end + 1] = b'1';
    write_file(proc, path, &line[..end + 2]);
}

/// A bind's source, with its flags set.
fn clone_tree(path: &CStr, attributes: u64) -> c_int {
    let tree = call!(OPEN_TREE, AT_FDCWD, path.as_ptr(), 1 | CLOEXEC | 0x8000);
    let attr = [attributes, 0, 0, 0];
    call!(MOUNT_SETATTR, tree, EMPTY, 0x1000 | 0x8000, attr.as_ptr(), 32_usize);
    tree
}

fn fresh(kind: &CStr, parameters: &[(&CStr, &CStr)], attributes: u64) -> c_int {
    let fs = call!(FSOPEN, kind.as_ptr(), 1);
    call!(FSCONFIG, fs, 1, c"source".as_ptr(), kind.as_ptr(), 0);
    for (key, value) in parameters {
        call!(FSCONFIG, fs, 1, key.as_ptr(), value.as_ptr(), 0);
    }
    call!(FSCONFIG, fs, 6, null::<c_char>(), null::<c_char>(), 0);
    let mount = call!(FSMOUNT, fs, 1, attributes);
    call!(CLOSE, fs);
    mount
}

/// Attaches a tree at the place of a name.
fn attach(tree: c_int, dir: c_int, name: &CStr) {
    call!(MOVE_MOUNT, tree, EMPTY, dir, name.as_ptr(), 4);
}

const NODES: [(&CStr, &CStr); 6] = [
    (c"null", c"/dev/null"),
    (c"zero", c"/dev/zero"),
    (c"full", c"/dev/full"),
    (c"random", c"/dev/random"),
    (c"urandom", c"/dev/urandom"),
    (c"tty", c"/dev/tty"),
];
const LINKS: [(&CStr, &CStr); 6] = [
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"fd", c"/proc/self/fd"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

fn loopback() {
    let socket = call!(SOCKET, 16, 3 | CLOEXEC, 0);
    let mut message = [0_u32; 8];
    message[0] = 32;
    message[1] = u32::from_ne_bytes([16, 0, 5, 0]);
    message[5] = 1;
    message[6] = 1;
    message[7] = 1;
    let address = [16_u32, 0, 0];
    call!(SENDTO, socket, message.as_ptr(), 32_usize, 0, address.as_ptr(), 12);
    let mut reply = [0_u8; 64];
    call!(RECVFROM, socket, reply.as_mut_ptr(), 64_usize, 0, 0, 0);
    call!(CLOSE, socket);
}

/// Everything of `--proc /proc --dev /dev --tmpfs /tmp`, made while the host is still there.
struct Typical {
    proc: c_int,
    dev: c_int,
    nodes: [c_int; 6],
    pts: c_int,
}

impl Typical {
    fn gather() -> Self {
        Self {
            proc: fresh(c"proc", &[], 2 | 4 | 8),
            dev: fresh(c"tmpfs", &[(c"mode", c"0755")], 2 | 4),
            nodes: NODES.map(|(_, path)| clone_tree(path, NOSUID)),
            pts: fresh(c"devpts", &[(c"ptmxmode", c"0666"), (c"mode", c"620")], 2 | 8),
        }
    }

    fn build(&self) {
        attach(self.proc, AT_FDCWD, c"/proc");
        attach(self.dev, AT_FDCWD, c"/dev");
        for (tree, (name, _)) in self.nodes.into_iter().zip(NODES) {
            call!(MKNODAT, self.dev, name.as_ptr(), 0o100_444, 0);
            attach(tree, self.dev, name);
        }
        for (name, target) in LINKS {
            call!(SYMLINKAT, target.as_ptr(), self.dev, name.as_ptr());
        }
        call!(MKDIRAT, self.dev, c"shm".as_ptr(), 0o755);
        call!(MKDIRAT, self.dev, c"pts".as_ptr(), 0o755);
        attach(self.pts, self.dev, c"pts");
    }
}

fn capset_nothing() {
    let header = [0x2008_0522_u32, 0];
    let data = [0_u32; 6];
    call!(CAPSET, header.as_ptr(), data.as_ptr());
}

/// More binds than fit are not measured against the floor.
const MAX_BINDS: usize = 4000;

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// `--ro-bind / /`
    Plain,
    /// The same, and a tmpfs with binds in it.
    Binds(usize),
    /// `--ro-bind /usr /usr` and links to it.
    Usr,
    /// All namespaces but perhaps the network's, `--proc`, `--dev` and `--tmpfs`.
    Typical { net: bool },
}

/// The set-up, up to the point where the process may become COMMAND.
fn enter(proc: c_int, outside: (c_uint, c_uint), shape: Shape) {
    let typical = matches!(shape, Shape::Typical { .. });
    let mut cwd = MaybeUninit::<[u8; 4096]>::uninit();
    call!(GETCWD, cwd.as_mut_ptr(), 4096_usize);
    let first = |id| if typical { 0 } else { id };
    write_map(proc, c"self/uid_map", first(outside.0), outside.0);
    write_file(proc, c"self/setgroups", b"deny");
    write_map(proc, c"self/gid_map", first(outside.1), outside.1);
    if shape == (Shape::Typical { net: true }) {
        loopback();
    }
    let (root, usr) = match shape {
        Shape::Usr => (fresh(c"tmpfs", &[(c"mode", c"0755")], 2 | 4), Some(clone_tree(c"/usr", RDONLY_NOSUID_NODEV))),
        _ => (clone_tree(c"/", RDONLY_NOSUID_NODEV), None),
    };
    let parts = typical.then(Typical::gather);
    let binds = if let Shape::Binds(number) = shape { number } else { 0 };
    let tmp = matches!(shape, Shape::Typical { .. } | Shape::Binds(_)).then(|| fresh(c"tmpfs", &[(c"mode", c"0755")], 2 | 4));
    if binds > 500 {
        let mut limit = [0_u64; 2];
        call!(PRLIMIT64, 0, 7, null::<u64>(), limit.as_mut_ptr());
        limit[0] = limit[1];
        call!(PRLIMIT64, 0, 7, limit.as_ptr(), null::<u64>());
    }
    let mut trees = [const { MaybeUninit::uninit() }; MAX_BINDS];
    for tree in &mut trees[..binds] {
        tree.write(clone_tree(c"/usr", RDONLY_NOSUID_NODEV));
    }

    attach(root, AT_FDCWD, c"/");
    call!(FCHDIR, root);
    call!(PIVOT_ROOT, c".".as_ptr(), c".".as_ptr());
    call!(UMOUNT2, c".".as_ptr(), 2);
    call!(CHDIR, c"/".as_ptr());

    if let Some(usr) = usr {
        call!(MKDIRAT, AT_FDCWD, c"/usr".as_ptr(), 0o755);
        attach(usr, AT_FDCWD, c"/usr");
        for (name, target) in [(c"/bin", c"usr/bin"), (c"/lib", c"usr/lib"), (c"/lib64", c"usr/lib64")] {
            call!(SYMLINKAT, target.as_ptr(), AT_FDCWD, name.as_ptr());
        }
    }
    if let Some(parts) = &parts {
        parts.build();
    }
    if let Some(tmp) = tmp {
        attach(tmp, AT_FDCWD, c"/tmp");
        for (number, tree) in trees[..binds].iter().enumerate() {
            let mut name = [0_u8; 16];
            digits(number as c_uint, &mut name, 0);
            call!(MKDIRAT, tmp, name.as_ptr(), 0o755);
            call!(MOVE_MOUNT, unsafe { tree.assume_init() }, EMPTY, tmp, name.as_ptr(), 4);
        }
    }
    if typical {
        call!(UNSHARE, NEWUSER);
        write_map(proc, c"self/uid_map", outside.0, 0);
        write_map(proc, c"self/gid_map", outside.1, 0);
    }
    for number in 0..=40_u64 {
        attempt!(PRCTL, 24_u64, number, 0_u64, 0_u64, 0_u64);
    }
    capset_nothing();
    call!(PRCTL, 4_u64, 1_u64, 0_u64, 0_u64, 0_u64);
    if syscall!(CHDIR, cwd.as_ptr()) < 0 {
        call!(CHDIR, c"/".as_ptr());
    }
}

fn wait() -> c_int {
    let mut status = 0;
    call!(WAIT4, -1, &raw mut status, 0, null::<c_int>());
    status >> 8 & 0xff | c_int::from(status & 0x7f != 0)
}

/// Executes a program that is looked for in PATH, as execvp(3) does.
fn execute(argv: *const Word, environment: *const Word) -> c_int {
    let mut variables = (0..).map(|at| unsafe { *environment.add(at) }).take_while(|variable| !variable.is_null());
    let path = variables.find(|variable| b"PATH=".iter().zip(0..).all(|(byte, at)| unsafe { *variable.add(at) } == *byte));
    let mut rest = path.map_or(EMPTY.cast(), |path| unsafe { path.add(5) });
    let mut full = MaybeUninit::<[u8; 4096]>::uninit();
    let full = full.as_mut_ptr().cast::<u8>();
    loop {
        let mut end = 0;
        let mut append = |byte| {
            unsafe { full.add(end).write(byte) }
            end += 1;
        };
        let dir = until(rest, b":");
        (0..dir).for_each(|at| append(unsafe { *rest.add(at) }));
        append(b'/');
        (0..=until(unsafe { *argv }, b"")).for_each(|at| append(unsafe { *(*argv).add(at) }));
        attempt!(EXECVE, full, argv, environment);
        if unsafe { *rest.add(dir) } == 0 {
            return 1;
        }
        rest = unsafe { rest.add(dir + 1) };
    }
}

/// How many bytes there are before the end of a text, or before one of these. Volatile, or the compiler would call strlen(3).
fn until(text: Word, ends: &[u8]) -> usize {
    (0..).map(|at| unsafe { text.add(at).read_volatile() }).take_while(|byte| *byte != 0 && !ends.contains(byte)).count()
}

fn number(text: Word) -> usize {
    (0..until(text, b"")).fold(0, |number, at| number * 10 + usize::from(unsafe { *text.add(at) } - b'0'))
}

/// A word of the command line.
type Word = *const u8;

extern "C" fn main(stack: *const usize) -> ! {
    let argv = unsafe { stack.add(1) }.cast::<Word>();
    let environment = unsafe { argv.add(*stack + 1) };
    exit(run(argv, environment))
}

fn run(argv: *const Word, environment: *const Word) -> c_int {
    let word = |at: usize| unsafe { *argv.add(at) };
    let command = unsafe { argv.add(4 + number(word(3))) };
    let shape = match unsafe { *word(1) } {
        b'p' => Shape::Plain,
        b'b' => Shape::Binds(number(word(2))),
        b'u' => Shape::Usr,
        name => Shape::Typical { net: name == b't' },
    };
    let typical = matches!(shape, Shape::Typical { .. });
    let ids = (call!(GETUID) as c_uint, call!(GETGID) as c_uint);
    call!(PRCTL, 38_u64, 1_u64, 0_u64, 0_u64, 0_u64);
    let proc = call!(OPENAT, AT_FDCWD, c"/proc".as_ptr(), O_PATH | CLOEXEC, 0);
    let mut report = [0; 2];
    if typical {
        call!(PRCTL, 1_u64, SIGKILL, 0_u64, 0_u64, 0_u64);
        call!(SOCKETPAIR, 1, 1 | CLOEXEC, 0, report.as_mut_ptr());
    }
    let mut flags = SIGCHLD | NEWNS | NEWUSER;
    if typical {
        flags |= NEWOTHERS;
    }
    if shape == (Shape::Typical { net: true }) {
        flags |= NEWNET;
    }
    if call!(CLONE, flags, 0, 0, 0, 0) != 0 {
        capset_nothing();
        if !typical {
            call!(CLOSE_RANGE, 3, 0x7fff_fffe, 0);
            return wait();
        }
        call!(CLOSE_RANGE, 3, 3, 0);
        call!(CLOSE_RANGE, report[1], 0x7fff_fffe, 0);
        let mut code = 1_i32;
        call!(READ, report[0], &raw mut code, 4_usize);
        return code;
    }
    if !typical {
        enter(proc, ids, shape);
        return execute(command, environment);
    }
    call!(PRCTL, 1_u64, SIGKILL, 0_u64, 0_u64, 0_u64);
    // COMMAND has a parent inside, which reports how it ended. Its fd survives the closing of all others.
    enter(proc, ids, shape);
    if call!(CLONE, SIGCHLD, 0, 0, 0, 0) != 0 {
        capset_nothing();
        call!(CLOSE_RANGE, 3, report[1] - 1, 0);
        call!(CLOSE_RANGE, report[1] + 1, 0x7fff_fffe, 0);
        let code = wait();
        call!(WRITE, report[1], &raw const code, 4_usize);
        return code;
    }
    call!(PRCTL, 1_u64, SIGKILL, 0_u64, 0_u64, 0_u64);
    execute(command, environment)
}
