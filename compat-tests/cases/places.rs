//! Where the command finds itself: its working directory and PWD.

use super::sources::runner_is_root;
use crate::harness::{Case, Fd, Result};

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    [chosen(), inherited()].into_iter().flatten().collect()
}

fn chosen() -> Vec<Case> {
    let refused = |name: &str, dir: &str, words: &str| {
        Case::new(name).on_host().options(["--chdir", dir]).run(["true"]).fails(&format!("bwrap: {words}"))
    };
    vec![
        Case::new("chdir")
            .options(["--chdir", "/usr/bin"])
            .probe_on_host(&["cwd"])
            .ok()
            .stdout("[cwd]\n/usr/bin\nPWD: Some(\"/usr/bin\")\n"),
        Case::new("chdir_symlink").dir("d").symlink("d", "l").options(["--chdir", "{dir}/l"]).probe_on_host(&["cwd"]).ok(),
        Case::new("chdir_dots").options(["--chdir", "/usr/../usr/bin/."]).probe_on_host(&["cwd"]).ok(),
        Case::new("chdir_slashes").options(["--chdir", "//usr//"]).probe_on_host(&["cwd"]).ok(),
        Case::new("chdir_above_the_root").options(["--chdir", "/.."]).probe_on_host(&["cwd"]).ok(),
        Case::new("chdir_relative").options(["--chdir", "usr/bin"]).probe_on_host(&["cwd"]),
        Case::new("chdir_relative_to_the_caller's").dir("d").options(["--chdir", "d"]).run(["true"]).on_host(),
        Case::new("chdir_to_what_was_made").options(["--dir", "/a/b", "--chdir", "/a/b"]).probe(&["cwd"]).ok(),
        Case::new("chdir_sees_the_sandbox").options(["--tmpfs", "/usr", "--chdir", "/usr/bin"]).run(["true"]).status(1),
        Case::new("chdir_into_a_secret_one")
            .setup(|s| {
                s.dir("secret")?;
                s.keep_for_root("secret");
                s.mode("secret", 0o700)
            })
            .needs(runner_is_root)
            .user_only()
            .on_host()
            .options(["--chdir", "{dir}/secret"])
            .run(["true"])
            .fails("bwrap: Can't chdir to {dir}/secret: Permission denied"),
        refused("chdir_missing", "/none", "Can't chdir to /none: No such file or directory"),
        refused("chdir_to_a_file", "/etc/passwd", "Can't chdir to /etc/passwd: Not a directory"),
        Case::new("chdir_last_wins").options(["--chdir", "/usr", "--chdir", "/etc"]).probe_on_host(&["cwd"]),
        Case::new("chdir_and_relative_source").dir("d").options(["--bind", "d", "/d", "--chdir", "/d"]).probe(&["cwd"]).ok(),
        Case::new("chdir_and_relative_command")
            .on_host()
            .options(["--chdir", "/usr/bin"])
            .run(["./env", "pwd"])
            .ok()
            .stdout("/usr/bin\n"),
        Case::new("chdir_and_setenv").options(["--setenv", "PWD", "/x", "--chdir", "/usr"]).probe_on_host(&["cwd", "env"]).ok(),
    ]
}

fn bin_is_a_symlink() -> Result<()> {
    if std::path::Path::new("/bin").is_symlink() { Ok(()) } else { Err("/bin is no symlink here".into()) }
}

