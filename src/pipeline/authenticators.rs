//! Extensions that know tokens and passwords: whom ports believe, and what exporters say of themselves. They are named by
//! `auth.authenticator`, as the OpenTelemetry Collector has it.

use http::HeaderName;

use super::components::Component;
use super::plan::Plan;
use crate::auth::{self, Auth, BasicAuth, BearerTokens};
use crate::config::{ComponentId, Config, Problem, Section};
use crate::export::credentials::Credentials;

type Components = [(Section, ComponentId, Component)];

impl Plan {
    /// What a port believes that asks who is there.
    ///
    /// # Errors
    /// A key or token that is no good any more.
    pub fn auth(&self, config: &auth::Config) -> Result<Auth, String> {
        let named = config.authenticator.as_deref().and_then(|name| extension(&self.components, name));
        config.load(match named {
            Some((_, Component::BearerTokens(tokens))) => Some(tokens),
            _ => None,
        })
    }

    /// The extension that knows what an exporter says of itself, and what that is; nothing if it says nothing.
    ///
    /// # Errors
    /// A token or password that is no good any more.
    pub fn credentials(&self, exporter: &Component) -> Result<Option<(&ComponentId, Credentials)>, String> {
        let named = exporter.identity().and_then(|(auth, _)| extension(&self.components, &auth.authenticator));
        let Some((id, extension)) = named else { return Ok(None) };
        Ok(credentials(extension).transpose()?.map(|credentials| (id, credentials)))
    }
}

/// What an extension lets exporters say, if it is one that does.
fn credentials(extension: &Component) -> Option<Result<Credentials, String>> {
    match extension {
        Component::BearerTokens(tokens) => Some(of_tokens(tokens)),
        Component::BasicAuth(auth) => Some(of_password(auth)),
        _ => None,
    }
}

/// What `bearertokenauth` lets exporters say.
fn of_tokens(tokens: &BearerTokens) -> Result<Credentials, String> {
    let name = tokens.header.parse().map_err(|_| "`header` is no name of a header")?;
    let tokens = tokens.clone();
    Credentials::new(name, tokens.files(), move |contents| tokens.value(contents))
}

/// What `basicauth` lets exporters say.
fn of_password(auth: &BasicAuth) -> Result<Credentials, String> {
    let auth = auth.clone();
    Credentials::new(http::header::AUTHORIZATION, auth.files(), move |contents| auth.value(contents))
}

/// Checks an extension by itself.
///
/// # Errors
/// What is wrong with it, in words that show no secret.
pub fn validate(extension: &Component) -> Result<(), String> {
    credentials(extension).map_or(Ok(()), |credentials| credentials.map(drop))
}

/// Whoever is asked, by a port or an exporter, must be there and have an answer.
pub fn check(config: &Config, components: &Components, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    for (section, id, component) in components {
        let node = config.component(*section, id);
        let said = |message: String| Problem {
            place: node.map(|node| node.place).unwrap_or_default(),
            path: format!("{}.{id}", section.name()),
            message,
        };
        let by_ports = component.auths().into_iter().filter_map(|auth| auth.authenticator.as_deref());
        problems.extend(by_ports.filter_map(|name| wrong_for_ports(config, components, name)).map(said));
        let Some((auth, headers)) = component.identity() else { continue };
        match header_of(config, components, &auth.authenticator) {
            Err(wrong) => problems.push(said(wrong)),
            Ok(name) if headers.keys().any(|key| name.as_str().eq_ignore_ascii_case(key)) => problems.push(said(format!(
                "`auth` says who we are in the header `{name}`, and so does `headers`: take it out of one of them"
            ))),
            Ok(_) if component.sends_in_the_clear() => warnings.push(said(format!(
                "what `{}` says of us goes beyond this machine without TLS, where others can read it: write https:// in the \
                 endpoint",
                auth.authenticator
            ))),
            Ok(_) => {}
        }
    }
}

/// Why an extension is none that a port can ask.
fn wrong_for_ports(config: &Config, components: &Components, name: &str) -> Option<String> {
    match extension(components, name) {
        Some((_, Component::BearerTokens(tokens))) if tokens.is_for_ports() => None,
        Some((id, Component::BearerTokens(_))) => Some(format!(
            "`auth.authenticator` names `{id}`, which has a `scheme` or `header` of its own, as exporters may have it; ports \
             believe `Authorization: Bearer` only, so give them another `bearertokenauth`"
        )),
        Some((id, Component::BasicAuth(_))) => Some(format!(
            "`auth.authenticator` names `{id}`, which is for exporters; ports ask for `auth.token`, `auth.jwt` or \
             `bearertokenauth`"
        )),
        _ => Some(absent(config, name, "`bearertokenauth`")),
    }
}

/// The header in which an extension lets exporters say who we are.
fn header_of(config: &Config, components: &Components, name: &str) -> Result<HeaderName, String> {
    match extension(components, name) {
        Some((_, Component::BasicAuth(_))) => Ok(http::header::AUTHORIZATION),
        Some((_, Component::BearerTokens(tokens))) => {
            tokens.header.parse().map_err(|_| format!("`header` of `{name}` is no name of a header"))
        }
        _ => Err(absent(config, name, "`bearertokenauth` or `basicauth`")),
    }
}

fn absent(config: &Config, name: &str, wanted: &str) -> String {
    let configured = ComponentId::parse(name).is_some_and(|id| config.component(Section::Extensions, &id).is_some());
    let remedy = if configured { "name one there" } else { "add one to `extensions`, and name it there" };
    format!("`auth.authenticator` names `{name}`, which is no {wanted} in service.extensions; {remedy}")
}

fn extension<'c>(components: &'c Components, name: &str) -> Option<(&'c ComponentId, &'c Component)> {
    let named = ComponentId::parse(name)?;
    let mut extensions = components.iter().filter(|(section, _, _)| *section == Section::Extensions);
    extensions.find(|(_, id, _)| *id == named).map(|(_, id, component)| (id, component))
}
