//! A second reader of profiles, which goes through the whole text byte by byte.

/// The variables of both readers.
pub(crate) fn variable(name: &[u8]) -> Option<&'static [u8]> {
    match name {
        b"A" => Some(b"a value"),
        b"B_2" => Some(b"\n--bind '/' \"${A}\" \xff"),
        b"EMPTY" => Some(b""),
        _ => None,
    }
}

/// Where the reader is.
enum State {
    Between,
    Word,
    Single,
    Double,
    Comment,
}

/// The words of each line that has some, up to the first line with a fault, and the number of that.
pub(crate) fn read(text: &[u8]) -> (Vec<Vec<Vec<u8>>>, Option<usize>) {
    let (mut lines, mut words, mut word) = (vec![], vec![], vec![]);
    let (mut state, mut at, mut number) = (State::Between, 0, 1);
    let mut text = text.to_vec();
    if !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    while at < text.len() {
        let rest = &text[at + 1..];
        let mut step = 1;
        state = match (state, text[at]) {
            (_, 0 | b'\r') | (State::Single | State::Double, b'\n') => {
                return (lines, Some(number));
            }
            (State::Word, b'\n' | b' ' | b'\t') => {
                words.push(std::mem::take(&mut word));
                if text[at] == b'\n' {
                    step = 0;
                }
                State::Between
            }
            (State::Between | State::Comment, b'\n') => {
                // What is wrong further on in a line is wrong with all of it.
                if !words.is_empty() {
                    lines.push(std::mem::take(&mut words));
                }
                number += 1;
                State::Between
            }
            (State::Comment, _) => State::Comment,
            (State::Between, b' ' | b'\t') => State::Between,
            (State::Between, b'#') => State::Comment,
            (State::Single, b'\'') | (State::Double, b'"') => State::Word,
            (State::Single, byte) => {
                word.push(byte);
                State::Single
            }
            (State::Between | State::Word, b'\'') => State::Single,
            (State::Between | State::Word, b'"') => State::Double,
            (state @ (State::Between | State::Word | State::Double), b'$')
                if rest.starts_with(b"{") =>
            {
                let Some((value, length)) = expansion(rest) else { return (lines, Some(number)) };
                word.extend(value);
                step += length;
                if matches!(state, State::Double) { State::Double } else { State::Word }
            }
            (State::Double, b'\\') => {
                let escaped = match rest {
                    [b'x', high, low, ..] => {
                        let digits = [*high, *low].map(char::from).iter().collect::<String>();
                        let byte = u8::from_str_radix(&digits, 16).ok();
                        let byte = byte.filter(|byte| *byte != 0 && !digits.starts_with('+'));
                        let Some(byte) = byte else { return (lines, Some(number)) };
                        Some((byte, 3))
                    }
                    [b'x', ..] => return (lines, Some(number)),
                    [byte @ (b'"' | b'\\' | b'$' | b'`'), ..] => Some((*byte, 1)),
                    _ => None,
                };
                let (byte, length) = escaped.unwrap_or((b'\\', 0));
                word.push(byte);
                step += length;
                State::Double
            }
            (State::Between | State::Word, b'\\') => {
                match rest.first() {
                    None | Some(b'\n' | b'\r' | 0) => return (lines, Some(number)),
                    Some(byte) => word.push(*byte),
                }
                step += 1;
                State::Word
            }
            (State::Double, byte) => {
                word.push(byte);
                State::Double
            }
            (State::Between | State::Word, byte) => {
                word.push(byte);
                State::Word
            }
        };
        at += step;
    }
    (lines, None)
}

/// What `{NAME}` or `{NAME:-word}` at the beginning stands for, and how long it is.
fn expansion(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = text.split(|&byte| byte == b'\n').next()?;
    let end = line.iter().position(|&byte| byte == b'}')?;
    let inner = &line[1..end];
    let colon = inner.iter().position(|&byte| byte == b':');
    let name = &inner[..colon.unwrap_or(inner.len())];
    let is_name = !name.is_empty()
        && !name[0].is_ascii_digit()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let default = match colon {
        None => None,
        Some(at) => Some(inner[at..].strip_prefix(b":-")?),
    };
    let value = variable(name).filter(|value| !value.is_empty()).or(default);
    // A byte that no profile has is found in the word of a default too.
    let is_text = !inner.contains(&0) && !inner.contains(&b'\r');
    (is_name && is_text).then_some(())?;
    Some((value?.to_vec(), end + 1))
}
