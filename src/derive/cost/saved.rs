//! The ledger over a restart: written down, and read again.

use serde::{Deserialize, Serialize};

use super::Ledger;

/// The layout that is written and read.
const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
struct File<L> {
    version: u32,
    ledger: L,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Ledger {
    /// As it stands, as JSON.
    pub fn save(&self) -> Vec<u8> {
        // Plain data has no way not to be written.
        serde_json::to_vec(&File { version: VERSION, ledger: self }).unwrap_or_default()
    }

    /// One that was saved.
    ///
    /// # Errors
    /// It is damaged, or of another version; in words.
    pub fn read(saved: &[u8]) -> Result<Ledger, String> {
        let damaged = |error: serde_json::Error| format!("it is damaged ({error})");
        let Version { version } = serde_json::from_slice(saved).map_err(damaged)?;
        if version != VERSION {
            return Err(format!("it is of version {version} of its layout, and this program knows version {VERSION}"));
        }
        Ok(serde_json::from_slice::<File<Ledger>>(saved).map_err(damaged)?.ledger)
    }
}

/// Times as microseconds since 1970.
pub mod micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::event::Timestamp;

    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::as_micros).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_micros))
    }
}
