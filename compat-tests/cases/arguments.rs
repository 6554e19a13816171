//! `--args`: what is read from an fd, where it counts, and how many arguments there may be.

use super::{USAGE, fails};
use crate::harness::{Case, Fd};

const TOO_MANY: &str = "bwrap: Exceeded maximum number of arguments 9000";

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [reading(), parsing(), bad(), limit()].into_iter().flatten().collect()
}

/// A case with the fd of `--args` at 9.
fn with(name: &str, content: impl Into<Vec<u8>>) -> Case {
    Case::new(name).fd(9, Fd::Memfd(content.into())).options(["--args", "9"])
}

fn reading() -> Vec<Case> {
    let said = |case: Case| case.run(["echo", "hi"]).ok().stdout("hi\n");
    let words = "--ro-bind\0/\0/\0";
    let big = [b"--setenv\0A\0".as_slice(), &vec![b'x'; 100_000], b"\0"].concat();
    vec![
        said(with("from_memfd", words)),
        said(Case::new("from_pipe").fd(9, Fd::pipe(words)).options(["--args", "9"])),
        said(Case::new("from_file").fd(9, Fd::File(words.into())).options(["--args", "9"])),
        said(Case::new("from_stdin").stdin(words).options(["--args", "0"])),
        said(with("no_final_nul", "--ro-bind\0/\0/")),
        said(with("nothing", "").on_host()),
        said(with("one_empty_word", "\0").on_host()),
        // An empty word is a command, so it ends the options of the file.
        said(with("empty_word_ends_it", "\0--nope\0").on_host()),
        with("empty_operand", "--setenv\0A\0\0").on_host().run(["sh", "-c", "echo \"[${A-unset}]\""]).ok().stdout("[]\n"),
        with("large_word", big).on_host().run(["sh", "-c", "echo ${#A}"]).ok().stdout("100000\n"),
        with("not_utf8", [b"--setenv\0A\0".as_slice(), b"\xff\0"].concat()).probe(&["env"]).ok(),
        with("fd_is_closed", words)
            .run(["sh", "-c", "exec 3<&9"])
            .claim(|o| o.expect(o.exit.to_string() == "status 2", "fd 9 is open")),
        with("many_megabytes", vec![b'x'; 10_000_000]).on_host().run(["echo", "hi"]).ok().stdout("hi\n"),
        with("ten_megabytes_in_the_environment", [b"--unsetenv\0A".as_slice(), &vec![b'x'; 10_000_000]].concat())
            .on_host()
            .run(["echo", "hi"])
            .ok()
            .stdout("hi\n"),
    ]
}

