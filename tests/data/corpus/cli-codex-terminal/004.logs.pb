
‘
Ì
 
telemetry.sdk.language
rust

service.name
codex_cli_rs

env
test

service.version	
0.169.0
!
telemetry.sdk.version
0.31.0

	host.name
vm
%
telemetry.sdk.name
opentelemetry¿
'
%codex_otel::events::session_telemetry“DEBUG*O
Mruntime metrics reset skipped: runtime metrics snapshot reader is not enabledYÜ”ô°,êb.event otel/src/events/session_telemetry.rs:551