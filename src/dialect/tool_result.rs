//! What a tool gave back may say that it failed, though its span ended well: frameworks that hand errors to the model
//! take care of them, and leave them to the message.

use serde::Deserialize;

use super::Failure;
use super::lenient::Word;

/// How a tool with this result failed, by the messages of LangChain and the results of the Model Context Protocol.
///
/// What a tool made up itself says nothing: `{"status": "error"}` may be its answer.
pub(super) fn failure(result: &str) -> Option<Failure<'_>> {
    let may_tell = (result.contains("status") && result.contains("error")) || result.contains("isError");
    if !may_tell {
        return None;
    }
    let message = match printed(result) {
        Some(message) => message,
        None => serde_json::from_str::<Told<'_>>(result).ok()?.failed()?.message(),
    };
    Some(Failure { error_type: Some("tool_error"), message })
}

/// A message, or what has one within: each instrumentation packs it in its own way.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow)]
    status: Word<'a>,
    #[serde(borrow)]
    tool_call_id: Word<'a>,
    #[serde(borrow)]
    content: Content<'a>,
    #[serde(rename = "isError")]
    is_error: bool,
    #[serde(borrow)]
    output: Option<Box<Told<'a>>>,
    #[serde(borrow)]
    data: Option<Box<Told<'a>>>,
    #[serde(borrow)]
    kwargs: Option<Box<Told<'a>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Blocks(#[serde(borrow)] Vec<Block<'a>>),
    Text(#[serde(borrow)] Word<'a>),
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    text: Word<'a>,
}

impl Default for Content<'_> {
    fn default() -> Self {
        Content::Text(Word::default())
    }
}

impl<'a> Told<'a> {
    /// It, or the first within it, that says that the tool failed.
    fn failed(&self) -> Option<&Told<'a>> {
        let is_message = self.status.is("error") && self.tool_call_id.text.is_some();
        let within = || [&self.output, &self.data, &self.kwargs].into_iter().flatten().find_map(|told| told.failed());
        if is_message || self.is_error { Some(self) } else { within() }
    }

    fn message(&self) -> Option<&'a str> {
        match &self.content {
            Content::Text(text) => text.borrowed(""),
            Content::Blocks(blocks) => blocks.iter().find_map(|block| block.text.borrowed("")),
        }
    }
}

/// What went wrong, of a message as Python prints it: `content='no such city' name='…' status='error'`.
fn printed(result: &str) -> Option<Option<&str>> {
    let said = result.strip_prefix("content=")?.strip_suffix("status='error'")?;
    let quoted = said.chars().next().filter(|quote| matches!(quote, '\'' | '"'));
    Some(quoted.and_then(|quote| said[1..].split_once(quote)).map(|(message, _)| message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: &str) -> Option<Option<&str>> {
        failure(result).map(|failure| failure.message)
    }

    #[test]
    fn a_message_of_langchain_tells_however_it_is_packed() {
        let message = r#"{"content": "no such city", "tool_call_id": "c1", "artifact": null, "status": "error"}"#;
        for packed in [
            message.to_owned(),
            format!(r#"{{"type": "tool", "data": {message}}}"#),
            format!(r#"{{"output": {message}}}"#),
            format!(r#"{{"output": {{"lc": 1, "kwargs": {message}}}, "kwargs": {{"tags": ["seq:step:1"]}}}}"#),
            "content='no such city' name='get_weather' tool_call_id='c1' status='error'".to_owned(),
        ] {
            assert_eq!(said(&packed), Some(Some("no such city")), "{packed}");
        }
        let in_blocks = r#"{"content": [{"type": "text", "text": "no"}], "tool_call_id": "c1", "status": "error"}"#;
        assert_eq!(said(in_blocks), Some(Some("no")));
    }

    #[test]
    fn a_result_of_mcp_tells() {
        let failed = r#"{"content": [{"type": "text", "text": "no such city"}], "isError": true}"#;
        assert_eq!(said(failed), Some(Some("no such city")));
        assert_eq!(said(r#"{"content": [{"type": "text", "text": "rain"}], "isError": false}"#), None);
    }

    #[test]
    fn what_a_tool_made_up_itself_tells_nothing() {
        for result in [
            r#"{"status": "error", "content": "of a job"}"#,
            r#"{"content": "no error", "tool_call_id": "c1", "status": "success"}"#,
            r#"{"output": "status of the error"}"#,
            "the status is an error",
            "content='error' status='success'",
        ] {
            assert_eq!(said(result), None, "{result}");
        }
    }
}
