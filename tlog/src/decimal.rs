//! Decimal numbers as the C2SP texts write them: ASCII digits, no sign, no leading zero.

/// The number that the text spells, or `None` if another text would spell it too.
///
/// `u64::from_str` is too generous here: it takes `+5` and `007`.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn one_spelling_a_number() {
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("10"), Some(10));
        assert_eq!(parse("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "00",
            "01",
            "+5",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "٣",
            "18446744073709551616",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
