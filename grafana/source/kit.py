"""What dashboards are made of: expressions, panels, and their places.

Panels are plain dictionaries in the form that Grafana keeps them in; a dashboard is a list of rows, and each panel says how
wide it is. Everything else (ids, places, data source, legends, colours) is the same for all and is decided here.
"""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

# What was counted by Spanlight itself: programs send metrics of the same names, which count the same calls once more.
DERIVED = 'job=~"$job", instance=~"$instance", otel_scope_name="spanlight"'
# What Spanlight says of itself.
HEALTH = 'job=~"$job", instance=~"$instance"'

# The same thing has the same colour wherever it is.
COLOURS = {
    "outcome": {"completed": "green", "failed": "red", "lost": "dark-red", "canceled": "#8e8e8e", "escalated": "purple"},
    "decision": {"approved": "green", "rejected": "red", "revise": "yellow"},
    "resolution": {"approved": "green", "rejected": "red", "timed_out": "orange", "escalated": "purple"},
    "verdict": {"allow": "green", "warn": "yellow", "stop": "red"},
    "type": {"added": "green", "removed": "red"},
    "gen_ai_token_type": {"input": "blue", "output": "purple"},
    "rejection rate": {"rejection rate": "red"},
    "pass rate": {"pass rate": "green"},
}

PER_MINUTE = "($__rate_interval_ms / 60000)"
PER_HOUR = "($__rate_interval_ms / 3600000)"
PER_SECOND = "($__rate_interval_ms / 1000)"


# Expressions.

def grown(metric, matchers, window):
    """By how much a counter has grown in a window, the first value of a new series included.

    `increase` takes the first value that it sees for the beginning. Series of agents are born with something in them (the
    first failure of an agent, the first call for a feature), and where traffic is sparse that is most of it. So a series
    that was not there when the window began counts as a whole; it is looked for an hour back, so that a gap in what was
    scraped makes nothing new.
    """
    series = f"{metric}{{{matchers}}}"
    born = f"last_over_time({series}[{window}]) unless last_over_time({series}[1h] offset {window})"
    return f"({born} or increase({series}[{window}]))"


def total(metric, matchers, window, by=()):
    return f"sum{grouping(by)} {grown(metric, matchers, window)}"


def ratio(part, whole):
    """Of nothing there is no share: it is absent then, and not zero."""
    return f"{part} / ({whole} > 0)"


def some(expression):
    """Only what there is any of: a hundred agents that did nothing would hide the three that did."""
    return f"({expression}) > 0"


def quantile(q, metric, matchers, window, by=()):
    buckets = f"{metric}_bucket"
    return f"histogram_quantile({q}, {total(buckets, matchers, window, ('le', *by))})"


def or_none(expression, there=f"spanlight_process_uptime_seconds_total{{{HEALTH}}}"):
    """None at all is zero where there is somebody who would have counted."""
    return f"({expression}) or (0 * max({there}))"


def grouping(by):
    return f" by ({', '.join(by)})" if by else ""


# Panels. Widths are of 24 columns.

