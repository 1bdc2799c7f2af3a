# syntax=docker/dockerfile:1
# Spanlight as a small image: one program on a base without a shell, run by nobody in particular, whose root file system
# may be read-only. Everything it writes is below /var/lib/spanlight.

FROM rust:1.95.0-slim-bookworm AS build
# What librdkafka and the allocator are built with.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY src src
COPY collector-config collector-config
COPY docs/bus.md docs/bus.md
# Benches, examples and two tests are named by the manifest, and not built.
COPY benches benches
COPY tests/archive/main.rs tests/archive/main.rs
COPY tests/kafka/main.rs tests/kafka/main.rs
COPY examples/client.rs examples/client.rs
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --features kafka,archive --bin spanlight \
    && install -D -s -m 755 target/release/spanlight /out/usr/local/bin/spanlight \
    && install -D -m 644 -t /out/etc/spanlight collector-config/*.yaml \
    && install -d -m 750 /out/var/lib/spanlight

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/usr /usr
COPY --from=build /out/etc/spanlight /etc/spanlight
# A volume that is made here belongs to whoever runs the program.
COPY --from=build --chown=65532:65532 /out/var/lib/spanlight /var/lib/spanlight
USER 65532:65532
WORKDIR /var/lib/spanlight
VOLUME ["/var/lib/spanlight"]
# OTLP over gRPC and HTTP; the page, the API and /metrics.
EXPOSE 4317 4318 3010
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/local/bin/spanlight", "health"]
ENTRYPOINT ["/usr/local/bin/spanlight"]
# Inside a container every interface has to be listened on; which ports are published decides who gets in.
CMD ["run", "--config", "/etc/spanlight/container.yaml", "--data-dir", "/var/lib/spanlight", "--insecure-bind"]
