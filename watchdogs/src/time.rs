//! Times as other tools write them (RFC 3339), in milliseconds since the epoch.

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time with an offset, such as 2026-11-23T14:00:00Z or 2026-11-23T15:00:00+01:00"
)]
pub struct NotATime(String);

const MINUTE_MS: i64 = 60_000;

/// How long the part of a time is that says date, hours, minutes and seconds, in bytes.
const DATE_TIME_BYTES: usize = 19;

/// The milliseconds of a time with an offset. What is finer than a millisecond is cut off.
///
/// # Errors
///
/// [`NotATime`], also for a time before 1970.
pub fn with_offset(text: &str) -> Result<u64, NotATime> {
    let read = || {
        let (local_ms, rest) = local(text)?;
        shifted(local_ms, offset_minutes(rest)?)
    };
    read().ok_or_else(|| NotATime(text.to_owned()))
}

/// As [`with_offset`], for tools that leave the offset out and mean UTC.
///
/// # Errors
///
/// [`NotATime`], also for a time before 1970.
pub fn utc_if_unsaid(text: &str) -> Result<u64, NotATime> {
    match local(text) {
        Some((ms, "")) => Ok(ms),
        _ => with_offset(text),
    }
}

/// Date and time without their offset, and what stands behind them.
fn local(text: &str) -> Option<(u64, &str)> {
    let (date, clock) = (text.get(..10)?, text.get(11..DATE_TIME_BYTES)?);
    let between = text.get(10..11)?;
    if !matches!(between, "T" | "t" | " ") {
        return None;
    }
    let time = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    let whole_ms = u64::try_from(since.as_millis()).ok()?;
    let rest = text.get(DATE_TIME_BYTES..)?;
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some((whole_ms, rest));
    };
    let end = fraction.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = fraction.split_at(end.unwrap_or(fraction.len()));
    let ms = format!("{digits:0<3}").get(..3)?.parse::<u64>().ok()?;
    (!digits.is_empty()).then_some((whole_ms.checked_add(ms)?, rest))
}

/// `Z`, or a sign, hours and minutes.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let digits = text.get(1..)?.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits.get(..2)?, digits.get(2..)?);
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn shifted(local_ms: u64, offset_minutes: i64) -> Option<u64> {
    local_ms.checked_add_signed(-offset_minutes * MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_offset() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-29T20:00:00Z", 1_795_982_400_000),
            ("2026-11-29T20:12:45.750Z", 1_795_983_165_750),
            ("2026-11-29T21:00:00+01:00", 1_795_982_400_000),
            ("2026-11-29T14:30:00-05:30", 1_795_982_400_000),
            ("2026-11-29 20:00:00.123456789z", 1_795_982_400_123),
            ("2026-11-29T20:00:00.1+0000", 1_795_982_400_100),
            // A day that only leap years have, and a second that only some days have.
            ("2028-02-29T23:59:59Z", 1_835_481_599_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            // The hour that Berlin has twice, and the one that it does not have.
            ("2026-10-25T02:30:00+02:00", 1_792_888_200_000),
            ("2026-10-25T02:30:00+01:00", 1_792_891_800_000),
            ("2026-03-29T03:00:00+02:00", 1_774_746_000_000),
        ] {
            assert_eq!(with_offset(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_one_only_where_utc_is_meant() {
        let naive = "2026-11-29T20:00:00.5";
        assert!(with_offset(naive).is_err());
        assert_eq!(utc_if_unsaid(naive), Ok(1_795_982_400_500));
        assert_eq!(
            utc_if_unsaid("2026-11-29T21:00:00+01:00"),
            Ok(1_795_982_400_000)
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-29",
            "2026-11-29T20:00:00.Z",
            "2026-11-29T20:00:00+1:00",
            "2026-11-29T20:00:00+24:00",
            "2026-11-29T20:00:00+00:60",
            "2026-11-29T20:00:00+é1:0",
            "2026-13-29T20:00:00Z",
            "2026-02-29T20:00:00Z",
            "2026-11-29T24:00:00Z",
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00+00:01",
            "tomorrow and tomorrow",
        ] {
            assert!(with_offset(text).is_err(), "{text}");
            assert!(utc_if_unsaid(text).is_err(), "{text}");
        }
    }
}
