//! The text of a profile: what its lines say, and how a word is written so that it is read back.
//!
//! A line is words as in a POSIX shell, in which nothing is split or expanded but `${VAR}` and
//! `${VAR:-word}`. No word goes on beyond its line: so a name that somebody else has chosen cannot
//! become an option.

use crate::error::write_escaped;

/// What looks up a variable of the environment.
pub(crate) type Variables<'a> = &'a dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, String>;

/// How much the variables of one line may bring into it, in bytes.
const LONGEST_VALUES: usize = 1 << 20;

/// The words of one line without its newline; a comment has none.
pub(crate) fn words(line: &[u8], variables: Variables<'_>) -> Result<Vec<Vec<u8>>, String> {
    if line.contains(&0) {
        return Err("a NUL byte, which is not allowed".to_owned());
    }
    if line.contains(&b'\r') {
        return Err("a carriage return: lines end with a newline alone".to_owned());
    }
    let mut reader = Reader { rest: line, variables, room: LONGEST_VALUES };
    let mut words = Vec::new();
    while let Some(word) = reader.word()? {
        words.push(word);
    }
    Ok(words)
}

/// Where reading has got to in a line.
struct Reader<'a> {
    rest: &'a [u8],
    variables: Variables<'a>,
    /// What variables may still bring into it.
    room: usize,
}

impl Reader<'_> {
    /// The next byte, which is passed.
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// The next word, if there is one.
    fn word(&mut self) -> Result<Option<Vec<u8>>, String> {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if matches!(self.rest, [] | [b'#', ..]) {
            return Ok(None);
        }
        let mut word = Vec::new();
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' => break,
                b'\'' => self.single(&mut word)?,
                b'"' => self.double(&mut word)?,
                b'\\' => word.push(self.next().ok_or("nothing follows the last \\")?),
                b'$' => self.dollar(&mut word)?,
                other => word.push(other),
            }
        }
        Ok(Some(word))
    }

    /// The text between single quotes, which is literal.
    fn single(&mut self, word: &mut Vec<u8>) -> Result<(), String> {
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(byte) => word.push(byte),
                None => return Err("a ' that is not closed on its line".to_owned()),
            }
        }
    }

    /// The text between double quotes.
    fn double(&mut self, word: &mut Vec<u8>) -> Result<(), String> {
        loop {
            match self.next().ok_or("a \" that is not closed on its line")? {
                b'"' => return Ok(()),
                b'$' => self.dollar(word)?,
                b'\\' => self.escaped(word)?,
                other => word.push(other),
            }
        }
    }

    /// What follows a `\` between double quotes. A `\` without a meaning is literal.
    fn escaped(&mut self, word: &mut Vec<u8>) -> Result<(), String> {
        match self.rest {
            [b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let byte = digit(*high) << 4 | digit(*low);
                if byte == 0 {
                    return Err("\\x00, which no word can contain".to_owned());
                }
                word.push(byte);
                self.rest = rest;
            }
            [b'x', ..] => return Err("\\x without two hexadecimal digits".to_owned()),
            [special @ (b'"' | b'\\' | b'$' | b'`'), rest @ ..] => {
                word.push(*special);
                self.rest = rest;
            }
            _ => word.push(b'\\'),
        }
        Ok(())
    }

    /// What follows a `$`: a variable in braces, or nothing of meaning.
    fn dollar(&mut self, word: &mut Vec<u8>) -> Result<(), String> {
        let Some(rest) = self.rest.strip_prefix(b"{") else {
            word.push(b'$');
            return Ok(());
        };
        let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let (name, rest) = rest.split_at(rest.iter().take_while(|byte| is_in_name(byte)).count());
        if name.first().is_none_or(u8::is_ascii_digit) {
            return Err("${ without the name of a variable".to_owned());
        }
        let shown = String::from_utf8_lossy(name);
        let unclosed = || format!("${{{shown} that is not closed by }} on its line");
        let value = (self.variables)(name)?.filter(|value| !value.is_empty());
        let room = self.room.checked_sub(value.as_ref().map_or(0, Vec::len));
        self.room = room.ok_or("more than 1 MiB from variables on one line")?;
        match rest {
            [b'}', rest @ ..] => {
                self.rest = rest;
                let unset = || format!("${{{shown}}} is not set, or empty");
                word.extend(value.ok_or_else(unset)?);
            }
            [b':', b'-', rest @ ..] => {
                let end = rest.iter().position(|&byte| byte == b'}').ok_or_else(unclosed)?;
                let (default, rest) = rest.split_at(end);
                self.rest = rest.get(1..).unwrap_or_default();
                word.extend(value.unwrap_or_else(|| default.to_vec()));
            }
            [] => return Err(unclosed()),
            _ => return Err(format!("${{{shown} is followed by neither }} nor :-")),
        }
        Ok(())
    }
}

