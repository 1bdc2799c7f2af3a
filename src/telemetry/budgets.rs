//! Asking budgets from within a program: those of this process, and those that a collector keeps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};

use super::Telemetry;
use crate::budget::{Decision, Question, Reason, Snapshot, Unanswerable, Verdict};
use crate::event::Timestamp;
use crate::export::otlp::client::{self, Client, LARGEST_ANSWER, Rope};
use crate::export::otlp::config::url;
use crate::tls::Tls;

/// A budget that is about to be asked. Get one from [`Telemetry::budget`], say what is to be done as far as it matters,
/// and ask for the verdict.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `verdict()`"]
pub struct BudgetQuery {
    telemetry: Option<Telemetry>,
    name: String,
    question: Question,
}

/// Budgets that a collector keeps, asked for again and again, so that nobody waits for an answer.
#[derive(Clone, Default)]
pub struct RemoteBudgets(Arc<Mutex<Option<Snapshot>>>);

impl BudgetQuery {
    /// Of the telemetry, if there is any.
    pub(super) fn new(telemetry: Option<Telemetry>, name: &str) -> BudgetQuery {
        BudgetQuery { telemetry, name: name.to_owned(), question: Question::default() }
    }

    /// What the work is for.
    pub fn feature(mut self, feature: &str) -> BudgetQuery {
        self.question.whose.feature = Some(feature.into());
        self
    }

    /// The agent that is to work.
    pub fn agent(mut self, agent: &str) -> BudgetQuery {
        self.question.whose.agent = Some(agent.into());
        self
    }

    /// The model that is to be called.
    pub fn model(mut self, model: &str) -> BudgetQuery {
        self.question.whose.model = Some(model.into());
        self
    }

    /// The user for whom it is done.
    pub fn user(mut self, user: &str) -> BudgetQuery {
        self.question.whose.user = Some(user.into());
        self
    }

    /// A tag of the work.
    pub fn tag(mut self, tag: &str) -> BudgetQuery {
        let known = self.question.whose.tags.as_deref().unwrap_or_default();
        self.question.whose.tags = Some(known.iter().cloned().chain([tag.into()]).collect());
        self
    }

    /// The run in which it is done: its trace id, in hexadecimal.
    pub fn run(mut self, run: &str) -> BudgetQuery {
        self.question.run = Some(run.into());
        self
    }

    /// What it will probably cost, in US dollars.
    pub fn estimate(mut self, usd: f64) -> BudgetQuery {
        self.question.estimated_usd = Some(usd);
        self
    }

    /// Whether work should go on. Never waits, and never stops anybody for want of an answer: where nobody knows,
    /// [`Verdict::reason`] says why, and [`Verdict::age`] how old what is known is.
    pub fn verdict(&self) -> Verdict {
        let unknown = || Verdict::without_figures(&self.name, Decision::Allow, Reason::Unknown);
        let Some(telemetry) = &self.telemetry else { return unknown() };
        let own = telemetry.0.connector.judge(&self.name, &self.question);
        match (own, &telemetry.0.budgets) {
            (Ok(verdict), _) => verdict,
            (Err(Unanswerable::NoSuchBudget { .. }), Some(remote)) => {
                remote.judge(&self.name, &self.question).unwrap_or_else(unknown)
            }
            (Err(error), _) => error.allow(),
        }
    }
}

impl RemoteBudgets {
    /// How often the collector is asked.
    const INTERVAL: Duration = Duration::from_secs(2);
    /// How long it may take to answer.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// What asks the collector at a base URL, such as `http://127.0.0.1:3010`, for as long as it is polled.
    /// Sends a token along if there is one.
    pub fn poll(&self, base: &str, token: Option<&str>) -> Result<impl Future<Output = ()> + Send + use<>, String> {
        let uri = url(&format!("{}/api/v1/budgets", base.trim_end_matches('/')))?;
        let client = client::connect(&Tls::default(), uri.scheme_str() == Some("https"), false)?;
        let mut question = Request::get(uri);
        if let Some(token) = token {
            question = question.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let question = question.body(()).map_err(|_| "the token has characters that none may have")?;
        Ok(poll(self.clone(), client, question))
    }

    fn judge(&self, name: &str, question: &Question) -> Option<Verdict> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = known.as_ref()?.judge(name, question, Timestamp::now());
        Some(judged.unwrap_or_else(|error| error.allow()))
    }
}

/// Asks until nobody is left who could want to know.
async fn poll(remote: RemoteBudgets, client: Client, question: Request<()>) {
    let mut interval = tokio::time::interval(RemoteBudgets::INTERVAL);
    let mut has_failed = false;
    loop {
        interval.tick().await;
        let asked = tokio::time::timeout(RemoteBudgets::PATIENCE, ask(&client, &question)).await;
        match asked.unwrap_or_else(|_| Err("there is no answer".into())) {
            Ok(snapshot) => {
                has_failed = false;
                *remote.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    // Who we are there may stand before it.
                    let authority = question.uri().authority().map_or("", |authority| authority.as_str());
                    let host = authority.rsplit('@').next().unwrap_or_default();
                    crate::report::warn(&format!(
                        "budgets of {host}: {error}; until they are known, nobody is stopped"
                    ));
                }
            }
        }
    }
}

async fn ask(client: &Client, question: &Request<()>) -> Result<Snapshot, String> {
    let response =
        client.request(question.clone().map(|()| Rope::default())).await.map_err(|error| client::reason(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await.map_err(|error| error.to_string())?;
    match status {
        StatusCode::UNAUTHORIZED => {
            Err("the collector asks for a token: Builder::budgets_token, or SPANLIGHT_TOKEN".into())
        }
        _ if !status.is_success() => Err(format!("the collector answered {status}")),
        _ => Snapshot::read(&body.to_bytes(), Timestamp::now()),
    }
}
