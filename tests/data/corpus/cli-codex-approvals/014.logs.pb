
Ã
Ì
%
telemetry.sdk.name
opentelemetry

service.name
codex_cli_rs
!
telemetry.sdk.version
0.31.0

service.version	
0.169.0

	host.name
vm
 
telemetry.sdk.language
rust

env
testr

codex_otel::metrics::clientQDEBUG*
flushing OTEL metricsY]²j«ƒêb$event otel/src/metrics/client.rs:324