/// The value of a hexadecimal digit.
const fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        b'a'..=b'f' => letter - b'a' + 10,
        _ => letter - b'A' + 10,
    }
}

/// Writes any bytes but NUL as a word, or a part of one, that [`words`] reads back. The text is on
/// one line, and has nothing in it that a terminal would take for more than a letter.
pub(crate) fn quoted(word: &[u8]) -> String {
    let bare = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%^".contains(letter);
    if let Ok(text) = str::from_utf8(word)
        && !text.is_empty()
        && text.chars().all(bare)
    {
        return text.to_owned();
    }
    let mut text = String::from("\"");
    write_escaped(&mut text, word, |text, letter| {
        if matches!(letter, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(letter);
        true
    });
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::is_plain;

    fn read(line: &str) -> Result<Vec<String>, String> {
        let variables = |name: &[u8]| match name {
            b"HOME" => Ok(Some(b"/home/a b".to_vec())),
            b"_1" => Ok(Some(b"$HOME ${HOME} 'x'".to_vec())),
            b"EMPTY" => Ok(Some(Vec::new())),
            b"PWD" => Err("the root directory".to_owned()),
            _ => Ok(None),
        };
        let words = words(line.as_bytes(), &variables)?;
        Ok(words.iter().map(|word| word.escape_ascii().to_string()).collect())
    }

    #[test]
    fn words_are_read_as_in_a_shell() {
        let cases: [(&str, &[&str]); 22] = [
            ("", &[]),
            (" \t", &[]),
            ("# --bind a b", &[]),
            ("  # 'x", &[]),
            ("a#b #c", &["a#b"]),
            ("--bind\t/a  /b ", &["--bind", "/a", "/b"]),
            ("'' \"\"", &["", ""]),
            ("'a b'\"c d\"e\\ f", &["a bc de f"]),
            ("'$HOME ${HOME} \\'", &["$HOME ${HOME} \\\\"]),
            ("\\#a \\'b \\\"c \\\\ \\x41", &["#a", "\\'b", "\\\"c", "\\\\", "x41"]),
            ("\"\\\" \\\\ \\$ \\` \\a \\\"", &[]),
            ("\"\\\" \\\\ \\$ \\` \\a '\"", &["\\\" \\\\ $ ` \\\\a \\'"]),
            ("\"\\x41\\x0a\\xff\\x7F\"", &["A\\n\\xff\\x7f"]),
            ("${HOME}/x \"${HOME}\"", &["/home/a b/x", "/home/a b"]),
            ("${_1}", &["$HOME ${HOME} \\'x\\'"]),
            ("$HOME $ $$ $1 a$", &["$HOME", "$", "$$", "$1", "a$"]),
            ("${EMPTY:-x} ${NONE:-} ${HOME:-x}", &["x", "", "/home/a b"]),
            ("${NONE:-a b'\"\\${HOME}}", &["a b\\'\\\"\\\\${HOME}"]),
            ("\"${NONE:-a\"b}\"", &["a\\\"b"]),
            (
                "* ? [a] ~ ; & | < > ( ) {a,b} `",
                &["*", "?", "[a]", "~", ";", "&", "|", "<", ">", "(", ")", "{a,b}", "`"],
            ),
            ("é \u{a0}", &["\\xc3\\xa9", "\\xc2\\xa0"]),
            ("a\x0bb\x0cc", &["a\\x0bb\\x0cc"]),
        ];
        for (line, expected) in cases {
            match read(line) {
                Ok(words) => assert_eq!(words, expected, "{line}"),
                Err(fault) => assert!(expected.is_empty(), "{line}: {fault}"),
            }
        }
    }

    #[test]
    fn faults_are_named() {
        let cases = [
            ("'a", "a ' that is not closed on its line"),
            ("\"a", "a \" that is not closed on its line"),
            ("\"a\\", "a \" that is not closed on its line"),
            ("a \\", "nothing follows the last \\"),
            ("\"\\x4\"", "\\x without two hexadecimal digits"),
            ("\"\\xg0\"", "\\x without two hexadecimal digits"),
            ("\"\\x00\"", "\\x00, which no word can contain"),
            ("a\0", "a NUL byte, which is not allowed"),
            ("# a\r", "a carriage return: lines end with a newline alone"),
            ("${}", "${ without the name of a variable"),
            ("${1}", "${ without the name of a variable"),
            ("${", "${ without the name of a variable"),
            ("${HOME", "${HOME that is not closed by } on its line"),
            ("${HOME:-x", "${HOME that is not closed by } on its line"),
            ("${HOME-x}", "${HOME is followed by neither } nor :-"),
            ("${HOME:=x}", "${HOME is followed by neither } nor :-"),
            ("${NONE}", "${NONE} is not set, or empty"),
            ("${PWD:-x}", "the root directory"),
            ("\"${EMPTY}\"", "${EMPTY} is not set, or empty"),
        ];
        for (line, fault) in cases {
            assert_eq!(read(line), Err(fault.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn variables_bring_no_more_than_they_may() {
        let variables = |_: &[u8]| Ok(Some(vec![b'x'; 1 << 10]));
        let length = |count: usize, after: &str| {
            let line = "${A}".repeat(count) + after;
            words(line.as_bytes(), &variables).map(|words| words.iter().map(Vec::len).sum())
        };
        assert_eq!(length(1024, " b"), Ok((1 << 20) + 1));
        let fault = "more than 1 MiB from variables on one line";
        assert_eq!(length(1024, "b \"${A}\""), Err(fault.to_owned()));
        assert_eq!(length(100_000, ""), Err(fault.to_owned()));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let none = |_: &[u8]| Ok(None);
        let all: Vec<u8> = (1..=255).collect();
        let mut samples: Vec<Vec<u8>> = all.iter().map(|&byte| vec![byte]).collect();
        for first in [b'\\', b'"', b'$', b'\'', b'{', b'x', 0xc3] {
            samples.extend(all.iter().map(|&byte| vec![first, byte, first]));
        }
        let texts = ["", "${HOME}", "--bind", "a\n--bind / /", "\\x41", "# x", "é\u{202e}", "/a b"];
        samples.extend(texts.map(|text| text.as_bytes().to_vec()));
        samples.push(all);
        for word in samples {
            let text = quoted(&word);
            assert!(text.chars().all(is_plain), "{text}");
            assert_eq!(words(text.as_bytes(), &none), Ok(vec![word.clone()]), "{text}");
            // Also as a part of a word.
            let whole = words(format!("x{text}y").as_bytes(), &none);
            assert_eq!(whole, Ok(vec![[b"x", word.as_slice(), b"y"].concat()]), "{text}");
        }
        assert_eq!(quoted(b"/usr/lib/x86_64-linux-gnu"), "/usr/lib/x86_64-linux-gnu");
        assert_eq!(quoted(b"a b"), "\"a b\"");
    }
}
