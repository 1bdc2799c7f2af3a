//! The signature of a request: HMAC-SHA256 over the time and the body, so that nobody else can make one, and nobody can
//! use an old one again.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use ring::hmac;

use crate::config::types::Secret;

/// The header's value: `t=` the time in seconds since 1970, `v1=` the signature of the time, a dot and the body.
pub fn header(secret: &Secret, body: &[u8], now: SystemTime) -> Result<HeaderValue, String> {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.0.as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(format!("{seconds}.").as_bytes());
    signed.update(body);
    let signature: String = signed.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("t={seconds},v1={signature}")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What `openssl dgst -sha256 -hmac` and Python's `hmac` say.
    #[test]
    fn a_signature_is_what_other_programs_make_of_the_same() {
        let secret: Secret = serde_json::from_str("\"it is a secret\"").unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_795_242_480);
        let signed = header(&secret, b"{\"events\":[]}", at).unwrap();
        assert_eq!(
            signed.to_str().unwrap(),
            "t=1795242480,v1=c0698e3da54d7916eda2dae0b5be4e85b78d4653e257d1dd9daf53905939587e"
        );
    }
}