fn parsing() -> Vec<Case> {
    let missing = "bwrap: --ro-bind takes two arguments";
    vec![
        with("command_in_it_is_ignored", "--ro-bind\0/\0/\0echo\0no\0").run(["echo", "hi"]).ok().stdout("hi\n"),
        with("dashes_end_it", "--ro-bind\0/\0/\0--\0--nope\0").run(["echo", "hi"]).ok().stdout("hi\n"),
        with("command_only_in_it", "--ro-bind\0/\0/\0echo\0no\0").status(1).stdout("").stderr(USAGE),
        // Operands are not taken from what stands after the option on the command line.
        with("operand_missing", "--ro-bind\0/\0").run(["/", "echo"]).fails(missing),
        with("operands_missing", "--ro-bind\0").run(["/", "/", "echo"]).fails(missing),
        with("nested", "--args\x008\0").fd(8, Fd::args(&[])).run(["true"]).fails("bwrap: --args not supported in arguments file"),
        with("unknown_option", "--nope\0").run(["true"]).fails("bwrap: Unknown option --nope"),
        with("level_prefix_inside", "--level-prefix\0--nope\0").fails("<3>bwrap: Unknown option --nope"),
        with("level_prefix_reaches_out", "--level-prefix\0").run(["--nope"]).fails("<3>bwrap: Unknown option --nope"),
        with("help", "--help\0").ok().stdout(USAGE),
        Case::new("counts_where_it_stands")
            .fd(9, Fd::args(&["--setenv", "A", "2"]))
            .options(["--setenv", "A", "1", "--args", "9", "--setenv", "B", "3"])
            .probe(&["env"])
            .ok(),
        Case::new("overridden_after_it")
            .fd(9, Fd::args(&["--setenv", "A", "2"]))
            .options(["--args", "9", "--setenv", "A", "1"])
            .probe(&["env"])
            .ok()
            .claim(|o| o.expect_line("A=1")),
        Case::new("several")
            .fd(8, Fd::args(&["--dir", "/a"]))
            .fd(9, Fd::args(&["--dir", "/a/b"]))
            .options(["--args", "8", "--args", "9"])
            .probe(&["tree:/"])
            .ok(),
        // Reading the file is an action that no modifier may end with, but one may stand before it.
        with("modifier_does_not_reach_out", "--perms\x00700\0")
            .options(["--dir", "/x"])
            .fails("bwrap: --perms must be followed by an option that creates a file"),
        Case::new("modifier_reaches_in")
            .fd(9, Fd::args(&["--dir", "/x"]))
            .options(["--perms", "700", "--args", "9"])
            .probe(&["list:/"])
            .ok()
            .claim(|o| o.expect_line("/x: directory 700 {uid}:{gid}")),
        with("overlay_src_does_not_reach_out", "--overlay-src\0/usr\0").options(["--tmp-overlay", "/x"]).run(["true"]).fails(
            "bwrap: --overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay",
        ),
        with("warning_across", "--chdir\0/\0").options(["--chdir", "/usr"]).on_host().run(["pwd"]).status(0).stdout("/usr\n"),
    ]
}

fn bad() -> Vec<Case> {
    let read = |cause: &str| format!("bwrap: Can't read --args data: {cause}");
    let nine = |name: &str, fd: Fd| Case::new(name).fd(9, fd).options(["--args", "9", "--ro-bind", "/", "/", "true"]);
    vec![
        fails("fd_is_not_open", &["--args", "77", "true"], &read("Bad file descriptor")),
        nine("fd_is_a_directory", Fd::path("{dir}")).fails(&read("Is a directory")),
        nine("fd_is_write_only", Fd::Capture).fails(&read("Bad file descriptor")),
        nine("fd_is_a_path", Fd::o_path("{dir}")).fails(&read("Bad file descriptor")),
        with("fd_twice", "--ro-bind\0/\0/\0").options(["--args", "9", "true"]).fails(&read("Bad file descriptor")),
        fails("fd_with_a_path", &["--args", "/dev/null"], "bwrap: Invalid fd: /dev/null"),
    ]
}

fn limit() -> Vec<Case> {
    let words = |count: usize| vec!["--new-session"; count];
    let file = |count: usize| b"--new-session\0".repeat(count);
    // Before them stand `--ro-bind / /` or `--args 9 --ro-bind / /`, and after them the command.
    let given = |name: &str, count: usize| Case::new(name).on_host().options(words(count)).run(["true"]);
    let read = |name: &str, count: usize| with(name, file(count)).on_host().run(["true"]);
    vec![
        given("most_words", 8996).ok(),
        given("too_many_words", 8997).fails(TOO_MANY),
        read("most_words_in_file", 8994).ok(),
        read("too_many_words_in_file", 8995).fails(TOO_MANY),
        with("too_many_in_two_files", file(4500))
            .fd(8, Fd::Memfd(file(4500)))
            .options(["--args", "8"])
            .on_host()
            .run(["true"])
            .fails(TOO_MANY),
        // What comes after the options is ignored, but it counts.
        with("too_many_after_the_command", [b"x\0".as_slice(), &b"y\0".repeat(9000)].concat())
            .on_host()
            .run(["true"])
            .fails(TOO_MANY),
        Case::new("many_words_of_the_command").on_host().run(["sh", "-c", "echo $#"]).run(vec!["x"; 8990]).ok().stdout("8989\n"),
    ]
}
