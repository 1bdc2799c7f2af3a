//! What is kept over a restart: what was spent, and which thresholds were told of.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keep::{Budgets, Key, Spent};
use super::usd::Usd;
use super::window::Window;
use crate::event::Timestamp;

/// How long after its end a window is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The layout that is written and read.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    /// When the newest of the telemetry was taken in that this is made of.
    newest_us: Option<i64>,
    budgets: Vec<SavedBudget>,
}

#[derive(Serialize, Deserialize)]
struct SavedBudget {
    name: String,
    /// What it was for: if that has changed, what was spent was spent on something else.
    of: String,
    windows: Vec<SavedWindow>,
}

#[derive(Serialize, Deserialize)]
struct SavedWindow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    spent_nano_usd: Usd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warned_at_nano_usd: Option<Usd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exceeded_at_nano_usd: Option<Usd>,
    stops: u64,
    touched_us: i64,
}

/// Why what was saved cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// It is not what was written.
    Damaged(String),
    /// Another version has written it.
    OtherVersion(u32),
}

impl Budgets {
    /// As it stands, to be saved; until something changes it counts as saved. What was over long ago is forgotten.
    pub fn save(&mut self, now: Timestamp) -> Vec<u8> {
        self.is_saved();
        self.books.iter_mut().for_each(|book| book.forget_before(now.minus(KEPT)));
        let budgets = self.books.iter().map(|book| {
            let mut windows: Vec<SavedWindow> = book.windows.iter().map(|(key, spent)| saved(key, spent)).collect();
            windows.sort_by(|a, b| (a.from_us, &a.run, &a.value).cmp(&(b.from_us, &b.run, &b.value)));
            SavedBudget { name: book.budget.name.clone(), of: book.budget.fingerprint(), windows }
        });
        let newest_us = self.newest.map(Timestamp::as_micros);
        let file = File { version: VERSION, newest_us, budgets: budgets.collect() };
        // Plain data has no way not to be written.
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Goes on from what was saved. Returns the budgets that begin anew because they are for something else now.
    ///
    /// # Errors
    /// It is damaged or of another version; then nothing of it is taken.
    pub fn restore(&mut self, saved: &[u8]) -> Result<Vec<String>, Unusable> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let damaged = |error: serde_json::Error| Unusable::Damaged(error.to_string());
        let Version { version } = serde_json::from_slice(saved).map_err(damaged)?;
        if version != VERSION {
            return Err(Unusable::OtherVersion(version));
        }
        let file: File = serde_json::from_slice(saved).map_err(damaged)?;
        self.newest = file.newest_us.map(Timestamp::from_micros);
        let mut anew = Vec::new();
        for budget in file.budgets {
            let Some(book) = self.books.iter_mut().find(|book| book.budget.name == budget.name) else { continue };
            if book.budget.fingerprint() != budget.of {
                anew.push(budget.name);
                continue;
            }
            book.windows = budget.windows.into_iter().map(SavedWindow::read).collect();
        }
        Ok(anew)
    }
}

fn saved(key: &Key, spent: &Spent) -> SavedWindow {
    SavedWindow {
        from_us: key.window.start().map(Timestamp::as_micros),
        run: if let Window::Run(run) = &key.window { Some(run.to_string()) } else { None },
        value: key.value.as_deref().map(str::to_owned),
        spent_nano_usd: spent.usd,
        warned_at_nano_usd: spent.warned_at,
        exceeded_at_nano_usd: spent.exceeded_at,
        stops: spent.stops,
        touched_us: spent.touched.as_micros(),
    }
}

impl SavedWindow {
    fn read(self) -> (Key, Spent) {
        let window = match (self.from_us, self.run) {
            (Some(from), _) => Window::From(Timestamp::from_micros(from)),
            (None, Some(run)) => Window::Run(run.into()),
            (None, None) => Window::Ever,
        };
        let spent = Spent {
            usd: self.spent_nano_usd,
            warned_at: self.warned_at_nano_usd,
            exceeded_at: self.exceeded_at_nano_usd,
            stops: self.stops,
            touched: Timestamp::from_micros(self.touched_us),
        };
        (Key { window, value: self.value.map(Into::into) }, spent)
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Damaged(why) => write!(f, "it is damaged ({why})"),
            Unusable::OtherVersion(version) => {
                write!(f, "it is of version {version} of its layout, and this program knows version {VERSION}")
            }
        }
    }
}
