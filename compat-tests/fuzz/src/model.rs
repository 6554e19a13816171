//! The second parser: the same language read the plainest way, with a table of its own and no types but bytes.
//!
//! What it understands is a text, one line for each thing that was asked for, in the order in which it was.

use std::collections::BTreeMap;

use crate::table;

/// Every option and its operands: `f`d, non-empty `p`ath, any `t`ext, `i`d, `o`ctal mode, `s`ize, `c`apability, `v`ariable.
pub(crate) const OPTIONS: [(&str, &str); 68] = [
    ("--help", ""),
    ("--version", ""),
    ("--args", "f"),
    ("--argv0", "t"),
    ("--level-prefix", ""),
    ("--unshare-all", ""),
    ("--share-net", ""),
    ("--unshare-user", ""),
    ("--unshare-user-try", ""),
    ("--unshare-ipc", ""),
    ("--unshare-pid", ""),
    ("--unshare-net", ""),
    ("--unshare-uts", ""),
    ("--unshare-cgroup", ""),
    ("--unshare-cgroup-try", ""),
    ("--userns", "f"),
    ("--userns2", "f"),
    ("--disable-userns", ""),
    ("--assert-userns-disabled", ""),
    ("--pidns", "f"),
    ("--uid", "i"),
    ("--gid", "i"),
    ("--hostname", "t"),
    ("--chdir", "p"),
    ("--clearenv", ""),
    ("--setenv", "vt"),
    ("--unsetenv", "v"),
    ("--lock-file", "p"),
    ("--sync-fd", "f"),
    ("--bind", "pp"),
    ("--bind-try", "pp"),
    ("--dev-bind", "pp"),
    ("--dev-bind-try", "pp"),
    ("--ro-bind", "pp"),
    ("--ro-bind-try", "pp"),
    ("--bind-fd", "fp"),
    ("--ro-bind-fd", "fp"),
    ("--remount-ro", "p"),
    ("--overlay-src", "p"),
    ("--overlay", "ppp"),
    ("--tmp-overlay", "p"),
    ("--ro-overlay", "p"),
    ("--exec-label", "t"),
    ("--file-label", "t"),
    ("--proc", "p"),
    ("--dev", "p"),
    ("--tmpfs", "p"),
    ("--mqueue", "p"),
    ("--dir", "p"),
    ("--file", "fp"),
    ("--bind-data", "fp"),
    ("--ro-bind-data", "fp"),
    ("--symlink", "pp"),
    ("--seccomp", "f"),
    ("--add-seccomp-fd", "f"),
    ("--block-fd", "f"),
    ("--userns-block-fd", "f"),
    ("--info-fd", "f"),
    ("--json-status-fd", "f"),
    ("--new-session", ""),
    ("--die-with-parent", ""),
    ("--as-pid-1", ""),
    ("--cap-add", "c"),
    ("--cap-drop", "c"),
    ("--perms", "o"),
    ("--size", "s"),
    ("--chmod", "op"),
    ("--not-a-security-boundary", ""),
];

/// The words of an input, parted by NUL bytes. One byte of 128 or more alone is short for an option, so that a fuzzer finds
/// them easily.
pub(crate) fn words(input: &[u8], final_nul_ends: bool) -> Vec<Vec<u8>> {
    let mut words = vec![];
    let input = if final_nul_ends { input } else { input.strip_suffix(&[0]).unwrap_or(input) };
    for part in input.split(|&byte| byte == 0) {
        match part {
            [short @ 0x80..=0xff] => match OPTIONS.get(usize::from(short & 0x7f)) {
                Some((name, _)) => words.push(name.as_bytes().to_vec()),
                None => words.push(part.to_vec()),
            },
            _ => words.push(part.to_vec()),
        }
    }
    words
}

/// What was understood up to now.
#[derive(Default)]
struct Reading {
    files: BTreeMap<i32, Vec<u8>>,
    count: usize,
    nested: bool,
    perms: Option<u64>,
    size: Option<u64>,
    layers: Vec<Vec<u8>>,
    /// What happens in order.
    lines: Vec<String>,
    /// What is one value, the last of them.
    values: BTreeMap<&'static str, String>,
    programs: usize,
    ended: Option<&'static str>,
}

