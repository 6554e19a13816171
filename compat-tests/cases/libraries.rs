//! What C libraries do differently, while `bwrap` has to be the same with each: how a program is found and executed, the words of
//! errors, the environment, ids, locales. `compat-tests/checks/libraries` runs these with glibc and with musl.

use crate::harness::Case;

/// The cases of this file.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = scripts();
    cases.extend(searches());
    cases.extend(variables());
    cases.extend(words());
    cases.extend(ids());
    cases
}

/// A shell script around `bwrap`, which is `$B` in it and sees the whole host.
fn script(name: &str, text: &str) -> Case {
    Case::new(name).script(&format!("B='{{bwrap}} --ro-bind / /'\n{text}"))
}

/// Makes an executable file without `#!`, which tells how it is called.
const MAKE: &str = "mkdir a b; printf 'echo \"$0\" \"$@\"\\n' | install -m 755 /dev/stdin b/run\n";

/// A file that is no program, and does not begin with `#!`, is a script for the shell.
fn scripts() -> Vec<Case> {
    let of = |name: &str, command: &str| script(name, &format!("{MAKE}{command}")).status(0).stderr("");
    vec![
        of("script_by_path", "$B ./b/run x 'y z'").stdout("./b/run x y z\n"),
        of("script_without_arguments", "$B ./b/run").stdout("./b/run\n"),
        of("script_by_name", "PATH={dir}/a:{dir}/b:$PATH; $B run x").stdout("{dir}/b/run x\n"),
        of("script_in_the_working_directory", "cd b; PATH=:$PATH; $B run x").stdout("run x\n"),
        of("script_with_another_name", "$B --argv0 other ./b/run x").stdout("./b/run x\n"),
        of("script_with_a_first_process", "$B --unshare-pid ./b/run x").stdout("./b/run x\n"),
        of("script_as_the_first_process", "$B --unshare-pid --as-pid-1 ./b/run x").stdout("./b/run x\n"),
        of("empty_script", ": >b/run; $B ./b/run x").stdout(""),
        script("script_without_a_shell", &format!("{MAKE}{{bwrap}} --bind {{dir}}/b /b /b/run"))
            .fails("bwrap: execvp /b/run: No such file or directory"),
        script("script_for_nobody", &format!("{MAKE}chmod 644 b/run; $B ./b/run"))
            .fails("bwrap: execvp ./b/run: Permission denied"),
        script("script_that_is_a_truncated_program", "head -c 100 /bin/sh >run; chmod 755 run; $B ./run; test $? -ne 0")
            .status(0),
    ]
}

/// The directories of PATH.
fn searches() -> Vec<Case> {
    let found = |name: &str, path: &str| {
        script(name, &format!("{MAKE}cp /bin/echo b/run; PATH={path}; $B run x")).status(0).stderr("").stdout("x\n")
    };
    let fails = |name: &str, text: &str, words: &str| {
        script(name, &format!("{MAKE}{text}")).fails(&format!("bwrap: execvp run: {words}"))
    };
    let long = format!("{:0256}", 0);
    // What is found in /usr/local/bin without a PATH would be musl's.
    let local = "{bwrap} --ro-bind / / --tmpfs /usr/local --dir /usr/local/bin --symlink /bin/true /usr/local/bin/run";
    vec![
        found("path", "{dir}/b"),
        found("path_with_a_missing_directory", "{dir}/missing:{dir}/b"),
        found("path_with_a_file", "{dir}/b/run:{dir}/b"),
        found("path_with_an_empty_directory_name", "{dir}/a::{dir}/b"),
        found("path_with_a_directory_of_that_name", "{dir}/c:{dir}/b").dir("c").dir("c/run"),
        fails("path_empty", "PATH=; $B run", "No such file or directory"),
        fails("path_without_it", "PATH={dir}/a; $B run", "No such file or directory"),
        fails("path_with_a_file_alone", "PATH={dir}/b/run; $B run", "Not a directory"),
        fails("path_with_one_for_nobody", "chmod 644 b/run; PATH={dir}/b:{dir}/a; $B run", "Permission denied"),
        fails("path_with_a_loop", "ln -s run a/run; PATH={dir}/a:{dir}/b; $B run", "Too many levels of symbolic links"),
        script("no_path", "unset PATH; $B true").ok(),
        script("no_path_and_not_in_its_default", &format!("unset PATH; {local} run"))
            .fails("bwrap: execvp run: No such file or directory"),
        script("no_name", "$B ''").fails("bwrap: execvp : No such file or directory"),
        script("long_name", &format!("$B {long}")).fails(&format!("bwrap: execvp {long}: File name too long")),
        script("directory", "$B /usr").fails("bwrap: execvp /usr: Permission denied"),
    ]
}

/// The environment, in its order.
fn variables() -> Vec<Case> {
    // As it was at the exec: shells have an order of their own.
    let show = "tr '\\0' '\\n' </proc/$$/environ | grep -v -e ^PATH= -e ^PWD= -e ^HOME= -e ^LANG=; true";
    let shown = |name: &str, options: &[&str], wanted: &str| {
        let case = Case::new(name).env("A", "1").env("B", "2").env("C", "3").on_host();
        case.options(options).run(["sh", "-c", show]).ok().stdout(wanted)
    };
    vec![
        shown("variables", &[], "A=1\nB=2\nC=3\n"),
        shown(
            "variable_set_anew",
            &["--setenv", "B", "x", "--setenv", "D", "y", "--setenv", "A", "z=z"],
            "A=z=z\nB=x\nC=3\nD=y\n",
        ),
        shown("variable_unset", &["--unsetenv", "B", "--unsetenv", "NONE", "--setenv", "B", "last"], "A=1\nC=3\nB=last\n"),
        shown("variable_empty", &["--setenv", "B", ""], "A=1\nB=\nC=3\n"),
        shown(
            "variables_cleared",
            &["--clearenv", "--setenv", "PATH", "/bin", "--setenv", "D", "1", "--setenv", "D", "2", "--setenv", "C", "3"],
            "D=2\nC=3\n",
        ),
        shown("variables_cleared_last", &["--setenv", "D", "1", "--clearenv", "--setenv", "PATH", "/bin"], ""),
        shown("variable_like_the_beginning_of_another", &["--setenv", "A1", "x", "--unsetenv", "A"], "B=2\nC=3\nA1=x\n"),
    ]
}

/// What goes wrong, in glibc's words; no other locale has others.
fn words() -> Vec<Case> {
    let locale = "export LC_ALL=de_DE.UTF-8 LANGUAGE=de LANG=de_DE.UTF-8\n";
    vec![
        script("words_in_another_locale", &format!("{locale}$B --ro-bind /missing /x true"))
            .fails("bwrap: Can't find source path /missing: No such file or directory"),
        script("names_without_characters", &format!("{locale}$B \"$(printf '/\\303\\50')\" 2>&1 | od -c")).status(0),
        script("loop", "ln -s loop loop; $B --ro-bind {dir}/loop /x true")
            .fails("bwrap: Can't find source path {dir}/loop: Too many levels of symbolic links"),
    ]
}

/// Ids beyond 16 bits, and the largest one that the original takes.
fn ids() -> Vec<Case> {
    [65_536, 2_147_483_647]
        .map(|id| {
            let case = Case::new(&format!("id_{id}")).on_host().options(["--unshare-user"]);
            let case = case.options(["--uid", &id.to_string(), "--gid", &id.to_string()]);
            case.run(["sh", "-c", "id -u; id -g"]).ok().stdout(&format!("{id}\n{id}\n"))
        })
        .into()
}
