"""What arrives where, with real peers on both sides. Prints a row of Markdown for each thing that was tried."""

import base64
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import traceback

import requests
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from peers import PATIENCE, ROOT, SPANLIGHT, TOOLS, Keys, Peers, command_of_redis, free_port, java, until

CONFIGS = ROOT / "collector-config"
REQUESTS = {
    "traces": (ExportTraceServiceRequest, "resource_spans"),
    "metrics": (ExportMetricsServiceRequest, "resource_metrics"),
    "logs": (ExportLogsServiceRequest, "resource_logs"),
}


# --- What is sent


def corpus():
    """The recorded requests of real agent software: signal, content type, bytes."""
    for path in sorted((ROOT / "tests/data/corpus").glob("*/*")):
        named = re.fullmatch(r"\d+\.(traces|metrics|logs)\.(pb|otlp\.json)", path.name)
        if named:
            kind = "application/x-protobuf" if named[2] == "pb" else "application/json"
            yield named[1], kind, path.read_bytes()


def post(port, signal, kind, body, host="127.0.0.1"):
    url = f"http://{host}:{port}/v1/{signal}"
    answer = requests.post(url, data=body, headers={"content-type": kind}, timeout=30)
    assert answer.status_code == 200, f"{signal}: {answer.status_code} {answer.text}"
    # Nothing was left out: no partial success, or one that is empty.
    assert answer.content in (b"", b"\x0a\x00", b"{}", b'{"partialSuccess":{}}'), f"{signal}: {answer.text}"


def send_corpus(port, signals=REQUESTS, host="127.0.0.1"):
    chosen = [one for one in corpus() if one[0] in signals]
    for signal, kind, body in chosen:
        post(port, signal, kind, body, host)
    return len(chosen)


def generate(signal, count, *more):
    """The Collector project's own generator."""
    command = [TOOLS / "go/telemetrygen", signal, f"--{signal}", str(count), "--otlp-insecure", "--rate", "0", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-600:]


# --- What is read back


def traces_of_corpus():
    """The traces that were sent in protobuf; there are others in JSON."""
    requests = [body for signal, kind, body in corpus() if signal == "traces" and kind == "application/x-protobuf"]
    return {trace for body in requests for trace, _ in spans_of(ExportTraceServiceRequest.FromString(body))}


def is_announcement(span):
    """Logfire announces work that is not over under ids that come to nothing: Spanlight alone reads and keeps them."""
    return any(one.key == "logfire.span_type" and one.value.string_value == "pending_span" for one in span.attributes)


def without_announcements(resource):
    for scope in resource.scope_spans:
        kept = [span for span in scope.spans if not is_announcement(span)]
        if len(kept) < len(scope.spans):
            del scope.spans[:]
            scope.spans.extend(kept)