def stat(title, description, expression, unit="short", steps=None, width=4, decimals=None, empty="–"):
    """One figure of the whole range, with how it came to be what it is."""
    panel = base("stat", title, description, width, 4, unit, empty)
    panel["options"] = {
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
        "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    panel["maxDataPoints"] = 60
    panel["targets"] = [target(expression, title)]
    defaults = panel["fieldConfig"]["defaults"]
    defaults["color"] = {"mode": "thresholds"}
    defaults["thresholds"] = thresholds(steps)
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel


def series(title, description, targets, unit="short", width=8, stacked=False, most=None, exemplars=False, limit=None):
    """How something went over time. `targets` are pairs of an expression and what its series are called."""
    panel = base("timeseries", title, description, width, 8, unit)
    panel["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["mean", "max"],
                   "sortBy": "Max", "sortDesc": True},
        "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
    }
    panel["targets"] = [target(expression, legend, exemplar=exemplars) for expression, legend in targets]
    defaults = panel["fieldConfig"]["defaults"]
    defaults["color"] = {"mode": "palette-classic-by-name"}
    defaults["min"] = 0
    if most is not None:
        defaults["max"] = most
    defaults["custom"] = {
        "drawStyle": "line", "lineWidth": 1, "lineInterpolation": "linear", "fillOpacity": 40 if stacked else 10,
        "gradientMode": "none", "showPoints": "auto", "pointSize": 4, "spanNulls": False, "axisPlacement": "auto",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if limit is not None else "off"},
    }
    if limit is not None:
        defaults["thresholds"] = thresholds([(limit, "red")])
    legends = [legend.split("}}")[0].strip("{") for _, legend in targets]
    panel["fieldConfig"]["overrides"] = [
        coloured(name, colour) for legend in legends for name, colour in COLOURS.get(legend, {}).items()
    ]
    return panel


def heatmap(title, description, metric, matchers, unit="s", width=12):
    """How many took how long, over time, with examples that lead to their traces."""
    panel = base("heatmap", title, description, width, 8, unit)
    panel["options"] = {
        "calculate": False, "cellGap": 1, "showValue": "never",
        "cellValues": {"unit": "short"},
        "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5,
                  "steps": 64, "reverse": False},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": unit},
    }
    buckets = total(f"{metric}_bucket", matchers, "$__rate_interval", ("le",))
    panel["targets"] = [target(buckets, "{{le}}", form="heatmap", exemplar=True)]
    panel["maxDataPoints"] = 120
    return panel


def bars(title, description, expression, legend, unit="short", width=8, steps=None, most=None):
    """A bar for each, the longest on top."""
    panel = base("bargauge", title, description, width, 8, unit, "none")
    panel["options"] = {
        "displayMode": "gradient", "orientation": "horizontal", "namePlacement": "auto", "showUnfilled": True,
        "valueMode": "color", "sizing": "auto", "minVizHeight": 16, "minVizWidth": 8, "maxVizHeight": 300,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    panel["targets"] = [target(expression, legend, instant=True)]
    defaults = panel["fieldConfig"]["defaults"]
    defaults["color"] = {"mode": "thresholds" if steps else "continuous-BlPu"}
    defaults["thresholds"] = thresholds(steps)
    defaults["min"] = 0
    if most is not None:
        defaults["max"] = most
    return panel


def table(title, description, by, columns, width=12, height=8, links=()):
    """A row for each value of the labels `by`: pairs of label and heading. `columns` are (heading, expression, unit, steps);
    the first of them is what is sorted by."""
    panel = base("table", title, description, width, height, "short", "–")
    panel["options"] = {
        "showHeader": True, "cellHeight": "sm", "frameIndex": 0,
        "sortBy": [{"displayName": columns[0][0], "desc": True}],
    }
    letters = [chr(ord("A") + number) for number in range(len(columns))]
    panel["targets"] = [
        dict(target(expression, heading, instant=True, form="table"), refId=letter)
        for letter, (heading, expression, _, _) in zip(letters, columns)
    ]
    # Of one query the value is called otherwise.
    names = [f"Value #{letter}" for letter in letters] if len(columns) > 1 else ["Value"]
    order = [label for label, _ in by] + names
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True},
            "indexByName": {name: place for place, name in enumerate(order)},
            "renameByName": dict([*by, *zip(names, [heading for heading, *_ in columns])]),
        }},
    ]
    defaults = panel["fieldConfig"]["defaults"]
    defaults["custom"] = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True}
    defaults["color"] = {"mode": "thresholds"}
    overrides = [override(heading, *column_properties(unit, steps)) for heading, _, unit, steps in columns]
    overrides += [override(heading, ("links", [link])) for heading, link in links]
    panel["fieldConfig"]["overrides"] = overrides
    return panel


