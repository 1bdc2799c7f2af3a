//! Who an exporter says it is: a header of every request, from the configuration or from files that may change.

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::Outcome;
use crate::reload::Reloading;

/// `auth` of an exporter, as the OpenTelemetry Collector has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The extension that knows who we are.
    pub authenticator: String,
}

/// What an exporter says of itself, if anything. Clones say the same, also once it has changed.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Option<Arc<Said>>);

/// A header as requests have it.
pub type Header = (HeaderName, HeaderValue);

#[derive(Debug)]
struct Said {
    name: HeaderName,
    value: Reloading<HeaderValue>,
}

impl Credentials {
    /// A header of this name. `make` gets the contents of the files, of which there may be none, and gives its value.
    ///
    /// # Errors
    /// A file that cannot be read, what `make` says, or a value that no header may have.
    pub fn new(
        name: HeaderName,
        files: Vec<PathBuf>,
        make: impl Fn(&[Vec<u8>]) -> Result<String, String> + Send + Sync + 'static,
    ) -> Result<Credentials, String> {
        let value = Reloading::new(files, move |contents| {
            let invalid = |_| "a token or password has characters that no header may have, such as the end of a line";
            let mut value = HeaderValue::from_str(&make(contents)?).map_err(invalid)?;
            value.set_sensitive(true);
            Ok(value)
        })?;
        Ok(Credentials(Some(Arc::new(Said { name, value }))))
    }

    /// The header of the next request.
    pub fn header(&self) -> Option<Header> {
        self.0.as_ref().map(|said| (said.name.clone(), HeaderValue::clone(&said.value.current())))
    }

    /// Reads the files again. Says whether something else is in them.
    ///
    /// # Errors
    /// A file that is no good any more; what was in it is said as before.
    pub fn renew(&self) -> Result<bool, String> {
        self.0.as_ref().map_or(Ok(false), |said| said.value.renew())
    }

    /// What to say in place of what was said in an attempt that came to this, if that was not believed and the files, which
    /// are read again for it, have something else by now: who changes a token need not wait for us to look.
    pub async fn instead_of(&self, said: Option<Header>, outcome: &Outcome) -> Option<Header> {
        if !matches!(outcome, Outcome::Denied { .. }) || said.is_none() {
            return None;
        }
        let credentials = self.clone();
        // Disks may be slow.
        if let Ok(Err(error)) = spawn_blocking(move || credentials.renew()).await {
            crate::report::warn(&format!("{error}; what was read before is said"));
        }
        self.header().filter(|header| Some(header) != said.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_not_believed_is_said_differently_once_the_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "one").unwrap();
        let make = |contents: &[Vec<u8>]| Ok(String::from_utf8_lossy(&contents.concat()).into_owned());
        let credentials = Credentials::new(http::header::AUTHORIZATION, vec![file.clone()], make).unwrap();
        let denied = Outcome::Denied { why: String::new() };
        let said = credentials.header();
        assert!(said.as_ref().is_some_and(|(_, value)| value == "one" && value.is_sensitive()));
        assert_eq!(credentials.instead_of(said.clone(), &denied).await, None);
        std::fs::write(&file, "two").unwrap();
        assert_eq!(credentials.instead_of(said.clone(), &Outcome::DONE).await, None);
        let other = credentials.instead_of(said, &denied).await;
        assert!(other.as_ref().is_some_and(|(_, value)| value == "two"));
        std::fs::write(&file, "a\nb").unwrap();
        assert_eq!(credentials.instead_of(other.clone(), &denied).await, None);
        assert_eq!((credentials.header(), Credentials::default().header()), (other, None));
    }
}
