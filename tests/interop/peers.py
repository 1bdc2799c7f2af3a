"""Programs of others and our own, started on free ports and ended with the program that started them."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target/tools"
SPANLIGHT = pathlib.Path(os.environ.get("SPANLIGHT", ROOT / "target/release/spanlight"))
PATIENCE = 60.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, look, patience=PATIENCE):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (requests.ConnectionError, ConnectionError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited {patience:.0f} s in vain for {what}")


def answers(url):
    return lambda: requests.get(url, timeout=5).status_code == 200


class Peers:
    """All that runs; `with` ends it."""

    def __enter__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="spanlight-interop-"))
        self.running = []
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            process.terminate()
        for process in self.running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, name, *command, env=None):
        log = open(self.dir / f"{name}-{len(self.running)}.log", "w")
        command = [str(word) for word in command]
        process = subprocess.Popen(
            command, cwd=self.dir, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}
        )
        self.running.append(process)
        return process

    def spanlight(self, config, sets=(), env=None):
        """Spanlight with a configuration of the repository, on ports of its own."""
        ports = {"grpc": free_port(), "http": free_port(), "web": free_port()}
        sets = [
            f"receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{ports['grpc']}",
            f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{ports['http']}",
            f"extensions.web.endpoint=127.0.0.1:{ports['web']}",
            *sets,
        ]
        words = [word for text in sets for word in ("--set", text)]
        data = self.dir / f"data-{ports['web']}"
        self.run("spanlight", SPANLIGHT, "run", "--config", config, "--data-dir", data, *words, env=env)
        until("Spanlight", answers(f"http://127.0.0.1:{ports['web']}/readyz"))
        return ports

    def otelcol(self, config, overrides="", env=None):
        """The official Collector with a configuration of the repository, and what differs on this machine."""
        health = free_port()
        if pathlib.Path(config).is_file():
            config = f"file:{config}"
        more = self.dir / f"otelcol-{health}.yaml"
        more.write_text(
            overrides
            + f"\nextensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}"
            + "\nservice: {telemetry: {metrics: {level: none}}}\n"
        )
        self.run("otelcol", TOOLS / "go/otelcol", "--config", config, "--config", f"file:{more}", env=env)
        until("the Collector", answers(f"http://127.0.0.1:{health}/"))

    def jaeger(self, host):
        """Jaeger as it comes, on an address of this machine that nobody else uses."""
        # These would listen everywhere, or where another one does.
        own = {"jaeger_query.http": 16686, "jaeger_query.grpc": 16685, "healthcheckv2.grpc": 13132}
        sets = [f"--set=extensions.{what}.endpoint={host}:{port}" for what, port in own.items()]
        env = {"JAEGER_LISTEN_HOST": host, "OTEL_TRACES_SAMPLER": "always_off"}
        self.run("jaeger", TOOLS / "go/jaeger", *sets, env=env)
        until("Jaeger", answers(f"http://{host}:13133/status"))
        return host

    def redis(self):
        port = free_port()
        server = TOOLS / "redis/usr/bin/redis-server"
        libraries = ":".join(str(path) for path in sorted((TOOLS / "redis/usr/lib").glob("*-linux-gnu")))
        self.run(
            "redis", server, "--port", port, "--bind", "127.0.0.1", "--appendonly", "yes", "--dir", self.dir,
            env={"LD_LIBRARY_PATH": libraries},
        )
        until("Redis", lambda: command_of_redis(port, "PING") == "PONG")
        return port

    def prometheus(self, targets):
        port = free_port()
        config = self.dir / f"prometheus-{port}.yml"
        jobs = [{"job_name": name, "static_configs": [{"targets": [target]}]} for name, target in targets.items()]
        config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}))
        self.run(
            "prometheus", TOOLS / "prometheus/usr/bin/prometheus", f"--config.file={config}",
            f"--storage.tsdb.path={self.dir}/prometheus-{port}", f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        )
        until("Prometheus", answers(f"http://127.0.0.1:{port}/-/ready"))
        return port


def command_of_redis(port, *words):
    """The answer to a command: a status, a number, or the lines of a list."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
        connection.sendall(b"*%d\r\n" % len(words) + parts)
        with connection.makefile("rb") as lines:
            return read_answer(lines)


def read_answer(lines):
    kind, rest = (line := lines.readline().rstrip(b"\r\n"))[:1], line[1:].decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return lines.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
    if kind == b"*":
        return [read_answer(lines) for _ in range(int(rest))]
    return rest
