//! What the work costs: prices of calls, and the ledger that adds them up.

mod account;
mod figures;
mod ledger;
mod litellm;
mod making;
mod overrides;
mod price;
mod price_file;
mod prices;
mod rates;
mod saved;
mod table;
mod tier;

pub use figures::{Compared, Figures};
pub use ledger::{By, Ledger, Posting, Report, ReportBuilder, Row, parse_window};
pub use making::{CallCost, Counting, LeftOut, LeftOutSum, Line, Making, Money, Reason, Sums, UnpricedModel};
pub use overrides::Overrides;
pub use price::{Computed, Policy, Price, PriceSource, Unpriced};
pub use price_file::{PriceFile, PriceLine};
pub use prices::{Call, PriceSettings, Prices};
pub use rates::{Amounts, Item, Part, PerPart, Rates};
