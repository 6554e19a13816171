//! What is made in the sandbox: directories, files, data, symbolic links, modes, tmpfs; with the modes of their parents.

use super::sources::runner_is_root;
use crate::harness::{Case, Fd, Tweak};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [directories(), files(), data(), links(), modes(), tmpfs()].into_iter().flatten().collect()
}

/// A root with one directory of the host in it, `box`, so that the scratch tree tells afterwards what was made there.
fn boxed(name: &str) -> Case {
    Case::new(name).dir("box").options(["--bind", "{dir}/box", "/box"])
}

/// The same, shown from inside as well.
fn shown(name: &str, options: &[&str]) -> Case {
    boxed(name).options(options).probe(&["tree:/", "tree:/box"])
}

/// The same, ending in this failure.
fn refused(name: &str, options: &[&str], words: &str) -> Case {
    boxed(name).options(options).run(["true"]).fails(&format!("bwrap: {words}"))
}

fn directories() -> Vec<Case> {
    vec![
        shown("dir", &["--dir", "/box/a/b", "--dir", "/c/d/"])
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 755 own")))
            .claim(|o| o.expect_tree("box/a/b", Some("directory 755 own"))),
        shown(
            "dir_perms",
            &["--perms", "0700", "--dir", "/box/a/b", "--perms", "01777", "--dir", "/tmp", "--perms", "0", "--dir", "/no"],
        )
        .ok()
        .claim(|o| o.expect_tree("box/a", Some("directory 700 own")))
        .claim(|o| o.expect_tree("box/a/b", Some("directory 700 own"))),
        shown("dir_perms_of_group", &["--perms", "0710", "--dir", "/box/a/b", "--perms", "0701", "--dir", "/box/c/d"])
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 750 own")))
            .claim(|o| o.expect_tree("box/c", Some("directory 705 own"))),
        shown("dir_perms_with_set_ids", &["--perms", "07777", "--dir", "/box/a", "--perms", "02755", "--dir", "/box/b/c"]).ok(),
        shown("dir_keeps_an_existing_one", &["--perms", "0755", "--dir", "/box/a"])
            .dir("box/a")
            .setup(|s| s.mode("box/a", 0o2710))
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 2710 own"))),
        shown("dir_ignores_the_umask", &["--dir", "/box/a/b", "--perms", "0666", "--file", "7", "/box/f"])
            .fd(7, Fd::memfd("x"))
            .tweak(Tweak::Umask(0o077))
            .ok()
            .claim(|o| o.expect_tree("box/f", Some("file 666 own \"x\""))),
        refused("dir_on_a_file", &["--dir", "/box/f"], "Destination is not a directory /box/f").file("box/f", ""),
        refused("dir_below_a_file", &["--dir", "/box/f/a"], "Can't mkdir parents for /box/f/a: Not a directory")
            .file("box/f", ""),
        refused("dir_on_a_symlink_to_a_directory", &["--dir", "/box/l"], "Destination is not a directory /box/l")
            .dir("box/a")
            .symlink("a", "box/l"),
        refused("dir_on_a_dangling_symlink", &["--dir", "/box/l"], "Destination is not a directory /box/l")
            .symlink("nowhere", "box/l"),
        shown("dir_through_a_symlink", &["--dir", "/box/l/b"]).dir("box/a").symlink("a", "box/l").ok(),
        shown("dir_through_an_absolute_symlink", &["--dir", "/box/l/b"]).dir("box/a").symlink("/box/a", "box/l").ok(),
        refused(
            "dir_through_a_dangling_symlink",
            &["--dir", "/box/l/b"],
            "Can't mkdir parents for /box/l/b: No such file or directory",
        )
        .symlink("nowhere", "box/l"),
        refused(
            "dir_through_a_loop",
            &["--dir", "/box/l/b"],
            "Can't mkdir parents for /box/l/b: Too many levels of symbolic links",
        )
        .symlink("l", "box/l"),
        shown("dir_on_the_root", &["--dir", "/", "--dir", "/box/", "--dir", "//"]).ok(),
        shown("dir_with_relative_words", &["--dir", "a/b", "--dir", "/box/c/../d", "--dir", "/../../e", "--dir", "/box/./f"]),
        shown("dir_on_dots", &["--dir", "/box/.", "--dir", "/box/..", "--dir", "/.."]),
        refused(
            "dir_with_a_long_name",
            &["--dir", &format!("/{}", "n".repeat(300))],
            "Can't create file /nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn: File name too long",
        ),
        refused(
            "dir_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--dir", "/ro/a"],
            "Can't create file /ro/a: Read-only file system",
        ),
        refused(
            "dir_read_only_parents",
            &["--ro-bind", "{dir}/box", "/ro", "--dir", "/ro/a/b"],
            "Can't mkdir parents for /ro/a/b: Read-only file system",
        ),
        shown("dir_read_only_exists", &["--ro-bind", "{dir}/box", "/ro", "--dir", "/ro/a", "--dir", "/ro/a/b"])
            .dir("box/a/b")
            .ok(),
        refused("dir_without_permission", &["--dir", "/box/a/b"], "Can't create file /box/a/b: Permission denied")
            .dir("box/a")
            .setup(|s| {
                s.keep_for_root("box/a");
                Ok(())
            })
            .needs(runner_is_root)
            .user_only(),
    ]
}

