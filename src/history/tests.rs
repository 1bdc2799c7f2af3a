//! History as a whole: what is found is what fits, whatever happens to the files.

use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tempfile::TempDir;

use super::*;
use crate::event::{Data, EventName};
use crate::flow::Record;
use crate::journal::{Ack, Entry, Settings as JournalSettings};

const DAY: Duration = Duration::from_secs(86_400);

struct Kept {
    dir: TempDir,
    journal: Arc<Journal>,
    history: History,
}

impl Kept {
    fn open() -> Kept {
        Kept::open_in(tempfile::tempdir().unwrap())
    }

    fn open_in(dir: TempDir) -> Kept {
        let (journal, _) = Journal::open(&dir.path().join("journal"), JournalSettings::default()).unwrap();
        let journal = Arc::new(journal);
        let settings = Settings { directory: dir.path().join("history"), days: 30, max_bytes: 1 << 30 };
        let history = History::open(settings, journal.clone()).unwrap();
        Kept { dir, journal, history }
    }

    /// The same after a restart, with something done to its files in between.
    fn reopen(self, meanwhile: impl FnOnce(&std::path::Path)) -> Kept {
        let Kept { dir, journal, history } = self;
        drop(history);
        drop(journal);
        meanwhile(dir.path());
        Kept::open_in(dir)
    }

    fn tell(&self, events: &[Event]) {
        let entry = |event: &Event| Entry { kind: EVENT, payload: event.to_json().into() };
        self.journal.append(events.iter().map(entry).collect(), Ack::Journal).unwrap().wait().unwrap();
        self.settle();
    }

    /// The same, with the events at hand while they are written.
    fn pass_on(&self, events: &[Event]) {
        let records: Vec<SharedRecord> = events.iter().map(|event| Arc::new(Record::new(event.clone()))).collect();
        // Before the journal has them, so that the thread cannot be faster; nothing at hand counts until it has.
        let head = self.journal.head();
        self.history.appended(head..head + records.len() as u64, &records);
        self.tell(events);
        assert!(self.history.shared.at_hand.take(head..u64::MAX, 1).is_empty(), "they were taken from there");
    }

