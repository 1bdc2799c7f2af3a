//! What the work costs: prices of calls, and the ledger that adds them up.

mod account;
mod ledger;
mod prices;
mod rates;

pub use ledger::{By, Figures, Ledger, Posting, Report, ReportBuilder, Row, parse_window};
pub use prices::{Call, Price, PriceSource, Prices, Unpriced};
