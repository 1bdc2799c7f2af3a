//! Lists of certificates that were revoked (RFC 5280), as PEM. They are in force until their issuer promised the next one:
//! what is older may miss whom it was made for.

use std::path::Path;

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;

use crate::event::Timestamp;
use crate::reload::at;

/// The lists of a file.
///
/// # Errors
/// None, one that cannot be read, or one in whose place there should be another by now.
pub fn lists(path: &Path, pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists = lists.map_err(|error| at(path, &error))?;
    if lists.is_empty() {
        return Err(at(path, &"there is no list of revoked certificates in it"));
    }
    let expired = lists.iter().filter_map(|list| next_update(list)).find(|next| *next <= Timestamp::now());
    match expired {
        Some(next) => Err(at(path, &format!("a list in it has expired: its issuer promised another by {next}"))),
        None => Ok(lists),
    }
}

/// When the issuer of a list promised the next one (`nextUpdate`). Whether it is a list at all, its user finds out.
fn next_update(list: &[u8]) -> Option<Timestamp> {
    let (_, list, _) = element(list)?;
    let (_, mut fields, _) = element(list)?;
    // Version, algorithm, issuer, and since when it is in force.
    for _ in 0..4 {
        fields = element(fields)?.2;
    }
    let (tag, time, _) = element(fields)?;
    let time = std::str::from_utf8(time).ok()?;
    let (century, time) = match tag {
        // UTCTime has two digits of the year, of which 50 is 1950.
        0x17 => (if time.get(..2)? < "50" { "20" } else { "19" }, time),
        0x18 => (time.get(..2)?, time.get(2..)?),
        _ => return None,
    };
    let part = |from: usize| time.get(from..from + 2);
    let (date, clock) = ([part(0)?, part(2)?, part(4)?], [part(6)?, part(8)?, part(10)?]);
    Timestamp::parse(&format!("{century}{}T{}Z", date.join("-"), clock.join(":")))
}

/// The first element of DER: its tag, what is in it, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (len, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let add = |len: usize, digit: &u8| len.checked_mul(256)?.checked_add(usize::from(*digit));
            (digits.iter().try_fold(0, add)?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As much of a list as has `nextUpdate` in it.
    fn list(time: &[u8]) -> Vec<u8> {
        let of = |tag: u8, content: &[u8]| [&[tag, content.len() as u8][..], content].concat();
        let before = [of(2, &[1]), of(0x30, b""), of(0x30, b""), of(0x17, b"260101000000Z")].concat();
        of(0x30, &of(0x30, &[&before, time].concat()))
    }

    #[test]
    fn when_the_next_list_comes_is_read_in_both_forms() {
        let utc =
            |text: &str| next_update(&list(&[&[0x17, 13], text.as_bytes()].concat())).map(|time| time.to_string());
        assert_eq!(utc("261122050000Z").as_deref(), Some("2026-11-22T05:00:00.000000Z"));
        assert_eq!(utc("991231235959Z").as_deref(), Some("1999-12-31T23:59:59.000000Z"));
        assert_eq!(utc("26112205000é"), None);
        let general = next_update(&list(b"\x18\x0f20501122050000Z")).map(|time| time.to_string());
        assert_eq!(general.as_deref(), Some("2050-11-22T05:00:00.000000Z"));
        assert_eq!(next_update(&list(b"\x30\0")), None);
    }

    #[test]
    fn a_file_without_a_list_is_none() {
        assert!(lists(Path::new("crl.pem"), b"nothing").unwrap_err().contains("crl.pem: there is no list"));
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_file_nothing_breaks(der in proptest::collection::vec(any::<u8>(), 0..200)) {
            next_update(&der);
            let mut cut = list(b"\x17\x0d261122050000Z");
            cut.truncate(der.len());
            next_update(&cut);
        }
    }
}
