//! Tests of the parser: what is taken, what is refused and in which words.
#![expect(clippy::panic, reason = "a test says what went wrong")]

use std::ffi::CStr;

use super::*;

use crate::cli::values::parse_number;
use crate::config::op::{Access, Extra, Op};
use crate::config::{Config, Want};
use crate::host::Caller;

/// A word that lives as long as one of argv's.
fn word(text: &str) -> Word {
    CStr::from_bytes_until_nul([text.as_bytes(), b"\0"].concat().leak()).unwrap_or_default()
}

fn config(words: &[&str]) -> Result<Box<Config>> {
    match parse(words.iter().copied().map(word), Inherited::default())? {
        Request::Run(config, _) => Ok(config),
        other => Err(Error::new(format!("{other:?}"))),
    }
}

fn refused(words: &[&str], text: &str) {
    match config(words) {
        Ok(config) => panic!("{words:?} was taken: {config:?}"),
        Err(error) => assert_eq!(error.to_string(), text, "{words:?}"),
    }
}

#[test]
fn options_end_at_the_first_word_that_is_none() {
    for (words, command) in [
        (&["--dir", "/x", "a", "--bind"][..], &["a", "--bind"][..]),
        (&["--", "--bind", "x"], &["--bind", "x"]),
        (&["--dir", "--", "--", "--"], &["--"]),
        (&["--setenv", "-x", "--help", "c"], &["c"]),
    ] {
        let found = config(words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command;
        assert_eq!(found, command.iter().copied().map(word).collect::<Vec<_>>());
    }
}

#[test]
fn unknown_words_are_named() {
    for word in ["-x", "-", "--bind=a", "--nope", "--BIND"] {
        refused(&[word, "a", "b"], &format!("Unknown option {word}"));
    }
}

#[test]
fn every_option_misses_its_values() {
    for row in listed::all().filter(|row| row.operands().len() > 0) {
        let few = vec!["v"; row.operands().len() - 1];
        refused(&[&[row.name()], few.as_slice()].concat(), &row.arity_error());
    }
}

#[test]
fn numbers_are_read_like_the_reference_reads_them() {
    for (text, number) in [
        (c"0", Some(0)),
        (c"007", Some(7)),
        (c" 7", Some(7)),
        (c"+7", Some(7)),
        (c"-0", Some(0)),
        (c"-1", None),
        (c"+-1", None),
        (c"7 ", None),
        (c"", None),
        (c"0x7", None),
        (c"99999999999999999999", None),
    ] {
        assert_eq!(parse_number(text, 10), number, "{text:?}");
    }
    refused(&["--sync-fd", "2147483648"], "Invalid fd: 2147483648");
    refused(&["--uid", "4294967295"], "Invalid uid: 4294967295");
    refused(&["--gid", "x"], "Invalid gid: x");
    assert_eq!(
        config(&["--uid", "4294967294", "c"]).map(|config| config.uid).unwrap_or_default(),
        Some(u32::MAX - 1)
    );
}

#[test]
fn sizes_have_c_notation_and_a_limit() {
    let size = |text: &str| {
        let words = ["--size", text, "--tmpfs", "/x", "c"];
        config(&words).map(|config| match config.ops.first() {
            Some(Op::Tmpfs { size, .. }) => *size,
            _ => None,
        })
    };
    for (text, number) in
        [("1", 1), ("0x10", 16), ("010", 8), ("9223372036854775807", i64::MAX.unsigned_abs())]
    {
        assert_eq!(size(text).ok(), Some(Some(number)), "{text}");
    }
    for text in ["", "0", "0x", "08", "-1", "+1", " 1", "1k", "0x+1", "99999999999999999999999"] {
        refused(&["--size", text], "--size takes a non-zero number of bytes");
    }
    refused(
        &["--size", "9223372036854775808"],
        "--size (for tmpfs) is limited to 9223372036854775807",
    );
}

#[test]
fn modifiers_wait_for_their_option() {
    let perms = "--perms must be followed by an option that creates a file";
    let layers = "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay";
    refused(&["--perms", "7", "--unshare-net"], perms);
    refused(&["--perms", "7", "--perms", "7"], "--perms given twice for the same action");
    refused(&["--size", "7", "--dir", "/x"], "--size must be followed by --tmpfs");
    refused(&["--overlay-src", "/x", "--dir", "/y"], layers);
    refused(&["--overlay-src", "/x"], layers);
    refused(&["--tmp-overlay", "/x"], "--tmp-overlay requires at least one --overlay-src");
    refused(
        &["--overlay-src", "/x", "--ro-overlay", "/y"],
        "--ro-overlay requires at least two --overlay-src",
    );
    refused(&["--perms", "8"], "--perms takes an octal argument <= 07777");
    refused(&["--perms", "10000"], "--perms takes an octal argument <= 07777");
    let both = config(&["--size", "9", "--perms", "700", "--tmpfs", "/x", "c"])
        .map(|config| config.ops)
        .unwrap_or_default();
    assert_eq!(
        both,
        [Op::Tmpfs { dest: c"/x", perms: 0o700, size: Some(9), extra: Extra::default() }]
    );
    assert!(config(&["--perms", "700", "c"]).is_ok(), "a modifier that waits in vain is ignored");
}

#[test]
fn flags_wait_for_their_mount() {
    let rule = "--noexec must be followed by a bind, --tmpfs or an overlay";
    for words in [
        &["--noexec", "--dir", "/x", "c"][..],
        &["--noexec", "--proc", "/x", "c"],
        &["--noexec", "--perms", "700", "--dir", "/x", "c"],
        &["--noexec", "--unshare-net", "c"],
        &["--noexec", "c"],
        &["--noexec", "--nosymfollow"],
    ] {
        refused(words, rule);
    }
    refused(&["--noexec", "--noexec"], "--noexec given twice for the same action");
    refused(
        &["--nosymfollow", "c"],
        "--nosymfollow must be followed by a bind, --tmpfs or an overlay",
    );
    let both = Extra { noexec: true, nosymfollow: true };
    let ops = |words: &[&str]| config(words).map(|config| config.ops).unwrap_or_default();
    let overlay = [Op::Overlay {
        upper: crate::config::op::Upper::Tmp,
        layers: vec![c"/a"],
        dest: c"/b",
        extra: both,
    }];
    let words = ["--noexec", "--nosymfollow", "--overlay-src", "/a", "--tmp-overlay", "/b", "c"];
    assert_eq!(ops(&words), overlay);
    let words = ["--overlay-src", "/a", "--nosymfollow", "--noexec", "--tmp-overlay", "/b", "c"];
    assert_eq!(ops(&words), overlay);
    let words = ["--nosymfollow", "--perms", "1", "--noexec", "--size", "2", "--tmpfs", "/b", "c"];
    let tmpfs = Op::Tmpfs { dest: c"/b", perms: 1, size: Some(2), extra: both };
    assert_eq!(ops(&words), [tmpfs]);
    refused(
        &["--overlay-src", "/x", "--noexec", "--bind", "/", "/", "c"],
        "--overlay-src must be followed by another --overlay-src or one of --overlay, \
         --tmp-overlay, or --ro-overlay",
    );
}

#[test]
fn data_is_private_unless_told_otherwise() {
    let ops =
        config(&["--ro-bind-data", "5", "/x", "--perms", "644", "--bind-data", "6", "/y", "c"])
            .map(|config| config.ops);
    let extra = Extra::default();
    let data = |fd, dest, perms, access| Op::Data { fd, dest, perms, access, extra };
    let wanted =
        [data(5, c"/x", 0o600, Access::ReadOnly), data(6, c"/y", 0o644, Access::ReadWrite)];
    assert_eq!(ops.unwrap_or_default(), wanted);
}

#[test]
fn a_required_namespace_stays_required() {
    let wants = |words: &[&str]| config(words).map(|config| config.namespaces).unwrap_or_default();
    assert_eq!(wants(&["--unshare-user", "--unshare-all", "c"]).user, Want::Yes);
    assert_eq!(wants(&["--unshare-all", "c"]).user, Want::Try);
    assert_eq!(wants(&["--unshare-all", "--share-net", "c"]).net, Want::No);
}

#[test]
fn rules_between_options_have_an_order() {
    let caller = Caller { uid: 1000, gid: 1000 };
    let check =
        |words: &[&str]| match config(words).and_then(|config| config.check(caller, || true)) {
            Ok(_) => "fine".to_owned(),
            Err(error) if error.wants_usage() => "usage".to_owned(),
            Err(error) => error.to_string(),
        };
    assert_eq!(
        check(&["--userns-block-fd", "3", "--hostname", "x"]),
        "--userns-block-fd requires --unshare-user"
    );
    assert_eq!(
        check(&["--userns-block-fd", "3", "--unshare-user"]),
        "--userns-block-fd requires --info-fd"
    );
    assert_eq!(
        check(&["--userns", "3", "--unshare-user"]),
        "--userns is not compatible with --unshare-user"
    );
    assert_eq!(
        check(&["--userns", "3", "--unshare-all"]),
        "--userns is not compatible with --unshare-user-try"
    );
    assert_eq!(
        check(&["--disable-userns", "--unshare-all"]),
        "--disable-userns requires --unshare-user"
    );
    assert_eq!(check(&["--hostname", "x"]), "usage");
    assert_eq!(
        check(&["--hostname", "x", "--as-pid-1", "c"]),
        "Specifying --hostname requires --unshare-uts"
    );
    assert_eq!(check(&["--as-pid-1", "c"]), "Specifying --as-pid-1 requires --unshare-pid");
    let both = ["--as-pid-1", "--unshare-pid", "--lock-file", "/x", "c"];
    assert_eq!(check(&both), "Specifying --as-pid-1 and --lock-file is not permitted");
    assert_eq!(check(&["--uid", "0", "c"]), "fine");
}
