
‘
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
test¿
'
%codex_otel::events::session_telemetry“DEBUG*O
Mruntime metrics reset skipped: runtime metrics snapshot reader is not enabledY\<µÝ€êb.event otel/src/events/session_telemetry.rs:551