/// What a command line means: `help`, `version`, `error`, or the text of [`table::text`].
pub(crate) fn parse(words: &[Vec<u8>], files: &[(i32, Vec<u8>)]) -> String {
    let mut reading = Reading {
        files: files.iter().cloned().collect(),
        count: words.len(),
        ..Reading::default()
    };
    let Some(command) = reading.read(words) else { return "error".to_owned() };
    if let Some(ended) = reading.ended {
        return ended.to_owned();
    }
    if words.len() > 9000 || !reading.layers.is_empty() {
        return "error".to_owned();
    }
    table::text(&reading.lines, &reading.values, reading.programs, &words[command..])
}

/// What the lines of a profile mean, each of which is one option and no fd is in.
pub(crate) fn profile(lines: &[Vec<Vec<u8>>]) -> String {
    let is_whole = |line: &Vec<Vec<u8>>| {
        let row = OPTIONS.iter().find(|(name, _)| name.as_bytes() == line[0]);
        row.is_some_and(|(name, kinds)| {
            let allowed = !kinds.contains('f') && !matches!(*name, "--help" | "--version");
            allowed && kinds.len() + 1 == line.len()
        })
    };
    if !lines.iter().all(is_whole) {
        return "error".to_owned();
    }
    let mut reading = Reading::default();
    for line in lines {
        if reading.read(line).is_none() {
            return "error".to_owned();
        }
    }
    if reading.perms.is_some() || reading.size.is_some() || !reading.layers.is_empty() {
        return "error".to_owned();
    }
    table::text(&reading.lines, &reading.values, reading.programs, &[b"command".to_vec()])
}

impl Reading {
    /// Reads a list of words; the result is where the options end, or nothing if there is an error in it.
    fn read(&mut self, words: &[Vec<u8>]) -> Option<usize> {
        if self.count > 9000 {
            return None;
        }
        let mut at = 0;
        while at < words.len() {
            if words[at] == b"--" {
                return Some(at + 1);
            }
            if words[at].first() != Some(&b'-') {
                return Some(at);
            }
            let (name, kinds) = OPTIONS.iter().find(|(name, _)| name.as_bytes() == words[at])?;
            if words.len() < at + 1 + kinds.len() {
                return None;
            }
            let values = &words[at + 1..at + 1 + kinds.len()];
            let numbers = kinds
                .bytes()
                .zip(values)
                .map(|(kind, word)| check(kind, word))
                .collect::<Option<Vec<_>>>()?;
            self.take(name, values, &numbers)?;
            if self.ended.is_some() {
                return Some(words.len());
            }
            let modifies = matches!(*name, "--perms" | "--size");
            let left = self.perms.is_some() || self.size.is_some();
            if left && !modifies || !self.layers.is_empty() && *name != "--overlay-src" {
                return None;
            }
            at += 1 + kinds.len();
        }
        Some(at)
    }

    /// One option.
    fn take(&mut self, name: &'static str, values: &[Vec<u8>], numbers: &[u64]) -> Option<()> {
        let number = numbers.first().copied().unwrap_or_default();
        match name {
            "--help" => self.ended = Some("help"),
            "--version" => self.ended = Some("version"),
            "--args" => self.args(number)?,
            "--perms" if self.perms.replace(number).is_some() => return None,
            "--size" if self.size.replace(number).is_some() => return None,
            "--level-prefix" | "--perms" | "--size" => {}
            // There is no SELinux where this runs.
            "--exec-label" | "--file-label" => return None,
            "--argv0" if self.values.contains_key(name) => return None,
            "--overlay-src" => self.layers.push(values[0].clone()),
            "--seccomp" if self.programs > 0 => return None,
            "--add-seccomp-fd" => {
                let content = self.files.remove(&i32::try_from(number).ok()?)?;
                if self.values.contains_key("--seccomp")
                    || content.len() % 8 != 0
                    || content.len() > 32768
                {
                    return None;
                }
                self.programs += 1;
            }
            _ => self.note(name, values, numbers)?,
        }
        Some(())
    }

