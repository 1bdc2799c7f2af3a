//! Configurations for tests: OTLP and the web endpoint on free ports, and traces through what the test is about.

/// Traces that go to these exporters, each an id with its settings.
pub fn traces_to(exporters: &[(&str, &str)]) -> String {
    traces_through(&[], exporters)
}

/// Traces that go through these processors to these exporters.
pub fn traces_through(processors: &[(&str, &str)], exporters: &[(&str, &str)]) -> String {
    through("traces", processors, exporters)
}

/// Telemetry of a signal that goes through these processors to these exporters.
pub fn through(signal: &str, processors: &[(&str, &str)], exporters: &[(&str, &str)]) -> String {
    let section = |components: &[(&str, &str)]| -> String {
        components.iter().map(|(id, settings)| format!("  {id}: {settings}\n")).collect()
    };
    let ids = |components: &[(&str, &str)]| components.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(", ");
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:0'}}, http: {{endpoint: '127.0.0.1:0'}}}}}}}}\n\
         extensions: {{web: {{endpoint: '127.0.0.1:0'}}}}\n\
         processors:\n{}\
         exporters:\n{}\
         service:\n  extensions: [web]\n  pipelines:\n    \
         {signal}: {{receivers: [otlp], processors: [{}], exporters: [{}]}}\n",
        section(processors),
        section(exporters),
        ids(processors),
        ids(exporters),
    )
}