def spans_of(request):
    found = {}
    for resource in request.resource_spans:
        without_announcements(resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                found[(span.trace_id.hex(), span.span_id.hex())] = (resource.resource, scope.scope, span)
    return found


def trace_of_jaeger(host, trace):
    answer = requests.get(f"http://{host}:16686/api/v3/traces/{trace}", timeout=10)
    if answer.status_code != 200:
        return {}
    found = answer.json()["result"]
    for resource in found.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                # OTLP's JSON has ids in hexadecimal, protobuf's own reader wants base64.
                for holder in [span, *span.get("links", [])]:
                    for key in ("traceId", "spanId", "parentSpanId"):
                        if holder.get(key):
                            holder[key] = base64.b64encode(bytes.fromhex(holder[key])).decode()
    return spans_of(ParseDict(found, ExportTraceServiceRequest(), ignore_unknown_fields=True))


def attributes(holder):
    """Attributes in an order of their own; of a key that stands twice the last counts, as for a map."""
    said = {one.key: one.value.SerializeToString(deterministic=True) for one in holder.attributes}
    # Jaeger's own, one more for each time that it is asked.
    said.pop("@jaeger@warnings", None)
    return said


def meaning(resource, scope, span):
    """What a span says, however it is written."""
    return (
        attributes(resource), scope.name, scope.version, span.name, span.kind, span.parent_span_id,
        span.start_time_unix_nano, span.end_time_unix_nano, attributes(span), span.status.code, span.status.message,
        # Jaeger puts them into an order of its own.
        sorted((event.time_unix_nano, event.name, sorted(attributes(event).items())) for event in span.events),
        sorted((link.trace_id, link.span_id, sorted(attributes(link).items())) for link in span.links),
    )


def groups_in_file(path, signal):
    """What the Collector wrote, a count for each group of one resource, as bytes."""
    groups = collections.Counter()
    for request in requests_in_file(path, signal):
        if signal == "traces":
            for group in request.resource_spans:
                without_announcements(group)
        groups.update(group.SerializeToString(deterministic=True) for group in getattr(request, REQUESTS[signal][1]))
    return groups


def requests_in_file(path, signal):
    """What the Collector's file exporter has written so far: each request behind its length."""
    data, at = path.read_bytes(), 0
    while (end := at + 4 + int.from_bytes(data[at : at + 4], "big")) <= len(data) and at < len(data):
        yield REQUESTS[signal][0].FromString(data[at + 4 : end])
        at = end


def to_files(peers, name):
    """A Collector that writes what it gets: its ports and its files."""
    ports = {"grpc": free_port(), "http": free_port()}
    files = {signal: peers.dir / f"{name}.{signal}" for signal in REQUESTS}
    config = peers.dir / f"{name}.yaml"
    exporters = "".join(f"  file/{signal}: {{path: {path}, format: proto}}\n" for signal, path in files.items())
    pipelines = "".join(f"    {signal}: {{receivers: [otlp], exporters: [file/{signal}]}}\n" for signal in REQUESTS)
    config.write_text(
        "receivers:\n  otlp:\n    protocols:\n"
        f"      grpc: {{endpoint: '127.0.0.1:{ports['grpc']}', max_recv_msg_size_mib: 64}}\n"
        f"      http: {{endpoint: '127.0.0.1:{ports['http']}'}}\n"
        f"exporters:\n{exporters}extensions: {{health_check: }}\n"
        f"service:\n  extensions: [health_check]\n  pipelines:\n{pipelines}"
    )
    peers.otelcol(config)
    return ports, files


# --- What is tried


def unchanged(peers, protocol):
    """The Collector gets from us, byte for byte, what it gets directly."""
    direct, direct_files = to_files(peers, f"direct-{protocol}")
    behind, behind_files = to_files(peers, f"behind-{protocol}")
    exporter = {
        "grpc": f"otlp: {{endpoint: '127.0.0.1:{behind['grpc']}', tls: {{insecure: true}}}}",
        "http": f"otlphttp: {{endpoint: 'http://127.0.0.1:{behind['http']}'}}",
    }[protocol]
    config = peers.dir / f"forward-{protocol}.yaml"
    name = exporter.split(":")[0]
    pipelines = "".join(f"    {signal}: {{receivers: [otlp], exporters: [{name}]}}\n" for signal in REQUESTS)
    config.write_text(
        f"receivers: {{otlp: {{protocols: {{grpc: , http: }}}}}}\nexporters: {{{exporter}}}\nextensions: {{web: }}\n"
        f"service:\n  extensions: [web]\n  pipelines:\n{pipelines}"
    )
    spanlight = peers.spanlight(config)
    sent = send_corpus(direct["http"])
    assert send_corpus(spanlight["http"]) == sent
    counts = []
    for signal in REQUESTS:
        wanted = groups_in_file(direct_files[signal], signal)
        until(f"{signal} behind Spanlight", lambda: groups_in_file(behind_files[signal], signal) == wanted)
        counts.append(f"{sum(wanted.values())} of {signal}")
    return f"{sent} requests; {', '.join(counts)}: every group of a resource equal in every byte"


def through_the_stack(peers):
    """Spanlight, the Collector, Jaeger, Redis and Prometheus, with the files of docker-compose.yml."""
    jaeger, redis = peers.jaeger("127.77.0.1"), peers.redis()
    ports = {name: free_port() for name in ("from_spanlight", "grpc", "http")}
    spanlight = peers.spanlight(
        CONFIGS / "compose.yaml",
        env={
            "REDIS_URL": f"redis://127.0.0.1:{redis}",
            "OTEL_COLLECTOR_ENDPOINT": f"127.0.0.1:{ports['from_spanlight']}",
        },
    )
    overrides = f"""receivers:
  otlp/spanlight: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{ports["from_spanlight"]}'}}}}}}
  otlp/programs:
    protocols: {{grpc: {{endpoint: '127.0.0.1:{ports["grpc"]}'}}, http: {{endpoint: '127.0.0.1:{ports["http"]}'}}}}"""
    env = {
        "TRACES_BACKEND": f"{jaeger}:4317",
        "SPANLIGHT_ENDPOINT": f"127.0.0.1:{spanlight['grpc']}",
    }
    peers.otelcol(CONFIGS / "otel-collector.yaml", overrides, env)
    prometheus = peers.prometheus({"spanlight": f"127.0.0.1:{spanlight['web']}"})
    return {"jaeger": jaeger, "redis": redis, "prometheus": prometheus, "collector": ports, **spanlight}


def corpus_in_jaeger(peers, stack):
    """Jaeger mends some of what it gets, so another one that got the corpus directly says how it should look."""
    direct = peers.jaeger("127.78.0.1")
    send_corpus(4318, ["traces"], host=direct)
    send_corpus(stack["http"], ["traces"])
    traces, count = traces_of_corpus(), 0
    for trace in sorted(traces):
        wanted = {key: meaning(*span) for key, span in trace_of_jaeger(direct, trace).items()}
        assert wanted, f"{trace} is not in the Jaeger that got it directly"
        until(f"trace {trace} in Jaeger", lambda: trace_of_jaeger(stack["jaeger"], trace).keys() == wanted.keys())
        found = {key: meaning(*span) for key, span in trace_of_jaeger(stack["jaeger"], trace).items()}
        wrong = [key for key in wanted if found[key] != wanted[key]]
        assert not wrong, f"{wrong[0]}:\n{wanted[wrong[0]]}\n{found[wrong[0]]}"
        count += len(wanted)
    same = "the same as in a Jaeger that got them directly: parents, times, attributes, events, links, status"
    return f"{count} spans in {len(traces)} traces, {same}"


def library_in_jaeger(stack):
    """Made-up agents trace themselves through the library; Jaeger has the trees that Spanlight has."""
    before = {run["id"] for run in runs(stack)}
    command = [str(SPANLIGHT), "demo", "--failure", "--speed", "50", "--to", f"http://127.0.0.1:{stack['http']}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-600:]
    def ours():
        return [run for run in runs(stack) if run["id"] not in before]

    until("runs of the library", ours)
    until("the runs to be over", lambda: all(run["status"] != "running" for run in ours()))
    ours = ours()
    count = 0
    for run in ours:
        tree = requests.get(f"http://127.0.0.1:{stack['web']}/api/v1/runs/{run['id']}", timeout=10).json()
        wanted = dict(edges(tree))
        trace = run["id"]
        until(
            f"run {trace} in Jaeger",
            lambda: wanted.items() <= {
                span: found.parent_span_id.hex()
                for (_, span), (_, _, found) in trace_of_jaeger(stack["jaeger"], trace).items()
            }.items(),
        )
        count += len(wanted)
    assert count, "there was nothing to compare"
    return f"{count} spans in {len(ours)} runs: every span of the tree that Spanlight shows, below the same parent"


def runs(stack):
    return requests.get(f"http://127.0.0.1:{stack['web']}/api/v1/runs?limit=1000", timeout=10).json()["runs"]


def accepted_by(stack, signal):
    return value_of(stack, "spanlight_receiver_accepted_total", signal=signal)


def metrics_in_prometheus(stack):
    def query(text):
        url = f"http://127.0.0.1:{stack['prometheus']}/api/v1/query"
        answer = requests.get(url, params={"query": text}, timeout=10)
        return [float(one["value"][1]) for one in answer.json()["data"]["result"]]

    until("a scrape", lambda: query('up{job="spanlight"}') == [1.0])
    text = requests.get(f"http://127.0.0.1:{stack['web']}/metrics", timeout=10).text
    families = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    accepted = 'sum(spanlight_receiver_accepted_total{signal="traces"})'
    ours = accepted_by(stack, "traces")
    assert ours > 0, "nothing was counted"
    until("Prometheus to have our counter", lambda: query(accepted) == [ours])
    for name, kind in families:
        sample = f"{name}_count" if kind in ("histogram", "summary") else name
        until(f"{sample} in Prometheus", lambda: query(f'count({sample}{{job="spanlight"}})'))
    return f"{len(families)} families of metrics, all of them; accepted spans {ours:.0f} here and there"


def events_in_redis(stack):
    health = requests.get(f"http://127.0.0.1:{stack['web']}/api/v1/health", timeout=10).json()
    events = health["next_event"]
    count = until(
        "all events in Redis",
        lambda: (n := command_of_redis(stack["redis"], "XLEN", "spanlight:events")) and n >= events and n,
    )
    keys = command_of_redis(stack["redis"], "KEYS", "*")
    buckets = [key for key in keys if key != "spanlight:events"]
    assert buckets, keys
    return f"{count} events in the stream, {len(buckets)} keys of sums by hour and day"


def collector_as_source(stack):
    """The project's generator to the Collector, and from there to us."""
    def accepted(signal):
        return accepted_by(stack, signal)

    before = {signal: accepted(signal) for signal in REQUESTS}
    grpc, http = (f"127.0.0.1:{stack['collector'][name]}" for name in ("grpc", "http"))
    generate("traces", 200, "--otlp-endpoint", grpc, "--child-spans", "3", "--span-links", "1")
    generate("metrics", 100, "--otlp-endpoint", grpc)
    generate("logs", 100, "--otlp-endpoint", http, "--otlp-http")
    wanted = {"traces": 800, "metrics": 100, "logs": 100}
    for signal, count in wanted.items():
        until(f"{count} of {signal}", lambda: accepted(signal) - before[signal] >= count)
    counts = {signal: int(accepted(signal) - before[signal]) for signal in REQUESTS}
    assert counts == wanted, counts
    return "800 spans, 100 points and 100 records sent to it, and as many taken by Spanlight"


def in_the_collectors_place(peers):
    """Spanlight runs the official Collector's file, and stands where it stood."""
    behind, files = to_files(peers, "place")
    ports = {name: free_port() for name in ("programs", "programs_http", "spanlight", "health")}
    sets = {
        "receivers.otlp/programs.protocols.grpc.endpoint": ports["programs"],
        "receivers.otlp/programs.protocols.http.endpoint": ports["programs_http"],
        "receivers.otlp/spanlight.protocols.grpc.endpoint": ports["spanlight"],
        "extensions.health_check.endpoint": ports["health"],
    }
    words = [word for key, port in sets.items() for word in ("--set", f"{key}=127.0.0.1:{port}")]
    backend = {"SPANLIGHT_ENDPOINT": f"127.0.0.1:{behind['grpc']}", "TRACES_BACKEND": f"127.0.0.1:{behind['grpc']}"}
    config = CONFIGS / "otel-collector.yaml"
    peers.run("place", SPANLIGHT, "run", "--config", config, "--data-dir", peers.dir / "place", *words, env=backend)
    health = f"http://127.0.0.1:{ports['health']}/"
    until("its health check", lambda: requests.get(health, timeout=5).json()["status"] == "Server available")
    generate("traces", 50, "--otlp-endpoint", f"127.0.0.1:{ports['programs']}")
    generate("logs", 50, "--otlp-endpoint", f"127.0.0.1:{ports['programs_http']}", "--otlp-http")

    def spans():
        return sum(len(spans_of(request)) for request in requests_in_file(files["traces"], "traces"))

    until("100 spans behind it", lambda: spans() == 100)
    until("records behind it", lambda: groups_in_file(files["logs"], "logs").total() > 0)
    return "collector-config/otel-collector.yaml as it is: 100 spans handed on, its health check answers"


def through_kafka(peers):
    """Spanlight to Kafka, and from there to Spanlight, with the files of the repository; Java says what is in between."""
    broker = peers.kafka()
    env = {"KAFKA_BROKERS": broker, "SPANLIGHT_CONTENT": "keep"}
    web = free_port()

    def reader(name):
        sets = ["--set", f"extensions.web.endpoint=127.0.0.1:{web}", "--data-dir", peers.dir / name]
        process = peers.run(name, SPANLIGHT, "run", "--config", CONFIGS / "kafka.yaml", *sets, env=env)
        until("the reader", lambda: requests.get(f"http://127.0.0.1:{web}/readyz", timeout=5).status_code == 200)
        return process

    first = reader("reader-1")
    sets = {
        "receivers.otlp.protocols.grpc.endpoint": free_port(),
        "receivers.otlp.protocols.http.endpoint": (http := free_port()),
        "extensions.health_check.endpoint": (health := free_port()),
    }
    words = [word for key, port in sets.items() for word in ("--set", f"{key}=127.0.0.1:{port}")]
    config = CONFIGS / "kafka-gateway.yaml"
    peers.run("gateway", SPANLIGHT, "run", "--config", config, "--data-dir", peers.dir / "gateway", *words, env=env)
    until("the gateway", lambda: requests.get(f"http://127.0.0.1:{health}/", timeout=5).status_code == 200)
    sent = send_corpus(http, ["traces"])
    wanted = sum(len(spans_of_body(kind, body)) for signal, kind, body in corpus() if signal == "traces")
    until("all spans at the reader", lambda: accepted_by({"web": web}, "traces") >= wanted)
    first.kill()
    first.wait()
    reader("reader-2")
    rebuilt = until("runs in progress at the next reader", lambda: accepted_by({"web": web}, "traces"))
    consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
    shown = ["--property", "print.key=true", "--property", "print.partition=true", "--property", "print.value=false"]

    def placed(topic):
        words = ["--bootstrap-server", broker, "--topic", topic, "--from-beginning", "--timeout-ms", 10000, *shown]
        lines = [line.split("\t") for line in java(consumer, *words).splitlines()]
        return {(key, partition) for partition, key in lines}

    ours = placed("otlp_spans")
    keys = sorted({key for key, _ in ours})
    java(
        "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", broker, "--topic", "of_java",
        "--property", "parse.key=true", text="".join(f"{key}\tx\n" for key in keys),
    )
    theirs = placed("of_java")
    assert ours == theirs and len(ours) == len(keys), f"{sorted(ours ^ theirs)[:4]}"
    return (
        f"{sent} requests, {wanted} spans read by a reader; {len(keys)} traces, each in the partition that Java's producer"
        f" puts its key into; {rebuilt:.0f} spans of runs in progress read again after `kill -9`"
    )


def through_kafka_with_tls(peers):
    """Spanlight to Kafka and from there to Spanlight, by certificates and by passwords; and who is not let in."""
    keys = Keys(peers.dir / "keys", "server", "client")
    stranger = Keys(peers.dir / "stranger", "client")
    doors = peers.kafka(keys)
    ours, readers = peers.dir / "ours", peers.dir / "readers"
    for folder in (ours, readers):
        shutil.copytree(stranger.folder, folder)
    trust = f"ca_file: {keys.folder}/ca.pem"
    certificate = f"tls: {{{trust}, cert_file: {ours}/client.pem, key_file: {ours}/client.key}}"

    def password(mechanism, word=keys.password):
        return f"tls: {{{trust}}}, auth: {{sasl: {{mechanism: {mechanism}, username: {keys.user}, password: {word}}}}}"

    ways = {
        "certificate": f"brokers: ['{doors['SSL']}'], {certificate}",
        "scram": f"brokers: ['{doors['SASL_SSL']}'], {password('SCRAM-SHA-512')}",
        "plain": f"brokers: ['{doors['SASL_SSL']}'], {password('PLAIN')}",
    }
    wrong = {
        "no_certificate": f"brokers: ['{doors['SSL']}'], tls: {{{trust}}}",
        "no_trust": f"brokers: ['{doors['SASL_SSL']}'], {password('PLAIN').replace(str(keys.folder), str(stranger.folder))}",
        "wrong_password": f"brokers: ['{doors['SASL_SSL']}'], {password('SCRAM-SHA-512', 'wrong')}",
    }

    def config(name, receivers, exporters, pipelines):
        path = peers.dir / f"{name}.yaml"
        path.write_text(
            f"receivers:\n{receivers}exporters:\n{exporters}connectors: {{agent: }}\nextensions: {{web: }}\n"
            f"service:\n  extensions: [web]\n  pipelines:\n{pipelines}"
        )
        return path

    def exporter(way, settings):
        topic = f"traces: {{topic: {way}}}, content: keep, sending_queue: {{queue_size: 100000}}"
        return f"  kafka/{way}: {{{settings}, {topic}, retry_on_failure: {{max_interval: 1s}}}}\n"

    for way in ways:
        java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", doors["PLAINTEXT"], "--create", "--topic", way)
    otlp = "  otlp: {protocols: {grpc: , http: }}\n"
    sending = config(
        "sending", otlp, "".join(exporter(*one) for one in (ways | wrong).items()),
        "".join(f"    traces/{way}: {{receivers: [otlp], exporters: [kafka/{way}]}}\n" for way in ways | wrong),
    )
    gateway = peers.spanlight(sending)
    sent = send_corpus(gateway["http"], ["traces"])
    wanted = sum(len(spans_of_body(kind, body)) for signal, kind, body in corpus() if signal == "traces")

    def retried(way):
        return value_of(gateway, "spanlight_exporter_retried_total", exporter=f"kafka/{way}", signal="traces")

    for way in ("certificate", *wrong):
        until(f"a refusal of {way}", lambda: retried(way) > 0)

    def trust_us(folder):
        for file in ("client.pem", "client.key"):
            shutil.copy(keys.folder / file, folder / file)

    trust_us(ours)
    receivers = "".join(
        f"  kafka/{way}: {{{settings.replace(str(ours), str(readers))}, traces: {{topics: [{way}]}}, group_id: {way},"
        " initial_offset: earliest}\n"
        for way, settings in ways.items()
    )
    reading = config(
        "reading", otlp + receivers, "",
        "".join(f"    traces/{way}: {{receivers: [kafka/{way}, otlp], exporters: [agent]}}\n" for way in ways),
    )
    reader = peers.spanlight(reading)

    def read(way):
        return value_of(reader, "spanlight_receiver_accepted_total", receiver=f"kafka/{way}", signal="traces")

    refused = "kafka/certificate: cannot read of"
    until("a refusal of who reads", lambda: any(refused in log.read_text() for log in peers.dir.glob("spanlight-*.log")))
    trust_us(readers)
    for way in ways:
        until(f"all spans by {way}", lambda: read(way) >= wanted, 2 * PATIENCE)
    for way in wrong:
        assert value_of(gateway, "spanlight_exporter_sent_total", exporter=f"kafka/{way}", signal="traces") == 0, way
    return (
        f"{sent} requests, {wanted} spans by each of: certificates of clients, SCRAM-SHA-512 and PLAIN over TLS, written and"
        " read; certificates that the broker did not trust were replaced in their files, of who writes and of who reads, and"
        " trusted without a restart; without a certificate, with a wrong password, and to a broker of another authority"
        " nothing was sent"
    )


def value_of(ports, name, **labels):
    """The sum of the samples of a metric that have these labels."""
    text = requests.get(f"http://127.0.0.1:{ports['web']}/metrics", timeout=10).text
    samples = re.findall(rf"^{name}\{{([^}}]*)\}} (\S+)$", text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for said, value in samples if all(one in said.split(",") for one in wanted))


def spans_of_body(kind, body):
    if kind == "application/x-protobuf":
        return spans_of(ExportTraceServiceRequest.FromString(body))
    return [span for resource in json.loads(body)["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]


def configurations(_):
    """What the programs themselves say of the files that they are given."""
    checks = [
        [TOOLS / "go/otelcol", "validate", "--config", CONFIGS / "otel-collector.yaml"],
        [TOOLS / "go/compose", ROOT / "docker-compose.yml"],
    ]
    if shutil.which("systemd-analyze"):
        unit = ROOT / "packaging/spanlight.service"
        checks.append(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit])
    rules = ROOT / "prometheus"
    if (rules / "prometheus.yml").exists():
        promtool = TOOLS / "prometheus/usr/bin/promtool"
        checks.append([promtool, "check", "config", "--syntax-only", rules / "prometheus.yml"])
    for command in checks:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return ", ".join(pathlib.Path(command[0]).name for command in checks) + " find nothing wrong"


def edges(tree):
    """Spans of a run's tree: id to the id of the span above."""
    def walk(node, above):
        yield node["span_id"], above
        for child in node.get("children", []):
            yield from walk(child, node["span_id"])

    for node in tree["tree"]:
        yield from walk(node, "")


def main():
    rows = []

    def row(what, attempt):
        try:
            rows.append((what, "yes", attempt()))
        except Exception as error:  # a peer that fails must not hide the others
            traceback.print_exc()
            rows.append((what, "NO", str(error).splitlines()[0][:200]))
        print(f"| {' | '.join(rows[-1])} |", flush=True)

    with Peers() as peers:
        row("configurations, by the programs' own checks", lambda: configurations(peers))
        for protocol in ("grpc", "http"):
            name = {"grpc": "`otlp` (gRPC)", "http": "`otlphttp`"}[protocol]
            row(f"the corpus → Spanlight, {name} → the Collector", lambda: unchanged(peers, protocol))
        stack = through_the_stack(peers)
        row("the corpus → Spanlight → the Collector → Jaeger", lambda: corpus_in_jaeger(peers, stack))
        row("the library → Spanlight → the Collector → Jaeger", lambda: library_in_jaeger(stack))
        row("the generator → the Collector → Spanlight", lambda: collector_as_source(stack))
        row("Spanlight ← Prometheus scrapes", lambda: metrics_in_prometheus(stack))
        row("Spanlight → Redis", lambda: events_in_redis(stack))
        row("Spanlight in the Collector's place", lambda: in_the_collectors_place(peers))
        row("Spanlight → Kafka → Spanlight", lambda: through_kafka(peers))
        row("Spanlight → Kafka → Spanlight, with TLS", lambda: through_kafka_with_tls(peers))
        logs = peers.dir
    if "--write" in sys.argv:
        write(rows)
    if any(result == "NO" for _, result, _ in rows):
        sys.exit(f"logs are in {logs}")
    shutil.rmtree(logs)


def write(rows):
    page = ROOT / "docs/interop.md"
    lines = [("what", "arrived", "how it was seen"), ("---", "---", "---"), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    begin, end = "<!-- results -->\n", "<!-- end of results -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + table + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
