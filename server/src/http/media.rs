//! Media types: what a body says it is, and what a client accepts (RFC 9110 §8.3, §12.5.1).

use axum::http::{HeaderMap, header};
use ledger::codes::Code;

use super::problem::Problem;

pub(super) use wire::media::{JSON, JSON_LINES, OCTETS, TEXT};

/// What a stream says to nginx, which otherwise holds an answer back until it has a piece that it likes
/// (ngx_http_proxy_module, `proxy_buffering`).
pub(super) const UNBUFFERED: [(&str, &str); 1] = [("x-accel-buffering", "no")];

/// The first of `offers` that the body's `Content-Type` names.
///
/// # Errors
/// `unsupported-media-type` for another type, for none, and for a body in a content coding.
pub(super) fn submitted(
    headers: &HeaderMap,
    offers: &[&'static str],
) -> Result<&'static str, Problem> {
    let refuse = |found: &str| {
        let wanted = offers.join(" or ");
        Problem::from(Code::UnsupportedMediaType.because(format!("{found}, not {wanted}")))
    };
    if let Some(coding) = headers.get(header::CONTENT_ENCODING) {
        return Err(refuse(&format!("content coding {coding:?}")));
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refuse("not one Content-Type"));
    };
    let essence = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let known = offers
        .iter()
        .find(|offer| offer.eq_ignore_ascii_case(essence));
    known
        .copied()
        .ok_or_else(|| refuse(&format!("{essence:?}")))
}

/// The one of `offers` that the client likes best; of equals the first.
///
/// # Errors
/// `not-acceptable` if it accepts none.
pub(super) fn accepted(
    headers: &HeaderMap,
    offers: &[&'static str],
) -> Result<&'static str, Problem> {
    let ranges = ranges(headers);
    let mut best: Option<(u16, &'static str)> = None;
    for offer in offers {
        let quality = quality(offer, &ranges);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, offer));
        }
    }
    let refuse =
        || Problem::from(Code::NotAcceptable.because(format!("only {}", offers.join(", "))));
    best.map(|(_, offer)| offer).ok_or_else(refuse)
}

/// A media range and how much it is liked, 0 to 1,000.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    essence: String,
    quality: u16,
}

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(header::ACCEPT).iter();
    let elements = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    elements
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(range)
        .collect()
}

fn range(element: &str) -> Range {
    let mut parts = element.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    // A weight that does not parse is not a preference (the range was named, after all).
    let quality = weight.and_then(thousandths).unwrap_or(1_000);
    Range { essence, quality }
}

/// A `qvalue` (RFC 9110 §12.4.2): 0 or 1, with up to three decimals.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = format!("{decimals:0<3}")
        .parse::<u16>()
        .ok()
        .filter(|_| digits)?;
    match (whole, decimals) {
        ("0", decimals) => Some(decimals),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

/// The most specific range that matches decides (RFC 9110 §12.5.1); no `Accept` accepts all.
fn quality(offer: &str, ranges: &[Range]) -> u16 {
    if ranges.is_empty() {
        return 1_000;
    }
    let family = offer.split('/').next().unwrap_or_default();
    let wanted = [offer.to_owned(), format!("{family}/*"), "*/*".to_owned()];
    let find = |essence: &String| ranges.iter().find(|range| range.essence == *essence);
    wanted
        .iter()
        .find_map(find)
        .map_or(0, |range| range.quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_best_liked_form_is_sent() {
        for (accept, want) in [
            (&[][..], Some(JSON)),
            (&["*/*"], Some(JSON)),
            (&["application/*"], Some(JSON)),
            (&["application/json"], Some(JSON)),
            (&["Application/JSON"], Some(JSON)),
            (&["application/octet-stream"], Some(OCTETS)),
            (&["application/octet-stream, */*;q=0.1"], Some(OCTETS)),
            (
                &["application/json;q=0.1, application/octet-stream;q=0.2"],
                Some(OCTETS),
            ),
            (&["text/html", "application/octet-stream"], Some(OCTETS)),
            (&["application/json;q=0, */*"], Some(OCTETS)),
            (&["text/html, application/xhtml+xml, */*;q=0.8"], Some(JSON)),
            (&["text/html"], None),
            (&["*/*;q=0"], None),
            (&["application/json;q=0.000"], None),
        ] {
            let got = accepted(&headers(header::ACCEPT, accept), &[JSON, OCTETS]);
            assert_eq!(got.ok(), want, "{accept:?}");
        }
    }

    #[test]
    fn a_body_says_what_it_is() {
        for (types, want) in [
            (&["application/json"][..], Some(JSON)),
            (&["application/JSON; charset=utf-8"], Some(JSON)),
            (&["application/x-ndjson"], Some(JSON_LINES)),
            (&[], None),
            (&["text/plain"], None),
            (&["application/json", "application/json"], None),
            (&["application/json, text/plain"], None),
            (&[""], None),
        ] {
            let got = submitted(&headers(header::CONTENT_TYPE, types), &[JSON, JSON_LINES]);
            assert_eq!(got.ok(), want, "{types:?}");
        }
        let mut coded = headers(header::CONTENT_TYPE, &[JSON]);
        coded.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(submitted(&coded, &[JSON]).is_err());
    }
}
