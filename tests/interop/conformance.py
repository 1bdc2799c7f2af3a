"""The cases of `spanlight conformance` on receivers that really run. Prints, or writes, a table of all cases and one of
what came where a rule was not seen kept."""

import json
import shutil
import subprocess
import sys

from peers import ROOT, SPANLIGHT, TOOLS, Peers, free_port, until

SPECIFICATION = "https://opentelemetry.io/docs/specs/otlp/"
DOCUMENTS = {
    "common.proto": "https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/common/v1/common.proto",
    "grpc-compression": "https://github.com/grpc/grpc/blob/master/doc/compression.md",
    "grpc-over-http2": "https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md",
    "grpc-status-codes": "https://github.com/grpc/grpc/blob/master/doc/statuscodes.md",
    "protobuf-encoding": "https://protobuf.dev/programming-guides/encoding/",
    "protobuf-json-mapping": "https://protobuf.dev/programming-guides/json/",
    "trace.proto": "https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto",
}
SIGNS = {"passed": "✓", "failed": "✗", "not offered": "–", "skipped": ""}


def link(section):
    if section in DOCUMENTS:
        url = DOCUMENTS[section]
    elif section.startswith("rfc"):
        document, _, chapter = section.partition("-")
        url = f"https://www.rfc-editor.org/rfc/{document}#section-{chapter}"
    else:
        url = f"{SPECIFICATION}#{section}"
    return f"[{section}]({url})"


# --- The receivers, each as it comes


def spanlight(peers):
    ports = peers.spanlight(ROOT / "collector-config/default.yaml")
    return f"http://127.0.0.1:{ports['http']}", f"grpc://127.0.0.1:{ports['grpc']}"


def otelcol(peers):
    grpc, http = free_port(), free_port()
    protocols = f"grpc: {{endpoint: '127.0.0.1:{grpc}'}}, http: {{endpoint: '127.0.0.1:{http}'}}"
    pipelines = ", ".join(f"{name}: {{receivers: [otlp], exporters: [debug]}}" for name in ("traces", "metrics", "logs"))
    config = peers.dir / "otelcol-conformance.yaml"
    config.write_text(
        f"receivers: {{otlp: {{protocols: {{{protocols}}}}}}}\nexporters: {{debug: {{}}}}\n"
        f"service: {{extensions: [health_check], pipelines: {{{pipelines}}}}}\n"
    )
    peers.otelcol(config)
    return f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}"


def jaeger(peers):
    host = peers.jaeger("127.0.0.9")
    return f"http://{host}:4318", f"grpc://{host}:4317"


def rotel(peers):
    grpc, http = free_port(), free_port()
    peers.run(
        "rotel", TOOLS / "rotel/rotel/rotel-agent", "start", "--exporter", "blackhole",
        "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}",
    )
    url = f"http://127.0.0.1:{http}"
    asked = [SPANLIGHT, "conformance", url, "--only", "http.protobuf.traces"]
    until("Rotel", lambda: subprocess.run(asked, capture_output=True).returncode != 2)
    return url, f"grpc://127.0.0.1:{grpc}"


RECEIVERS = {"Spanlight": spanlight, "Collector": otelcol, "Jaeger": jaeger, "Rotel": rotel}


# --- What came of it


def tried(urls):
    done = subprocess.run([SPANLIGHT, "conformance", "--json", *urls], capture_output=True, text=True, timeout=900)
    assert done.returncode in (0, 1), done.stderr
    cases = [case for receiver in json.loads(done.stdout)["receivers"] for case in receiver["cases"]]
    return {case["name"]: case for case in cases}


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', '&#124;') for cell in line)} |\n" for line in lines)


def counts(results):
    rows = []
    for level in ("MUST", "SHOULD", "MAY"):
        cells = []
        for cases in results.values():
            of_level = [case["outcome"] for case in cases.values() if case["level"] == level]
            cells.append(f"{of_level.count('passed')} of {len(of_level) - of_level.count('skipped')}")
        rows.append([level, *cells])
    return table(["kept", *results], rows)


def all_cases(results):
    def row(case):
        signs = [SIGNS[cases[case["name"]]["outcome"]] for cases in results.values()]
        return [f"`{case['name']}`", case["level"], f"{case['rule']} ({link(case['section'])})", *signs]

    return table(["case", "level", "rule", *results], [row(case) for case in results["Spanlight"].values()])


def unkept(results):
    """A row for each rule and way to break it: those who share a library break it alike."""
    rows = {}
    for receiver, cases in results.items():
        for case in cases.values():
            if case["outcome"] == "failed":
                came = case["came"].replace("`", "'").replace("<", "&lt;")
                rows.setdefault((case["name"], case["level"], came), []).append(receiver)
    rows = [[f"`{name}`", level, ", ".join(receivers), came] for (name, level, came), receivers in rows.items()]
    return table(["case", "level", "receiver", "what came"], rows)


def write(name, text):
    page = ROOT / "docs/conformance.md"
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + text + end + rest.split(end)[1])


def main():
    results = {}
    with Peers() as peers:
        for name, start in RECEIVERS.items():
            results[name] = tried(start(peers))
        logs = peers.dir
    shutil.rmtree(logs)
    tables = {"counts": counts(results), "cases": all_cases(results), "unkept": unkept(results)}
    for name, text in tables.items():
        if "--write" in sys.argv:
            write(name, text)
        else:
            print(text)
    if any(case["outcome"] == "failed" for case in results["Spanlight"].values()):
        sys.exit("Spanlight does not keep every rule")


if __name__ == "__main__":
    main()
