"""Agents overview: is anything wrong, who is it, and why?"""

from .kit import (
    DERIVED, PER_MINUTE, dashboard, falling, or_none, quantile, ratio, series, some, stat, table, total, variable, whose,
)

AGENT = f'{DERIVED}, agent=~"$agent"'
FEATURE = f'{DERIVED}, feature=~"$feature"'
RANGE, RATE = "$__range", "$__rate_interval"
RUNS, ACTIVE = "agent_runs_total", "agent_active_time_seconds_total"
TASKS, ATTEMPTS = "agent_task_duration_seconds", "agent_task_attempts"
REVIEWS, VALIDATIONS = "agent_review_decisions_total", "agent_validation_results_total"
FAILED = 'outcome=~"failed|lost"'
DONE = 'outcome="completed"'
# Rules and modes let tools pass and say nothing of how often people and critics reject.
VERDICT = f'{DERIVED}, reviewer!="policy", decision=~"approved|rejected"'
REJECTED = f'{DERIVED}, reviewer!="policy", decision="rejected"'
PASSED = f'{FEATURE}, result="passed"'


def failing(window, by=()):
    """The share of runs that failed or were lost. Where none did it is zero, if there were runs."""
    ended = total(RUNS, AGENT, window, by)
    return ratio(f"({total(RUNS, f'{AGENT}, {FAILED}', window, by)} or 0 * {ended})", ended)


def rejecting(window, by=()):
    of = total(REVIEWS, VERDICT, window, by)
    return ratio(f"({total(REVIEWS, REJECTED, window, by)} or 0 * {of})", of)


def passing(window, by=()):
    of = total(VALIDATIONS, FEATURE, window, by)
    return ratio(f"({total(VALIDATIONS, PASSED, window, by)} or 0 * {of})", of)


def retries(window, by=()):
    attempts, tasks = (total(f"{ATTEMPTS}_{what}", FEATURE, window, by) for what in ("sum", "count"))
    return ratio(f"({attempts} - {tasks})", tasks)


def completion(window, by=()):
    took, tasks = (total(f"{TASKS}_{what}", f"{FEATURE}, {DONE}", window, by) for what in ("sum", "count"))
    return ratio(took, tasks)


def utilisation(window, seconds, by=("job", "instance", "agent")):
    return f"clamp_max({total(ACTIVE, AGENT, window, by)} / {seconds}, 1) > 0"


def outcome_of_task():
    spent = total("agent_cost_usd_total", FEATURE, RANGE)
    return ratio(spent, total(f"{TASKS}_count", f"{FEATURE}, {DONE}", RANGE))


WRONG = [
    stat("Failing runs", "Runs of agents that failed or were lost, of all that ended in the range. What was called off is no "
         "failure. Empty if nothing ended.", failing(RANGE), "percentunit", [(0.05, "yellow"), (0.2, "red")], 3, 1),
    stat("Rejection rate", "Reviews that rejected, of those that approved or rejected: by critics and by people. What rules "
         "let pass does not count. Empty if nobody reviewed anything.", rejecting(RANGE), "percentunit",
         [(0.3, "yellow"), (0.5, "red")], 3, 1),
    stat("Pass rate", "Validations that passed, of all. Empty if nothing was validated.", passing(RANGE), "percentunit",
         falling((0.6, "yellow"), (0.9, "green")), 3, 1),
    stat("Retries per task", "Attempts beyond the first, as a mean of the tasks that were completed or escalated. Empty if "
         "there were none with an id.", retries(RANGE), "short", [(0.5, "yellow"), (1.5, "red")], 3, 2),
    stat("Time to completion", "Mean time of tasks from their queue, else from their first start, to completion. Empty if none "
         "was completed.", completion(RANGE), "s", None, 3),
    stat("Cost per task", "All that was spent in the range, on whatever came of it, by the tasks that were completed. What "
         "comes of an unfinished task is counted later, its cost now. Empty if no task was completed.",
         outcome_of_task(), "currencyUSD", None, 3, 4),
    stat("Utilisation", "The share of the range in which an agent was at work, as a mean over the agents that were at all. "
         "Waiting for people is no work. A run counts when it has ended.", f"avg({utilisation(RANGE, '$__range_s')})",
         "percentunit", None, 3, 1),
    stat("Waiting for people", "Tasks that wait for people at this moment.",
         f"sum(agent_escalations_open{{{DERIVED}}})", "short", [(1, "yellow"), (5, "red")], 3, 0),
]

