//! Archives as programs write them, and as nobody should.
#![expect(clippy::panic, reason = "a test says what is wrong by failing")]

use super::*;

/// A header block; fields that are not given are those of a small file.
#[derive(Clone, Copy)]
struct Row<'a> {
    name: &'a [u8],
    letter: u8,
    size: u64,
    magic: &'a [u8],
    fields: &'a [(usize, &'a [u8])],
}

const FILE: Row<'_> = Row { name: b"f", letter: b'0', size: 0, magic: b"ustar\x0000", fields: &[] };
const GNU: &[u8] = b"ustar  \0";

fn block(row: &Row<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let size = format!("{:011o}", row.size);
    let fields: [(usize, &[u8]); 6] = [
        (0, row.name),
        (100, b"0000644"),
        (108, b"0000007"),
        (116, b"0000010"),
        (124, size.as_bytes()),
        (136, b"00000000011"),
    ];
    let rest = [(156, std::slice::from_ref(&row.letter)), (257, row.magic)];
    for (at, bytes) in fields.iter().chain(&rest).chain(row.fields) {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    content
}

/// A header with content.
fn part(row: Row<'_>, content: &[u8]) -> Vec<u8> {
    let size = u64::try_from(content.len()).unwrap_or(0);
    [block(&Row { size, ..row }).to_vec(), padded(content)].concat()
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// A header of pax.
fn pax(letter: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..6).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n);
        text.extend(format!("{} {key}=", length.unwrap_or_default()).into_bytes());
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    part(Row { name: b"pax", letter, ..FILE }, &text)
}

/// All entries with their content as it would be in a file.
fn read(bytes: &[u8]) -> Reading<Vec<(Entry, Vec<u8>)>> {
    let mut archive = Archive::new(bytes);
    let mut all = Vec::new();
    while let Some(entry) = archive.next()? {
        let mut content = vec![0; usize::try_from(entry.size).unwrap_or(0).min(1 << 20)];
        while let Some((offset, piece)) = archive.piece()? {
            let offset = usize::try_from(offset).unwrap_or(0);
            content[offset..offset + piece.len()].copy_from_slice(piece);
        }
        all.push((entry, content));
    }
    Ok(all)
}

