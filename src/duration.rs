//! Durations as people write them: `200ms`, `5s`, `1m30s`, `24h`, `7d`.

use std::time::Duration;

/// The duration of a text like `1m30s`; the units are ns, us, ms, s, m, h and d, as in Go and in the
/// OpenTelemetry Collector's configuration, and d for days.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(spanlight::duration::parse("1m30s"), Ok(Duration::from_secs(90)));
/// assert_eq!(spanlight::duration::parse("1.5h"), Ok(Duration::from_secs(5400)));
/// assert!(spanlight::duration::parse("5").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is no duration; write a number with a unit, such as 200ms, 5s, 1m30s or 24h");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..letters] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(invalid()),
            };
        rest = &rest[letters..];
    }
    if text.is_empty() {
        return Err(invalid());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

/// This many seconds: none of a negative number or of no number, the longest there is of one that is too large.
/// Figures from outside hold anything, and the standard library's conversion panics over them.
///
/// ```
/// use std::time::Duration;
/// use spanlight::duration::from_seconds;
///
/// assert_eq!(from_seconds(1.5), Duration::from_millis(1500));
/// assert_eq!((from_seconds(-1.0), from_seconds(f64::NAN)), (Duration::ZERO, Duration::ZERO));
/// assert_eq!(from_seconds(1e300), Duration::MAX);
/// ```
pub fn from_seconds(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) => duration,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// The duration as a person would say it, with two units at most: `850 ms`, `2.5 s`, `3 m 20 s`, `2 h 5 m`.
pub fn display(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    match whole {
        0 if seconds < 0.0005 => format!("{} µs", duration.as_micros()),
        0 => format!("{} ms", (seconds * 1000.0).round()),
        1..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} m {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} m", whole / 3600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3600 % 24),
    }
}
