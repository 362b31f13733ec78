//! Folded text, computed here so that both databases order and search alike: case and accents mean nothing,
//! and `Report 2` comes before `Report 10`.

use unicode_normalization::UnicodeNormalization;

/// Longer keys are cut: they order and find as far as they reach. Both have to fit into an index of Postgres.
const LONGEST_SORT_KEY: usize = 800;
const LONGEST_WORDS: usize = 1_200;

/// Lower case without accents: `Übersicht` and `ÜBERSICHT`, composed or not, are `ubersicht`.
pub fn fold(text: &str) -> String {
    let is_accent = |c: &char| matches!(c, '\u{300}'..='\u{36f}');
    let lower = text.to_lowercase();
    lower.nfd().filter(|c| !is_accent(c)).nfc().collect()
}

/// What a path is sorted by: folded, with every number led by its length, so that numbers order by their value.
pub fn sort_key(path: &str) -> String {
    let folded = fold(path);
    let mut key = String::with_capacity(folded.len() + 8);
    let mut rest = folded.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        key.push_str(&rest[..start]);
        let digits = &rest[start..];
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        push_number(&mut key, digits[..end].trim_start_matches('0'));
        rest = &digits[end..];
    }
    key.push_str(rest);
    cut(key, LONGEST_SORT_KEY)
}

/// The length as one digit, where 9 means that more follow: `7` → `17`, `10` → `210`, nine digits → `91…`.
fn push_number(key: &mut String, digits: &str) {
    let mut length = digits.len();
    while length > 8 {
        key.push('9');
        length -= 8;
    }
    key.push_str(&length.to_string());
    key.push_str(digits);
}

/// What a search looks in: the folded name, and the folded title on a line of its own.
pub fn words(name: &str, title: Option<&str>) -> String {
    cut(
        format!("{}\n{}", fold(name), fold(title.unwrap_or(""))),
        LONGEST_WORDS,
    )
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order(names: &[&str]) {
        let keys: Vec<String> = names.iter().map(|name| sort_key(name)).collect();
        assert!(
            keys.windows(2).all(|two| two[0] < two[1]),
            "{names:?}: {keys:?}"
        );
    }

    #[test]
    fn case_accents_and_composition_mean_nothing() {
        for same in ["Übersicht", "ÜBERSICHT", "u\u{308}bersicht", "ubersicht"] {
            assert_eq!(fold(same), "ubersicht", "{same}");
        }
        assert_eq!(fold("日本語 が 한국어"), "日本語 が 한국어");
        assert_eq!(words("A.txt", Some("Jahr")), "a.txt\njahr");
    }

    #[test]
    fn numbers_order_by_their_value() {
        in_order(&["a", "Ärger", "b", "Z"]);
        in_order(&["Report 2", "report 10", "Report 100 x", "report 0200"]);
        in_order(&[
            "0",
            "1",
            "9",
            "12345678",
            "123456789",
            "1234567890",
            "12345678901234567890",
        ]);
        in_order(&["v1.9", "v1.10", "v2"]);
        in_order(&["x/2/b", "x/10/a", "y"]);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert!(sort_key(&"ü/".repeat(2_000)).len() <= LONGEST_SORT_KEY);
        assert!(words(&"語".repeat(85), Some(&"語".repeat(500))).len() <= LONGEST_WORDS);
    }
}