AGENTS = table(
    "Agents", "What each agent did in the range. Follow the name to what it cost.", [("agent", "Agent")], [
        ("Runs", some(total(RUNS, AGENT, RANGE, ("agent",))), "short", None),
        ("Failing", failing(RANGE, ("agent",)), "percentunit", [(0.05, "yellow"), (0.2, "red")]),
        ("p95", some(quantile(0.95, "agent_run_duration_seconds", AGENT, RANGE, ("agent",))), "s", None),
        ("Utilisation", f"avg by (agent) ({utilisation(RANGE, '$__range_s')})", "percentunit", None),
        ("Cost", some(total("agent_cost_usd_total", AGENT, RANGE, ("agent",))), "currencyUSD", None),
    ],
    width=14, height=9,
    links=[("Agent", {"title": "What it cost", "url": "/d/spanlight-cost?var-agent=${__value.text}&${job:queryparam}"
                      "&${instance:queryparam}&${__url_time_range}"})],
)
OPEN = series(
    "At work now", "Runs that have begun and not ended, by agent. Empty while none is open, and for agents whose SDK sends "
    "spans only when they have ended.",
    [(f"sum by (agent) (agent_in_flight{{{AGENT}}})", "{{agent}}")], "short", 10, stacked=True,
)
OPEN["gridPos"]["h"] = 9

WHO = [
    AGENTS, OPEN,
    series("Runs by outcome", "How many runs of agents ended per minute, and how.",
           [(f"{total(RUNS, AGENT, RATE, ('outcome',))} / {PER_MINUTE}", "{{outcome}}")], "cpm", 12, stacked=True),
    series("Run duration", "95 of 100 runs of an agent took no longer than that. The points are runs; each leads to its "
           "trace.", [(some(quantile(0.95, "agent_run_duration_seconds", AGENT, RATE, ("agent",))), "{{agent}}")], "s", 12,
           exemplars=True),
]

WHY = [
    series("Time to completion by feature", "Mean time from the queue to completion of the tasks of a feature, over one hour "
           "at each point. Features without tasks have no line.",
           [(completion("1h", ("feature",)), "{{feature}}")], "s", 8),
    series("Retries by feature", "Attempts beyond the first, as a mean of the tasks of a feature, over one hour at each "
           "point.", [(retries("1h", ("feature",)), "{{feature}}")], "short", 8),
    series("Rejection and pass rate", "How the two rates went, over one hour at each point.",
           [(rejecting("1h"), "rejection rate"), (passing("1h"), "pass rate")], "percentunit", 8, most=1),
    series("Escalations and answers", "How often per minute agents asked people, and how people answered.",
           [(f"{or_none(total('agent_escalations_total', DERIVED, RATE))} / {PER_MINUTE}", "escalated"),
            (f"{total('agent_human_wait_seconds_count', DERIVED, RATE, ('resolution',))} / {PER_MINUTE}",
             "{{resolution}}")], "cpm", 12),
    series("Human wait", "How long agents waited for people who then answered: half of them no longer than the lower line, "
           "95 of 100 no longer than the upper one. Over one hour at each point.",
           [(quantile(0.5, "agent_human_wait_seconds", DERIVED, "1h"), "median"),
            (quantile(0.95, "agent_human_wait_seconds", DERIVED, "1h"), "p95")], "s", 12),
]

DASHBOARD = dashboard(
    "spanlight-agents", "Spanlight / Agents overview",
    "What agents do and what comes of it: is anything wrong, who is it, and why?",
    [*whose(RUNS), variable("agent", RUNS, DERIVED), variable("feature", f"{TASKS}_count", DERIVED)],
    [("Is anything wrong?", WRONG), ("Who?", WHO), ("Why?", WHY)],
)
