"""Cost and budgets: how much, on what, and how long it lasts."""

from .kit import DERIVED, PER_HOUR, PER_MINUTE, bars, dashboard, or_none, ratio, series, some, stat, table, total, variable, whose

COST, UNPRICED, INPUT = "agent_cost_usd_total", "agent_cost_unpriced_total", "agent_input_tokens_total"
MODEL = f'{DERIVED}, model=~"$model"'
OURS = f'{MODEL}, agent=~"$agent", feature=~"$feature"'
RANGE, RATE = "$__range", "$__rate_interval"
SPENT, LIMIT = f"agent_budget_spent_usd{{{DERIVED}}}", f"agent_budget_limit_usd{{{DERIVED}}}"
RESET = f"agent_budget_reset_timestamp_seconds{{{DERIVED}}}"
USED_UP = f"max by (job, budget) ({SPENT} / ({LIMIT} > 0))"
NEARLY = [(0.8, "yellow"), (1, "red")]


def hits(window, by=()):
    """Of the tokens that models read, how many caches served."""
    of = total(INPUT, OURS, window, by)
    read = f'{OURS}, cache="read"'
    return ratio(f"({total(INPUT, read, window, by)} or 0 * {of})", of)


def an_hour(by):
    return some(f"{total(COST, OURS, RATE, by)} / {PER_HOUR}")


def cost_by(label, heading, width=8):
    return series(f"Cost per hour by {label}", f"US dollars per hour, by {label}. What has no {label} has no name here.",
                  [(an_hour((label,)), f"{{{{{label}}}}}")], "currencyUSD", width, stacked=True)


FIGURES = [
    stat("Spent", "US dollars that calls of models cost in the range, as far as their price is known.",
         or_none(total(COST, OURS, RANGE)), "currencyUSD", None, 4, 2),
    stat("Per hour", "US dollars per hour, over the last hour.", or_none(total(COST, OURS, "1h")), "currencyUSD", None, 4, 2),
    stat("Tightest budget", "Spent of the budget of which most is spent, in its window that is open. Empty without budgets.",
         f"max({USED_UP})", "percentunit", NEARLY, 4, 0),
    stat("Unpriced calls", "Calls whose price is not known, so that they are in none of these figures. The list below says why.",
         or_none(total(UNPRICED, MODEL, RANGE)), "short", [(1, "yellow")], 4, 0),
    stat("Cache hit ratio", "Of the tokens that models read, how many a cache served. Empty if none were read.", hits(RANGE),
         "percentunit", None, 4, 1),
    stat("Counted too much", "US dollars of calls that turned out later to be counted a second time. The ledger is corrected; "
         "counters cannot be.", or_none(total("agent_cost_overcounted_usd_total", DERIVED, RANGE)), "currencyUSD",
         [(0.01, "yellow")], 4, 2),
]

BUDGETS = [
    bars("Budgets", "Spent of each budget in its window that is open; of several windows, in the one with the most.", USED_UP,
         "{{budget}}", "percentunit", 8, NEARLY, 1),
    series("Spending against limits", "What is spent of each budget, and how much may be. It falls when a window ends.",
           [(f"max by (job, budget) ({SPENT})", "{{budget}}"), (f"max by (job, budget) ({LIMIT})", "{{budget}} limit")],
           "currencyUSD", 8),
    table("How long budgets last", "Left of each budget, when its window ends, and when nothing is left if the spending of "
          "the last half hour goes on. The last is empty while nothing is spent, the end for budgets without one.",
          [("budget", "Budget")], [
              ("Spent", USED_UP.replace("by (job, budget)", "by (budget)"), "percentunit", NEARLY),
              ("Left", f"min by (budget) ({LIMIT} - {SPENT})", "currencyUSD", None),
              ("Ends in", f"min by (budget) ({RESET} - time())", "s", None),
              ("Lasts", f"min by (budget) (clamp_min({LIMIT} - {SPENT}, 0) / (deriv({SPENT[:-1]}}}[30m]) > 0))", "s", None),
          ], 8),
]

ON_WHAT = [
    cost_by("feature", "Feature"), cost_by("agent", "Agent"), cost_by("model", "Model"),
    table("Most expensive", "What was spent in the range, by feature, agent and model, and what the same calls read from "
          "caches.", [("feature", "Feature"), ("agent", "Agent"), ("model", "Model")], [
              ("Cost", f"topk(50, {some(total(COST, OURS, RANGE, ('feature', 'agent', 'model')))})", "currencyUSD", None),
              ("Cache hits", hits(RANGE, ("feature", "agent", "model")), "percentunit", None),
          ], 16),
    series("Cache hit ratio by model", "Of the tokens that a model read, how many a cache served. Over one hour at each point.",
           [(hits("1h", ("model",)), "{{model}}")], "percentunit", 8, most=1),
]

KNOWN = [
    series("Where prices come from", "US dollars per hour, by who says what a call costs: the price table, prices of your own, "
           "or the program itself.", [(an_hour(("price_source",)), "{{price_source}}")], "currencyUSD", 8, stacked=True),
    table("Unpriced calls by reason", "Calls of the range whose price is not known. An override of your own for the model is "
          "the remedy for an unknown one.", [("provider", "Provider"), ("model", "Model"), ("reason", "Reason")],
          [("Calls", some(total(UNPRICED, MODEL, RANGE, ("provider", "model", "reason"))), "short", None)], 8),
    series("Verdicts", "How often per minute programs asked whether there is money left, and what they were told.",
           [(f"{total('agent_budget_verdicts_total', DERIVED, RATE, ('verdict',))} / {PER_MINUTE}", "{{verdict}}")],
           "cpm", 8, stacked=True),
]

DASHBOARD = dashboard(
    "spanlight-cost", "Spanlight / Cost and budgets",
    "What calls of models cost, on what it was spent, and how long the money lasts.",
    [*whose(COST), variable("feature", COST, DERIVED), variable("agent", COST, DERIVED), variable("model", COST, DERIVED)],
    [("How much?", FIGURES), ("How long will it last?", BUDGETS), ("On what?", ON_WHAT), ("What is not known?", KNOWN)],
)
