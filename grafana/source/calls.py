"""LLM and tools: how models and tools answer, how fast, and what fails."""

from .kit import (
    DERIVED, PER_MINUTE, PER_SECOND, bars, dashboard, heatmap, or_none, quantile, ratio, series, some, stat, table, total, variable,
    whose,
)

CALLS = "gen_ai_client_operation_duration_seconds"
FIRST = "gen_ai_client_operation_time_to_first_chunk_seconds"
TOKENS = "gen_ai_client_token_usage_sum"
TOOLS, TOOL_TIME = "agent_tool_calls_total", "agent_tool_duration_seconds"
MODEL = f'{DERIVED}, gen_ai_request_model=~"$model"'
TOOL = f'{DERIVED}, tool=~"$tool"'
RANGE, RATE = "$__range", "$__rate_interval"
BY_MODEL, BY_TOOL = ("gen_ai_request_model",), ("tool",)
FAILED = 'error_type!=""'
SOME, MANY = (0.02, "yellow"), (0.1, "red")


def failing_calls(window, by=()):
    of = total(f"{CALLS}_count", MODEL, window, by)
    return ratio(f"({total(f'{CALLS}_count', f'{MODEL}, {FAILED}', window, by)} or 0 * {of})", of)


def failing_tools(window, by=()):
    of = total(TOOLS, TOOL, window, by)
    failed = f'{TOOL}, outcome="failed"'
    return ratio(f"({total(TOOLS, failed, window, by)} or 0 * {of})", of)


def mean(metric, matchers, window, by):
    took, times = (total(f"{metric}_{what}", matchers, window, by) for what in ("sum", "count"))
    return ratio(took, times)


FIGURES = [
    stat("Calls of models", "Calls of models and embeddings, each once, however many spans report it.",
         or_none(total(f"{CALLS}_count", MODEL, RANGE)), "short", None, 4, 0),
    stat("Failing calls", "Calls of models that failed, of all. Empty if there were none.", failing_calls(RANGE), "percentunit",
         [SOME, MANY], 4, 1),
    stat("p95 of calls", "95 of 100 calls of models took no longer. Of more than 82 seconds it is only known that they were.",
         quantile(0.95, CALLS, MODEL, RANGE), "s", None, 4),
    stat("p95 to first chunk", "95 of 100 streamed answers began no later. Empty where no program says so.",
         quantile(0.95, FIRST, MODEL, RANGE), "s", None, 4),
    stat("Failing tools", "Calls of tools that failed, of all. What was not allowed is no failure. Empty if there were none.",
         failing_tools(RANGE), "percentunit", [(0.05, "yellow"), (0.2, "red")], 4, 1),
    stat("p95 of tools", "95 of 100 calls of tools took no longer, once they were allowed.",
         quantile(0.95, TOOL_TIME, TOOL, RANGE), "s", None, 4),
]

MODELS = [
    heatmap("Latency of models", "How many calls took how long. The points are calls; each leads to its trace.", CALLS, MODEL),
    heatmap("Time to first chunk", "How many streamed answers began after how long. Empty where no program says so.", FIRST,
            MODEL),
    series("p95 by model", "95 of 100 calls of a model took no longer. The points are calls; each leads to its trace.",
           [(some(quantile(0.95, CALLS, MODEL, RATE, BY_MODEL)), "{{gen_ai_request_model}}")], "s", 8, exemplars=True),
    series("First chunk, p95 by model", "95 of 100 streamed answers of a model began no later.",
           [(some(quantile(0.95, FIRST, MODEL, RATE, BY_MODEL)), "{{gen_ai_request_model}}")], "s", 8, exemplars=True),
    series("Errors by type", "Failed calls of models per minute, by the type of the error. Empty if none failed.",
           [(some(f"{total(f'{CALLS}_count', f'{MODEL}, {FAILED}', RATE, ('error_type',))} / {PER_MINUTE}"), "{{error_type}}")],
           "cpm", 8, stacked=True),
    series("Tokens", "Tokens per second that models read, caches included, and wrote, reasoning included.",
           [(f"{total(TOKENS, MODEL, RATE, ('gen_ai_token_type',))} / {PER_SECOND}", "{{gen_ai_token_type}}")],
           "cps", 8, stacked=True),
    table("Models", "What each model was asked in the range.", [("gen_ai_request_model", "Model")], [
        ("Calls", some(total(f"{CALLS}_count", MODEL, RANGE, BY_MODEL)), "short", None),
        ("Failing", failing_calls(RANGE, BY_MODEL), "percentunit", [SOME, MANY]),
        ("Mean", mean(CALLS, MODEL, RANGE, BY_MODEL), "s", None),
        ("p95", some(quantile(0.95, CALLS, MODEL, RANGE, BY_MODEL)), "s", None),
        ("Tokens", some(total(TOKENS, MODEL, RANGE, BY_MODEL)), "short", None),
    ], 16),
]

TOOL_PANELS = [
    heatmap("Latency of tools", "How many calls of tools took how long. The points are calls; each leads to its trace.",
            TOOL_TIME, TOOL, width=12),
    bars("Slowest tools", "95 of 100 calls of a tool took no longer, of the ten that took longest in the range.",
         f"topk(10, {some(quantile(0.95, TOOL_TIME, TOOL, RANGE, BY_TOOL))})", "{{tool}}", "s", 12),
    table("Tools", "What each tool was called for in the range, and by whom.", [("tool", "Tool"), ("agent", "Agent")], [
        ("Calls", some(total(TOOLS, TOOL, RANGE, ("tool", "agent"))), "short", None),
        ("Failing", failing_tools(RANGE, ("tool", "agent")), "percentunit", [(0.05, "yellow"), (0.2, "red")]),
    ], 12),
    series("Calls of tools by outcome", "How many calls of tools ended per minute, and how.",
           [(f"{total(TOOLS, TOOL, RATE, ('outcome',))} / {PER_MINUTE}", "{{outcome}}")], "cpm", 12, stacked=True),
]

DASHBOARD = dashboard(
    "spanlight-calls", "Spanlight / LLM and tools",
    "How models and tools answer: how fast, how much, and what fails.",
    [*whose(TOOLS), variable("model", f"{CALLS}_count", DERIVED, label="gen_ai_request_model"),
     variable("tool", TOOLS, DERIVED)],
    [("Is anything wrong?", FIGURES), ("Models", MODELS), ("Tools", TOOL_PANELS)],
)
