//! Which runs mention a text: found out page by page, as far as runs are asked about.

use std::collections::{BTreeSet, HashSet};

use rusqlite::{Connection, Result, params_from_iter};

use super::query::{self, Fitting};
use super::{Shared, day, page};
use crate::event::{Filter, Timestamp};

/// What is known of who mentions a text.
pub struct Mentions<'h> {
    shared: &'h Shared,
    filter: Filter,
    days: Vec<Day>,
    /// Of the files in which that was found out.
    generation: u64,
    /// Runs that mention it.
    runs: HashSet<String>,
}

/// A day of history.
struct Day {
    date: String,
    /// Where the pages begin that may mention it and were not looked at, once that was asked.
    pages: Option<BTreeSet<i64>>,
}

impl<'h> Mentions<'h> {
    /// So few pages are looked at when their day is first asked about: that is sooner done than to look up which of them are
    /// of a run, for each run that there is.
    const FEW: usize = 64;

    /// Of what a filter takes.
    pub(super) fn of(shared: &'h Shared, filter: Filter) -> std::result::Result<Mentions<'h>, String> {
        let generation = shared.readers.generation();
        let days = shared.days_within(filter.times())?;
        let days = days.into_iter().map(|date| Day { date, pages: None }).collect();
        Ok(Mentions { shared, filter, days, generation, runs: HashSet::new() })
    }

    /// Whether a run that was at work between two times, or still is, has an event that the filter takes. What was told of it
    /// before or later is looked at as well, as far as there is some on each day.
    ///
    /// # Errors
    /// A file cannot be read; which, and why.
    pub fn has(
        &mut self,
        run: &str,
        (began, ended): (Timestamp, Option<Timestamp>),
    ) -> std::result::Result<bool, String> {
        let (first, last) = (began.date(), ended.unwrap_or_else(Timestamp::now).date());
        let mut begin = self.days.partition_point(|day| day.date < first);
        while let Some(before) = begin.checked_sub(1)
            && self.shared.read_day(&self.days[before].date, |connection| day::has_run(connection, run))? == Some(true)
        {
            begin = before;
        }
        self.begin_anew_if_files_did();
        let Mentions { shared, filter, days, runs, .. } = self;
        let fitting = Fitting::of(filter, 0..u64::MAX);
        for Day { date, pages } in &mut days[begin..] {
            if runs.contains(run) {
                return Ok(true);
            }
            let is_of_day = shared.read_day(date, |connection| {
                if *date > last && !day::has_run(connection, run)? {
                    return Ok(false);
                }
                let mut look = Look { connection, fitting: &fitting, runs };
                let pages = match pages {
                    Some(pages) => pages,
                    None => pages.insert(look.begin(filter)?),
                };
                look.at_pages_of(run, pages)?;
                Ok(true)
            })?;
            if is_of_day == Some(false) {
                break;
            }
        }
        Ok(runs.contains(run))
    }

    /// In files that were made anew pages begin elsewhere.
    fn begin_anew_if_files_did(&mut self) {
        let generation = self.shared.readers.generation();
        if std::mem::replace(&mut self.generation, generation) != generation {
            self.days.iter_mut().for_each(|day| day.pages = None);
        }
    }
}

/// A look into a day's file.
struct Look<'l> {
    connection: &'l Connection,
    fitting: &'l Fitting<'l>,
    runs: &'l mut HashSet<String>,
}

impl Look<'_> {
    /// Which pages have to be looked at when their runs are asked about.
    fn begin(&mut self, filter: &Filter) -> Result<BTreeSet<i64>> {
        let (sql, values) = query::pages_that_may_fit(filter);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let firsts = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        let mut pages: BTreeSet<i64> = firsts.collect::<Result<_>>()?;
        if pages.len() <= Mentions::FEW {
            std::mem::take(&mut pages).into_iter().try_for_each(|page| self.at(page))?;
        }
        Ok(pages)
    }

    /// Looks at what was not looked at yet of the pages of a run, the latest first, until it is found.
    fn at_pages_of(&mut self, run: &str, pages: &mut BTreeSet<i64>) -> Result<()> {
        if pages.is_empty() {
            return Ok(());
        }
        let sql = "SELECT first FROM pages_of_runs WHERE run = ?1 ORDER BY first DESC";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut firsts = statement.query([run])?;
        while let Some(first) = firsts.next()?.filter(|_| !self.runs.contains(run)) {
            let first = first.get(0)?;
            if pages.remove(&first) {
                self.at(first)?;
            }
        }
        Ok(())
    }

    /// Finds out which runs have an event in a page that fits.
    fn at(&mut self, first: i64) -> Result<()> {
        // What more comes into a page changes all that is read of it: it is read by one statement.
        let sql = "SELECT first, columns, packed FROM pages JOIN bodies USING (first) WHERE first = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([first])?;
        let row = rows.next()?.ok_or_else(page::damaged)?;
        let page = day::page_of(row)?;
        let mut events = self.fitting.events(&page);
        events.retain(|at| page.execution(*at).is_some_and(|run| !self.runs.contains(run)));
        if events.is_empty() {
            return Ok(());
        }
        let bodies = page.bodies(row.get_ref(2)?.as_bytes()?)?;
        for at in events {
            let run = page.execution(at).filter(|run| !self.runs.contains(*run));
            if let Some(run) = run.filter(|_| self.fitting.event(&bodies, at).is_some()) {
                self.runs.insert(run.to_owned());
            }
        }
        Ok(())
    }
}