def column_properties(unit, steps):
    yield ("unit", unit)
    if unit == "short":
        # What grew in a window is extrapolated to its ends: 9.06 runs were 9.
        yield ("decimals", 0)
    if steps:
        yield ("thresholds", thresholds(steps))
        yield ("custom.cellOptions", {"type": "color-text"})


def base(kind, title, description, width, height, unit, empty=None):
    defaults = {"unit": unit, "mappings": [], "thresholds": thresholds(None)}
    if empty is not None:
        defaults["noValue"] = empty
    return {
        "type": kind, "title": title, "description": " ".join(description.split()), "datasource": DATASOURCE,
        "gridPos": {"h": height, "w": width, "x": 0, "y": 0}, "fieldConfig": {"defaults": defaults, "overrides": []},
    }


def target(expression, legend, instant=False, form="time_series", exemplar=False):
    made = {
        "refId": "A", "datasource": DATASOURCE, "expr": " ".join(expression.split()), "legendFormat": legend,
        "editorMode": "code", "format": form, "instant": instant, "range": not instant,
    }
    if exemplar:
        made["exemplar"] = True
    return made


def thresholds(steps):
    """Green, and from each bound on another colour; or no opinion."""
    first = "green" if steps else "text"
    rest = [{"color": colour, "value": bound} for bound, colour in steps or ()]
    return {"mode": "absolute", "steps": [{"color": first, "value": None}, *rest]}


def falling(*steps):
    """The other way round: red, and from each bound on a better colour."""
    return [(0, "red"), *steps]


def coloured(name, colour):
    """What begins so: a legend may go on with who it was."""
    return override(f"/^{name}\\b/", ("color", {"mode": "fixed", "fixedColor": colour}), matcher="byRegexp")


def override(name, *properties, matcher="byName"):
    return {"matcher": {"id": matcher, "options": name},
            "properties": [{"id": key, "value": value} for key, value in properties]}


# Dashboards.

def dashboard(uid, title, description, variables, rows):
    """`rows` are pairs of a title and panels, which fill the width from left to right."""
    panels, y = [], 0
    for heading, row in rows:
        panels.append({"type": "row", "title": heading, "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}})
        y, x, tallest = y + 1, 0, 0
        for panel in row:
            place = panel["gridPos"]
            if x + place["w"] > 24:
                x, y, tallest = 0, y + tallest, 0
            place.update(x=x, y=y)
            x, tallest = x + place["w"], max(tallest, place["h"])
            letters = iter("ABCDEFGH")
            for one in panel["targets"]:
                one["refId"] = next(letters)
            panels.append(panel)
        y += tallest
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "uid": uid, "title": title, "description": " ".join(description.split()), "tags": ["spanlight"],
        "schemaVersion": 39, "version": 1, "editable": False, "graphTooltip": 1, "timezone": "browser",
        "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "weekStart": "",
        "fiscalYearStartMonth": 0, "liveNow": False, "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "Spanlight", "tags": ["spanlight"], "asDropdown": False,
                   "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "",
                   "url": ""}],
        "templating": {"list": [data_source(), *variables]},
        "panels": panels,
    }


def data_source():
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "regex": "",
            "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "options": [], "current": {"text": "default", "value": "default"},
            "skipUrlSync": False}


def variable(name, metric, matchers="", every=".*", label=None, heading=None):
    """What can be chosen of a label. `every` is what all of them are: with `.*` also what has no such label."""
    query = f"label_values({metric}{{{matchers}}}, {label or name})"
    return {
        "name": name, "label": heading or name.capitalize(), "type": "query", "datasource": DATASOURCE,
        "query": {"query": query, "refId": name}, "regex": "", "refresh": 2, "sort": 5,
        "multi": True, "includeAll": True, "allValue": every, "hide": 0, "options": [], "skipUrlSync": False,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def whose(metric):
    """The two variables that say whose metrics are shown."""
    return [variable("job", metric, every=".+"), variable("instance", metric, 'job=~"$job"', every=".+")]
