//! The page: its files, which are in the binary, and the headers that keep it to itself.

use std::borrow::Cow;

use axum::extract;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::api;

/// Scripts, styles and data only from here, nothing inline, and no frame around it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

const WELCOME: &str = "Spanlight is running; open this address in a browser.\n\n\
     /api/v1/runs            runs, the latest first; /api/v1/runs/ID is one as a tree\n\
     /api/v1/now             what goes on this moment\n\
     /api/v1/ledger          tokens and cost: ?by=model|agent|tool|feature|run|day&window=1h|24h|all&explain=true\n\
     /api/v1/budgets         how budgets stand; /api/v1/budgets/NAME/verdict says whether work should go on\n\
     /api/v1/metrics         the summary of a window: ?window=1h&by=agent|feature|model|tool\n\
     /api/v1/events          recent events; /api/v1/stream is the same as they happen\n\
     /ws                     events as they happen, over a WebSocket\n\
     /metrics                for Prometheus; /api/v1/health is the same of the collector itself, as JSON\n\
     /healthz /readyz        whether the process lives, and whether its pipelines move\n\
     POST /v1/events         events as JSON\n\
     /api/openapi.json       all of this for programs; /api/asyncapi.json is what is said over WebSockets\n";

/// `GET /`: the page for browsers, a few lines for everybody else.
pub async fn root(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut response = match accept.contains("text/html") {
        true => page(headers).await,
        false => WELCOME.into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The page, whatever it is to show: that it reads from its address.
pub async fn page(headers: HeaderMap) -> Response {
    send(&INDEX, &headers)
}

/// `GET /assets/{path}`
pub async fn asset(extract::Path(path): extract::Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    match ASSETS.iter().find(|asset| asset.path == path) {
        Some(asset) => send(asset, &headers),
        None => api::not_found(uri).await,
    }
}

/// A file of the page.
struct Asset {
    path: &'static str,
    embedded: &'static [u8],
}

fn send(asset: &Asset, headers: &HeaderMap) -> Response {
    let body = content(asset);
    let tag = format!("\"{}\"", hex(&Sha256::digest(&body)[..12]));
    // Browsers ask each time whether it is still the same, so that a new collector never runs with an old page.
    let about = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(asset.path))),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    match is_known {
        true => (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)], about).into_response(),
        false => ([(header::ETAG, tag)], about, body).into_response(),
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was built in.
#[cfg(not(debug_assertions))]
fn content(asset: &Asset) -> Cow<'static, [u8]> {
    asset.embedded.into()
}

/// The file as it is now, so that whoever works on the page only has to reload it; elsewhere what was built in.
#[cfg(debug_assertions)]
fn content(asset: &Asset) -> Cow<'static, [u8]> {
    let file = format!("{}/src/web/assets/{}", env!("CARGO_MANIFEST_DIR"), asset.path);
    std::fs::read(file).map_or(asset.embedded.into(), Cow::Owned)
}

macro_rules! asset {
    ($path:literal) => {
        Asset { path: $path, embedded: include_bytes!(concat!("assets/", $path)) }
    };
}

const INDEX: Asset = asset!("index.html");

const ASSETS: &[Asset] = &[
    asset!("app.css"),
    asset!("app.js"),
    asset!("components/copy.js"),
    asset!("components/explain.js"),
    asset!("components/figures.js"),
    asset!("components/help.js"),
    asset!("components/icon.js"),
    asset!("components/json.js"),
    asset!("components/messages.js"),
    asset!("components/more.js"),
    asset!("components/runlist.js"),
    asset!("components/states.js"),
    asset!("components/status.js"),
    asset!("components/time.js"),
    asset!("components/virtual.js"),
    asset!("favicon.svg"),
    asset!("first.js"),
    asset!("lib/agents.js"),
    asset!("lib/api.js"),
    asset!("lib/clock.js"),
    asset!("lib/format.js"),
    asset!("lib/html.js"),
    asset!("lib/keys.js"),
    asset!("lib/live.js"),
    asset!("lib/notes.js"),
    asset!("lib/otlp.js"),
    asset!("lib/query.js"),
    asset!("lib/router.js"),
    asset!("lib/store.js"),
    asset!("lib/theme.js"),
    asset!("lib/token.js"),
    asset!("lib/transcript.js"),
    asset!("lib/tree.js"),
    asset!("lib/useruns.js"),
    asset!("lib/zoom.js"),
    asset!("run/agents.js"),
    asset!("run/calls.js"),
    asset!("run/detail.js"),
    asset!("run/events.js"),
    asset!("run/overview.js"),
    asset!("run/timeline.js"),
    asset!("run/transcript.js"),
    asset!("run/useevents.js"),
    asset!("screens/cost.js"),
    asset!("screens/health.js"),
    asset!("screens/now.js"),
    asset!("screens/run.js"),
    asset!("screens/runs.js"),
    asset!("screens/token.js"),
    asset!("screens/welcome.js"),
    asset!("vendor/LICENSE-htm.txt"),
    asset!("vendor/LICENSE-preact.txt"),
    asset!("vendor/htm-preact.js"),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true => found.extend(files(&path).into_iter().map(|file| format!("{name}/{file}"))),
                false => found.push(name),
            }
        }
        found
    }

    #[test]
    fn every_file_of_the_page_is_in_the_binary() {
        let mut there = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/assets"));
        there.retain(|file| file != INDEX.path && !file.ends_with("README.md"));
        there.sort();
        assert_eq!(ASSETS.iter().map(|asset| asset.path.to_owned()).collect::<Vec<_>>(), there);
    }

    #[test]
    fn what_is_of_others_is_as_they_published_it() {
        let readme = include_str!("assets/vendor/README.md");
        for asset in ASSETS.iter().filter(|asset| asset.path.starts_with("vendor/")) {
            let hash = hex(&Sha256::digest(asset.embedded));
            let name = asset.path.trim_start_matches("vendor/");
            let line = readme.lines().find(|line| line.contains(name)).unwrap_or_default();
            assert!(line.contains(&hash), "{name} has the hash {hash}, its README says: {line}");
        }
    }

    #[tokio::test]
    async fn browsers_get_the_page_and_others_a_few_lines() {
        let accept = |accept: &'static str| HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        let of = |response: &Response, name| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let page = root(accept("text/html,*/*;q=0.8")).await;
        assert_eq!(of(&page, header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert!(of(&page, header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'; script-src 'self';"));
        assert_eq!(of(&root(accept("*/*")).await, header::CONTENT_TYPE), "text/plain; charset=utf-8");
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, page.headers()[header::ETAG].clone())]);
        assert_eq!(super::page(known).await.status(), StatusCode::NOT_MODIFIED);
    }
}
