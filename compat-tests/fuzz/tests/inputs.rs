//! Every target over inputs from a small generator: a short run where there is no libFuzzer. `FUZZ_RUNS` says how many.

#[path = "../../differential/random.rs"]
mod random;

use bleb_fuzz as fuzz;
use random::Random;

fn runs() -> usize {
    std::env::var("FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
}

/// Words that options take, good and bad.
const WORDS: [&[u8]; 24] = [
    b"/a",
    b"b/..",
    b"",
    b"x",
    b"--",
    b"-",
    b"7",
    b"8",
    b"9",
    b"-1",
    b"+7",
    b" 8",
    b"-0",
    b"0700",
    b"8000",
    b"0x10",
    b"08",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"18446744073709551616",
    b"A=B",
    b"cap_net_RAW",
    b"all",
];

fn command_line(random: &Random, end: &[u8]) -> Vec<u8> {
    let mut input = vec![];
    for _ in 0..random.below(9) {
        // An option by its short form, then mostly as many words as it takes.
        input.push(0x80 + u8::try_from(random.below(69)).unwrap_or_default());
        for _ in 0..[1, 1, 1, 2, 2, 0, 3][random.below(7)] {
            input.push(0);
            input.extend(random.pick(&WORDS));
        }
        input.push(0);
    }
    // As many options as the limit on their number, and one fewer or more.
    if random.below(1000) == 0 {
        let clear = b"--clearenv\0"
            .repeat(8999 + random.below(3) - input.iter().filter(|&&byte| byte == 0).count());
        input.extend(clear);
    }
    input.extend(end);
    input
}

/// The warnings of the parser are no news here.
fn be_silent() {
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null").expect("/dev/null");
    nix::unistd::dup2_stderr(null).expect("stderr");
}

#[test]
fn words() {
    be_silent();
    let random = Random::of(1, 0);
    for _ in 0..runs() {
        let input = command_line(&random, b"command\0--dir");
        fuzz::words(&input);
    }
}

#[test]
fn args() {
    be_silent();
    let random = Random::of(2, 0);
    for _ in 0..runs() {
        let first = command_line(&random, b"");
        let second = command_line(&random, b"x");
        fuzz::args(&[first, b"\xff".to_vec(), second].concat());
    }
}

/// A profile: lines of an option and values, some of them quoted, or pieces of anything.
#[test]
fn profile() {
    be_silent();
    let pieces: [&[u8]; 40] = [
        b"'",
        b"\"",
        b"\\",
        b"$",
        b"{",
        b"}",
        b"${A}",
        b"${B_2}",
        b"${EMPTY}",
        b"${EMPTY:-x y}",
        b"${NONE:-",
        b"${A:-}",
        b"${1}",
        b"${A",
        b"#",
        b" #",
        b" ",
        b"\t",
        b"\n",
        b"\n",
        b"\n",
        b"\r",
        b"\0",
        b"\\x41",
        b"\\x00",
        b"\\xg",
        b"\\x",
        b"\\$",
        b"\\`",
        b"a",
        b"/",
        b"=",
        b"\xff",
        b"\xc3\xa9",
        b"--",
        b"--unshare-pid",
        b"--setenv",
        b"--tmpfs /t",
        b"--perms 0700",
        b"--uid",
    ];
    let random = Random::of(6, 0);
    for _ in 0..runs() {
        let mut input = vec![];
        for _ in 0..random.below(6) {
            if random.below(4) > 0 {
                input.extend(fuzz::option(random.below(70)));
                for _ in 0..[1, 1, 1, 2, 2, 0, 3][random.below(7)] {
                    let word = random.pick(&WORDS);
                    input.push(b' ');
                    match random.below(4) {
                        0 => input.extend([b"'", word, b"'"].concat()),
                        1 => input.extend([b"\"", word, b"\""].concat()),
                        _ => input.extend(word),
                    }
                }
            }
            for _ in 0..[0, 0, 0, 1, 3, 8][random.below(6)] {
                input.extend(random.pick(&pieces));
            }
            input.push(b'\n');
        }
        fuzz::profile(&input);
    }
}

#[test]
fn seccomp() {
    let random = Random::of(3, 0);
    for _ in 0..runs() {
        let length = if random.percent(10) { 32760 + random.below(20) } else { random.below(100) };
        fuzz::seccomp(
            &(0..length)
                .map(|_| u8::try_from(random.below(256)).unwrap_or_default())
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn mountinfo() {
    let parts: [&[u8]; 16] = [
        b"\\040",
        b"\\134",
        b"\\",
        b"\\0",
        b"\\400",
        b" ",
        b" ",
        b" ",
        b" rw",
        b"/",
        b"/a",
        b"#",
        b"\t",
        b"\xff",
        b"1",
        b"ro,nodev",
    ];
    let random = Random::of(4, 0);
    for _ in 0..runs() {
        let mut input = vec![];
        for _ in 0..random.below(12) {
            if random.below(3) > 0 {
                input.extend(format!("{} {} 0:1 / ", random.below(9), random.below(9)).bytes());
            }
            for _ in 0..random.below(6) {
                input.extend(random.pick(&parts));
            }
            input.push(b'\n');
        }
        fuzz::mountinfo(&input);
    }
}

#[test]
fn policy() {
    let random = Random::of(5, 0);
    let profiles: [&[u8]; 2] = [
        include_bytes!("../../../src/confine/seccomp/default.json"),
        include_bytes!("../../profiles/container.json"),
    ];
    for _ in 0..runs() / 10 {
        let mut input = random.pick(&profiles).to_vec();
        for _ in 0..random.below(4) {
            let at = random.below(input.len());
            match random.below(4) {
                0 => input[at] = random.pick(b"\"{}[],:019-x\n\0\xff"),
                1 => _ = input.remove(at),
                2 => input.truncate(at.max(1)),
                _ => {
                    let until = (at + random.below(200)).min(input.len());
                    let piece = input[at..until].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        fuzz::policy(&input);
    }
}

/// A header block, mostly with the right checksum.
fn header(random: &Random) -> Vec<u8> {
    let mut block = vec![0; 512];
    let names: [&[u8]; 6] = [b"f", b"d/", b"../x", b".wh.x", b"", b"/a//b"];
    let sizes: [&[u8]; 8] = [
        b"0",
        b"1",
        b"1000",
        b"3000",
        b"77777777777",
        b"\x80\0\0\0\x7f\xff\xff\xff",
        b"\xff",
        b"9",
    ];
    let magics: [&[u8]; 3] = [b"ustar\x0000", b"ustar  \0", b""];
    let fields = [
        (0, random.pick(&names)),
        (100, &b"0000755"[..]),
        (124, random.pick(&sizes)),
        (157, random.pick(&names)),
        (257, random.pick(&magics)),
    ];
    for (at, bytes) in fields {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }
    block[156] = random.pick(b"00000\x001234567xxxgLKSSVM");
    if block[156] == b'S' {
        let rows = [&b"00000000000\x0000000000001\0"[..], b"00000000010\x0000000000007\0", b"junk"];
        block[386..].iter_mut().zip(random.pick(&rows)).for_each(|(to, from)| *to = *from);
        block[482] = random.pick(b"\0\0\x01");
        block[483..494].copy_from_slice(random.pick(&[
            b"00000001000",
            b"00000000001",
            b"77777777777",
        ]));
    }
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    if random.below(20) == 0 {
        let at = random.below(512);
        block[at] ^= 1;
    }
    block
}

#[test]
fn tar() {
    let random = Random::of(6, 0);
    let lines: [&[u8]; 14] = [
        b"8 path=a\n",
        b"9 size=1\n",
        b"12 size=1000\n",
        b"13 mtime=1.5\n",
        b"22 GNU.sparse.major=1\n",
        b"22 GNU.sparse.minor=0\n",
        b"25 GNU.sparse.realsize=9\n",
        b"21 GNU.sparse.size=9\n",
        b"22 GNU.sparse.map=0,1\n",
        b"1\n0\n1\n",
        b"99999 a=b\n",
        b"25 SCHILY.xattr.user.a=b\n",
        b"\0\0\0\0",
        b"4 =\n",
    ];
    for _ in 0..runs() {
        let mut input = vec![];
        for _ in 0..random.below(8) {
            if random.below(8) > 0 {
                input.extend(header(&random));
            }
            let mut content = vec![];
            for _ in 0..random.below(5) {
                content.extend(random.pick(&lines));
            }
            if random.below(8) > 0 {
                content.resize(content.len().next_multiple_of(512), 0);
            }
            input.extend(content);
        }
        input.resize(input.len() + [0, 512, 1024, 1024, 1300][random.below(5)], 0);
        fuzz::tar(&input);
    }
}

#[test]
fn glob() {
    const PATTERN: [&[u8]; 18] = [
        b"/", b"/**/", b"/**", b"*", b"*a", b"?", b"[", b"[!", b"]", b"[ab]", b"[!a-b]", b"-",
        b"a", b"b", b".", b"\\", b"{", b"[]a-]",
    ];
    const PATH: [&[u8]; 7] = [b"/", b"/", b"a", b"b", b".", b"-", b"]"];
    let random = Random::of(6, 0);
    for _ in 0..runs() * 20 {
        let mut input = random.pick(&[&b"/"[..], b"**/"]).to_vec();
        (0..random.below(8)).for_each(|_| input.extend(random.pick(&PATTERN)));
        input.push(0);
        (0..random.below(10)).for_each(|_| input.extend(random.pick(&PATH)));
        fuzz::glob(&input);
    }
}
