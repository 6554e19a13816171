//! Where binds come from: host paths of every kind, magic links, open fds.

use crate::harness::{Case, Fd, Result, Setup};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [paths(), magic_links(), descriptors()].into_iter().flatten().collect()
}

/// An empty root with a /proc, shown from inside with its mounts.
fn shown(name: &str, options: &[&str]) -> Case {
    Case::new(name).options(["--proc", "/proc"]).options(options).probe(&["mounts", "tree:/"])
}

/// A failure with this text.
fn refused(name: &str, options: &[&str], words: &str) -> Case {
    Case::new(name).options(options).run(["true"]).fails(&format!("bwrap: {words}"))
}

fn paths() -> Vec<Case> {
    vec![
        refused("missing", &["--bind", "{dir}/none", "/a"], "Can't find source path {dir}/none: No such file or directory"),
        refused("missing_read_only", &["--ro-bind", "none/x", "/a"], "Can't find source path none/x: No such file or directory"),
        refused(
            "missing_device",
            &["--dev-bind", "/dev/none", "/a"],
            "Can't find source path /dev/none: No such file or directory",
        ),
        refused("below_a_file", &["--bind", "{dir}/f/x", "/a"], "Can't find source path {dir}/f/x: Not a directory")
            .file("f", ""),
        refused("below_a_file_try", &["--bind-try", "{dir}/f/x", "/a"], "Can't find source path {dir}/f/x: Not a directory")
            .file("f", ""),
        refused("dangling", &["--bind", "{dir}/l", "/a"], "Can't find source path {dir}/l: No such file or directory")
            .symlink("none", "l"),
        shown("dangling_try", &["--bind-try", "{dir}/l", "/a"]).symlink("none", "l").ok(),
        refused("loop", &["--bind", "{dir}/l", "/a"], "Can't find source path {dir}/l: Too many levels of symbolic links")
            .symlink("l", "l"),
        refused(
            "loop_try",
            &["--ro-bind-try", "{dir}/l", "/a"],
            "Can't find source path {dir}/l: Too many levels of symbolic links",
        )
        .symlink("l", "l"),
        refused("secret", &["--bind", "{dir}/secret/x", "/a"], "Can't find source path {dir}/secret/x: Permission denied")
            .dir("secret/x")
            .setup(secret)
            .needs(runner_is_root)
            .user_only(),
        refused(
            "secret_try",
            &["--bind-try", "{dir}/secret/x", "/a"],
            "Can't find source path {dir}/secret/x: Permission denied",
        )
        .dir("secret/x")
        .setup(secret)
        .needs(runner_is_root)
        .user_only(),
        shown("below_search_only", &["--bind", "{dir}/search/x", "/a", "--ro-bind", "{dir}/search", "/b"])
            .dir("search/x")
            .setup(|s| {
                s.keep_for_root("search");
                s.mode("search", 0o711)
            })
            .ok(),
        shown("symlink", &["--bind", "{dir}/l", "/a", "--ro-bind", "{dir}/m/f", "/b"])
            .symlink("d", "l")
            .symlink("{dir}/d", "m")
            .file("d/f", "")
            .ok(),
        shown(
            "relative",
            &["--bind", "d", "/a", "--ro-bind", "./d/../d", "/b", "--ro-bind", ".", "/c", "--bind", "../x/..", "/d"],
        )
        .dir("home/d")
        .dir("x")
        .cwd("{dir}/home")
        .ok(),
        shown("with_slashes", &["--bind", "{dir}//d/", "/a", "--ro-bind", "{dir}/d/.", "/b/"]).dir("d").ok(),
        refused("file_with_slash", &["--bind", "{dir}/f/", "/a"], "Can't find source path {dir}/f/: Not a directory")
            .file("f", ""),
        shown("fifo_and_socket", &["--bind", "{dir}/fifo", "/a", "--ro-bind", "{dir}/socket", "/b"])
            .setup(|s| {
                nix::unistd::mkfifo(&s.path("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o600))
                    .map_err(|e| e.to_string())?;
                s.hold(std::os::unix::net::UnixListener::bind(s.path("socket")).map_err(|e| e.to_string())?);
                Ok(())
            })
            .ok(),
        shown("is_the_host's", &["--bind", "{dir}/one", "/tmp", "--ro-bind", "{dir}/two", "/tmp/two"]).dir("one").dir("two").ok(),
        shown("with_odd_names", &["--bind", "{dir}/a b\n\\c:,\"d", "/x y\n\\z"]).dir("a b\n\\c:,\"d").ok(),
        refused(
            "missing_with_odd_names",
            &["--bind", "{dir}/a\\b:\"", "/x"],
            "Can't find source path {dir}/a\\b:\": No such file or directory",
        ),
    ]
}

/// A directory of root's in a user's sandbox, which only root can make.
pub(super) fn runner_is_root() -> Result<()> {
    if nix::unistd::Uid::effective().is_root() { Ok(()) } else { Err("only root can make what belongs to root".into()) }
}

fn secret(s: &mut Setup) -> Result<()> {
    s.keep_for_root("secret");
    s.mode("secret", 0o700)
}

fn magic_links() -> Vec<Case> {
    vec![
        shown("cwd", &["--bind", "/proc/self/cwd", "/a", "--ro-bind", "/proc/self/cwd/d", "/b"]).file("d/f", "").ok(),
        shown("root", &["--ro-bind", "/proc/self/root/{dir}/d", "/a"]).file("d/f", "").ok(),
        shown(
            "by_fd",
            &["--bind", "/proc/self/fd/7", "/a", "--ro-bind", "/proc/self/fd/8", "/b", "--ro-bind", "/proc/self/fd/7/d", "/c"],
        )
        .file("d/f", "")
        .fd(7, Fd::path("{dir}"))
        .fd(8, Fd::o_path("{dir}/d/f"))
        .ok(),
        shown("link_to_fd_of_a_memfd", &["--bind", "/proc/self/fd/7", "/a"]).fd(7, Fd::memfd("text")),
        shown("link_to_fd_of_a_pipe", &["--bind", "/proc/self/fd/7", "/a"]).fd(7, Fd::pipe("text")),
        shown("link_to_fd_of_a_removed_file", &["--bind", "/proc/self/fd/7", "/a"]).fd(7, Fd::File(b"text".to_vec())),
        refused(
            "link_to_fd_closed",
            &["--bind", "/proc/self/fd/9", "/a"],
            "Can't find source path /proc/self/fd/9: No such file or directory",
        ),
        shown("link_to_fd_closed_try", &["--bind-try", "/proc/self/fd/9", "/a"]).ok(),
        shown("user_namespace", &["--ro-bind-try", "/proc/self/ns/user", "/run/.userns"]).ok(),
        Case::new("user_namespace_is_the_sandbox's")
            .options(["--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/mnt"])
            .options(["--ro-bind-try", "/proc/self/ns/user", "/mnt/u"])
            .run(["sh", "-c", "test $(stat -c %i /mnt/u) = $(stat -Lc %i /proc/self/ns/user) && echo same || echo other"])
            .ok(),
        Case::new("namespaces")
            .options(["--ro-bind", "/", "/", "--tmpfs", "/mnt", "--ro-bind", "/proc/self/ns/net", "/mnt/net"])
            .run(["true"]),
    ]
}

fn descriptors() -> Vec<Case> {
    vec![
        shown("fds", &["--bind-fd", "7", "/a/b", "--ro-bind-fd", "8", "/c", "--bind-fd", "9", "/f"])
            .run(["fds", "list:/a/b"])
            .file("d/f", "")
            .fd(7, Fd::path("{dir}"))
            .fd(8, Fd::o_path("{dir}/d"))
            .fd(9, Fd::path("{dir}/d/f"))
            .ok(),
        shown("fd_removed", &["--bind-fd", "7", "/a"]).fd(7, Fd::File(b"x".to_vec())),
        shown("fd_memfd", &["--bind-fd", "7", "/a"]).fd(7, Fd::memfd("x")),
        shown("fd_pipe", &["--ro-bind-fd", "7", "/a"]).fd(7, Fd::pipe("x")),
        refused("fd_closed", &["--bind-fd", "9", "/a"], "Can't find source path /proc/self/fd/9: No such file or directory"),
        refused(
            "fd_closed_read_only",
            &["--ro-bind-fd", "9", "/a"],
            "Can't find source path /proc/self/fd/9: No such file or directory",
        ),
        refused("fd_twice", &["--bind-fd", "7", "/a", "--ro-bind-fd", "7", "/b"], "Can't stat fd 7: Bad file descriptor")
            .fd(7, Fd::path("{dir}")),
        refused("fd_on_a_file", &["--file", "8", "/f", "--bind-fd", "7", "/f"], "Destination is not a directory /f")
            .fd(7, Fd::path("{dir}"))
            .fd(8, Fd::memfd("")),
        shown("fd_of_the_root", &["--bind-fd", "7", "/", "--proc", "/proc"]).dir("d/proc").fd(7, Fd::path("{dir}/d")).ok(),
    ]
}
