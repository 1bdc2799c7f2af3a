#!/bin/sh
# Sends the spans of one agent run that has just ended, as OTLP/JSON. Needs curl and nothing else.
set -eu
url=${OTEL_EXPORTER_OTLP_ENDPOINT:-http://127.0.0.1:4318}
trace=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
now=$(date +%s)

# A span: id, parent, milliseconds from start to end, name, attributes, and a status where it failed.
span() {
    start=$((now * 1000 - 2000 + $3))
    end=$((now * 1000 - 2000 + $4))
    printf '{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":"%s","startTimeUnixNano":"%s000000","endTimeUnixNano":"%s000000","attributes":[%s]%s}' \
        "$trace" "$1" "$2" "$5" "$start" "$end" "$6" "${7:-}"
}
text() { printf '{"key":"%s","value":{"stringValue":"%s"}}' "$1" "$2"; }
int() { printf '{"key":"%s","value":{"intValue":"%s"}}' "$1" "$2"; }
operation() { text gen_ai.operation.name "$1"; }
chat() {
    printf '%s,%s,%s,%s,%s' "$(operation chat)" "$(text gen_ai.provider.name "$1")" "$(text gen_ai.request.model "$2")" \
        "$(int gen_ai.usage.input_tokens "$3")" "$(int gen_ai.usage.output_tokens "$4")"
}

spans="$(span 0000000000000003 0000000000000002 10 390 'chat gpt-4o' "$(chat openai gpt-4o 1840 95)"),
$(span 0000000000000004 0000000000000002 395 510 'execute_tool search_orders' "$(operation execute_tool),$(text gen_ai.tool.name search_orders)"),
$(span 0000000000000005 0000000000000002 515 640 'execute_tool search_manual' "$(operation execute_tool),$(text gen_ai.tool.name search_manual),$(text error.type TimeoutError)" ',"status":{"code":2,"message":"the index did not answer within 5 s"}'),
$(span 0000000000000006 0000000000000002 645 1100 'chat gpt-4o' "$(chat openai gpt-4o 2610 310)"),
$(span 0000000000000002 0000000000000001 5 1105 'invoke_agent researcher' "$(operation invoke_agent),$(text gen_ai.agent.name researcher)"),
$(span 0000000000000008 0000000000000007 1115 1620 'chat claude-sonnet-4-5' "$(chat anthropic claude-sonnet-4-5 3120 640)"),
$(span 0000000000000007 0000000000000001 1110 1625 'invoke_agent writer' "$(operation invoke_agent),$(text gen_ai.agent.name writer)"),
$(span 0000000000000001 '' 0 1630 'invoke_workflow answer-customer' "$(operation invoke_workflow),$(text gen_ai.workflow.name answer-customer),$(text spanlight.feature support)")"

curl --fail-with-body --silent --show-error -H 'Content-Type: application/json' --data-binary @- "$url/v1/traces" <<EOF
{"resourceSpans":[{"resource":{"attributes":[$(text service.name support-desk)]},"scopeSpans":[{"scope":{"name":"example"},"spans":[$spans]}]}]}
EOF
echo