fn files() -> Vec<Case> {
    let long = "a line of text\n".repeat(20_000);
    vec![
        shown("file", &["--file", "7", "/box/a/f", "--file", "8", "/g"])
            .fd(7, Fd::memfd("text"))
            .fd(8, Fd::pipe("x"))
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 755 own")))
            .claim(|o| o.expect_tree("box/a/f", Some("file 666 own \"text\""))),
        shown("file_perms", &["--perms", "0640", "--file", "7", "/box/a/f", "--perms", "04755", "--file", "8", "/box/g"])
            .fd(7, Fd::memfd("text"))
            .fd(8, Fd::pipe("x"))
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 750 own")))
            .claim(|o| o.expect_tree("box/a/f", Some("file 640 own \"text\""))),
        shown("file_from_a_pipe", &["--file", "7", "/box/f"]).fd(7, Fd::pipe(long.clone())).ok(),
        // The probe needs an fd 0.
        Case::new("file_from_stdin")
            .on_host()
            .options(["--tmpfs", "/mnt", "--file", "0", "/mnt/f"])
            .stdin("words\n")
            .run(["cat", "/mnt/f"])
            .ok()
            .stdout("words\n"),
        shown("file_from_a_file", &["--file", "7", "/box/f"]).fd(7, Fd::File(long.into_bytes())).ok(),
        shown("file_empty", &["--file", "7", "/box/f"]).fd(7, Fd::memfd("")).ok(),
        shown("file_replaces_content", &["--perms", "0600", "--file", "7", "/box/f"])
            .file("box/f", "a long content")
            .fd(7, Fd::memfd("short"))
            .ok()
            .claim(|o| o.expect_tree("box/f", Some("file 644 own \"short\""))),
        refused("file_on_a_directory", &["--file", "7", "/box"], "Can't create file /box: Is a directory").fd(7, Fd::memfd("x")),
        refused("file_on_a_symlink", &["--file", "7", "/box/l"], "Can't create file /box/l: Too many levels of symbolic links")
            .symlink("f", "box/l")
            .file("box/f", "old")
            .fd(7, Fd::memfd("x")),
        refused(
            "file_on_a_dangling_symlink",
            &["--file", "7", "/box/l"],
            "Can't create file /box/l: Too many levels of symbolic links",
        )
        .symlink("f", "box/l")
        .fd(7, Fd::memfd("x")),
        refused("file_on_the_root", &["--file", "7", "/"], "Can't create file /: Is a directory").fd(7, Fd::memfd("x")),
        shown("file_with_a_slash", &["--file", "7", "/box/f/"]).fd(7, Fd::memfd("x")),
        refused(
            "file_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--file", "7", "/ro/f"],
            "Can't create file /ro/f: Read-only file system",
        )
        .fd(7, Fd::memfd("x")),
        refused(
            "file_twice",
            &["--file", "7", "/box/f", "--file", "7", "/box/g"],
            "Can't write data to file /box/g: Bad file descriptor",
        )
        .fd(7, Fd::memfd("x")),
        refused("file_closed", &["--file", "9", "/box/f"], "Can't write data to file /box/f: Bad file descriptor"),
        refused("file_from_a_directory", &["--file", "7", "/box/f"], "Can't write data to file /box/f: Is a directory")
            .fd(7, Fd::path("{dir}/box")),
        refused("file_from_a_path_fd", &["--file", "7", "/box/f"], "Can't write data to file /box/f: Bad file descriptor")
            .fd(7, Fd::o_path("{dir}/box")),
        refused("file_from_a_write_end", &["--file", "7", "/box/f"], "Can't write data to file /box/f: Bad file descriptor")
            .fd(7, Fd::Capture),
        refused(
            "file_too_large",
            &["--size", "8192", "--tmpfs", "/t", "--file", "7", "/t/f"],
            "Can't write data to file /t/f: No space left on device",
        )
        .fd(7, Fd::memfd(vec![b'x'; 65536])),
        refused(
            "file_on_a_full_device",
            &["--dev-bind", "/dev/full", "/full", "--file", "7", "/full"],
            "Can't write data to file /full: No space left on device",
        )
        .fd(7, Fd::memfd("x")),
        shown("file_into_tmpfs", &["--size", "8192", "--tmpfs", "/t", "--file", "7", "/t/f"]).fd(7, Fd::memfd("x")).ok(),
    ]
}

