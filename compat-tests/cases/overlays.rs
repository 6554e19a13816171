//! Overlays: their layers, their modes, and paths that the kernel's option syntax would trip over.

use std::process::Command;
use std::sync::LazyLock;

use super::sources::runner_is_root;
use crate::harness::{Case, Field, Result};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [layers(), places(), paths(), failures()].into_iter().flatten().collect()
}

/// An overlay of two layers, for kernels that have what it needs.
fn layered(name: &str) -> Case {
    with_layers(name).needs(kernel_has_overlays)
}

/// Whether the kernel takes `userxattr`, and overlays in user namespaces: both came with Linux 5.11. Where that cannot be found out,
/// the cases run.
pub(crate) fn kernel_has_overlays() -> Result<()> {
    static REFUSED: LazyLock<bool> = LazyLock::new(|| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private"]);
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let script = "mount -t overlay -o lowerdir=/usr:/etc,userxattr overlay /usr 2>/dev/null || exit 99";
        unshare.args(["sh", "-c", script]).status().is_ok_and(|status| status.code() == Some(99))
    });
    if *REFUSED { Err("the kernel has no overlays with userxattr".to_owned()) } else { Ok(()) }
}

/// Two layers, and an upper and a work directory.
fn with_layers(name: &str) -> Case {
    Case::new(name)
        .file("low/both", "low")
        .file("low/only-low", "1")
        .file("high/both", "high")
        .file("high/d/f", "2")
        .dir("up")
        .dir("work")
        // Layers are given to the kernel in other words, an fd or a path of the reference's own old root.
        .blur(Field::Stdout, without_layers)
        .blur(Field::Tree, without_whiteouts)
}

/// Cuts off an overlay's options.
pub(crate) fn without_layers(text: &str) -> String {
    text.lines().map(|line| line.split(" overlay overlay /").next().unwrap_or(line).to_owned() + "\n").collect()
}

/// Leaves out the kernel's own whiteout in the work directory, whose name is a counter's.
pub(crate) fn without_whiteouts(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("work/work/#")).map(|line| line.to_owned() + "\n").collect()
}

const SOURCES: [&str; 4] = ["--overlay-src", "{dir}/low", "--overlay-src", "{dir}/high"];

/// Looks at all of an overlay on /mnt.
const READ: &str = "cd /mnt; cat both only-low d/f; echo; ls -A . d";

/// Changes it and looks again.
const WRITE: &str = "cd /mnt; echo new > both; rm only-low; mkdir e; echo x > d/g; cat both; ls -A . d; stat -c %a .";

fn layers() -> Vec<Case> {
    let views = ["mounts", "tree:/a", "list:/"];
    vec![
        layered("overlay")
            .on_host()
            .options(SOURCES)
            .options(["--overlay", "{dir}/up", "{dir}/work", "/mnt"])
            .run(["sh", "-c", READ])
            .ok(),
        layered("overlay_writes")
            .on_host()
            .options(SOURCES)
            .options(["--overlay", "{dir}/up", "{dir}/work", "/mnt"])
            .run(["sh", "-ec", WRITE])
            .ok()
            .claim(|o| o.expect_tree("up/both", Some("file 644 own \"new\\n\"")))
            .claim(|o| o.expect_tree("high/both", Some("file 644 own \"high\""))),
        layered("overlay_one_layer")
            .on_host()
            .options(["--overlay-src", "{dir}/low", "--overlay", "{dir}/up", "{dir}/work", "/mnt"])
            .run(["sh", "-c", "cat /mnt/both"])
            .ok()
            .stdout("low"),
        layered("tmp_overlay").on_host().options(SOURCES).options(["--tmp-overlay", "/mnt"]).run(["sh", "-ec", WRITE]).ok(),
        layered("tmp_overlay_one_layer")
            .on_host()
            .options(["--overlay-src", "{dir}/low", "--tmp-overlay", "/mnt"])
            .run(["sh", "-c", "cat /mnt/both; echo x > /mnt/new; cat /mnt/new"])
            .ok()
            .stdout("lowx\n"),
        layered("ro_overlay").on_host().options(SOURCES).options(["--ro-overlay", "/mnt"]).run(["sh", "-c", READ]).ok(),
        layered("ro_overlay_refuses_writes")
            .on_host()
            .options(SOURCES)
            .options(["--ro-overlay", "/mnt"])
            .run(["sh", "-c", "! touch /mnt/new 2>&- && ! rm /mnt/both 2>&-"])
            .ok(),
        layered("overlay_mounts")
            .options(["--proc", "/proc"])
            .options(SOURCES)
            .options(["--overlay", "{dir}/up", "{dir}/work", "/a/b"])
            .options(SOURCES)
            .options(["--tmp-overlay", "/c/d"])
            .options(SOURCES)
            .options(["--ro-overlay", "e"])
            .probe(&views)
            .run(["tree:/c/d", "tree:/e"])
            .ok()
            .claim(|o| o.expect_line("/a: directory 700 {uid}:{gid}")),
        layered("overlays_of_memory_are_apart")
            .on_host()
            .options(SOURCES)
            .options(["--tmp-overlay", "/mnt"])
            .options(SOURCES)
            .options(["--tmp-overlay", "/srv"])
            .run(["sh", "-c", "echo x > /mnt/new; ls /srv"])
            .ok(),
    ]
}

