"""Spanlight health: does everything arrive, does everything go on, and is there room?"""

from .kit import HEALTH, PER_MINUTE, PER_SECOND, dashboard, or_none, series, stat, total, whose

RANGE, RATE = "$__range", "$__rate_interval"
ACCEPTED, REFUSED, DROPPED = "spanlight_receiver_accepted_total", "spanlight_receiver_refused_total", "spanlight_dropped_total"
SENT, EXPORT_FAILED, RETRIED = (f"spanlight_exporter_{what}_total" for what in ("sent", "failed", "retried"))
# Of these reasons nothing is lost that was wanted: it was there before, or somebody asked for it to be left out or to expire. What
# nobody read on the console stands elsewhere.
WANTED = "duplicate_span|duplicate_event|derived_here|expired|filtered|pending_span|processed"
LOST = f'{HEALTH}, component!="console", reason!~"{WANTED}"'
FULL = (f"(spanlight_queue_size{{{HEALTH}}} / (spanlight_queue_capacity{{{HEALTH}}} > 0) or "
        f"spanlight_queue_bytes{{{HEALTH}}} / (spanlight_queue_limit_bytes{{{HEALTH}}} > 0))")
JOURNAL, ARCHIVE = "spanlight_journal", "spanlight_archive"
UNARCHIVED = f'{HEALTH}, component="archive"'


FIGURES = [
    stat("Collectors", "Collectors that Prometheus can scrape, of those it knows.",
         f"sum(up{{{HEALTH}}}) / count(up{{{HEALTH}}})", "percentunit", [(0, "red"), (1, "green")], 3, 0),
    stat("Lost", "What was taken over and went nowhere, other than what was there before or was to be left out. It should be "
         "zero.", or_none(total(DROPPED, LOST, RANGE)), "short", [(1, "red")], 3, 0),
    stat("Refused", "What receivers did not take. Senders were told, and may have sent it again.",
         or_none(total(REFUSED, HEALTH, RANGE)), "short", [(1, "yellow")], 3, 0),
    stat("Not delivered", "What exporters gave up on.", or_none(total(EXPORT_FAILED, HEALTH, RANGE)), "short", [(1, "red")], 3,
         0),
    stat("Fullest queue", "How full the fullest queue of an exporter is. From a full one it drops, or senders wait.",
         f"max({FULL})", "percentunit", [(0.5, "yellow"), (0.8, "red")], 4, 0),
    stat("Memory", "Resident memory of the largest collector.", f"max(spanlight_process_memory_bytes{{{HEALTH}}})", "bytes",
         None, 4),
    stat("Up for", "How long the collector that was started last has run.",
         f"min(spanlight_process_uptime_seconds_total{{{HEALTH}}})", "s", None, 4, 0),
]

IN = [
    series("Received", "What receivers took over per second, by signal.",
           [(f"{total(ACCEPTED, HEALTH, RATE, ('signal',))} / {PER_SECOND}", "{{signal}}")], "cps", 8, stacked=True),
    series("Refused by reason", "What receivers did not take per minute. Overloaded and too slow may be sent again; the rest "
           "is wrong with the sender.",
           [(f"{total(REFUSED, HEALTH, RATE, ('reason',))} / {PER_MINUTE}", "{{reason}}")], "cpm", 8, stacked=True),
    series("Dropped by reason", "What was taken over and went nowhere per minute. Duplicates were there before; what was "
           "derived here or filtered was to be left out.",
           [(f"{total(DROPPED, HEALTH, RATE, ('component', 'reason'))} / {PER_MINUTE}", "{{reason}} in {{component}}")],
           "cpm", 8, stacked=True),
]

OUT = [
    series("Exporters", "What exporters delivered per second.",
           [(f"{total(SENT, HEALTH, RATE, ('exporter', 'signal'))} / {PER_SECOND}", "{{exporter}} {{signal}}")], "cps", 8,
           stacked=True),
    series("Failures of exporters", "Attempts per minute that are repeated, and items per minute that exporters gave up on.",
           [(f"{total(RETRIED, HEALTH, RATE, ('exporter',))} / {PER_MINUTE}", "{{exporter}} retried"),
            (f"{total(EXPORT_FAILED, HEALTH, RATE, ('exporter', 'reason'))} / {PER_MINUTE}", "{{exporter}} {{reason}}")],
           "cpm", 8),
    series("Queues", "How full the queue of each exporter is.",
           [(f"max by (exporter, signal) ({FULL})", "{{exporter}} {{signal}}")], "percentunit", 8, most=1, limit=0.8),
]

ROOM = [
    series("Memory", "Resident memory, the bytes of requests that are being read, and those that wait in queues.",
           [(f"max by (instance) (spanlight_process_memory_bytes{{{HEALTH}}})", "resident {{instance}}"),
            (f"sum(spanlight_receiver_in_flight_bytes{{{HEALTH}}})", "requests"),
            (f"sum(spanlight_queue_bytes{{{HEALTH}}})", "queues")], "bytes", 8),
    series("Journal", "Records per second that were written to journals, and those that wait to be.",
           [(f"{total(f'{JOURNAL}_appended_total', HEALTH, RATE, ('journal',))} / {PER_SECOND}", "{{journal}} written /s"),
            (f"max by (journal) ({JOURNAL}_waiting{{{HEALTH}}})", "{{journal}} waiting")], "short", 8),
    series("Runs in memory", "Runs that are kept in memory, open and closed.",
           [(f"sum by (instance) (spanlight_agent_runs{{{HEALTH}}})", "{{instance}}")], "short", 8),
    series("Archive", "Records of the journal that are not archived yet, events that the storage has acknowledged, attempts that failed "
           "and are repeated, and records that never will be archived. A segment is archived when it is full or an hour old, "
           "so that some always wait.",
           [(f"max by (instance) ({JOURNAL}_lag{{{HEALTH}, consumer=\"archive\"}})", "waiting {{instance}}"),
            (total(f"{ARCHIVE}_events_total", HEALTH, RATE), "archived"),
            (total(f"{ARCHIVE}_failures_total", HEALTH, RATE), "failed attempts"),
            (total(DROPPED, UNARCHIVED, RATE), "lost")], "short", 8),
    series("Limits that were reached", "How often per minute a bound was reached: series of a metric, rows of the ledger, runs "
           "in memory, measurements older than the oldest window. What was beyond it is summed under others or left out.",
           [(f"{total(f'spanlight_agent_{what}_total', HEALTH, RATE)} / {PER_MINUTE}", what.replace("_", " "))
            for what in ("series_overflow", "ledger_overflow", "runs_evicted", "runs_cut_short", "too_late")],
           "cpm", 16),
]

DASHBOARD = dashboard(
    "spanlight-health", "Spanlight / Health",
    "Does everything arrive, does everything go on, and is there room?",
    whose("spanlight_process_uptime_seconds_total"),
    [("Is anything wrong?", FIGURES), ("What comes in", IN), ("What goes out", OUT), ("Room", ROOM)],
)
