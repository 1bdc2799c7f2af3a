//! Providers under one name each, and finish reasons.

use std::borrow::Cow;

/// The provider under its well-known name (`gen_ai.provider.name`): aliases are resolved, and the names of
/// frameworks, which some emitters put there, are none.
pub fn normalise<'a>(provider: Option<&'a str>, model: Option<&str>) -> Option<Cow<'a, str>> {
    let named = provider.map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    });
    match named {
        Some(name) if is_framework(&name) => model.and_then(of_model).map(Cow::Borrowed),
        Some(name) => Some(match well_known(&name) {
            Some(known) => Cow::Borrowed(known),
            None => without_interface(name),
        }),
        None => model.and_then(of_model).map(Cow::Borrowed),
    }
}

/// The provider alone, where the name of its interface is behind it.
fn without_interface(name: Cow<'_, str>) -> Cow<'_, str> {
    const INTERFACES: &[&str] =
        &["chat", "responses", "completion", "messages", "embedding", "image", "speech", "transcription"];
    let owner = name.rsplit_once('.').filter(|(_, interface)| INTERFACES.contains(interface)).map(|(owner, _)| owner);
    match (owner, &name) {
        (None, _) => name,
        // What has several interfaces there is OpenAI's.
        (Some("azure"), _) => Cow::Borrowed("azure.ai.openai"),
        (Some(owner), _) if let Some(known) = well_known(owner) => Cow::Borrowed(known),
        (Some(owner), Cow::Borrowed(name)) => Cow::Borrowed(&name[..owner.len()]),
        (Some(owner), Cow::Owned(_)) => Cow::Owned(owner.to_owned()),
    }
}

fn well_known(name: &str) -> Option<&'static str> {
    Some(match name {
        // Nearly all are spelled as they should be, and need not be looked at any further.
        "openai" => "openai",
        "anthropic" => "anthropic",
        "az.ai.openai" | "azure-openai" | "azure_openai" => "azure.ai.openai",
        "az.ai.inference" | "azure" => "azure.ai.inference",
        "vertex_ai" | "vertexai" | "google-vertex" => "gcp.vertex_ai",
        "gemini" | "google.generative-ai" | "googleai" => "gcp.gemini",
        "google" | "google_genai" => "gcp.gen_ai",
        "bedrock" | "amazon-bedrock" | "aws" => "aws.bedrock",
        "mistral" | "mistralai" => "mistral_ai",
        "xai" => "x_ai",
        "moonshot" => "moonshot_ai",
        "watsonx" => "ibm.watsonx.ai",
        name if name.starts_with("google.vertex") || name.starts_with("vertex.") => "gcp.vertex_ai",
        _ => return None,
    })
}

fn is_framework(name: &str) -> bool {
    matches!(
        name,
        "langchain"
            | "langgraph"
            | "crewai"
            | "autogen"
            | "strands-agents"
            | "gcp.vertex.agent"
            | "microsoft.agent_framework"
            | "agent_framework"
            | "gen_ai"
            | "gateway"
            | "unknown"
    )
}

/// Whose model it is, by its name.
pub fn of_model(model: &str) -> Option<&'static str> {
    let model = model.rsplit('/').next().unwrap_or(model);
    let after_o = model.strip_prefix('o').and_then(|rest| rest.bytes().next());
    let region = ["us.", "eu.", "apac.", "global."].iter().find_map(|region| model.strip_prefix(region));
    let bedrock = region.unwrap_or(model);
    if ["anthropic.", "amazon.", "meta.", "mistral.", "cohere."].iter().any(|vendor| bedrock.starts_with(vendor)) {
        return Some("aws.bedrock");
    }
    match model {
        _ if model.starts_with("claude") => Some("anthropic"),
        _ if model.starts_with("gpt") || after_o.is_some_and(|byte| byte.is_ascii_digit()) => Some("openai"),
        _ if model.starts_with("gemini") => Some("gcp.gen_ai"),
        _ => None,
    }
}

/// Whose model answers at this host: at that of its maker or of a cloud.
pub fn of_address(host: &str) -> Option<&'static str> {
    const WITHIN: &[(&str, &str)] = &[
        ("openai.azure.com", "azure.ai.openai"),
        ("services.ai.azure.com", "azure.ai.inference"),
        ("models.ai.azure.com", "azure.ai.inference"),
        ("openai.com", "openai"),
        ("anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("mistral.ai", "mistral_ai"),
        ("deepseek.com", "deepseek"),
        ("groq.com", "groq"),
        ("x.ai", "x_ai"),
        ("perplexity.ai", "perplexity"),
        ("cohere.com", "cohere"),
        ("cohere.ai", "cohere"),
        ("moonshot.ai", "moonshot_ai"),
        ("moonshot.cn", "moonshot_ai"),
    ];
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or(host);
    if host.starts_with("bedrock") && host.ends_with(".amazonaws.com") {
        return Some("aws.bedrock");
    }
    // Vertex AI puts the region right before its name: `europe-west4-aiplatform.googleapis.com`.
    let is_within = |domain: &str| {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']))
    };
    WITHIN.iter().find(|(domain, _)| is_within(domain)).map(|(_, provider)| *provider)
}

