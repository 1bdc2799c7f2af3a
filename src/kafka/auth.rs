//! Who we are to a cluster. Keys are those of the OpenTelemetry Collector.

use rdkafka::config::ClientConfig;
use serde::Deserialize;

use super::{HAS_TLS, WITHOUT_TLS};
use crate::config::types::Secret;

/// How we are let in; nobody asks unless it is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// With a name and a password.
    pub sasl: Option<Sasl>,
}

/// A name and its password.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// Who we are.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// How it is shown that we know it.
    pub mechanism: Mechanism,
}

/// How it is shown that a password is known.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Mechanism {
    /// By telling it, which wants TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Auth {
    /// Says it to a client.
    pub(super) fn apply(&self, settings: &mut ClientConfig, over_tls: bool) -> Result<(), String> {
        let Some(sasl) = &self.sasl else { return Ok(()) };
        let mechanism = match sasl.mechanism {
            Mechanism::Plain => "PLAIN",
            // librdkafka hashes with OpenSSL, so it has SCRAM only where it has TLS.
            Mechanism::ScramSha256 | Mechanism::ScramSha512 if !HAS_TLS => return Err(WITHOUT_TLS.into()),
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        if sasl.username.is_empty() || sasl.password.0.is_empty() {
            return Err("`auth.sasl` needs a `username` and a `password`".into());
        }
        settings.set("security.protocol", if over_tls { "sasl_ssl" } else { "sasl_plaintext" });
        settings.set("sasl.mechanism", mechanism);
        settings.set("sasl.username", &sasl.username);
        settings.set("sasl.password", &sasl.password.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(mechanism: Mechanism, password: &str, over_tls: bool) -> Result<ClientConfig, String> {
        let mut settings = ClientConfig::new();
        let password = Secret(password.into());
        let auth = Auth { sasl: Some(Sasl { username: "ada".into(), password, mechanism }) };
        auth.apply(&mut settings, over_tls).map(|()| settings)
    }

    #[test]
    fn a_password_is_told_to_the_client() {
        let settings = applied(Mechanism::Plain, "hush", false).unwrap();
        assert_eq!(settings.get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(settings.get("sasl.password"), Some("hush"));
        let over_tls = applied(Mechanism::Plain, "hush", true).unwrap();
        assert_eq!(over_tls.get("security.protocol"), Some("sasl_ssl"));
        assert!(applied(Mechanism::Plain, "", true).unwrap_err().contains("password"));
        assert_eq!(applied(Mechanism::ScramSha512, "hush", false).is_ok(), HAS_TLS);
    }
}
