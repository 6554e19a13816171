//! `--tar`: archives as programs write them, layers of images, and archives by people who mean harm.

use std::time::Duration;

use super::fails;
use crate::harness::{Case, Fd, Outcome, Tweak};

/// The cases of this file, ours alone.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = as_tar_does();
    cases.extend(images());
    cases.extend(layers());
    cases.extend(places());
    cases.extend(hostile());
    cases.extend(harmless());
    cases.extend(limits());
    cases.extend(words());
    cases.into_iter().map(patient).collect()
}

/// Ours alone, and with the time that programs need which make archives.
fn patient(case: Case) -> Case {
    Case { timeout: Duration::from_mins(3), ..case.ours_only() }
}

/// An entry for an archive that is made here.
struct Entry {
    name: &'static str,
    letter: u8,
    target: &'static str,
    content: &'static str,
    mode: u32,
}

fn file(name: &'static str, content: &'static str) -> Entry {
    Entry { name, letter: b'0', target: "", content, mode: 0o644 }
}

fn dir(name: &'static str) -> Entry {
    Entry { name, letter: b'5', target: "", content: "", mode: 0o755 }
}

fn link(name: &'static str, target: &'static str) -> Entry {
    Entry { name, letter: b'2', target, content: "", mode: 0o777 }
}

fn hard(name: &'static str, target: &'static str) -> Entry {
    Entry { name, letter: b'1', target, content: "", mode: 0o644 }
}

fn device(name: &'static str, letter: u8) -> Entry {
    Entry { letter, ..file(name, "") }
}

/// What pax says about the next entry.
fn pax(record: &'static str) -> Entry {
    Entry { letter: b'x', ..file("pax", record) }
}