    /// An option that says something about the sandbox.
    fn note(&mut self, name: &'static str, values: &[Vec<u8>], numbers: &[u64]) -> Option<()> {
        let least = match name {
            "--overlay" | "--tmp-overlay" => 1,
            "--ro-overlay" => 2,
            _ => 0,
        };
        if self.layers.len() < least {
            return None;
        }
        let words = values.iter().zip(numbers).map(|(word, &number)| match number {
            TEXT => table::word(word),
            number => number.to_string(),
        });
        let mut line = words.collect::<Vec<_>>().join(" ");
        if least > 0 {
            line = format!(
                "{line} of {}",
                self.layers
                    .drain(..)
                    .map(|layer| table::word(&layer))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
        }
        let default = match name {
            "--dir" | "--tmpfs" => Some(0o755),
            "--file" => Some(0o666),
            "--bind-data" | "--ro-bind-data" => Some(0o600),
            _ => None,
        };
        if let Some(default) = default {
            line = format!("{line} {:o}", self.perms.take().unwrap_or(default));
        }
        if name == "--tmpfs" {
            line = format!("{line} {:?}", self.size.take());
        }
        if table::is_value(name) {
            self.values.insert(name, line);
        } else {
            self.lines.push(format!("{name} {line}"));
        }
        Some(())
    }

    fn args(&mut self, number: u64) -> Option<()> {
        if self.nested {
            return None;
        }
        let content = self.files.remove(&i32::try_from(number).ok()?)?;
        let mut words = content.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>();
        // What follows the last NUL is a word only if it is something.
        if words.last().is_some_and(Vec::is_empty) {
            words.pop();
        }
        self.count += words.len();
        self.nested = true;
        self.read(&words)?;
        self.nested = false;
        Some(())
    }
}

/// Stands for the number of a word that is none; no number of ours is as large.
const TEXT: u64 = u64::MAX;

/// The number that an operand is, or [`TEXT`]; nothing if it is not what it should be.
fn check(kind: u8, word: &[u8]) -> Option<u64> {
    match kind {
        b'f' => signed(word, 10).filter(|&n| n <= 0x7fff_ffff),
        b'i' => signed(word, 10).filter(|&n| n < 0xffff_ffff),
        b'o' => signed(word, 8).filter(|&n| n <= 0o7777),
        b's' => unsigned(word).filter(|&n| n > 0 && n <= 0x7fff_ffff_ffff_ffff),
        b'c' => table::capability(word).or_else(|| unsigned(word).filter(|&n| n < 64)),
        b'p' => (!word.is_empty()).then_some(TEXT),
        b'v' => (!word.is_empty() && !word.contains(&b'=')).then_some(TEXT),
        _ => Some(TEXT),
    }
}

/// What strtol reads, with nothing after it, if it is not below zero.
fn signed(word: &[u8], radix: u64) -> Option<u64> {
    let blanks = word.iter().take_while(|&&byte| byte == b' ' || (9..=13).contains(&byte)).count();
    let (minus, digits) = match &word[blanks..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    digits_of(digits, radix).filter(|&number| !minus || number == 0)
}

/// What strtoull reads with base 0, if it begins with a digit.
fn unsigned(word: &[u8]) -> Option<u64> {
    if word.len() > 1 && word[0] == b'0' {
        let hexadecimal = word[1] == b'x' || word[1] == b'X';
        return if hexadecimal { digits_of(&word[2..], 16) } else { digits_of(&word[1..], 8) };
    }
    digits_of(word, 10)
}

fn digits_of(word: &[u8], radix: u64) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    let mut number: u128 = 0;
    for &byte in word {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => return None,
        };
        if u64::from(digit) >= radix {
            return None;
        }
        number = (number * u128::from(radix) + u128::from(digit)).min(u128::from(u64::MAX) + 1);
    }
    u64::try_from(number).ok()
}
