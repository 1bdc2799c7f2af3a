//! Percent-encoding as gRPC writes its messages and the environment its lists.

/// The text with every `%xx` replaced by its byte; what is no such escape stays as it is.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest = after;
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        _ => (letter | 0x20) - b'a' + 10,
    }
}

/// The entries of a list such as `name=value,name=value`, decoded. An entry that is none is told by its number alone,
/// because such lists hold secrets.
pub fn pairs(list: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (number, entry) in (1..).zip(list.split(',').map(str::trim)) {
        if entry.is_empty() {
            continue;
        }
        match entry.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => pairs.push((decode(name.trim()), decode(value.trim()))),
            _ => return Err(format!("its entry {number} has no name and value; write name=value,name=value")),
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        for (text, decoded) in [
            ("plain", "plain"),
            ("a%20b%2Cc%2c", "a b,c,"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz%+f%4", "%zz%+f%4"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }

    #[test]
    fn lists_of_pairs() {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Vec<_>>();
        assert_eq!(pairs(""), Ok(vec![]));
        assert_eq!(pairs(" a = 1 , ,b=x%3Dy=z,c="), Ok(owned(&[("a", "1"), ("b", "x=y=z"), ("c", "")])));
        assert!(pairs("a=1,secret").unwrap_err().starts_with("its entry 2 "));
        assert!(pairs("=1").is_err());
    }
}