fn one(parts: &[Vec<u8>]) -> (Entry, Vec<u8>) {
    let all = read(&[parts.concat(), end()].concat());
    let mut all = all.unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn fault(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(Fault::Bad(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_entries_are_read() {
    let (entry, content) = one(&[part(FILE, b"hello")]);
    assert_eq!(content, b"hello");
    assert_eq!((entry.path.as_slice(), entry.what), (&b"f"[..], What::File));
    assert_eq!((entry.mode, entry.uid, entry.gid, entry.mtime), (0o644, 7, 8, (9, 0)));
    let kinds = [
        (b'1', What::HardLink),
        (b'2', What::Symlink),
        (b'3', What::Device),
        (b'4', What::Device),
        (b'5', What::Directory),
        (b'6', What::Fifo),
        (b'7', What::File),
        (0, What::File),
    ];
    for (letter, what) in kinds {
        let row = Row { letter, fields: &[(157, b"to")], ..FILE };
        let (entry, _) = one(&[part(row, b"")]);
        assert_eq!((entry.what, entry.target.as_slice()), (what, &b"to"[..]), "{letter}");
    }
    // The oldest archives have directories that are files with a slash.
    let (entry, _) = one(&[part(Row { name: b"d/", letter: 0, magic: b"", ..FILE }, b"")]);
    assert_eq!(entry.what, What::Directory);
    assert_eq!(
        fault(&part(Row { name: b"d/", ..FILE }, b"x")),
        "it has content, which its type cannot have"
    );
}

#[test]
fn names_come_from_where_they_are_said() {
    let long = vec![b'n'; 300];
    let prefix = Row { fields: &[(345, b"in/here")], ..FILE };
    assert_eq!(one(&[part(prefix, b"")]).0.path, b"in/here/f");
    let not_a_prefix = Row { fields: &[(345, b"00000000011")], magic: GNU, ..FILE };
    assert_eq!(one(&[part(not_a_prefix, b"")]).0.path, b"f");
    let name = |letter, name: &[u8]| {
        part(Row { name: b"././@LongLink", letter, magic: GNU, ..FILE }, name)
    };
    let with_nul = [&long[..], b"\0"].concat();
    let link = Row { letter: b'2', magic: GNU, ..FILE };
    let (entry, _) = one(&[name(b'L', &with_nul), name(b'K', b"there\0rest"), part(link, b"")]);
    assert_eq!((entry.path, entry.target), (long.clone(), b"there".to_vec()));
    let (entry, _) =
        one(&[pax(b'x', &[("path", b"a"), ("path", &long), ("comment", b"x")]), part(FILE, b"")]);
    assert_eq!(entry.path, long);
    // An empty value cancels an earlier one.
    let (entry, _) = one(&[pax(b'x', &[("path", b"a"), ("path", b"")]), part(FILE, b"")]);
    assert_eq!(entry.path, b"f");
    // Some programs take both, and some only the last one.
    let both = [pax(b'x', &[("path", b"a")]), pax(b'x', &[("mtime", b"1")]), part(FILE, b"")];
    assert_eq!(fault(&both.concat()), "it has two pax headers");
    let sparse: [(&str, &[u8]); 3] =
        [("GNU.sparse.name", b"b"), ("GNU.sparse.size", b"0"), ("GNU.sparse.map", b"")];
    for two in [
        [name(b'L', b"a"), pax(b'x', &sparse), part(FILE, b""), end()].concat(),
        [name(b'L', b"a"), name(b'L', b"b"), part(FILE, b""), end()].concat(),
        [name(b'L', b"a"), pax(b'x', &[("path", b"b")]), part(FILE, b""), end()].concat(),
    ] {
        assert_eq!(fault(&two), "it has two long names");
    }
    let nul = [pax(b'x', &[("path", b"a\0b")]), part(FILE, b""), end()].concat();
    assert_eq!(fault(&nul), "a name has a NUL byte in it");
}

#[test]
fn pax_says_more_than_a_header_can() {
    let records: [(&str, &[u8]); 7] = [
        ("size", b"5"),
        ("uid", b"3000000"),
        ("gid", b"4000000000"),
        ("mtime", b"-1.25"),
        ("SCHILY.xattr.user.a", b"1\n2=3"),
        ("LIBARCHIVE.xattr.user.a", b"MQ"),
        ("SCHILY.acl.access", b"user::rwx"),
    ];
    let (entry, content) = one(&[pax(b'x', &records), block(&FILE).to_vec(), padded(b"hello")]);
    assert_eq!((entry.uid, entry.gid, entry.mtime), (3_000_000, 4_000_000_000, (-2, 750_000_000)));
    assert_eq!((content.as_slice(), entry.attributes), (&b"hello"[..], 3));
    // The size is the next entry's, and not that of another header in between.
    let name = part(Row { letter: b'L', magic: GNU, ..FILE }, b"long");
    let (entry, content) =
        one(&[pax(b'x', &[("size", b"512")]), name, block(&FILE).to_vec(), vec![1; 512]]);
    assert_eq!((entry.path.as_slice(), content.len()), (&b"long"[..], 512));
    let (entry, _) = one(&[pax(b'g', &[("mtime", b"77"), ("comment", b"0123")]), part(FILE, b"")]);
    assert_eq!(entry.mtime, (77, 0));
    for key in ["path", "linkpath", "size", "GNU.sparse.major"] {
        let all = [pax(b'g', &[(key, b"1")]), part(FILE, b""), end()].concat();
        assert_eq!(fault(&all), "a header for all entries has a name or a size", "{key}");
    }
    for text in ["7 a=b\n", "6 a=b", "x a=b\n", "6  ab\n", "99999999999999999999 a=b\n", "6 a=bc"] {
        let row = Row { letter: b'x', ..FILE };
        let all = [part(row, text.as_bytes()), part(FILE, b""), end()].concat();
        assert!(
            fault(&all).starts_with("a line of a pax header has "),
            "{text:?}: {}",
            fault(&all)
        );
    }
    for (key, value) in
        [("size", "-1"), ("uid", "1x"), ("mtime", "1.x"), ("size", "9223372036854775808")]
    {
        let all = [pax(b'x', &[(key, value.as_bytes())]), part(FILE, b""), end()].concat();
        assert!(fault(&all).starts_with("a pax header contains something that is not a "), "{key}");
    }
}

#[test]
fn numbers_have_two_notations() {
    let cases: [(&[u8], Option<i64>); 14] = [
        (b"0000644\0", Some(0o644)),
        (b"   644 \0", Some(0o644)),
        (b"77777777", Some(0o77_777_777)),
        (b"\0\0\0\0", Some(0)),
        (b"8", None),
        (b"-1", None),
        (b"7 7", None),
        (b"\x80\0\0\x01\0", Some(256)),
        (b"\xff\xff\xff\xfe", Some(-2)),
        (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(i64::MAX)),
        (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
        (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        (b"777777777777777777777777", None),
        (b"", None),
    ];
    for (field, expected) in cases {
        assert_eq!(crate::archive::field::number(field), expected, "{field:?}");
    }
    // A checksum of signed bytes, as it was once written.
    let mut block = block(&Row { name: b"\xe4", ..FILE });
    let sum: u32 = block
        .iter()
        .enumerate()
        .filter(|(at, _)| !(148..156).contains(at))
        .map(|(_, &b)| u32::from(b))
        .sum();
    block[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32 - 256).as_bytes());
    assert!(header::has_checksum(&block));
    block[0] = b'a';
    assert!(!header::has_checksum(&block));
    assert!(!header::has_checksum(&[b' '; BLOCK]), "no checksum at all");
}

/// Zeros without end after some bytes.
struct Zeros<'a>(&'a [u8]);

impl Read for Zeros<'_> {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(space.len());
        let (head, rest) = self.0.split_at(count);
        space[..count].copy_from_slice(head);
        self.0 = rest;
        space[count..].fill(0);
        Ok(space.len())
    }
}

#[test]
fn sizes_need_more_than_32_bits() {
    let large = 5 << 30;
    let rows = [
        block(&Row { size: large, ..FILE }).to_vec(),
        block(&Row { fields: &[(124, b"\x80\0\0\0\0\0\0\x01\x40\0\0\0")], ..FILE }).to_vec(),
        [pax(b'x', &[("size", b"5368709120")]), block(&FILE).to_vec()].concat(),
    ];
    for row in rows {
        let mut archive = Archive::new(Zeros(&row));
        let entry = archive.next();
        assert_eq!(entry.map(|entry| entry.map(|entry| entry.size)), Ok(Some(large)));
        assert_eq!(archive.left, large);
        let first =
            archive.piece().map(|piece| piece.map(|(offset, piece)| (offset, !piece.is_empty())));
        assert_eq!(first, Ok(Some((0, true))));
    }
    let lying =
        block(&Row { fields: &[(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")], ..FILE });
    assert_eq!(fault(&lying), "it is truncated");
    let nested =
        [pax(b'x', &[("size", b"1")]), part(Row { letter: b'5', ..FILE }, b""), end()].concat();
    assert_eq!(fault(&nested), "it has content, which its type cannot have");
}

#[test]
fn sparse_files_are_put_together() {
    let expected = [&b"\0\0\0\0ab"[..], b"\0\0c", b"\0\0\0"].concat();
    let check = |(entry, content): (Entry, Vec<u8>)| {
        assert_eq!((entry.path.as_slice(), entry.size), (&b"real"[..], 12));
        assert_eq!(content, expected);
    };
    let octal = |number: u32| format!("{number:011o}\0");
    let table = |rows: &[(u32, u32)]| -> Vec<u8> {
        rows.iter()
            .flat_map(|&(at, length)| [octal(at), octal(length)].concat().into_bytes())
            .collect()
    };
    let (rows, size) = (table(&[(4, 2), (8, 1), (12, 0)]), octal(12));
    let row = Row {
        name: b"real",
        letter: b'S',
        magic: GNU,
        fields: &[(386, &rows), (483, size.as_bytes())],
        ..FILE
    };
    check(one(&[part(row, b"abc")]));
    let (first, mut more) = (table(&[(4, 2)]), table(&[(8, 1)]));
    more.resize(BLOCK, 0);
    let fields: &[(usize, &[u8])] = &[(386, &first), (482, b"\x01"), (483, size.as_bytes())];
    let header = block(&Row { name: b"real", letter: b'S', magic: GNU, size: 3, fields });
    check(one(&[header.to_vec(), more, padded(b"abc")]));
    let oldest: [(&str, &[u8]); 6] = [
        ("GNU.sparse.size", b"12"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"4"),
        ("GNU.sparse.numbytes", b"2"),
        ("GNU.sparse.offset", b"8"),
        ("GNU.sparse.numbytes", b"1"),
    ];
    check(one(&[pax(b'x', &oldest), part(Row { name: b"real", ..FILE }, b"abc")]));
    let second: [(&str, &[u8]); 4] = [
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.size", b"12"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", b"4,2,8,1"),
    ];
    check(one(&[pax(b'x', &second), part(FILE, b"abc")]));
    let third: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"real"),
        ("GNU.sparse.realsize", b"12"),
    ];
    let content = [padded(b"2\n4\n2\n8\n1\n"), b"abc".to_vec()].concat();
    check(one(&[pax(b'x', &third), part(FILE, &content)]));
    let wrong = |content: &[u8]| fault(&[pax(b'x', &third), part(FILE, content), end()].concat());
    let no_fit = "its sparse map does not fit its size";
    for map in ["1\n4\n2\n", "2\n4\n2\n5\n1\n", "1\n11\n3\n", "1\n9223372036854775807\n3\n"] {
        assert_eq!(wrong(&[padded(map.as_bytes()), b"abc".to_vec()].concat()), no_fit, "{map}");
    }
    assert_eq!(wrong(b"2\n4\n2\n"), "its sparse map does not end");
    assert!(wrong(&padded(b"999999999\n")).starts_with("its sparse map has more than "));
    assert!(wrong(&padded(b"x\n")).starts_with("its sparse map has something else"));
    let twice = "it is sparse in two ways, or no file that could be";
    let link = Row { name: b"l", letter: b'2', ..FILE };
    assert_eq!(fault(&[pax(b'x', &second), part(link, b""), end()].concat()), twice);
    let header = block(&Row { name: b"real", letter: b'S', magic: GNU, size: 3, fields: &[] });
    let both = [pax(b'x', &second), header.to_vec(), padded(b"abc"), end()].concat();
    assert_eq!(fault(&both), twice);
    let unknown = [
        pax(b'x', &[("GNU.sparse.major", b"2"), ("GNU.sparse.size", b"1")]),
        part(FILE, b"a"),
        end(),
    ];
    assert_eq!(fault(&unknown.concat()), "it is sparse in an unknown way");
}

#[test]
fn sparse_files_are_described_once() {
    type Records<'a> = &'a [(&'a str, &'a [u8])];
    let twice = "its headers say the same of a sparse file twice";
    let half = "its sparse map has half a piece";
    let map = ("GNU.sparse.map", &b"0,1"[..]);
    let size = ("GNU.sparse.size", &b"9"[..]);
    let (offset, length) = (("GNU.sparse.offset", &b"0"[..]), ("GNU.sparse.numbytes", &b"1"[..]));
    let (major, minor) = (("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", &b"0"[..]));
    let count = |number: &'static str| ("GNU.sparse.numblocks", number.as_bytes());
    let cases: [(Records<'_>, &str); 9] = [
        (&[size, map, map], twice),
        (&[size, ("GNU.sparse.realsize", b"9"), map], twice),
        (&[size, map, offset, length], twice),
        (&[size, major, minor, map], twice),
        (&[size, major, minor, offset, length], twice),
        (&[size, offset, offset], half),
        (&[size, length, offset], half),
        (&[size, offset], half),
        (&[size, count("2"), map], "its sparse map has another number of pieces than it says"),
    ];
    for (records, words) in cases {
        let in_content = padded(b"1\n0\n1\n");
        let content = if records.contains(&major) { in_content } else { Vec::new() };
        let all = [pax(b'x', records), part(FILE, &[&content[..], b"a"].concat()), end()];
        assert_eq!(fault(&all.concat()), words, "{records:?}");
    }
    let (_, content) = one(&[pax(b'x', &[size, count("1"), map]), part(FILE, b"a")]);
    assert_eq!(content, b"a\0\0\0\0\0\0\0\0");
}

#[test]
fn archives_have_an_end() {
    let whole = [part(FILE, b"hello"), end()].concat();
    assert_eq!(read(&whole).map(|all| all.len()), Ok(1));
    // One block of zeros and nothing more is an end as well, and what follows two is nobody's.
    assert_eq!(read(&whole[..3 * BLOCK]).map(|all| all.len()), Ok(1));
    assert_eq!(read(&[&whole[..], b"rest"].concat()).map(|all| all.len()), Ok(1));
    for length in (0..3 * BLOCK).step_by(64).filter(|&length| length != 2 * BLOCK) {
        assert_eq!(fault(&whole[..length]), "it is truncated", "{length}");
    }
    assert_eq!(fault(&whole[..2 * BLOCK]), NO_END);
    let after = [&whole[..3 * BLOCK], &block(&FILE)[..]].concat();
    assert_eq!(fault(&after), "there is data after its end");
    let half = [pax(b'x', &[("path", b"a")]), end()].concat();
    assert_eq!(fault(&half), "it ends with half an entry");
    let label = Row { name: b"label", letter: b'V', magic: GNU, ..FILE };
    assert_eq!(read(&[part(label, b""), whole].concat()).map(|all| all.len()), Ok(1));
}

#[test]
fn what_is_no_archive_is_told() {
    for (start, format) in
        [(&b"\x1f\x8b\x08"[..], "gzip"), (b"\x28\xb5\x2f\xfd\x04", "zstd"), (b"BZh9", "bzip2")]
    {
        let packed = read(&[start, &[7; 2000]].concat());
        assert!(matches!(packed, Err(Fault::Packed(name, _)) if name == format), "{packed:?}");
        assert!(matches!(read(start), Err(Fault::Packed(..))), "{format}");
    }
    assert_eq!(fault(&[b'x'; 600]), "a header has a wrong checksum, or this is not a tar archive");
    for letter in *b"MNDAX~\xff" {
        let text = fault(&part(Row { letter, ..FILE }, b""));
        assert!(text.starts_with("an entry has the type "), "{text}");
    }
}

/// The same block again and again.
struct Again([u8; BLOCK]);

impl Read for Again {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        let (blocks, _) = space.as_chunks_mut::<BLOCK>();
        blocks.fill(self.0);
        Ok(blocks.len() * BLOCK)
    }
}

#[test]
fn headers_and_entries_have_a_limit() {
    let much = vec![b'v'; 40_000];
    let twice =
        [pax(b'g', &[("a", &much)]), pax(b'x', &[("b", &much)]), part(FILE, b""), end()].concat();
    let text = "an entry has more than 65536 bytes of headers";
    assert_eq!(fault(&twice), text);
    let lying = block(&Row { letter: b'L', size: 1 << 32, ..FILE });
    assert_eq!(fault(&lying), text, "before anything of it is read");
    let empty = block(&Row { letter: b'g', ..FILE }).repeat(129);
    assert_eq!(fault(&empty), text);

    let mut archive = Archive::new(Again(block(&FILE)));
    archive.entries = MOST_ENTRIES - 3;
    let mut count = 0;
    let fault = loop {
        match archive.next() {
            Ok(_) => count += 1,
            Err(fault) => break fault,
        }
    };
    assert_eq!((count, fault), (3, Fault::Bad("it has more than 1048576 entries".to_owned())));
}
