// SPDX-License-Identifier: Apache-2.0
// AWS as the test of session tags needs it, of two parts that others wrote. moto, behind this, gives out credentials, checks
// signatures and keeps objects. Whether somebody may do something is decided here, by iam-simulate: trust policies with
// their conditions, policies of roles with their variables, session policies. What a session is allowed follows from the
// AssumeRole that its credentials came from, and from nothing else.
// usage: node aws.mjs HOST PORT MOTO WORLD     each decision is a line of JSON on standard output
// WORLD: {"callers": {KEY-ID: ARN}, "principals": {ARN: {"policy", "trust"}}, "buckets": {NAME: ACCOUNT}}, read for each request
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const [host, port, moto, worldFile] = process.argv.slice(2)
const sessions = new Map() // by access key id: what AssumeRole was asked for
const world = () => JSON.parse(readFileSync(worldFile, 'utf8'))
const accountOf = (arn) => arn.split(':')[4]
const say = (line) => console.log(typeof line === 'string' ? line : JSON.stringify(line))

// ---- who asks ----

function callerOf(request) {
  const key = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '')?.[1]
  const user = world().callers[key]
  return sessions.get(key) ?? (user ? { arn: user, identity: user, tags: {}, transitive: [] } : undefined)
}

function contextOf(caller) {
  const tags = Object.entries(caller.tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value])
  return { 'aws:PrincipalArn': caller.identity, ...Object.fromEntries(tags) }
}

async function may(caller, action, resource, account, { context = {}, trust } = {}) {
  const result = await runSimulation({
    request: { principal: caller.arn, action, resource: { resource, accountId: account }, contextVariables: { ...contextOf(caller), ...context } },
    identityPolicies: [{ name: 'policy', policy: world().principals[caller.identity].policy }],
    sessionPolicy: caller.policy,
    resourcePolicy: trust,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  }, {})
  if (result.resultType === 'error') throw new Error(`${action}: ${JSON.stringify(result.errors)}`)
  say({ action, resource, caller: caller.arn, result: result.overallResult })
  return result.overallResult === 'Allowed'
}

// ---- STS ----

const listed = (form, name) => [...form].filter(([key]) => key.startsWith(`${name}.member.`)).map(([, value]) => value)

function tagsOf(form) {
  const tags = {}
  for (let n = 1; form.has(`Tags.member.${n}.Key`); n++) tags[form.get(`Tags.member.${n}.Key`)] = form.get(`Tags.member.${n}.Value`)
  return tags
}

function sessionOf(form, caller) {
  const inherited = Object.fromEntries(caller.transitive.map((key) => [key, caller.tags[key]]))
  const role = form.get('RoleArn')
  return {
    arn: `arn:aws:sts::${accountOf(role)}:assumed-role/${role.split('/').pop()}/${form.get('RoleSessionName')}`,
    identity: role,
    tags: { ...inherited, ...tagsOf(form) },
    transitive: [...caller.transitive, ...listed(form, 'TransitiveTagKeys')],
    policy: form.has('Policy') ? JSON.parse(form.get('Policy')) : undefined,
  }
}

function requestContext(form, session) {
  const context = { 'sts:RoleSessionName': form.get('RoleSessionName') }
  if (form.has('ExternalId')) context['sts:ExternalId'] = form.get('ExternalId')
  for (const [key, value] of Object.entries(session.tags)) context[`aws:RequestTag/${key}`] = value
  if (Object.keys(session.tags).length > 0) context['aws:TagKeys'] = Object.keys(session.tags)
  return context
}

// Tags, also those that are inherited, are a right of their own.
async function mayAssume(caller, session, form) {
  const role = world().principals[session.identity]
  const more = { context: requestContext(form, session), trust: role?.trust }
  const actions = ['sts:AssumeRole', ...(Object.keys(session.tags).length > 0 ? ['sts:TagSession'] : [])]
  for (const action of actions)
    if (!role || !(await may(caller, action, session.identity, accountOf(session.identity), more))) return false
  return true
}

async function assume(request, body) {
  const form = new URLSearchParams(body.toString())
  const caller = callerOf(request)
  if (!caller || form.get('Action') !== 'AssumeRole') return refusal('sts')
  const session = sessionOf(form, caller)
  if (!(await mayAssume(caller, session, form))) return refusal('sts')
  const answer = await forward(request, body)
  const key = /AccessKeyId[>":\s]+([A-Z0-9]{16,})/.exec(answer.body.toString())?.[1]
  if (key) sessions.set(key, session)
  say({ issued: key, session: session.arn, tags: session.tags, externalId: form.get('ExternalId') })
  return answer
}

// ---- S3 ----

const VERBS = { GET: 's3:GetObject', PUT: 's3:PutObject', DELETE: 's3:DeleteObject' }

async function objects(request, body) {
  const url = new URL(request.url, 'http://s3/')
  const [bucket, ...rest] = decodeURIComponent(url.pathname).slice(1).split('/')
  const key = rest.join('/')
  const caller = callerOf(request)
  const account = world().buckets[bucket]
  const action = key ? VERBS[request.method] : request.method === 'GET' && 's3:ListBucket'
  const context = url.searchParams.has('prefix') ? { 's3:prefix': url.searchParams.get('prefix') } : {}
  if (!caller || !account || !action) return refusal('s3')
  const allowed = await may(caller, action, `arn:aws:s3:::${bucket}${key ? '/' + key : ''}`, account, { context })
  return allowed ? forward(request, body) : refusal('s3')
}

// ---- HTTP ----

function refusal(service) {
  const error = '<Code>AccessDenied</Code><Message>it is not allowed</Message>'
  const text = service === 's3' ? `<Error>${error}</Error>` : `<ErrorResponse><Error><Type>Sender</Type>${error}</Error></ErrorResponse>`
  return { status: 403, headers: ['Content-Type', 'text/xml'], body: Buffer.from(text) }
}

async function bytes(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

// As it came: moto checks the signature.
function forward(request, body) {
  return new Promise((resolve, reject) => {
    const headers = request.rawHeaders.filter((_, i, all) => all[i - (i % 2)].toLowerCase() !== 'expect')
    const call = http.request(new URL(request.url, moto), { method: request.method, headers, agent: false }, async (answer) => {
      const drop = ['transfer-encoding', 'content-length', 'connection']
      const kept = answer.rawHeaders.filter((_, i, all) => !drop.includes(all[i - (i % 2)].toLowerCase()))
      resolve({ status: answer.statusCode, headers: kept, body: await bytes(answer) })
    })
    call.on('error', reject)
    call.end(body)
  })
}

http.createServer(async (request, response) => {
  try {
    const body = await bytes(request)
    const answer = await (request.method === 'POST' ? assume : objects)(request, body)
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
  } catch (error) {
    say({ failed: String(error.stack) })
    response.writeHead(500)
    response.end()
  }
}).listen(Number(port), host, () => say('ready'))
