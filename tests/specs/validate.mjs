// Says what is wrong with the API documents, and with what a collector really said by them.
//
// On its standard input: {openapi, asyncapi, answers: [{method, path, status, body}], messages: […]}. A member that a
// document does not know is an error here, though clients must take it.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

// The packages are those of the working directory.
const packages = createRequire(`${process.cwd()}/`)
const { Ajv } = packages('ajv')
const { Ajv2020 } = packages('ajv/dist/2020.js')
const formats = packages('ajv-formats').default
const { Validator } = await import(packages.resolve('@seriousme/openapi-schema-validator'))

const { openapi, asyncapi, answers, messages } = JSON.parse(readFileSync(0, 'utf8'))
const wrong = []

const openapiIs = await new Validator().validate(structuredClone(openapi))
if (!openapiIs.valid) wrong.push(`openapi.json: ${JSON.stringify(openapiIs.errors, null, 1)}`)

const asyncapiSchema = packages('@asyncapi/specs/schemas/3.0.0-without-$id.json')
const isAsyncapi = formats(new Ajv({ strict: false, allErrors: true })).compile(asyncapiSchema)
if (!isAsyncapi(asyncapi)) wrong.push(`asyncapi.json: ${JSON.stringify(isAsyncapi.errors?.slice(0, 20), null, 1)}`)

for (const [name, document] of Object.entries({ openapi, asyncapi })) {
  for (const ref of refs(document)) {
    const parts = ref.slice(2).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    if (parts.reduce((at, part) => at?.[part], document) === undefined) wrong.push(`${name}.json: there is no ${ref}`)
  }
}

function* refs(value) {
  if (value === null || typeof value !== 'object') return
  if (typeof value.$ref === 'string') yield value.$ref
  for (const each of Object.values(value)) yield* refs(each)
}

for (const [name, schema] of Object.entries(asyncapi.components.schemas)) {
  const same = openapi.components.schemas[name]
  if (same && JSON.stringify(same) !== JSON.stringify(schema)) wrong.push(`${name} is another in each document`)
}

/** What checks against the schema at a pointer of a document, with nothing in it that the schema does not name. */
function checker(document, name) {
  const ajv = formats(new Ajv2020({ strict: false, allErrors: true }))
  ajv.addSchema(closed(document), name)
  return (pointer) => ajv.getSchema(`${name}#${pointer}`)
}

function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed)
  if (schema === null || typeof schema !== 'object') return schema
  const all = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]))
  const isOpen = all.type === 'object' && typeof all.properties === 'object' && !('additionalProperties' in all)
  return isOpen ? { ...all, additionalProperties: false } : all
}

const pointer = (...parts) => parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')
const complain = (what, said, check) =>
  wrong.push(`${what}: ${check.errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`).join('\n    ')}\n    ${JSON.stringify(said).slice(0, 300)}`)

const ofAnswers = checker(openapi, 'openapi')
for (const { method, path, status, body } of answers) {
  const what = `${method.toUpperCase()} ${path} ${status}`
  const response = openapi.paths[path]?.[method]?.responses[status]
  if (!response) {
    wrong.push(`${what} is not in openapi.json`)
    continue
  }
  const at = response.$ref?.slice(1) ?? pointer('paths', path, method, 'responses', String(status))
  const check = ofAnswers(at + pointer('content', 'application/json', 'schema'))
  if (!check?.(body)) complain(what, body, check ?? { errors: [{ message: 'has no schema' }] })
}

const ofMessages = checker(asyncapi, 'asyncapi')
const seen = new Set()
for (const message of messages) {
  const name = message.type ?? 'bare'
  seen.add(name)
  const check = ofMessages(pointer('components', 'messages', name, 'payload'))
  if (!check?.(message)) complain(name, message, check ?? { errors: [{ message: 'is not in asyncapi.json' }] })
}
for (const name of Object.keys(asyncapi.components.messages)) {
  if (!seen.has(name)) wrong.push(`no ${name} was among the messages`)
}

console.log(`${answers.length} answers, ${messages.length} messages`)
if (wrong.length > 0) {
  console.error(wrong.join('\n'))
  process.exit(1)
}
