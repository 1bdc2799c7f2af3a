// OTLP/JSON as people read it. Nothing here touches the page.

/**
 * Spans as they were sent, each with what its resource and scope say.
 * @param {any[]} requests
 * @returns {{span: any, attributes: [string, any][], resource: [string, any][], scope: string}[]}
 */
export function spansOf(requests) {
  return requests.flatMap(({ resourceSpans = [] }) =>
    resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
      scopeSpans.flatMap(({ scope, spans = [] }) =>
        spans.map((span) => ({
          span,
          attributes: pairs(span.attributes),
          resource: pairs(resource?.attributes),
          scope: [scope?.name, scope?.version].filter(Boolean).join(" "),
        })),
      ),
    ),
  );
}

function pairs(attributes = []) {
  return attributes.map(({ key, value }) => [key ?? "", plain(value)]);
}

/** The value that a tagged one is. */
function plain(value = {}) {
  if ("arrayValue" in value) return (value.arrayValue.values ?? []).map(plain);
  if ("kvlistValue" in value) return Object.fromEntries(pairs(value.kvlistValue.values));
  return Object.values(value)[0] ?? null;
}
