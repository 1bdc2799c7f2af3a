//! What components of the OpenTelemetry Collector can be told that means nothing here: taken, and said, so that a
//! configuration written for it runs as it is. What would be missed, such as TLS of a receiver, is no such thing, and
//! stays an error.

use crate::config::{ComponentId, Node, Problem, Section};

/// Keys of some components, and why nothing comes of them.
struct Foreign {
    section: Section,
    kinds: &'static [&'static str],
    /// Dotted paths below the component.
    keys: &'static [&'static str],
    /// What such a key may say without a word about it, because it is so anyway.
    holds_anyway: &'static [&'static str],
    because: &'static str,
}

const OTLP: &[&str] = &["otlp", "otlp_grpc", "otlphttp", "otlp_http"];

const FOREIGN: &[Foreign] = &[
    Foreign {
        section: Section::Receivers,
        kinds: &["otlp"],
        keys: &[
            "protocols.grpc.keepalive",
            "protocols.grpc.read_buffer_size",
            "protocols.grpc.write_buffer_size",
            "protocols.http.idle_timeout",
            "protocols.http.keep_alives_enabled",
            "protocols.http.read_header_timeout",
            "protocols.http.read_timeout",
            "protocols.http.write_timeout",
        ],
        holds_anyway: &["true"],
        because: "connections have limits of their own",
    },
    Foreign {
        section: Section::Receivers,
        kinds: &["otlp"],
        keys: &["protocols.grpc.transport", "protocols.http.transport"],
        holds_anyway: &["tcp", "tcp4", "tcp6"],
        because: "it is always TCP",
    },
    Foreign {
        section: Section::Receivers,
        kinds: &["otlp"],
        keys: &["protocols.grpc.include_metadata", "protocols.http.include_metadata"],
        holds_anyway: &["false"],
        because: "headers of requests are not carried along",
    },
    Foreign {
        section: Section::Receivers,
        kinds: &["otlp"],
        keys: &["protocols.http.compression_algorithms"],
        holds_anyway: &[],
        because: "gzip and zstd are always understood, and nothing else",
    },
    Foreign {
        section: Section::Processors,
        kinds: &["batch"],
        keys: &["metadata_keys", "metadata_cardinality_limit"],
        holds_anyway: &[],
        because: "headers of requests are not carried along, so nothing is batched by them",
    },
    Foreign {
        section: Section::Processors,
        kinds: &["memory_limiter"],
        keys: &["min_gc_interval_when_soft_limited", "min_gc_interval_when_hard_limited"],
        holds_anyway: &[],
        because: "there is no garbage collector",
    },
    Foreign {
        section: Section::Exporters,
        kinds: OTLP,
        keys: &[
            "balancer_name",
            "compression_params",
            "disable_keep_alives",
            "force_attempt_http2",
            "http2_ping_timeout",
            "http2_read_idle_timeout",
            "idle_conn_timeout",
            "keepalive",
            "max_conns_per_host",
            "max_idle_conns",
            "max_idle_conns_per_host",
            "read_buffer_size",
            "wait_for_ready",
            "write_buffer_size",
        ],
        holds_anyway: &["false"],
        because: "connections are kept, one for each of `sending_queue.num_consumers`",
    },
    Foreign {
        section: Section::Exporters,
        kinds: OTLP,
        keys: &["sending_queue.enabled"],
        holds_anyway: &["true"],
        because: "there is always a queue, so that no exporter slows another",
    },
    Foreign {
        section: Section::Exporters,
        kinds: OTLP,
        keys: &["sending_queue.block_on_overflow"],
        holds_anyway: &[],
        because: "`sending_queue.on_full` and `sending_queue.patience` say what happens when it is full",
    },
    Foreign {
        section: Section::Exporters,
        kinds: &["debug"],
        keys: &["sampling_initial", "sampling_thereafter", "use_internal_logger"],
        holds_anyway: &["true"],
        because: "what the console cannot keep up with is dropped and counted",
    },
    Foreign {
        section: Section::Exporters,
        kinds: &["file"],
        keys: &["append", "create_directory", "flush_interval"],
        holds_anyway: &["true"],
        because: "folders are made, files are appended to, and every batch is written at once",
    },
    Foreign {
        section: Section::Exporters,
        kinds: &["file"],
        keys: &["rotation"],
        holds_anyway: &[],
        because: "`rotate`, `compress_after_days` and `delete_after_days` say how long files are kept",
    },
    Foreign {
        section: Section::Exporters,
        kinds: &["prometheus"],
        keys: &["add_metric_suffixes", "enable_open_metrics", "translation_strategy"],
        holds_anyway: &["true", "UnderscoreEscapingWithSuffixes"],
        because: "names are always Prometheus' own, and OpenMetrics is for whoever asks for it",
    },
    Foreign {
        section: Section::Exporters,
        kinds: &["prometheus"],
        keys: &["send_timestamps"],
        holds_anyway: &["false"],
        because: "what is scraped is as it is at that moment",
    },
    Foreign {
        section: Section::Extensions,
        kinds: &["health_check"],
        keys: &["check_collector_pipeline"],
        holds_anyway: &[],
        because: "that the pipelines move is always looked at",
    },
];

/// Extensions of the Collector that do what is done here without them, or look into a program written in Go.
const EXTENSIONS: &[(&str, &str)] = &[
    ("file_storage", "`sending_queue.storage` is enough: queues on disk are below the data directory, --data-dir"),
    ("pprof", "profiles of a Go program cannot be had of this one; `perf` works"),
    ("zpages", "the page and `/metrics` of the extension `web` show what it would"),
];

/// Whether the Collector has an extension of this type that is not run here, and says so if it has.
pub fn is_extension(id: &ComponentId, node: &Node, warnings: &mut Vec<Problem>) -> bool {
    let known = EXTENSIONS.iter().find(|(kind, _)| *kind == id.kind);
    warnings.extend(known.map(|(_, because)| Problem {
        place: node.place,
        path: format!("{}.{id}", Section::Extensions.name()),
        message: format!("not run: {because}"),
    }));
    known.is_some()
}

/// A component's configuration without what means nothing here, of which the warnings tell.
pub fn set_aside(section: Section, id: &ComponentId, node: &Node, warnings: &mut Vec<Problem>) -> Node {
    let mut left = node.clone();
    let concerned = FOREIGN.iter().filter(|foreign| foreign.section == section && foreign.kinds.contains(&&*id.kind));
    for foreign in concerned {
        for key in foreign.keys {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let Some(value) = path.iter().try_fold(node, |node, key| node.get(key)) else { continue };
            left.remove(&path);
            if !value.is_one_of(foreign.holds_anyway) {
                let path = format!("{}.{id}.{key}", section.name());
                warnings.push(Problem {
                    place: value.place,
                    path,
                    message: format!("means nothing here: {}", foreign.because),
                });
            }
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    #[test]
    fn what_means_nothing_is_taken_out_and_said_unless_it_is_so_anyway() {
        let node = parse_yaml("{path: a, append: true, flush_interval: 1s, rotation: {max_days: 3}}").unwrap();
        let mut warnings = Vec::new();
        let id = ComponentId::parse("file/2").unwrap();
        let left = set_aside(Section::Exporters, &id, &node, &mut warnings);
        assert_eq!(left.entries().unwrap().len(), 1);
        let said: Vec<&str> = warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(said, ["exporters.file/2.flush_interval", "exporters.file/2.rotation"]);
        let other = set_aside(Section::Exporters, &ComponentId::parse("debug").unwrap(), &node, &mut warnings);
        assert_eq!((other, warnings.len()), (node, 2));
    }
}
