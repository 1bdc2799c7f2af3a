"""Coding agents: what they did, what it cost, and what people let them do."""

from .kit import (
    DERIVED, PER_HOUR, PER_MINUTE, PER_SECOND, dashboard, falling, or_none, quantile, ratio, series, some, stat, table, total, whose,
)

AGENT = f'{DERIVED}, agent=~"$agent"'
RANGE, RATE = "$__range", "$__rate_interval"
RUNS, COST, TOOLS, LINES = "agent_runs_total", "agent_cost_usd_total", "agent_tool_calls_total", "agent_code_lines_total"
TOKENS = "gen_ai_client_token_usage_sum"
DECISIONS = "agent_review_decisions_total"
# Whoever decides what a coding agent may do. Critics of other agents have names of their own.
PEOPLE_AND_RULES = f'{DERIVED}, reviewer=~"user|policy"'
BY_AGENT = ("agent",)
AGENTS = [("Claude Code", "claude-code"), ("Codex", "codex"), ("Gemini CLI", "gemini-cli"), ("Qwen Code", "qwen-code"),
          ("GitHub Copilot", "copilot"), ("opencode", "opencode")]


def allowed(window):
    of = total(DECISIONS, PEOPLE_AND_RULES, window)
    good = f'{PEOPLE_AND_RULES}, decision="approved"'
    return ratio(f"({total(DECISIONS, good, window)} or 0 * {of})", of)


def failing(window, by=()):
    of = total(RUNS, AGENT, window, by)
    failed = f'{AGENT}, outcome=~"failed|lost"'
    return ratio(f"({total(RUNS, failed, window, by)} or 0 * {of})", of)


def lines(kind, window):
    matchers = f'{AGENT}, type="{kind}"'
    return total(LINES, matchers, window)


def chosen():
    """The names that Spanlight gives to the coding agents it knows, none of which sends all of these metrics."""
    options = [{"text": text, "value": value, "selected": False} for text, value in AGENTS]
    every = "|".join(value for _, value in AGENTS)
    return {
        "name": "agent", "label": "Coding agent", "type": "custom", "multi": True, "includeAll": True, "allValue": every,
        "query": ", ".join(f"{text} : {value}" for text, value in AGENTS), "hide": 0, "skipUrlSync": False,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [{"text": "All", "value": "$__all", "selected": True}, *options],
    }


FIGURES = [
    stat("Prompts", "Runs of coding agents: what was done for one prompt each.", or_none(total(RUNS, AGENT, RANGE)), "short",
         None, 3, 0),
    stat("Failing", "Runs that failed or were lost, of all that ended.", failing(RANGE), "percentunit",
         [(0.1, "yellow"), (0.3, "red")], 3, 1),
    stat("Sessions", "Sessions that began. Claude Code, Codex, Gemini CLI and Qwen Code count them.",
         or_none(total("agent_sessions_total", AGENT, RANGE)), "short", None, 3, 0),
    stat("Cost", "US dollars: what the agent says, else by the price table.", or_none(total(COST, AGENT, RANGE)),
         "currencyUSD", None, 3, 2),
    stat("Tokens", "Tokens read, caches included, and written.", or_none(total(TOKENS, AGENT, RANGE)), "short", None, 3),
    stat("Allowed", "Decisions of people and of rules that let a tool go ahead, of all. They are not told apart by agent. Empty "
         "where nobody was asked.", allowed(RANGE), "percentunit", falling((0.5, "yellow"), (0.8, "green")), 3, 1),
    stat("Lines changed", "Lines of code that were added and removed. Claude Code, Gemini CLI and Qwen Code count them.",
         or_none(total(LINES, AGENT, RANGE)), "short", None, 3, 0),
    stat("Commits", "Commits and pull requests. Claude Code counts them.",
         f"({or_none(total('agent_code_commits_total', AGENT, RANGE))})"
         f" + ({or_none(total('agent_code_pull_requests_total', AGENT, RANGE))})", "short", None, 3, 0),
]

WHO = [
    table("Coding agents", "What each did in the range.", [("agent", "Agent")], [
        ("Prompts", some(total(RUNS, AGENT, RANGE, BY_AGENT)), "short", None),
        ("Failing", failing(RANGE, BY_AGENT), "percentunit", [(0.1, "yellow"), (0.3, "red")]),
        ("p95", some(quantile(0.95, "agent_run_duration_seconds", AGENT, RANGE, BY_AGENT)), "s", None),
        ("Cost", some(total(COST, AGENT, RANGE, BY_AGENT)), "currencyUSD", None),
        ("Tokens", some(total(TOKENS, AGENT, RANGE, BY_AGENT)), "short", None),
        ("Tools", some(total(TOOLS, AGENT, RANGE, BY_AGENT)), "short", None),
    ], 12),
    series("Cost per hour by agent", "US dollars per hour, by agent.", [(some(f"{total(COST, AGENT, RATE, BY_AGENT)} / {PER_HOUR}"), "{{agent}}")],
           "currencyUSD", 12, stacked=True),
    series("Cost per hour by model", "US dollars per hour, by model.", [(some(f"{total(COST, AGENT, RATE, ('model',))} / {PER_HOUR}"), "{{model}}")],
           "currencyUSD", 8, stacked=True),
    series("Tokens by agent", "Tokens per second, read and written.",
           [(some(f"{total(TOKENS, AGENT, RATE, BY_AGENT)} / {PER_SECOND}"), "{{agent}}")], "cps", 8, stacked=True),
    series("Run duration", "95 of 100 prompts of an agent took no longer. The points are runs; each leads to its trace.",
           [(some(quantile(0.95, "agent_run_duration_seconds", AGENT, RATE, BY_AGENT)), "{{agent}}")], "s", 8, exemplars=True),
]

WORK = [
    series("Decisions", "How often per minute people and rules let a tool go ahead, or did not.",
           [(f"{total(DECISIONS, PEOPLE_AND_RULES, RATE, ('reviewer', 'decision'))} / {PER_MINUTE}",
             "{{decision}} by {{reviewer}}")], "cpm", 8, stacked=True),
    table("Tools", "What each agent called in the range.", [("agent", "Agent"), ("tool", "Tool")], [
        ("Calls", some(total(TOOLS, AGENT, RANGE, ("agent", "tool"))), "short", None),
    ], 8),
    series("Lines of code", "Lines per minute that were added and removed. Empty for agents that do not count them.",
           [(f"{total(LINES, AGENT, RATE, ('type',))} / {PER_MINUTE}", "{{type}}")], "cpm", 8),
]

DASHBOARD = dashboard(
    "spanlight-coding", "Spanlight / Coding agents",
    "Claude Code, Codex, Gemini CLI, Qwen Code, GitHub Copilot and opencode: what they did, what it cost, and what people let "
    "them do.",
    [*whose(RUNS), chosen()],
    [("How much?", FIGURES), ("Who?", WHO), ("Doing what?", WORK)],
)