fn data() -> Vec<Case> {
    let inside = ["sh", "-c", "stat -c '%a %u %s' /mnt/f; cat /mnt/f; (echo more >> /mnt/f) 2>&-  && cat /mnt/f"];
    let on_mnt = |name: &str, option: &str| Case::new(name).on_host().options(["--tmpfs", "/mnt", option, "7", "/mnt/f"]);
    vec![
        on_mnt("bind_data", "--bind-data").fd(7, Fd::memfd("text\n")).run(inside).ok().stdout("600 {uid} 5\ntext\ntext\nmore\n"),
        on_mnt("ro_bind_data", "--ro-bind-data").fd(7, Fd::pipe("text\n")).run(inside).status(2).stdout("600 {uid} 5\ntext\n"),
        Case::new("data_perms")
            .on_host()
            .options(["--tmpfs", "/mnt", "--perms", "0644", "--ro-bind-data", "7", "/mnt/a/f"])
            .options(["--perms", "0", "--bind-data", "8", "/mnt/g", "--perms", "04711", "--bind-data", "9", "/mnt/h"])
            .fd(7, Fd::memfd("a"))
            .fd(8, Fd::memfd("b"))
            .fd(9, Fd::memfd("c"))
            .run(["{probe}", "--probe", "{namespaces}", "tree:/mnt"])
            .ok()
            .claim(|o| o.expect_line("/mnt/a: directory 755 {uid}:{gid}"))
            .claim(|o| o.expect_line("/mnt/a/f: file 644 {uid}:{gid}")),
        shown("data_mount_point_stays", &["--bind-data", "7", "/box/a/f", "--ro-bind-data", "8", "/box/g"])
            .fd(7, Fd::memfd("x"))
            .fd(8, Fd::memfd("y"))
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 700 own")))
            .claim(|o| o.expect_tree("box/a/f", Some("file 444 own \"\""))),
        shown("data_on_a_file", &["--ro-bind-data", "7", "/box/f"])
            .file("box/f", "old")
            .fd(7, Fd::memfd("x"))
            .ok()
            .claim(|o| o.expect_tree("box/f", Some("file 644 own \"old\""))),
        refused("data_on_a_directory", &["--ro-bind-data", "7", "/box"], "Destination is not a file /box").fd(7, Fd::memfd("x")),
        refused("data_on_a_symlink", &["--bind-data", "7", "/box/l"], "Can't mount on symlink destination /box/l")
            .symlink("f", "box/l")
            .file("box/f", "")
            .fd(7, Fd::memfd("x")),
        refused("data_on_the_root", &["--bind-data", "7", "/"], "Destination is not a file /").fd(7, Fd::memfd("x")),
        refused(
            "data_twice",
            &["--bind-data", "7", "/box/f", "--ro-bind-data", "7", "/box/g"],
            "Can't write data to file /box/g: Bad file descriptor",
        )
        .fd(7, Fd::memfd("x")),
        refused("data_closed", &["--bind-data", "9", "/box/f"], "Can't write data to file /box/f: Bad file descriptor"),
        refused(
            "data_closed_read_only",
            &["--ro-bind-data", "9", "/box/f"],
            "Can't write data to file /box/f: Bad file descriptor",
        ),
        refused("data_from_a_directory", &["--bind-data", "7", "/box/f"], "Can't write data to file /box/f: Is a directory")
            .fd(7, Fd::path("{dir}/box")),
        refused(
            "data_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--bind-data", "7", "/ro/f"],
            "Can't create file /ro/f: Read-only file system",
        )
        .fd(7, Fd::memfd("x")),
        on_mnt("data_large", "--ro-bind-data")
            .fd(7, Fd::pipe("0123456789abcdef".repeat(40_000)))
            .run(["sh", "-c", "md5sum < /mnt/f; stat -c %s /mnt/f"])
            .ok(),
    ]
}

