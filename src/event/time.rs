//! Points in time, to the microsecond.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 (UTC). Written as RFC 3339 with six digits and `Z`.
///
/// ```
/// use spanlight::event::Timestamp;
///
/// let time = Timestamp::parse("2026-11-21T06:28:00.5+01:00").unwrap();
/// assert_eq!(time.to_string(), "2026-11-21T05:28:00.500000Z");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Of microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Of nanoseconds since 1970, as OTLP counts.
    pub const fn from_unix_nanos(nanos: u64) -> Timestamp {
        Timestamp((nanos / 1000) as i64)
    }

    /// Of seconds since 1970 with a fraction, as many scripting languages count.
    pub fn from_unix_seconds(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1e6).round() as i64)
    }

    /// What the system's clock says. Of the pure core only the constructors of events call this, which are for code
    /// that something happens in just now: everywhere else time is passed in.
    pub fn now() -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since_epoch.as_micros() as i64)
    }

    /// Of an RFC 3339 text.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let parse = || text.parse::<jiff::Timestamp>().ok().map(|time| Timestamp(time.as_microsecond()));
        Timestamp::parse_own(text.as_bytes()).or_else(parse)
    }

    /// Of the form that [`Timestamp::to_rfc3339`] gives, on the day that was written last; most are.
    fn parse_own(text: &[u8]) -> Option<Timestamp> {
        let (day, date) = LAST.get();
        let time = text.strip_prefix(&date)?;
        let &[b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', ref fraction @ .., b'Z'] = time else { return None };
        let fraction: &[u8; 6] = fraction.try_into().ok()?;
        let (hours, minutes, seconds) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
        let is_time = hours < 24 && minutes < 60 && seconds < 60;
        let seconds = ((day * 24 + hours) * 60 + minutes) * 60 + seconds;
        let time = Timestamp(seconds * 1_000_000 + number(fraction)?);
        Some(time).filter(|time| is_time && time.is_writable())
    }

    /// Whether it can be written and read again: years 0 to 9999, short of the last day in some time zones.
    pub fn is_writable(self) -> bool {
        (-62_167_219_200_000_000..=253_402_207_200_999_999).contains(&self.0)
    }

    /// Microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Nanoseconds since 1970, 0 for anything earlier.
    pub fn as_unix_nanos(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default().saturating_mul(1000)
    }

    /// Whole seconds since 1970.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds from `earlier` to here, 0 if it is later.
    pub fn micros_since(self, earlier: Timestamp) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default()
    }

    /// This much later.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.as_micros().min(i64::MAX as u128) as i64))
    }

    /// This much earlier.
    pub fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.as_micros().min(i64::MAX as u128) as i64))
    }

    /// This time, or `now` if it is more than five minutes ahead of it: clocks differ, but not by more, and what is
    /// kept by time must not grow with times that have not come.
    pub fn not_ahead_of(self, now: Timestamp) -> Timestamp {
        if self > now.plus(Duration::from_secs(300)) { now } else { self }
    }

    /// For APIs that want the system's type.
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0).unwrap_or_default())
    }

    /// The 27 characters of RFC 3339. By hand, because two of them stand in every event and a general formatter
    /// takes a tenth of the time that is allowed for an event.
    pub fn to_rfc3339(self) -> [u8; 27] {
        let (seconds, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000) as u32);
        let second_of_day = seconds.rem_euclid(86_400) as u32;
        let minute_of_day = second_of_day / 60;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        text[..10].copy_from_slice(&date(seconds.div_euclid(86_400)));
        put_digits(&mut text, 11, minute_of_day / 60);
        put_digits(&mut text, 14, minute_of_day % 60);
        put_digits(&mut text, 17, second_of_day % 60);
        put_digits(&mut text, 20, micros / 10_000);
        put_digits(&mut text, 22, micros / 100 % 100);
        put_digits(&mut text, 24, micros % 100);
        text
    }

    /// The UTC date as `2026-11-21`.
    pub fn date(self) -> String {
        date(self.0.div_euclid(86_400_000_000)).into_iter().map(char::from).collect()
    }
}

thread_local! {
    /// The day that was written last, and its date: most are of the same.
    static LAST: Cell<(i64, [u8; 10])> = const { Cell::new((0, *b"1970-01-01")) };
}

/// The date of a day number since 1970.
fn date(day: i64) -> [u8; 10] {
    let (last, date) = LAST.get();
    if last == day {
        return date;
    }
    let (year, month, day_of_month) = civil_from_days(day);
    let shown = year.clamp(0, 9999);
    let mut date = *b"0000-00-00";
    for (at, number) in [(0, shown as u32 / 100), (2, shown as u32 % 100), (5, month), (8, day_of_month)] {
        put_digits(&mut date, at, number);
    }
    // A date that is not of this day must not be read as if it were.
    if shown == year {
        LAST.set((day, date));
    }
    date
}

/// The number that digits say.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| Some(number * 10 + i64::from(char::from(*digit).to_digit(10)?)))
}

/// Puts the two digits of a number below 100 in their place.
#[inline]
fn put_digits<const N: usize>(text: &mut [u8; N], at: usize, number: u32) {
    [text[at], text[at + 1]] = TWO_DIGITS[number as usize % 100];
}

/// The digits of the numbers below 100.
const TWO_DIGITS: [[u8; 2]; 100] = {
    let mut digits = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        digits[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    digits
};

/// Year, month and day of a day number since 1970 in the proleptic Gregorian calendar, by counting in eras of
/// 400 years that begin on 1 March.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    // Within an era all numbers are small, and dividing small ones costs less.
    let day_of_era = days.rem_euclid(146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = i64::from(year_of_era) + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_rfc3339()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn formatting_agrees_with_a_calendar_library(micros in 0i64..253_402_300_799_000_000) {
            let time = Timestamp::from_micros(micros);
            let theirs = format!("{:.6}", jiff::Timestamp::from_microsecond(micros).unwrap());
            prop_assert_eq!(time.to_string(), theirs);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn reading_agrees_with_a_calendar_library(
            micros in 0i64..253_402_300_799_000_000,
            other in 0i64..253_402_300_799_000_000,
            at in any::<proptest::sample::Index>(),
            letter in "[0-9:.TZtz +-]",
        ) {
            let (time, mut changed) = (Timestamp::from_micros(micros), Timestamp::from_micros(micros).to_string());
            let at = at.index(changed.len());
            changed.replace_range(at..=at, &letter);
            for text in [time.to_string(), changed] {
                let theirs = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond());
                // Whatever day the last was: this one, or another.
                for last in [time, Timestamp::from_micros(other)] {
                    date(last.as_micros().div_euclid(86_400_000_000));
                    prop_assert_eq!(Timestamp::parse(&text).map(Timestamp::as_micros), theirs, "{}", text);
                }
            }
        }

        #[test]
        fn what_is_writable_can_be_read_again(micros in -62_167_219_200_000_001i64..253_402_207_201_000_001) {
            let time = Timestamp::from_micros(micros);
            prop_assert!(!time.is_writable() || Timestamp::parse(&time.to_string()) == Some(time), "{time}");
        }
    }

    #[test]
    fn times_that_cannot_be_written_are_not_read_as_others() {
        for micros in [i64::MAX, i64::MIN, 253_402_207_201_000_000] {
            let text = Timestamp::from_micros(micros).to_string();
            let theirs = text.parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond());
            assert_eq!(Timestamp::parse(&text).map(Timestamp::as_micros), theirs, "{text}");
        }
    }
}