    /// Waits until all is entered.
    fn settle(&self) {
        let is_settled = || self.history.position() == self.journal.head();
        let begun = Instant::now();
        while !is_settled() {
            assert!(begun.elapsed() < Duration::from_secs(30), "history does not settle: {:?}", self.history);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All offsets that fit, page by page.
    fn offsets(&self, filter: &Filter, limit: usize) -> Vec<u64> {
        let (mut next, mut found) = (0, Vec::new());
        while next < self.history.position() {
            let page = self.history.read(next..self.history.position(), limit, filter).unwrap();
            assert!(page.next > next, "no progress from {next}");
            assert!(page.events.len() <= limit);
            found.extend(page.events.iter().map(|(offset, _)| *offset));
            next = page.next;
        }
        found
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = files::all(&self.history.shared.settings.directory).unwrap();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn soon() -> Instant {
    Instant::now() + History::PATIENCE
}

fn event(name: &str, at: Timestamp) -> Event {
    Event::named(EventName::parse(name).unwrap(), at)
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    Filter::from_pairs(pairs.iter().copied(), now()).unwrap()
}

const WORDS: &[&str] =
    &["alpha", "beta", "al", "lpha b", "検索", "AND", "\"beta\"", "alpha* OR", "x-ray", "read_timeout", "é"];

pub fn some_event() -> impl Strategy<Value = Event> {
    let name = select(vec!["agent.started", "agent.failed", "tool.completed", "llm.completed", "review.decided"]);
    let of = |values: &'static [&'static str]| proptest::option::of(select(values));
    let ids = (of(&["run-1", "run-2", "run-3"]), of(&["u1", "u2"]), of(&["t1", "t2"]), of(&["c1"]));
    let dimensions = (of(&["writer", "critic"]), of(&["checkout"]), of(&["gpt", "claude"]), of(&["grep", "sed"]));
    (name, ids, dimensions, vec(select(WORDS), 0..4), of(&["blue"]), 0..3u64, 1..11u8).prop_map(
        |(name, (run, user, task, conversation), (agent, feature, model, tool), said, tag, days, priority)| {
            let at = Timestamp::from_micros(now().minus(DAY * days as u32).as_micros());
            let mut event = event(name, at);
            let text = |value: Option<&str>| value.map(Arc::from);
            event.identity.execution_id = text(run);
            event.identity.user_id = text(user);
            event.identity.task_id = text(task);
            event.identity.conversation_id = text(conversation);
            event.dimensions.agent = text(agent);
            event.dimensions.feature = text(feature);
            event.dimensions.model = text(model);
            event.dimensions.tool = text(tool);
            event.tags.extend(text(tag));
            event.priority = crate::event::Priority::new(priority).unwrap_or_default();
            event.message = Some(said.join(" ").into()).filter(|_| said.len() != 2);
            event.data = Data::build(|data| data.str("input", &said.join("\n")));
            event
        },
    )
}

fn some_pair() -> impl Strategy<Value = (&'static str, String)> {
    let of = |field: &'static str, values: &'static [&'static str]| {
        select(values).prop_map(move |value| (field, value.to_owned()))
    };
    prop_oneof![
        of("execution", &["run-1", "run-2", "none"]),
        of("agent", &["writer", "critic"]),
        of("feature", &["checkout", "none"]),
        of("model", &["gpt"]),
        of("tool", &["grep", "sed"]),
        of("task", &["t1"]),
        of("user", &["u1", "u2"]),
        of("conversation", &["c1"]),
        of("status", &["failed", "completed"]),
        of("scope", &["agent", "tool", "llm_request"]),
        of("type", &["started", "failed"]),
        of("name", &["agent.*", "tool.completed"]),
        of("tag", &["blue"]),
        of("min_priority", &["3"]),
        of("since", &["25h", "1m"]),
        of("until", &["30m", "36h"]),
        of("q", WORDS),
        of("q", &["", "alp", "lph", "alpha beta", "NOT", "*", "\"", "a'; DROP TABLE events", "timeout"]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_fits(
        told in vec(some_event(), 1..700),
        (first, second) in (0..700usize, 0..700usize),
        at_hand in any::<bool>(),
        asked in vec((vec(some_pair(), 0..4), vec(some_pair(), 0..2), 1..50usize), 40),
    ) {
        let kept = Kept::open();
        // A page into which more comes is written anew.
        let (first, second) = (first.min(told.len()), second.clamp(first.min(told.len()), told.len()));
        kept.tell(&told[..first]);
        if at_hand { kept.pass_on(&told[first..second]) } else { kept.tell(&told[first..second]) };
        kept.tell(&told[second..]);
        for (pairs, limits, limit) in asked {
            let of = |pairs: &[(&'static str, String)]| {
                Filter::from_pairs(pairs.iter().map(|(field, value)| (*field, value.as_str())), now()).unwrap()
            };
            let filter = of(&pairs).within(of(&limits));
            let fits = told.iter().enumerate().filter(|(_, event)| filter.matches(event));
            let fits: Vec<u64> = fits.map(|(offset, _)| offset as u64).collect();
            prop_assert_eq!(kept.offsets(&filter, limit), fits, "{:?} within {:?}", pairs, limits);
        }
    }
}

#[test]
fn what_is_at_hand_is_entered_as_what_the_journal_has() {
    let told: Vec<Event> = (0..3000)
        .map(|number| {
            let mut event =
                if number % 3 == 0 { Event::agent_started("writer") } else { Event::agent_completed("writer") };
            event.timestamp = now().minus(DAY * (number % 2));
            event.identity.execution_id = Some(format!("run {}", number % 50).into());
            event.performance.cost_usd = Some(0.5);
            event.message = Some(format!("number {number}").into());
            event
        })
        .collect();
    let (one, other) = (Kept::open(), Kept::open());
    one.tell(&told);
    told.chunks(700).for_each(|part| other.pass_on(part));
    let all = |kept: &Kept| {
        let found = kept.history.read(0..3000, 3000, &Filter::default()).unwrap();
        let json = |(offset, record): &(u64, SharedRecord)| (*offset, record.json().to_owned());
        found.events.iter().map(json).collect::<Vec<_>>()
    };
    assert_eq!(all(&one), all(&other));
    let runs = |kept: &Kept| kept.history.runs(Began::EVER, 100, |_| true, |_| Ok(true), soon()).unwrap().runs;
    assert_eq!(runs(&one), runs(&other));
    assert_eq!(runs(&one).len(), 50);
    let mention = filter(&[("q", "number 2999")]);
    assert_eq!((one.offsets(&mention, 10), other.offsets(&mention, 10)), (vec![2999], vec![2999]));
}

#[test]
fn what_is_at_hand_waits_for_the_journal_and_is_entered_also_where_that_could_not_write() {
    let kept = Kept::open();
    let told: Vec<Event> = (0..10).map(|number| event("agent.failed", now().minus(DAY * number))).collect();
    let records: Vec<SharedRecord> = told.iter().map(|event| Arc::new(Record::new(event.clone()))).collect();
    kept.history.appended(0..10, &records);
    kept.tell(&told[..4]);
    assert_eq!(kept.offsets(&Filter::default(), 100), [0, 1, 2, 3]);
    kept.journal.skip(6);
    kept.tell(&told[..1]);
    assert_eq!(kept.offsets(&Filter::default(), 100), (0..=10).collect::<Vec<_>>());
}

#[test]
fn text_is_text_and_words_of_many_events_are_found() {
    let kept = Kept::open();
    let said = |text: &str| {
        let mut event = event("agent.failed", now());
        event.message = Some(text.into());
        event.identity.execution_id = Some(format!("run of {text}").into());
        event
    };
    let told: Vec<Event> = (0..3000).map(|number| said(&format!("number {number}"))).collect();
    kept.tell(&told);
    assert_eq!(kept.offsets(&filter(&[("q", "number 2999")]), 10), [2999]);
    assert_eq!(kept.offsets(&filter(&[("q", "NUMBER 299")]), 3).len(), 11);
}

#[test]
fn a_page_is_added_to_only_while_it_is_small() {
    let kept = Kept::open();
    for number in 0..4 {
        let mut event = event("agent.failed", now());
        event.message = Some(format!("number {number}").into());
        kept.tell(&vec![event; 40]);
    }
    let connection = day::open_to_read(&kept.files()[0]).unwrap();
    let mut pages = connection.prepare("SELECT first, columns FROM pages ORDER BY first").unwrap();
    let lengths = pages.query_map([], |row| Ok(day::page_of(row)?.len())).unwrap();
    assert_eq!(lengths.map(Result::unwrap).collect::<Vec<_>>(), [80, 80]);
    for number in 0..4 {
        let expected: Vec<u64> = (number * 40..(number + 1) * 40).collect();
        assert_eq!(kept.offsets(&filter(&[("q", &format!("number {number}"))]), 100), expected);
    }
}

#[test]
fn runs_that_mention_a_text_are_found_however_many_pages_do() {
    let kept = Kept::open();
    let yesterday = now().minus(DAY);
    let said = |run: usize, text: &str, at: Timestamp| {
        let mut event = event("agent.failed", at);
        event.message = Some(text.into());
        event.identity.execution_id = Some(format!("run {run}").into());
        event.identity.user_id = Some(format!("user {}", run % 3).into());
        event
    };
    let parity = |run: usize| if run.is_multiple_of(2) { "even" } else { "odd" };
    let of_run = |run: usize| (0..10).map(move |at| if at == 7 { parity(run) } else { "number" });
    let told: Vec<Event> = (0..1800).flat_map(|run| of_run(run).map(move |text| said(run, text, yesterday))).collect();
    kept.tell(&told);
    // Over midnight, also when the day before is looked through already.
    kept.tell(&[said(3, "and even this, once", now()), said(5, "number", now())]);
    let found = |pairs: &[(&str, &str)]| {
        let mut mentions = kept.history.mentions(filter(pairs)).unwrap();
        (0..1801)
            .rev()
            .filter(|run| mentions.has(&format!("run {run}"), (yesterday, None)).unwrap())
            .collect::<Vec<_>>()
    };
    let of = |fits: fn(usize) -> bool| (0..1800).rev().filter(|run| fits(*run)).collect::<Vec<_>>();
    assert_eq!(found(&[("q", "number")]), of(|_| true));
    assert_eq!(found(&[("q", "even")]), of(|run| run % 2 == 0 || run == 3));
    assert_eq!(found(&[("q", "odd"), ("user", "user 1")]), of(|run| run % 2 == 1 && run % 3 == 1));
    assert_eq!(found(&[("q", "once")]), [3]);
    assert!(found(&[("q", "numbers")]).is_empty());
}

#[test]
fn a_run_that_is_at_work_is_looked_for_on_all_its_days() {
    let kept = Kept::open();
    let said = |run: &str, text: &str, days: u32| {
        let mut event = event("agent.failed", now().minus(DAY * days));
        event.message = Some(text.into());
        event.identity.execution_id = Some(run.into());
        event
    };
    kept.tell(&[
        said("idle", "began", 3),
        said("other", "began", 2),
        said("begun before", "needle", 1),
        said("idle", "needle", 0),
        said("begun before", "goes on", 0),
    ]);
    let mut mentions = kept.history.mentions(filter(&[("q", "needle")])).unwrap();
    let mut has = |run: &str, days: u32| mentions.has(run, (now().minus(DAY * days), None)).unwrap();
    assert!(has("idle", 3), "it rested for two days");
    assert!(has("begun before", 0), "who asks knows today's part of it only");
    assert!(!has("other", 2));
}

#[test]
fn a_file_that_is_damaged_while_it_is_in_use_is_made_anew() {
    let kept = Kept::open();
    let told: Vec<Event> = (0..5000)
        .map(|number| {
            let mut event = event("agent.failed", now().minus(DAY * (number % 2)));
            event.message = Some(format!("number {number} {}", "x".repeat(200)).into());
            event
        })
        .collect();
    kept.tell(&told);
    let wanted = filter(&[("status", "failed")]);
    let before = kept.offsets(&wanted, 1000);
    assert_eq!(before.len(), 5000);
    let kept = kept.reopen(|_| {});
    let path = kept.files().remove(0);
    let size = fs::metadata(&path).unwrap().len() as usize;
    // All but the first pages, which are looked at when it is opened.
    let mut bytes = fs::read(&path).unwrap();
    bytes[16_384..].iter_mut().for_each(|byte| *byte = 0xA5);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len() as usize, size);
    let begun = Instant::now();
    let after = loop {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not made anew");
        let position = kept.history.position();
        let is_whole = position == kept.journal.head();
        match kept.history.read(0..position, usize::MAX, &wanted) {
            Ok(found) if is_whole && found.events.len() == 5000 => break found,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert_eq!(after.events.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), before);
    assert_eq!(kept.history.shared.counts.damaged.load(Relaxed), 1);
    assert!(path.with_extension("db.damaged").exists());
}

#[test]
fn whatever_is_wrong_with_files_at_the_start_the_same_is_found() {
    let mut kept = Kept::open();
    let told: Vec<Event> = (0..300).map(|number| event("agent.failed", now().minus(DAY * (number % 3)))).collect();
    kept.tell(&told);
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm, u64); 6] = [
        ("nothing", |_| {}, 0),
        ("gone", |file| fs::remove_file(file).unwrap(), 1),
        ("cut off", |file| fs::write(file, &fs::read(file).unwrap()[..5000]).unwrap(), 1),
        ("empty", |file| fs::write(file, "").unwrap(), 1),
        ("no database", |file| fs::write(file, "no database ".repeat(1000)).unwrap(), 1),
        ("no list", |file| fs::remove_file(file.with_file_name("days")).unwrap(), 0),
    ];
    for (harm, harms, damaged) in harms {
        kept = kept.reopen(|dir| {
            let files = files::all(&dir.join("history")).unwrap();
            harms(&files[1].1);
        });
        kept.settle();
        assert_eq!(kept.offsets(&filter(&[("status", "failed")]), 100).len(), 300, "{harm}");
        assert_eq!(kept.history.shared.counts.damaged.load(Relaxed), damaged, "{harm}");
    }
    // Of another journal, offsets mean other events: all of it is set aside.
    let kept = kept.reopen(|dir| fs::remove_dir_all(dir.join("journal")).unwrap());
    kept.tell(&[event("agent.started", now())]);
    assert_eq!(kept.offsets(&Filter::default(), 10), [0]);
    let others = fs::read_dir(kept.dir.path()).unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("history.of-another-journal")
    });
    assert_eq!(others.count(), 1);
}

#[test]
fn days_go_when_they_are_too_old_or_too_much() {
    let kept = Kept::open();
    let told: Vec<Event> = (0..8).map(|days| event("agent.failed", now().minus(DAY * days))).collect();
    kept.tell(&told);
    assert_eq!(kept.files().len(), 8);
    assert_eq!(kept.history.retain(now()), 0);
    assert_eq!(kept.history.retain(now().plus(DAY * 26)), 3, "of 8 days those that are older than 30");
    assert_eq!(kept.offsets(&Filter::default(), 10), [0, 1, 2, 3, 4]);
    let size = |path: &PathBuf| {
        let files = [path.clone(), path.with_extension("db-wal")];
        files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum::<u64>()
    };
    let total: u64 = kept.files().iter().map(size).sum();
    let settings = Settings { max_bytes: total - 1, ..kept.history.shared.settings.clone() };
    assert_eq!(files::retain(&settings, now()), 1);
    let settings = Settings { max_bytes: 1, ..settings };
    assert_eq!(files::retain(&settings, now()), 3, "the latest day stays");
    assert_eq!(kept.files().len(), 1);
    let late = [event("agent.failed", now().minus(DAY * 40)), event("agent.failed", now().plus(DAY * 3))];
    kept.tell(&late);
    let counts = &kept.history.shared.counts;
    assert_eq!((counts.too_old.load(Relaxed), counts.too_new.load(Relaxed)), (1, 1));
}

#[test]
fn what_comes_late_and_was_there_counts_once() {
    let kept = Kept::open();
    let old: Vec<Event> = (0..500)
        .map(|number| {
            let mut event = event("agent.failed", now().minus(DAY).plus(Duration::from_secs(number)));
            event.identity.execution_id = Some("run".into());
            event
        })
        .collect();
    kept.tell(&old);
    kept.tell(&old);
    let first = kept.offsets(&Filter::default(), 100);
    assert_eq!(first, (0..500).collect::<Vec<_>>());
    assert_eq!(kept.history.run("run").unwrap().map(|run| run.events), Some(500));
    assert_eq!(kept.history.shared.counts.known.load(Relaxed), 500);
    let other = event("agent.failed", now().minus(DAY));
    let known = kept.history.known(&[old[7].clone(), other]).unwrap();
    assert_eq!(known, HashSet::from([old[7].event_id]));
}

#[test]
fn runs_are_listed_from_their_first_day_on_and_page_by_page() {
    let kept = Kept::open();
    let noon = |days: u32| Timestamp::parse(&format!("{}T12:00:00Z", now().minus(DAY * days).date())).unwrap();
    let of_run = |id: &str, name: &str, at: Timestamp| {
        let mut event = event(name, at);
        event.identity.execution_id = Some(id.into());
        event
    };
    let mut told = Vec::new();
    for number in 0..20u64 {
        told.push(of_run(&format!("run-{number}"), "agent.started", noon(2).plus(Duration::from_secs(number))));
    }
    // Over two midnights.
    told.extend((1..3).map(|days| of_run("run-7", "agent.progress", noon(days))));
    told.push(of_run("run-7", "agent.failed", noon(0).minus(Duration::from_secs(3600 * 12))));
    kept.tell(&told);
    let (mut before, mut listed) = ((Timestamp::from_micros(i64::MAX), String::new()), Vec::new());
    loop {
        let began = Began { since: None, before: (before.0, &before.1) };
        let page = kept.history.runs(began, 6, |_| true, |_| Ok(true), soon()).unwrap();
        let Some(last) = page.runs.last() else { break };
        before = (last.started_at, last.id.clone());
        listed.extend(page.runs);
    }
    let ids: Vec<String> = listed.iter().map(|run| run.id.clone()).collect();
    let mut expected: Vec<String> = (0..20).rev().map(|number| format!("run-{number}")).collect();
    expected.retain(|id| id != "run-7");
    // Its first sign of progress is told to be as old as the first run.
    expected.insert(18, "run-7".into());
    assert_eq!(ids, expected);
    let run = &listed[18];
    assert_eq!((run.events, run.run_status().as_str(), run.seen_at), (4, "failed", told[22].timestamp));
    assert_eq!(kept.history.run("run-7").unwrap().as_ref(), Some(run));

    // What began outside the time that is asked for is not even looked at.
    let (since, before) = (noon(2).plus(Duration::from_secs(3)), (noon(2).plus(Duration::from_secs(9)), ""));
    let looked_at = std::cell::RefCell::new(Vec::new());
    let look = |id: &str| {
        looked_at.borrow_mut().push(id.to_owned());
        true
    };
    let page = kept.history.runs(Began { since: Some(since), before }, 50, look, |_| Ok(true), soon()).unwrap();
    let within = ["run-8", "run-6", "run-5", "run-4", "run-3"];
    assert_eq!(page.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), within);
    assert_eq!(*looked_at.borrow(), within);
    let none = Began { since: Some(noon(1)), ..Began::EVER };
    assert!(kept.history.runs(none, 50, |_| true, |_| Ok(true), soon()).unwrap().runs.is_empty());
}

#[test]
fn what_is_no_work_makes_no_run() {
    let kept = Kept::open();
    let completed = |id: &str, operation: &str| {
        let mut event = event("agent.completed", now());
        event.identity.execution_id = Some(id.into());
        event.data = Data::build(|data| data.str("operation", operation));
        event
    };
    let mut greeted = event("step.completed", now());
    greeted.identity.execution_id = Some("greeted".into());
    greeted.source.dialect = Some("mcp".into());
    kept.tell(&[completed("made", "create_agent"), completed("worked", "invoke_agent"), greeted]);
    let listed = kept.history.runs(Began::EVER, 10, |_| true, |_| Ok(true), soon()).unwrap().runs;
    assert_eq!(listed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["worked"]);
    assert_eq!(kept.offsets(&filter(&[("execution", "made")]), 10), [0], "it is told all the same");
}

#[test]
fn a_records_json_is_as_it_was_told() {
    let kept = Kept::open();
    let told = event("agent.failed", now());
    kept.tell(std::slice::from_ref(&told));
    let found = kept.history.read(0..1, 1, &filter(&[("status", "failed")])).unwrap();
    assert_eq!(found.events[0].1.json(), Record::new(told).json());
}