fn inherited() -> Vec<Case> {
    vec![
        Case::new("cwd").cwd("/usr/bin").probe_on_host(&["cwd"]).ok().stdout("[cwd]\n/usr/bin\nPWD: Some(\"/usr/bin\")\n"),
        Case::new("cwd_is_logical").needs(bin_is_a_symlink).cwd("/bin").env("PWD", "/bin").probe_on_host(&["cwd", "env"]).ok(),
        Case::new("cwd_is_logical_below_tmp")
            .dir("d")
            .symlink("d", "l")
            .cwd("{dir}/l")
            .env("PWD", "{dir}/l")
            .probe_on_host(&["cwd"])
            .ok()
            .claim(|o| o.expect_line("{dir}/d")),
        Case::new("cwd_with_a_wrong_pwd").dir("d").cwd("{dir}/d").env("PWD", "/usr").probe_on_host(&["cwd"]).ok(),
        Case::new("cwd_with_a_relative_pwd").dir("d").cwd("{dir}").env("PWD", "d/..").probe_on_host(&["cwd"]).ok(),
        Case::new("cwd_with_dots_in_pwd").cwd("/usr").env("PWD", "/usr/bin/..").probe_on_host(&["cwd"]).ok(),
        Case::new("cwd_with_an_empty_pwd").cwd("{dir}").env("PWD", "").probe_on_host(&["cwd"]).ok(),
        Case::new("cwd_unset_in_the_sandbox").cwd("/usr").options(["--unsetenv", "PWD"]).probe_on_host(&["cwd", "env"]).ok(),
        Case::new("cwd_cleared").cwd("/usr").options(["--clearenv"]).probe_on_host(&["cwd", "env"]).ok(),
        Case::new("cwd_is_not_inside").probe(&["cwd"]).ok().stdout("[cwd]\n/\nPWD: Some(\"/\")\n"),
        Case::new("cwd_is_home")
            .options(["--dir", "{dir}/home"])
            .cwd("/usr/bin")
            .probe(&["cwd"])
            .ok()
            .stdout("[cwd]\n{dir}/home\nPWD: Some(\"{dir}/home\")\n"),
        Case::new("cwd_is_home_of_the_sandbox")
            .options(["--dir", "/h", "--setenv", "HOME", "/h"])
            .cwd("/usr/bin")
            .probe(&["cwd"])
            .ok(),
        Case::new("cwd_without_home").options(["--unsetenv", "HOME"]).probe(&["cwd"]).ok(),
        Case::new("cwd_with_an_empty_home").options(["--setenv", "HOME", ""]).probe(&["cwd"]).ok(),
        Case::new("cwd_with_a_relative_home").options(["--dir", "/h", "--setenv", "HOME", "h"]).probe(&["cwd"]).ok(),
        Case::new("cwd_with_a_home_that_is_a_file").options(["--setenv", "HOME", "/probe"]).probe(&["cwd"]).ok(),
        Case::new("cwd_is_a_file_inside")
            .cwd("{dir}/d")
            .dir("d")
            .options(["--file", "7", "{dir}/d"])
            .fd(7, Fd::memfd(""))
            .probe(&["cwd"])
            .ok(),
        Case::new("cwd_is_another_directory_inside")
            .dir("d/outer")
            .cwd("{dir}/d")
            .options(["--dir", "{dir}/d/inner"])
            .probe(&["cwd", "list:."])
            .ok(),
        Case::new("cwd_is_covered")
            .dir("d/outer")
            .cwd("{dir}/d")
            .on_host()
            .options(["--tmpfs", "{dir}/d"])
            .run(["ls"])
            .ok()
            .stdout(""),
        // The reference may be started by a shell, which complains.
        Case::new("cwd_removed")
            .script("mkdir {dir}/gone; cd {dir}/gone; rmdir {dir}/gone; exec {bwrap} --ro-bind / / pwd 2>&-")
            .status(0)
            .stdout("{dir}/home\n"),
        Case::new("cwd_secret")
            .user_only()
            .script("mkdir -p {dir}/x/y; cd {dir}/x/y; chmod 0 {dir}/x; {bwrap} --ro-bind / / pwd; chmod 700 {dir}/x"),
        Case::new("cwd_logical_is_not_inside")
            .needs(bin_is_a_symlink)
            .cwd("/bin")
            .env("PWD", "/bin")
            .options(["--ro-bind", "/usr/bin", "/usr/bin"])
            .probe(&["cwd"])
            .ok(),
    ]
}
