//! Just enough of Rust's lexical rules to tell code from what comments and literals say.

/// The text with comments and the insides of string and character literals blanked: every byte that goes becomes a
/// space and line breaks stay, so an offset in the result is an offset in the text.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let continues_a_name = at > 0 && is_name_byte(bytes[at - 1]);
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest[0] == b'"' {
            quoted(rest, b'"')
        } else if let Some(length) = raw_string(rest).filter(|_| !continues_a_name) {
            length
        } else if let Some(length) = character(text, at) {
            length
        } else {
            code.push(rest[0]);
            at += 1;
            continue;
        };
        code.extend(rest[..length].iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
        at += length;
    }
    // What was kept is whole characters, what was blanked is spaces: this cannot lose anything.
    String::from_utf8_lossy(&code).into_owned()
}

/// The offsets at which `word` stands as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).is_none_or(|before| !is_name_byte(bytes[before]));
        let after = bytes.get(at + word.len()).is_none_or(|&byte| !is_name_byte(byte));
        before && after
    })
}

/// The offset behind the bracket that closes the one at `open`, or the end.
pub(crate) fn behind_brackets(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, and the same after `b` or `c`.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = usize::from(matches!(rest[0], b'b' | b'c'));
    let hashes_from = prefix + 1;
    if rest.get(prefix) != Some(&b'r') {
        return None;
    }
    let hashes = rest[hashes_from..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(hashes_from + hashes) != Some(&b'"') {
        return None;
    }
    let inside = hashes_from + hashes + 1;
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let length = rest[inside..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(rest.len(), |length| inside + length + end.len()))
}

/// A character literal, which a lifetime is not: `'a'` against `'a`.
fn character(text: &str, at: usize) -> Option<usize> {
    let rest = &text.as_bytes()[at..];
    if rest[0] != b'\'' {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        return Some(quoted(rest, b'\''));
    }
    let inside = text[at + 1..].chars().next()?.len_utf8();
    (rest.get(1 + inside) == Some(&b'\'')).then_some(inside + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let code = code_only(text);
        assert_eq!(code.len(), text.len(), "offsets must stay: {text}");
        code.split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn comments_are_no_code() {
        assert_eq!(names("a // hidden\nb"), ["a", "b"]);
        assert_eq!(names("a /* hidden /* deeper */ hidden */ b"), ["a", "b"]);
        assert_eq!(names("//! hidden\n/// hidden\nb"), ["b"]);
    }

    #[test]
    fn literals_are_no_code() {
        assert_eq!(names(r#"a "hidden \" // hidden" b"#), ["a", "b"]);
        assert_eq!(names("a r#\"hidden \" hidden\"# b"), ["a", "b"]);
        assert_eq!(names("a br\"hidden\" cr##\"hidden\"# hidden\"## b"), ["a", "b"]);
        assert_eq!(names(r"a '\'' b '\u{1F600}' c '語' d"), ["a", "b", "c", "d"]);
        assert_eq!(names("a '\"' b"), ["a", "b"]);
    }

    #[test]
    fn a_lifetime_hides_nothing() {
        assert_eq!(names("fn f<'a>(x: &'a str) { y }"), ["fn", "f", "a", "x", "a", "str", "y"]);
    }

    #[test]
    fn a_name_that_ends_in_r_is_not_the_start_of_a_raw_string() {
        assert_eq!(names("for\"hidden\" b"), ["for", "b"]);
        assert_eq!(names("r#type b"), ["r", "type", "b"]);
    }

    #[test]
    fn text_that_never_ends_is_borne() {
        for text in ["/* x", "\"x", "r#\"x\"", "'", "'\\", "\"\\", "b", "r#"] {
            assert_eq!(code_only(text).len(), text.len());
        }
    }

    #[test]
    fn line_breaks_stay_where_they_were() {
        assert_eq!(code_only("a\"x\ny\"/*z\n*/"), "a  \n     \n  ");
    }

    #[test]
    fn a_word_is_a_whole_word() {
        assert_eq!(words("todo a_todo todos todo", "todo").collect::<Vec<_>>(), [0, 18]);
    }
}