fn places() -> Vec<Case> {
    vec![
        layered("overlay_then_operations")
            .options(SOURCES)
            .options(["--tmp-overlay", "/a", "--dir", "/a/d/made", "--symlink", "t", "/a/l", "--ro-bind", "{dir}/low", "/a/d/b"])
            .options(["--chmod", "0700", "/a/both"])
            .probe(&["tree:/a", "list:/a/d/b"])
            .ok(),
        layered("overlay_of_relative_paths")
            .cwd("{dir}/home")
            .on_host()
            .options(["--overlay-src", "../low", "--overlay-src", "../high/.", "--overlay", "../up", "../work", "/mnt"])
            .run(["sh", "-ec", WRITE])
            .ok()
            .claim(|o| o.expect_tree("up/both", Some("file 644 own \"new\\n\""))),
        layered("overlay_of_symlinks")
            .symlink("low", "l")
            .symlink("{dir}/high", "h")
            .on_host()
            .options(["--overlay-src", "{dir}/l", "--overlay-src", "{dir}/h", "--ro-overlay", "/mnt"])
            .run(["sh", "-c", READ])
            .ok(),
        layered("overlay_on_the_root")
            .options(["--dir", "/base"])
            .options(SOURCES)
            .options(["--tmp-overlay", "/", "--dir", "/made"])
            .probe(&["tree:/"])
            .ok(),
        layered("overlay_of_the_host")
            .options([
                "--overlay-src",
                "/usr",
                "--tmp-overlay",
                "/usr",
                "--ro-bind",
                "/lib",
                "/lib",
                "--ro-bind-try",
                "/lib64",
                "/lib64",
            ])
            .run(["/usr/bin/touch", "/usr/made"])
            .ok(),
        layered("overlay_upper_is_a_layer_of_another")
            .on_host()
            .options(["--overlay-src", "{dir}/low", "--overlay", "{dir}/up", "{dir}/work", "/mnt"])
            .options(["--overlay-src", "{dir}/low", "--overlay-src", "{dir}/high", "--ro-overlay", "/srv"])
            .run(["sh", "-c", "ls /mnt /srv"])
            .ok(),
    ]
}

/// A read-write, an in-memory and a read-only overlay of directories with these names.
fn odd(name: &str, odd: &'static str) -> Case {
    let at = |dir: &str| format!("{{dir}}/{odd}{dir}");
    let (low, high, up, work) = (at("low"), at("high"), at("up"), at("work"));
    Case::new(name)
        .setup(move |s| {
            s.file(&format!("{odd}low/f"), "low\n")?;
            s.file(&format!("{odd}high/g"), "high\n")?;
            s.dir(&format!("{odd}up"))?;
            s.dir(&format!("{odd}work"))
        })
        .options(["--ro-bind", "/", "/", "--tmpfs", "/mnt"])
        .options(["--overlay-src", &low, "--overlay-src", &high, "--overlay", &up, &work, &format!("/mnt/{odd}")])
        .options(["--overlay-src", &low, "--overlay-src", &high, "--tmp-overlay", &format!("/mnt/tmp{odd}")])
        .options(["--overlay-src", &low, "--overlay-src", &high, "--ro-overlay", &format!("/mnt/ro{odd}")])
        .run(["sh", "-ec", "cd /mnt; for d in *; do cd \"$d\"; cat f g; touch new || echo no; cd ..; done 2>&1; ls -b"])
        .status(0)
        .needs(kernel_has_overlays)
}

