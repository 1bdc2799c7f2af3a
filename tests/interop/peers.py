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

    def kafka(self, keys=None):
        """A broker of one node: its address, and with keys those of its doors with TLS as well."""
        port, controller = free_port(), free_port()
        listeners = {"PLAINTEXT": port, "CONTROLLER": controller}
        config = self.dir / f"kafka-{port}.properties"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "log.dirs": self.dir / f"kafka-{port}",
            "num.partitions": 4,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
        }
        users = []
        if keys:
            listeners |= {"SSL": free_port(), "SASL_SSL": free_port()}
            settings |= self.doors_with_tls(keys)
            users = ["--add-scram", f"SCRAM-SHA-512=[name={keys.user},password={keys.password}]"]
        settings["listeners"] = ",".join(f"{name}://127.0.0.1:{at}" for name, at in listeners.items())
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config, *users)
        self.run("kafka", *JAVA, "kafka.Kafka", config)
        broker = f"127.0.0.1:{port}"
        for topic in ("otlp_spans", "otlp_logs", "otlp_metrics", "spanlight_events"):
            java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker, "--create", "--topic", topic)
        return {name: f"127.0.0.1:{at}" for name, at in listeners.items()} if keys else broker

    @staticmethod
    def doors_with_tls(keys):
        """One for who has a certificate of the authority, one for who has a password."""
        plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{keys.user}="{keys.password}";'
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": keys.both("server"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": keys.folder / "ca.pem",
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": plain,
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
        }

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


class Keys:
    """An authority in a folder: `ca.pem`, and `NAME.pem` with `NAME.key` of whom it knows; and a user with a password."""

    user, password = "spanlight", "open-sesame"

    def __init__(self, folder, *names):
        self.folder = folder
        folder.mkdir()
        self.openssl("-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={folder.name}")
        for name in names:
            signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
            who = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
            self.openssl("-keyout", f"{name}.key", "-out", f"{name}.pem", *who, *signed)

    def openssl(self, *words):
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        subprocess.run(["openssl", "req", "-x509", *kind, *words], cwd=self.folder, check=True, capture_output=True)

    def both(self, name):
        """A file with key and certificate in it."""
        file = self.folder / f"{name}-both.pem"
        file.write_text("".join((self.folder / f"{name}.{end}").read_text() for end in ("key", "pem")))
        return file


JAVA = ["java", "-Xmx384m", "-cp", f"{TOOLS}/kafka/libs/*"]


def java(tool, *words, text=None):
    """What a tool of Kafka's prints."""
    command = [*JAVA, tool, *(str(word) for word in words)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-600:]
    return done.stdout


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