fn links() -> Vec<Case> {
    vec![
        shown("symlink", &["--symlink", "usr/bin", "/bin", "--symlink", "/nowhere", "/box/a/l", "--symlink", "x", "y/z"])
            .ok()
            .claim(|o| o.expect_tree("box/a", Some("directory 700 own")))
            .claim(|o| o.expect_tree("box/a/l", Some("symlink to /nowhere"))),
        shown("symlink_again", &["--symlink", "t", "/l", "--symlink", "t", "/l"]).ok(),
        shown("symlink_exists_on_the_host", &["--symlink", "t", "/box/l"]).symlink("t", "box/l").ok(),
        refused("symlink_other", &["--symlink", "t", "/box/l"], "Can't make symlink at /box/l: existing destination is u")
            .symlink("u", "box/l"),
        refused(
            "symlink_on_a_file",
            &["--symlink", "t", "/box/f"],
            "Can't make symlink at /box/f: destination exists and is not a symlink",
        )
        .file("box/f", ""),
        refused(
            "symlink_on_a_directory",
            &["--symlink", "t", "/box"],
            "Can't make symlink at /box: destination exists and is not a symlink",
        ),
        refused(
            "symlink_on_the_root",
            &["--symlink", "t", "/"],
            "Can't make symlink at /: destination exists and is not a symlink",
        ),
        shown("symlink_with_a_slash", &["--symlink", "t", "/box/l/"]),
        refused(
            "symlink_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--symlink", "t", "/ro/l"],
            "Can't make symlink at /ro/l: Read-only file system",
        ),
        shown("symlink_same_read_only", &["--ro-bind", "{dir}/box", "/ro", "--symlink", "t", "/ro/l"]).symlink("t", "box/l"),
        shown("symlink_then_through_it", &["--dir", "/usr/lib", "--symlink", "usr/lib", "/lib", "--dir", "/lib/x"]).ok(),
        refused(
            "symlink_then_a_mount_on_it",
            &["--symlink", "usr", "/l", "--tmpfs", "/l"],
            "Can't mount on symlink destination /l",
        ),
        refused(
            "symlink_to_nothing_through_it",
            &["--symlink", "/none", "/l", "--dir", "/l/a"],
            "Can't mkdir parents for /l/a: No such file or directory",
        ),
    ]
}