/// A finish reason as OTel's conventions spell it; an unknown one stays as it is.
pub fn finish_reason(reason: &str) -> &str {
    const REASONS: &[(&str, &[&str])] = &[
        ("stop", &["stop", "end_turn", "stop_sequence", "completed"]),
        ("length", &["length", "max_tokens"]),
        ("tool_call", &["tool_call", "tool_calls", "tool-calls", "toolcalls", "tool_use", "function_call"]),
        (
            "content_filter",
            &["content_filter", "content-filter", "contentfilter", "refusal", "safety", "guardrail_intervened"],
        ),
    ];
    // `FinishReason.STOP,FinishReason.STOP` is how Python prints members of an enumeration, for two choices.
    let first = reason.split(',').next().unwrap_or(reason);
    let word = first.rsplit('.').next().unwrap_or(first);
    let is_one_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    REASONS.iter().find(|(_, words)| is_one_of(words)).map_or(reason, |(known, _)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_makers_and_clouds() {
        for (host, provider) in [
            ("api.openai.com", Some("openai")),
            ("https://api.anthropic.com:443/v1", Some("anthropic")),
            ("my-team.openai.azure.com", Some("azure.ai.openai")),
            ("europe-west4-aiplatform.googleapis.com", Some("gcp.vertex_ai")),
            ("bedrock-runtime.eu-central-1.amazonaws.com", Some("aws.bedrock")),
            ("api.x.ai", Some("x_ai")),
            ("notopenai.com", None),
            ("api.linux.ai", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(of_address(host), provider, "{host}");
        }
    }

    #[test]
    fn reasons_to_stop() {
        for (said, reason) in [
            ("end_turn", "stop"),
            ("MAX_TOKENS", "length"),
            ("FinishReason.TOOL_CALLS", "tool_call"),
            ("FinishReason.STOP,FinishReason.STOP", "stop"),
            ("ContentFilter", "content_filter"),
            ("compaction", "compaction"),
            ("1.5 of them", "1.5 of them"),
        ] {
            assert_eq!(finish_reason(said), reason);
        }
    }

    #[test]
    fn aliases_and_frameworks() {
        let of = |provider, model| normalise(provider, model).map(Cow::into_owned);
        assert_eq!(of(Some("OpenAI"), None).as_deref(), Some("openai"));
        assert_eq!(of(Some("az.ai.openai"), None).as_deref(), Some("azure.ai.openai"));
        assert_eq!(of(Some("google.vertex.chat"), None).as_deref(), Some("gcp.vertex_ai"));
        assert_eq!(of(Some("openai.responses"), None).as_deref(), Some("openai"));
        assert_eq!(of(Some("Anthropic.messages"), None).as_deref(), Some("anthropic"));
        assert_eq!(of(Some("xai.chat"), None).as_deref(), Some("x_ai"));
        assert_eq!(of(Some("azure.chat"), None).as_deref(), Some("azure.ai.openai"));
        assert_eq!(of(Some("azure-openai.chat"), None).as_deref(), Some("azure.ai.openai"));
        assert_eq!(of(Some("vertex.anthropic.messages"), None).as_deref(), Some("gcp.vertex_ai"));
        assert_eq!(of(Some("lmstudio.chat"), None).as_deref(), Some("lmstudio"));
        assert_eq!(of(Some("aws.bedrock"), None).as_deref(), Some("aws.bedrock"));
        assert_eq!(of(Some("gateway"), Some("openai/gpt-4o")).as_deref(), Some("openai"));
        assert_eq!(of(Some("somebody"), None).as_deref(), Some("somebody"));
        assert_eq!(of(Some("langchain"), Some("gpt-4o")).as_deref(), Some("openai"));
        assert_eq!(of(Some("langchain"), Some("my-model")), None);
        assert_eq!(of(None, Some("o4-mini")).as_deref(), Some("openai"));
        assert_eq!(of(None, Some("us.anthropic.claude-sonnet-4-5")).as_deref(), Some("aws.bedrock"));
        assert_eq!(of(None, Some("olmo")), None);
    }
}
