//! Words anywhere in an address or a name, in any case. Neither database folds more than ASCII in every language that it may
//! be set up for, so words with other letters are looked for as patterns that name each letter in both cases.

use crate::db::Conn;

/// SQL for whether a column holds the words of the first bound value.
pub(super) fn contains(conn: &Conn, column: &str, ascii: bool) -> String {
    match (ascii, conn) {
        (true, _) => format!("lower({column}) LIKE $1 ESCAPE '\\'"),
        (false, Conn::Postgres(_)) => format!("{column} ~ $1"),
        (false, Conn::Sqlite(_)) => format!("{column} GLOB $1"),
    }
}

/// The words as that value.
pub(super) fn pattern(conn: &Conn, words: &str) -> String {
    match (words.is_ascii(), conn) {
        (true, _) => like(words),
        (false, Conn::Postgres(_)) => words.chars().map(in_expression).collect(),
        (false, Conn::Sqlite(_)) => format!("*{}*", words.chars().map(in_glob).collect::<String>()),
    }
}

/// The words anywhere, whatever signs they hold.
fn like(words: &str) -> String {
    let mut text = String::from("%");
    for character in words.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('%');
    text
}

/// Of a regular expression of Postgres's.
fn in_expression(character: char) -> String {
    match both_cases(character) {
        Some(both) => both,
        None if character.is_ascii_punctuation() => format!("\\{character}"),
        None => character.to_string(),
    }
}

fn in_glob(character: char) -> String {
    match both_cases(character) {
        Some(both) => both,
        None if matches!(character, '*' | '?' | '[') => format!("[{character}]"),
        None => character.to_string(),
    }
}

/// A letter in both cases, where each is one letter.
fn both_cases(character: char) -> Option<String> {
    let (mut upper, mut lower) = (character.to_uppercase(), character.to_lowercase());
    let (upper, lower) = match (upper.len(), lower.len()) {
        (1, 1) => (upper.next()?, lower.next()?),
        _ => return None,
    };
    (upper != lower).then(|| format!("[{upper}{lower}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_of_the_words_is_taken_for_a_pattern() {
        assert_eq!(like("100%_A\\"), "%100\\%\\_a\\\\%");
        let expression: String = "Öz.ß [x]*".chars().map(in_expression).collect();
        assert_eq!(expression, "[Öö][Zz]\\.ß \\[[Xx]\\]\\*");
        let glob: String = "öZ*ß[x]?".chars().map(in_glob).collect();
        assert_eq!(glob, "[Öö][Zz][*]ß[[][Xx]][?]");
    }
}