fn modes() -> Vec<Case> {
    vec![
        shown("chmod", &["--chmod", "0640", "/box/f", "--chmod", "1777", "/box/d", "--chmod", "0700", "/"])
            .file("box/f", "")
            .dir("box/d")
            .ok()
            .claim(|o| o.expect_tree("box/f", Some("file 640 own \"\"")))
            .claim(|o| o.expect_tree("box/d", Some("directory 1777 own"))),
        shown("chmod_set_ids", &["--chmod", "6755", "/box/f", "--chmod", "0", "/box/g"]).file("box/f", "").file("box/g", "").ok(),
        shown("chmod_through_a_symlink", &["--chmod", "0700", "/box/l/f"]).file("box/d/f", "").symlink("/box/d", "box/l").ok(),
        refused("chmod_a_symlink", &["--chmod", "0600", "/box/l"], "Can't chmod 0600 /box/l: Operation not supported")
            .symlink("f", "box/l")
            .file("box/f", ""),
        refused("chmod_missing", &["--chmod", "0640", "/box/none"], "Can't open /box/none: No such file or directory"),
        refused("chmod_missing_parent", &["--chmod", "0640", "/none/none"], "Can't open /none/none: No such file or directory"),
        refused("chmod_below_a_file", &["--chmod", "0640", "/box/f/x"], "Can't open /box/f/x: Not a directory").file("box/f", ""),
        refused(
            "chmod_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--chmod", "0700", "/ro"],
            "Can't chmod 0700 /ro: Read-only file system",
        ),
        refused("chmod_of_others", &["--chmod", "0777", "/box/f"], "Can't chmod 0777 /box/f: Operation not permitted")
            .file("box/f", "")
            .setup(|s| {
                s.keep_for_root("box/f");
                Ok(())
            })
            .needs(runner_is_root)
            .user_only(),
        shown("chmod_of_what_was_made", &["--dir", "/a/b", "--chmod", "0711", "/a", "--tmpfs", "/t", "--chmod", "01777", "/t"])
            .ok(),
        shown("chmod_with_relative_words", &["--dir", "/a", "--chmod", "0711", "a", "--chmod", "0750", "/a/../../box/."]),
    ]
}

fn tmpfs() -> Vec<Case> {
    let full = "dd if=/dev/zero of=/mnt/f bs=4096 count=64 2>&-; stat -c %s /mnt/f; stat -fc '%b' /mnt";
    vec![
        shown("tmpfs", &["--tmpfs", "/a/b", "--perms", "01777", "--tmpfs", "/c", "--tmpfs", "/box/d/e"])
            .options(["--proc", "/proc", "--perms", "0700", "--tmpfs", "/f/g"])
            .run(["mounts", "tree:/a/b", "tree:/c"])
            .ok(),
        shown("tmpfs_hides", &["--tmpfs", "/box/d", "--dir", "/box/d/new"])
            .file("box/d/f", "")
            .setup(|s| s.mode("box/d", 0o700))
            .run(["tree:/box/d"])
            .ok()
            .claim(|o| o.expect_tree("box/d", Some("directory 700 own")))
            .claim(|o| o.expect_tree("box/d/new", None)),
        shown("tmpfs_twice", &["--tmpfs", "/t", "--dir", "/t/one", "--tmpfs", "/t", "--dir", "/t/two"]).run(["tree:/t"]).ok(),
        Case::new("tmpfs_size")
            .on_host()
            .options(["--dev", "/dev", "--size", "65536", "--tmpfs", "/mnt"])
            .run(["sh", "-c", full])
            .ok()
            .stdout("65536\n16\n"),
        Case::new("tmpfs_size_and_perms")
            .on_host()
            .options([
                "--size", "0x4000", "--perms", "0711", "--tmpfs", "/mnt", "--perms", "0750", "--size", "8192", "--tmpfs", "/srv",
            ])
            .run(["stat", "-fc", "%b", "/mnt", "/srv"])
            .ok()
            .stdout("4\n2\n"),
        shown("tmpfs_size_is_rounded", &["--size", "1", "--tmpfs", "/t", "--proc", "/proc"]).run(["mounts"]).ok(),
        refused("tmpfs_on_a_file", &["--tmpfs", "/box/f"], "Destination is not a directory /box/f").file("box/f", ""),
        refused("tmpfs_on_a_symlink", &["--tmpfs", "/box/l"], "Can't mount on symlink destination /box/l")
            .symlink("d", "box/l")
            .dir("box/d"),
        refused("tmpfs_below_a_file", &["--tmpfs", "/box/f/a"], "Can't mkdir parents for /box/f/a: Not a directory")
            .file("box/f", ""),
        refused(
            "tmpfs_read_only",
            &["--ro-bind", "{dir}/box", "/ro", "--tmpfs", "/ro/t"],
            "Can't create file /ro/t: Read-only file system",
        ),
        shown("tmpfs_read_only_exists", &["--ro-bind", "{dir}/box", "/ro", "--tmpfs", "/ro/t"]).dir("box/t").ok(),
        shown("tmpfs_with_relative_words", &["--tmpfs", "a/b", "--tmpfs", "/box/../c", "--tmpfs", "./d"])
            .options(["--proc", "/proc"])
            .run(["mounts"]),
    ]
}