fn paths() -> Vec<Case> {
    vec![
        odd("path_with_colons", "a:b::"),
        odd("path_with_commas", "a,upperdir=b,,"),
        odd("path_with_backslashes", "a\\b\\\\:\\,"),
        odd("path_with_quotes", "a\"b\""),
        odd("path_with_blanks", " a\tb\nc "),
        odd("path_with_all", "\\:,\"\\ \"=::"),
    ]
}

/// A failure with this text.
fn refused(name: &str, options: &[&str], words: &str) -> Case {
    with_layers(name).options(options).run(["true"]).fails(&format!("bwrap: {words}"))
}

/// A failure of the kernel's to mount it.
fn unmountable(name: &str, options: &[&str]) -> Case {
    layered(name).options(options).run(["true"]).fails_beginning("bwrap: Can't make overlay mount on ")
}

fn failures() -> Vec<Case> {
    vec![
        refused(
            "overlay_src_missing",
            &["--overlay-src", "{dir}/none", "--tmp-overlay", "/a"],
            "Can't find source path {dir}/none: No such file or directory",
        ),
        refused(
            "overlay_src_missing_second",
            &["--overlay-src", "{dir}/low", "--overlay-src", "none", "--ro-overlay", "/a"],
            "Can't find source path none: No such file or directory",
        ),
        refused(
            "overlay_upper_missing",
            &["--overlay-src", "{dir}/low", "--overlay", "{dir}/none", "{dir}/work", "/a"],
            "Can't find source path {dir}/none: No such file or directory",
        ),
        refused(
            "overlay_work_missing",
            &["--overlay-src", "{dir}/low", "--overlay", "{dir}/up", "{dir}/none", "/a"],
            "Can't find source path {dir}/none: No such file or directory",
        ),
        unmountable("overlay_src_is_a_file", &["--overlay-src", "{dir}/low/both", "--tmp-overlay", "/a"]),
        unmountable("overlay_upper_is_work", &["--overlay-src", "{dir}/low", "--overlay", "{dir}/up", "{dir}/up", "/a"]),
        unmountable("overlay_loop", &["--overlay-src", "{dir}/up", "--overlay", "{dir}/up", "{dir}/work", "/a"])
            .claim(|o| o.expect(o.stderr.ends_with(",userxattr: Overlay directories may not overlap\n"), "the hint is missing")),
        refused(
            "overlay_on_a_symlink",
            &["--symlink", "t", "/l", "--overlay-src", "{dir}/low", "--tmp-overlay", "/l"],
            "Can't mount on symlink destination /l",
        )
        .needs(kernel_has_overlays),
        refused(
            "overlay_on_a_file",
            &["--ro-bind", "{dir}/low/both", "/f", "--overlay-src", "{dir}/low", "--tmp-overlay", "/f"],
            "Destination is not a directory /f",
        )
        .needs(kernel_has_overlays),
        refused(
            "overlay_read_only",
            &["--ro-bind", "{dir}", "/ro", "--overlay-src", "{dir}/low", "--tmp-overlay", "/ro/none"],
            "Can't create file /ro/none: Read-only file system",
        )
        .needs(kernel_has_overlays),
        refused(
            "overlay_secret",
            &["--overlay-src", "{dir}/secret/x", "--tmp-overlay", "/a"],
            "Can't find source path {dir}/secret/x: Permission denied",
        )
        .dir("secret/x")
        .setup(|s| {
            s.keep_for_root("secret");
            s.mode("secret", 0o700)
        })
        .needs(runner_is_root)
        .user_only(),
    ]
}