fn header(entry: &Entry, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mode = format!("{:07o}", entry.mode);
    let size = format!("{size:011o}");
    let fields: [(usize, &[u8]); 8] = [
        (0, entry.name.as_bytes()),
        (100, mode.as_bytes()),
        (108, b"0000000"),
        (116, b"0000000"),
        (124, size.as_bytes()),
        (136, b"00000000011"),
        (157, entry.target.as_bytes()),
        (257, b"ustar\x0000"),
    ];
    for (at, bytes) in fields {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }
    block[156] = entry.letter;
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = vec![];
    for entry in entries {
        bytes.extend(header(entry, entry.content.len()));
        bytes.extend(entry.content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A sandbox on the host's root with archives at /srv/x, on fds from 11 on.
fn unpacked(name: &str, archives: &[Vec<u8>]) -> Case {
    let mut case = Case::new(name).on_host().options(["--tmpfs", "/srv"]);
    for (number, archive) in (11..).zip(archives) {
        case = case.options(["--tar", &number.to_string(), "/srv/x"]).fd(number, Fd::pipe(archive.clone()));
    }
    case
}

/// The same, with all names in it on stdout.
fn shown(name: &str, archives: &[Vec<u8>]) -> Case {
    let list = "cd /srv/x; find . -mindepth 1 -printf '%P %y %m %l\\n' | sort | sed 's/ $//'";
    unpacked(name, archives).run(["sh", "-c", list])
}

/// The same, with these names as its outcome.
fn listed(name: &str, archives: &[Vec<u8>], lines: &str) -> Case {
    shown(name, archives).ok().stdout(lines)
}

/// Lists a tree with all that an archive says of it.
const LIST: &str = r"list() { (cd $1; find . -printf '%P %y %m %n %T@ %l|%U:%G\n' | sort;
    find . -type f -printf '%P %s\n' | sort; find . -type f -size -2M -exec sha256sum {} + | sort
    [ ! -e sparse ] || dd if=sparse bs=1 skip=4499999999 count=3 status=none | od -c); }";

/// A tree that shows what archives can hold.
const TREE: &str = r#"
    mkdir -p tree/a/b tree/empty tree/ro; cd tree
    echo hi > a/f; ln a/f a/g; ln a/f z; ln -s /a/f absolute; ln -s ../x a/up; ln -s a linked; mkfifo fifo
    truncate -s 5G sparse; printf x | dd of=sparse bs=1 seek=4500000000 conv=notrunc status=none
    printf '%0300d' 0 | split -b 1 -a 2 - many; : > nothing; echo 'x y' > 'blank name'; printf 'a\nb' > "$(printf 'line\nfeed')"
    long=$(printf '%0200d' 0); mkdir -p $long/$long; echo deep > $long/$long/$long; ln -s $long$long$long longlink; ln $long/$long/$long longhard
    echo umlaut > $(printf 'f\303\274'); echo latin > $(printf 'f\374')
    echo ro > ro/f; chmod 555 ro; chmod 4755 a/f; chmod 1777 empty; chmod 2750 a/b; chmod 400 nothing
    touch -d '1969-12-31 23:59:58.5 UTC' empty; touch -d '2001-02-03 04:05:06.789 UTC' a ro/f; touch -d '2100-01-01' ro a/b; cd .."#;

fn as_tar_does() -> Vec<Case> {
    let formats = [
        ("gnu", "tar -C tree --sparse --format=gnu -cf a.tar ."),
        ("oldgnu", "tar -C tree --sparse --format=oldgnu -cf a.tar ."),
        ("pax", "tar -C tree --sparse --format=posix -cf a.tar ."),
        ("pax_sparse_0_0", "tar -C tree --sparse --sparse-version=0.0 --format=posix -cf a.tar ."),
        ("pax_sparse_0_1", "tar -C tree --sparse --sparse-version=0.1 --format=posix -cf a.tar ."),
        ("ustar", "rm -r tree/0* tree/long* tree/sparse tree/empty; tar -C tree --format=ustar -cf a.tar ."),
        ("v7", "rm -r tree/0* tree/long* tree/sparse tree/fifo tree/empty; tar -C tree --format=v7 -cf a.tar ."),
        ("bsdtar_pax", "rm -r tree/f[!i]* tree/empty; truncate -s 1M tree/sparse; bsdtar -C tree --format=pax -cf a.tar ."),
        ("bsdtar_gnu", "rm tree/sparse tree/f[!i]*; bsdtar -C tree --format=gnutar -cf a.tar ."),
        (
            "python",
            "rm tree/sparse tree/f[!i]*; python3 -c \"import tarfile; t = tarfile.open('a.tar', 'w'); t.add('tree', '.'); t.close()\"",
        ),
        // Nothing says which directories there are, or they come after what is in them.
        (
            "without_directories",
            "rm tree/sparse; (cd tree; find . ! -type d -print0 | tar --null --no-recursion -cf ../a.tar -T -)",
        ),
        ("directories_last", "rm tree/sparse; (cd tree; find . -depth -print0 | tar --null --no-recursion -cf ../a.tar -T -)"),
        ("twice", "rm tree/sparse; tar -C tree -cf a.tar . ./a ./linked"),
    ];
    let case = |(name, make): (&str, &str)| {
        // Of what an archive does not say, nothing can be the same: the times of such directories.
        // bsdtar forgets that of the destination.
        let strip = match name {
            "without_directories" => "sed '/ d 755 /s/ [0-9.]* |/ |/'",
            "bsdtar_pax" | "bsdtar_gnu" => "sed 1d",
            _ => "cat",
        };
        // GNU tar gives up on times of directories whose files are not all behind them.
        let oracle = if name.starts_with("bsdtar") { "bsdtar" } else { "tar --warning=no-timestamp" };
        let tools: &[&str] = match name {
            "bsdtar_pax" | "bsdtar_gnu" => &["bsdtar"],
            "python" => &["python3", "tar"],
            _ => &["tar"],
        };
        Case::new(&format!("as_tar_does_{name}")).tools(tools).file("list", LIST).script(&format!(
            "set -e; umask 022; . ./list; {TREE}; {make}
             mkdir out; {oracle} -C out -xpf a.tar; list out | {strip} > expected
             {{bwrap}} --ro-bind / / --tmpfs /srv --tar 5 /srv/x sh -c '. ./list; list /srv/x' 5< a.tar > full
             {strip} < full > found; diff expected found; chmod -R u+w tree out; rm -r tree out; echo same",
        ))
    };
    formats.into_iter().map(|row| case(row).ok().stdout("same\n")).collect()
}

fn images() -> Vec<Case> {
    let steps = r#"
        umoci init --layout image; umoci new --image image:one
        unpack --image image:one bundle; cd bundle/rootfs
        mkdir -p etc usr/bin var/lib/x opt/gone/deep; echo 1 > etc/a; echo 1 > etc/b; ln etc/a usr/a; echo x > var/lib/x/1; echo y > opt/gone/deep/f
        ln -s ../usr/bin bin; ln -s /etc etclink; chmod 4755 etc/b; mkdir dir-then-file file-now; echo f > file-then-dir; cd ../..
        umoci repack --image image:one bundle; rm -rf bundle
        unpack --image image:one bundle; cd bundle/rootfs
        rm etc/a; rm -r opt/gone; mkdir opt/gone; echo new > opt/gone/new; rmdir dir-then-file; echo now > dir-then-file
        rm file-then-dir; mkdir file-then-dir; echo in > file-then-dir/in; echo 2 > etc/b; ln etc/b usr/b; rm etclink; mkdir etclink; cd ../..
        umoci repack --image image:two bundle; rm -rf bundle
        unpack --image image:two bundle; cd bundle/rootfs
        rm -r var; rm usr/a; echo 3 > "etc/$(printf '%0200d' 0)"; truncate -s 1M etc/hole; cd ../..
        umoci repack --image image:three bundle; rm -rf bundle
        unpack --image image:three bundle; list bundle/rootfs > expected
        skopeo copy -q oci:image:three dir:flat"#;
    let run = r#"
        number=4; options=
        for layer in $(python3 -c 'import json; [print(l["digest"][7:]) for l in json.load(open("flat/manifest.json"))["layers"]]'); do
            number=$((number + 1)); zcat < flat/$layer > layer$number; options="$options --tar $number /srv/x"
        done"#;
    // Owners are the image's for root, and for an ordinary user they are theirs. The steps remove much, and end when one fails: a shell of
    // their own, because `set -e` is nothing to one whose status is asked for.
    let begin = "set -e; umask 022; . ./list; unpack() { umoci unpack $rootless \"$@\"; }";
    let image = Case::new("image_of_umoci").tools(&["python3", "skopeo", "umoci"]).file("list", LIST);
    let steps = format!("{begin}\n{steps}\n");
    let image = image.setup(move |s| s.file("steps", &steps)).script(&format!(
        "set -e; . ./list; export XDG_RUNTIME_DIR=$PWD rootless=; [ $(id -u) = 0 ] || rootless=--rootless
         sh ./steps > log 2>&1 || {{ cat log; exit 1; }}; {run}
         {{bwrap}} --ro-bind / / --tmpfs /srv $options sh -c '. ./list; list /srv/x' > found 5< layer5 6< layer6 7< layer7
         diff expected found; echo $((number - 4)) layers, the same",
    ));
    vec![image.ok().stdout("3 layers, the same\n")]
}

fn layers() -> Vec<Case> {
    let lower =
        || tar(&[dir("d/"), file("d/a", "1"), file("d/b", "1"), dir("d/s/"), file("d/s/c", "1"), file("e", "1"), link("l", "d")]);
    let all = "d d 755\nd/a f 644\nd/b f 644\nd/s d 755\nd/s/c f 644\ne f 644\nl l 777 d\n";
    let without = |gone: &[&str]| -> String {
        all.split_inclusive('\n').filter(|line| !gone.contains(&line.split(' ').next().unwrap_or(""))).collect()
    };
    let upper = |name: &str, entries: &[Entry], lines: &str| listed(&format!("layer_{name}"), &[lower(), tar(entries)], lines);
    vec![
        upper("takes_a_file", &[file("d/.wh.a", "")], &without(&["d/a"])),
        upper("takes_a_directory", &[file(".wh.d", "")], &without(&["d", "d/a", "d/b", "d/s", "d/s/c"])),
        upper("takes_what_is_not_there", &[file(".wh.none", ""), file("none/.wh.x", ""), file("none/.wh..wh..opq", "")], all),
        upper("takes_what_is_below_a_file", &[file("e/.wh.x", ""), file("e/.wh..wh..opq", ""), file("d/a/x/.wh.y", "")], all),
        // By the link, what it leads to; and the link, not what it leads to.
        upper("takes_by_a_link", &[file("l/.wh.a", "")], &without(&["d/a"])),
        upper("takes_a_link", &[file(".wh.l", "")], &without(&["l"])),
        // What this layer itself has brought stays, whichever comes first.
        upper("keeps_its_own", &[file("d/a", "2"), file("d/.wh.a", ""), file("d/.wh.b", ""), file("d/b", "2")], all),
        upper("empties_a_directory", &[file("d/.wh..wh..opq", "")], &without(&["d/a", "d/b", "d/s", "d/s/c"])),
        upper("empties_afterwards", &[file("d/n", "2"), file("d/s/n", "2"), file("d/.wh..wh..opq", "")],
            "d d 755\nd/n f 644\nd/s d 755\nd/s/n f 644\ne f 644\nl l 777 d\n"),
        upper("takes_a_directory_with_its_own", &[dir("d/"), file("d/n", "2"), file(".wh.d", "")], "d d 755\nd/n f 644\ne f 644\nl l 777 d\n"),
        upper("empties_all", &[file(".wh..wh..opq", ""), file("n", "2")], "n f 644\n"),
        upper("has_a_file_for_a_directory", &[file("d", "2")], "d f 644\ne f 644\nl l 777 d\n"),
        upper("has_a_directory_for_a_link", &[dir("l/"), file("l/n", "2")], &all.replace("l l 777 d\n", "l d 755\nl/n f 644\n")),
        upper("follows_a_link", &[file("l/n", "2")], &all.replace("d/s d", "d/n f 644\nd/s d")),
        upper("has_a_name_of_earlier", &[hard("h", "d/a")], &all.replace("l l", "h f 644\nl l")),
        // In the first archive there is nothing to take away.
        listed("whiteouts_of_the_first", &[tar(&[file("a", ""), file(".wh.a", ""), file("b/.wh..wh..opq", "")])], "a f 644\n"),
        // A device node is not created, but what was there is gone all the same.
        shown("layer_has_devices", &[lower(), tar(&[device("e", b'3'), device("d/s", b'4')])])
            .status(0)
            .stdout(&without(&["d/s", "d/s/c", "e"]))
            .stderr("bwrap: --tar omits 2 device nodes at /srv/x\n"),
        listed("three_layers", &[lower(), tar(&[file(".wh.d", "")]), tar(&[file("d/n", "3")])], "d d 755\nd/n f 644\ne f 644\nl l 777 d\n"),
        // A filter that does not know openat2(2).
        upper("without_openat2", &[file("l/n", "2"), file("l/.wh.a", ""), file("x/y/z", "2"), hard("l/s/h", "l/b")],
            "d d 755\nd/b f 644\nd/n f 644\nd/s d 755\nd/s/c f 644\nd/s/h f 644\ne f 644\nl l 777 d\nx d 755\nx/y d 755\nx/y/z f 644\n")
            .tweak(Tweak::Refuse(&["openat2"], libc::ENOSYS)),
    ]
}

fn places() -> Vec<Case> {
    let one = || tar(&[file("f", "x")]);
    vec![
        // The root of the sandbox, with nothing of the host in it but the probe.
        Case::new("root")
            .fd(11, Fd::pipe(one()))
            .options(["--tar", "11", "/"])
            .probe(&["list:/"])
            .ok()
            .claim(|o| o.expect(o.stdout.contains("\n/f: file 644 "), "no file of the archive")),
        Case::new("mode_and_size")
            .on_host()
            .options(["--tmpfs", "/srv", "--perms", "0710", "--size", "1048576", "--tar", "11", "/srv/x"])
            .fd(11, Fd::pipe(tar(&[dir("./"), file("f", "x")])))
            .run([
                "sh",
                "-c",
                "stat -c %a /srv/x; findmnt -no FSTYPE,OPTIONS /srv/x | grep -o 'tmpfs\\|nosuid\\|nodev\\|size=1024k' | sort",
            ])
            .ok()
            .stdout("710\nnodev\nnosuid\nsize=1024k\ntmpfs\n"),
        Case::new("mode_of_the_archive")
            .on_host()
            .options(["--tmpfs", "/srv", "--tar", "11", "/srv/x"])
            .fd(11, Fd::pipe(tar(&[Entry { mode: 0o2700, ..dir("./") }, file("f", "x")])))
            .run(["stat", "-c", "%a %Y", "/srv/x"])
            .ok()
            .stdout("2700 9\n"),
        // A flag that is for COMMAND does not keep an archive's links from being followed.
        Case::new("flags_of_the_mount")
            .on_host()
            .options(["--tmpfs", "/srv", "--noexec", "--nosymfollow", "--tar", "11", "/srv/x"])
            .fd(11, Fd::pipe(tar(&[dir("d/"), link("l", "d"), file("l/f", "x")])))
            .run(["sh", "-c", "findmnt -no OPTIONS /srv/x | grep -o noexec; cat /srv/x/d/f; cat /srv/x/l/f 2>&- || echo refused"])
            .ok()
            .stdout("noexec\nxrefused\n"),
        // Nothing is written to the host, whatever the archive says.
        Case::new("on_a_bind")
            .dir("host")
            .file("host/there", "")
            .options(["--bind", "{dir}/host", "/x", "--tar", "11", "/x"])
            .fd(11, Fd::pipe(one()))
            .run(["true"])
            .fails("bwrap: --tar does not write to a mount that is not empty: /x")
            .claim(|o| o.expect_tree("host/f", None)),
        Case::new("on_an_empty_bind")
            .on_host()
            .dir("host")
            .options(["--tmpfs", "/srv", "--bind", "{dir}/host", "/srv/x", "--tar", "11", "/srv/x"])
            .fd(11, Fd::pipe(one()))
            .run(["cat", "/srv/x/f"])
            .ok()
            .stdout("x")
            .claim(|o| o.expect_tree("host/f", None)),
        Case::new("on_the_hosts_root")
            .on_host()
            .options(["--tar", "11", "/"])
            .fd(11, Fd::pipe(one()))
            .run(["true"])
            .fails("bwrap: --tar does not write to a mount that is not empty: /"),
        Case::new("on_a_file")
            .options(["--file", "12", "/x", "--tar", "11", "/x"])
            .fd(11, Fd::pipe(one()))
            .fd(12, Fd::pipe(""))
            .run(["true"])
            .fails("bwrap: Destination is not a directory /x"),
        Case::new("covered")
            .options(["--tar", "11", "/x", "--tmpfs", "/x", "--tar", "12", "/x"])
            .fd(11, Fd::pipe(one()))
            .fd(12, Fd::pipe(one()))
            .run(["true"])
            .fails("bwrap: Something covers what --tar has unpacked at /x"),
        mounted_inside("entry_on_a_mount", file("m/f", "2")),
        mounted_inside("entry_by_a_link_on_a_mount", file("l/f", "2")),
        mounted_inside("mode_of_a_mount", Entry { mode: 0o700, ..dir("m/") }),
        mounted_inside("file_for_a_mount", file("m", "2")),
        mounted_inside("link_for_a_mount", link("m", "l")),
        mounted_inside("whiteout_of_a_mount", file(".wh.m", "")),
        mounted_inside("whiteout_on_a_mount", file("m/.wh.keep", "")),
        mounted_inside("opaque_around_a_mount", file(".wh..wh..opq", "")),
        mounted_inside("opaque_mount", file("m/.wh..wh..opq", "")),
        mounted_inside("name_of_a_file_on_a_mount", hard("h", "m/keep")),
        mounted_inside("file_for_what_a_mount_is_in", file("d", "")),
    ]
}

/// Between two archives something of the host is mounted, which nothing in the second one reaches.
fn mounted_inside(name: &'static str, entry: Entry) -> Case {
    let shown = entry.name;
    let (first, second) = (tar(&[dir("m/"), link("l", "m"), dir("d/"), dir("d/m/")]), tar(&[entry]));
    Case::new(name)
        .dir("host")
        .file("host/keep", "1")
        .options(["--tar", "11", "/x", "--bind", "{dir}/host", "/x/m", "--bind", "{dir}/host", "/x/d/m", "--tar", "12", "/x"])
        .fd(11, Fd::pipe(first))
        .fd(12, Fd::pipe(second))
        .run(["true"])
        .fails(&format!("bwrap: Can't unpack fd 12 at /x: entry 1, {shown}: another mount of the sandbox lies there"))
        .claim(|o| o.expect_tree("host", Some("directory 755 own")))
        .claim(|o| o.expect_tree("host/keep", Some("file 644 own \"1\"")))
        .claim(|o| o.expect_tree("host/f", None))
}

/// An archive that is refused, and the words for it.
fn refused(name: &str, archive: Vec<u8>, words: &str) -> Case {
    unpacked(&format!("hostile_{name}"), &[archive]).run(["true"]).fails(&format!("bwrap: Can't unpack fd 11 at /srv/x: {words}"))
}

fn hostile() -> Vec<Case> {
    let upwards = "a name contains ..";
    let no_end = "it has no end marker and may be truncated; if you know that it is complete, add zeros, as in 11< <(cat LAYER; head -c 1024 /dev/zero)";
    let cut = |entries: &[Entry], length: usize| {
        let mut bytes = tar(entries);
        bytes.truncate(length);
        bytes
    };
    let lying = |size: usize| [header(&file("f", ""), size), vec![0; 2048]].concat();
    vec![
        refused("upwards", tar(&[file("../f", "x")]), &format!("entry 1, ../f: {upwards}")),
        refused("upwards_inside", tar(&[dir("a/"), file("a/../f", "x")]), &format!("entry 2, a/../f: {upwards}")),
        refused("upwards_by_a_hard_link", tar(&[hard("h", "../../etc/passwd")]), &format!("entry 1, h: {upwards}")),
        refused("whiteout_upwards", tar(&[file("a/.wh...", "")]), "entry 1, a/.wh...: it is a whiteout without a name"),
        refused("whiteout_of_itself", tar(&[file("a/.wh..", "")]), "entry 1, a/.wh..: it is a whiteout without a name"),
        refused("whiteout_of_nothing", tar(&[file(".wh.", "")]), "entry 1, .wh.: it is a whiteout without a name"),
        refused("whiteout_with_content", tar(&[file(".wh.a/f", "")]), "entry 1, .wh.a/f: a whiteout cannot have content"),
        refused(
            "hard_link_to_the_host",
            tar(&[hard("h", "/etc/passwd")]),
            "entry 1, h: it is a hard link to something that does not exist",
        ),
        refused(
            "hard_link_by_a_link",
            tar(&[link("l", "/etc"), hard("h", "l/passwd")]),
            "entry 2, h: it is a hard link to something that does not exist",
        ),
        refused("hard_link_to_the_root", tar(&[hard("h", "/")]), "entry 1, h: it is a hard link to the destination itself"),
        refused(
            "file_as_the_root",
            tar(&[file(".", "")]),
            "entry 1, .: it is not a directory, and lies at the destination itself",
        ),
        refused(
            "link_as_the_root",
            tar(&[link("/", "/etc")]),
            "entry 1, /: it is not a directory, and lies at the destination itself",
        ),
        refused("link_to_nothing", tar(&[link("l", "")]), "entry 1, l: it is a link to nothing"),
        refused(
            "loop",
            tar(&[link("a", "b"), link("b", "a"), file("a/f", "x")]),
            "entry 3, a/f: Too many levels of symbolic links",
        ),
        refused("below_a_file", tar(&[file("a", ""), file("a/f", "x")]), "entry 2, a/f: Not a directory"),
        // Other programs unpack a, or b, or refuse it.
        refused("two_pax_headers", tar(&[pax("10 path=a\n"), pax("11 mtime=1\n"), file("b", "")]), "it has two pax headers"),
        refused(
            "two_sparse_sizes",
            tar(&[pax("21 GNU.sparse.size=2\n25 GNU.sparse.realsize=3\n"), file("f", "x")]),
            "its headers say the same of a sparse file twice",
        ),
        refused("no_name", tar(&[file("", "x")]), "after entry 1: it has no name"),
        refused(
            "directory_with_content",
            tar(&[Entry { content: "x", ..dir("d/") }]),
            "after entry 1: it has content, which its type cannot have",
        ),
        refused("unknown_type", tar(&[Entry { letter: b'M', ..file("f", "") }]), "an entry has the type 'M', which is unknown"),
        refused("cut_in_a_header", cut(&[file("f", "x"), file("g", "x")], 1300), "after entry 1: it is truncated"),
        refused("cut_in_content", cut(&[file("f", "x"), file("g", "xyz")], 1538), "entry 2, g: it is truncated"),
        refused("cut_before_the_end", cut(&[file("f", "x")], 1024), &format!("after entry 1: {no_end}")),
        refused("empty", vec![], "it is truncated"),
        refused("size_of_4_gib", lying(1 << 32), "entry 1, f: it is truncated"),
        refused("something_else", b"hello\n".repeat(200), "a header has a wrong checksum, or this is not a tar archive"),
        refused("control_characters", tar(&[file("../\x1b[31mred\n", "")]), &format!("entry 1, ../?[31mred?: {upwards}")),
    ]
}

/// As many files as markers that take away what was in their directory, or the directory as earlier archives had it: each of those
/// would go through all files, were it not known that there is nothing more to be taken away.
fn over_and_over(name: &str, marker: &'static str) -> Case {
    const COUNT: usize = 6000;
    let files = (0..COUNT).map(|number| file(format!("d/f{number}").leak(), ""));
    let markers = (0..COUNT).map(|_| file(marker, ""));
    let layers = [tar(&[file("d/old", "x"), file("d/e/old", "x")]), tar(&files.chain(markers).collect::<Vec<_>>())];
    unpacked(name, &layers).run(["sh", "-c", "ls /srv/x/d | wc -l"]).ok().stdout(&format!("{COUNT}\n"))
}

/// What is odd and has a meaning, which is the same as everywhere else or inside the destination.
fn harmless() -> Vec<Case> {
    vec![
        // What leads out stays inside: `/` is the destination, and above it there is nothing.
        listed("absolute", &[tar(&[file("/f", "x"), file("//a///b", "x")])], "a d 755\na/b f 644\nf f 644\n"),
        listed(
            "links_out",
            &[tar(&[
                link("l", "/etc"),
                file("l/f", "x"),
                link("m", "../../../up"),
                file("m/g", "x"),
                link("n", "/../l"),
                file("n/h", "x"),
            ])],
            "etc d 755\netc/f f 644\netc/h f 644\nl l 777 /etc\nm l 777 ../../../up\nn l 777 /../l\nup d 755\nup/g f 644\n",
        ),
        over_and_over("opaque_over_and_over", "d/.wh..wh..opq"),
        over_and_over("whiteouts_over_and_over", ".wh.d"),
        // Each directory is gone through once, in whatever order they are taken away.
        listed(
            "opaque_inside_out",
            &[
                tar(&[file("a/b/c/old", "x"), file("a/b/old", "x"), file("a/old", "x"), file("z/old", "x")]),
                tar(&[
                    file("a/b/c/new", ""),
                    file("a/b/c/.wh..wh..opq", ""),
                    file("a/b/.wh..wh..opq", ""),
                    file(".wh.z", ""),
                    file("z/new", ""),
                    file(".wh..wh..opq", ""),
                    file("a/.wh..wh..opq", ""),
                ]),
            ],
            "a d 755\na/b d 755\na/b/c d 755\na/b/c/new f 644\nz d 755\nz/new f 644\n",
        ),
        // A link that lies where a file comes is not written through.
        listed("file_for_a_link", &[tar(&[file("t", "old"), link("l", "t"), file("l", "new")])], "l f 644\nt f 644\n"),
        listed(
            "hard_link_to_a_link",
            &[tar(&[link("l", "/etc/passwd"), hard("h", "l")])],
            "h l 777 /etc/passwd\nl l 777 /etc/passwd\n",
        ),
        listed("hard_link_to_itself", &[tar(&[file("a", "x"), hard("a", "a"), hard("./a", "/a")])], "a f 644\n"),
        unpacked("devices", &[tar(&[device("null", b'3'), device("sda", b'4'), file("f", "x")])])
            .run(["ls", "/srv/x"])
            .status(0)
            .stdout("f\n")
            .stderr("bwrap: --tar omits 2 device nodes at /srv/x\n"),
        // Set-uid bits are kept as images need them, and are without effect on this mount.
        unpacked("set_uid", &[tar(&[Entry { mode: 0o6755, ..file("f", "#!/bin/sh\nid -u\n") }])])
            .run(["sh", "-c", "stat -c %a /srv/x/f; findmnt -no OPTIONS /srv/x | grep -o nosuid"])
            .ok()
            .stdout("6755\nnosuid\n"),
        // Deeper than a path can be, made by links, and taken away again.
        Case::new("hostile_depth")
            .tools(&["python3"])
            .script(
                r#"python3 -c "
import tarfile
def add(t, name, kind=tarfile.DIRTYPE, to=''):
    i = tarfile.TarInfo(name); i.type = kind; i.linkname = to; t.addfile(i)
t = tarfile.open('deep.tar', 'w', format=tarfile.GNU_FORMAT)
add(t, 'd')
for n in range(8):
    add(t, ('l%d/' % (n - 1) if n else 'd/') + '/'.join(['x'] * 1000))
    add(t, 'l%d' % n, tarfile.SYMTYPE, ('l%d/' % (n - 1) if n else 'd/') + '/'.join(['x'] * 1000))
t.close()
t = tarfile.open('gone.tar', 'w'); add(t, '.wh.d', tarfile.REGTYPE); t.close()"
ulimit -n 64; exec {bwrap} --ro-bind / / --tmpfs /srv --tar 3 /srv/x --tar 4 /srv/x ls /srv/x 3< deep.tar 4< gone.tar"#,
            )
            .ok()
            .stdout("l0\nl1\nl2\nl3\nl4\nl5\nl6\nl7\n"),
    ]
}

fn limits() -> Vec<Case> {
    let full = |o: &Outcome| {
        let start = "<3>bwrap: Can't unpack fd 11 at /x: entry 1, f: No space left on device\n<6>bwrap: hint: the tmpfs at /x is full: --size ";
        o.expect(o.stderr.starts_with(start), "no word of --size")
    };
    let large = || {
        let mut bytes = header(&file("f", ""), 100_000);
        bytes.resize(bytes.len() + 100_352 + 1024, 0);
        bytes
    };
    // A development build takes long for so many.
    let patient = |name: &str| {
        let mut case = Case::new(name);
        case.timeout = Duration::from_mins(5);
        case
    };
    let many = "python3 -c \"
import sys, tarfile
block = tarfile.TarInfo('.wh.x').tobuf(tarfile.USTAR_FORMAT)
for _ in range(1 << 10): sys.stdout.buffer.write(block * (1 << 10))
sys.stdout.buffer.write(EXTRA + bytes(1024))\" |";
    let run = "{bwrap} --ro-bind / / --tmpfs /srv --tar 0 /srv/x echo unpacked";
    vec![
        Case::new("tmpfs_is_full")
            .options(["--level-prefix", "--size", "65536", "--tar", "11", "/x"])
            .fd(11, Fd::pipe(large()))
            .run(["true"])
            .status(1)
            .stdout("")
            .claim(full),
        Case::new("limit_of_files")
            .options(["--tar", "11", "/x"])
            .tweak(Tweak::Limit(libc::RLIMIT_FSIZE, 65536, 65536))
            .fd(11, Fd::pipe(large()))
            .run(["true"])
            .fails("bwrap: Can't unpack fd 11 at /x: entry 1, f: File too large"),
        patient("million_entries")
            .tools(&["python3"])
            .root_only()
            .script(&format!("{} {run}", many.replace("EXTRA", "b''")))
            .ok()
            .stdout("unpacked\n"),
        patient("million_entries_and_one")
            .tools(&["python3"])
            .root_only()
            .script(&format!("({} {run})", many.replace("EXTRA", "block")))
            .fails("bwrap: Can't unpack fd 0 at /srv/x: after entry 1048576: it has more than 1048576 entries"),
        Case::new("headers_of_an_entry")
            .options(["--tar", "11", "/x"])
            .fd(11, Fd::pipe([header(&Entry { letter: b'x', ..file("pax", "") }, 1 << 30), vec![0; 512]].concat()))
            .run(["true"])
            .fails("bwrap: Can't unpack fd 11 at /x: an entry has more than 65536 bytes of headers"),
    ]
}

fn words() -> Vec<Case> {
    let packed = |name: &str, start: &[u8], format: &str, program: &str| {
        refused(
            name,
            [start, &[7; 600]].concat(),
            &format!("it is compressed by {format}: unpack it on the way, as in --tar 11 /srv/x 11< <({program} LAYER)"),
        )
    };
    let first = "bwrap: Modifiers can precede only the first --tar of a DEST";
    vec![
        packed("gzip", b"\x1f\x8b\x08", "gzip", "zcat"),
        packed("zstd", b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
        fails("tar_alone", &["--tar"], "bwrap: --tar takes two arguments"),
        fails("tar_of_no_fd", &["--tar", "x", "/x"], "bwrap: Invalid fd: x"),
        fails("tar_at_nothing", &["--tar", "7", ""], "bwrap: --tar does not take an empty path argument"),
        fails("tar_of_a_closed_fd", &["--tar", "77", "/x"], "bwrap: Can't unpack an archive at /x: Bad file descriptor").run(["true"]),
        fails("size_of_a_layer", &["--tar", "7", "/x", "--size", "1", "--tar", "8", "//x/."], first),
        fails("flag_of_a_layer", &["--tar", "7", "/x", "--noexec", "--tar", "8", "/x"], first),
        fails("mode_of_a_layer", &["--tar", "7", "/x", "--perms", "1", "--tar", "8", "/x"], first),
        Case::new("tar_of_a_directory")
            .options(["--tar", "11", "/x"])
            .fd(11, Fd::path("/usr"))
            .run(["true"])
            .fails("bwrap: Can't unpack fd 11 at /x: reading it: Is a directory"),
        Case::new("tar_twice_of_one_fd")
            .options(["--tar", "11", "/x", "--tar", "11", "/y"])
            .fd(11, Fd::pipe(tar(&[])))
            .run(["true"])
            .fails("bwrap: Can't unpack an archive at /y: Bad file descriptor"),
        Case::new("tar_is_shown")
            .options(["--dry-run", "--size", "4096", "--perms", "0711", "--tar", "11", "/x", "--tar", "12", "/x", "--tar", "13", "/y"])
            .fd(11, Fd::pipe(tar(&[])))
            .fd(12, Fd::pipe(tar(&[])))
            .run(["true"])
            .status(1)
            .stderr("")
            .claim(|o| {
                let text: Vec<_> = o.stdout.split_whitespace().collect();
                let text = text.join(" ");
                let shown = ["archive of 'fd 11', mode 0711, at most 4096 bytes, nosuid, nodev", "layer of 'fd 12'",
                    "archive of 'fd 13', mode of the archive, at most half of the memory, nosuid, nodev would fail: fd 13 is not open"];
                shown.iter().try_for_each(|words| o.expect(text.contains(words), &format!("no {words:?}")))
            }),
        Case::new("tar_is_shown_as_json")
            .options(["--dry-run-json", "20", "--size", "4096", "--tar", "11", "/"])
            .fd(11, Fd::pipe(tar(&[])))
            .fd(20, Fd::Capture)
            .run(["true"])
            .ok()
            .claim(|o| o.expect(o.fd(20).contains("\"kind\": \"archive\"") && o.fd(20).contains("\"at most 4096 bytes\""), "not in the JSON")),
    ]
}
