//! At which tier a provider served a call, under one word each.

use std::borrow::Cow;

/// The word for a tier as providers spell it; nothing for the usual tier.
pub fn service_tier(said: &str) -> Option<Cow<'_, str>> {
    let said = said.trim();
    let word = match said.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(said.to_ascii_lowercase()),
        false => Cow::Borrowed(said),
    };
    match &*word {
        "" | "standard" | "default" | "auto" | "on_demand" | "ondemand" | "standard_only" | "normal" => None,
        "batches" | "batch_api" => Some("batch".into()),
        _ => Some(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_under_one_word() {
        assert_eq!(service_tier("default"), None);
        assert_eq!(service_tier(" ON_DEMAND "), None);
        assert_eq!(service_tier("FLEX").as_deref(), Some("flex"));
        assert_eq!(service_tier("batches").as_deref(), Some("batch"));
    }
}
