// The requests of the vendor's TypeScript SDK of November 2025, as Node's fetch sends them: an execution is started in v2 of the
// API, awaited in v1, and told a message; then its activities are read.

const [host, agent] = process.argv.slice(2)

async function call(tenant, method, path, body) {
  const headers = { 'X-Tenant-Id': tenant, ...(body && { 'Content-Type': 'application/json' }) }
  const response = await fetch(host + path, { method, headers, body: body && JSON.stringify(body) })
  const text = await response.text()
  const isJson = response.headers.get('content-type').startsWith('application/json')
  return { status: response.status, body: isJson ? JSON.parse(text) : text }
}

const show = (what, { status }, shown = '') => console.log(`${what} ${status} ${shown}`.trim())

const { status, body } = await call('billing', 'POST', `/agents/v2/agents/${agent}/execute`, { dynamicData: { a: 1 }, metadata: {} })
console.log(`execute ${status}`)
const id = body.executionId
const execution = `/agents/v2/executions/${id}`

const message = { message: 'Use the second card' }
show('message', await call('billing', 'POST', `${execution}/user-messages`, message))
for (const [what, method, path, body] of [
  ['status', 'GET', `/api/v1/execution/${id}/status`],
  ['result', 'GET', `/api/v1/execution/${id}/result`],
  ['get', 'GET', execution],
  ['activities', 'GET', `${execution}/activities?order=desc&limit=3`],
  ['message', 'POST', `${execution}/user-messages`, message],
]) {
  const answer = await call('sales', method, path, body)
  show(`${what} of sales`, answer, answer.body.message)
}

let polled
const deadline = Date.now() + 20000
do {
  if (polled) await new Promise((resolve) => setTimeout(resolve, 1000))
  polled = await call('billing', 'GET', `/api/v1/execution/${id}/status`)
} while (polled.body.status !== 'completed' && Date.now() < deadline)
show('status', polled, polled.body.status)
const result = await call('billing', 'GET', `/api/v1/execution/${id}/result`)
show('result', result, `${result.body.status} ${typeof result.body.execution_result}`)
const activities = await call('billing', 'GET', `${execution}/activities?order=desc&limit=3`)
show('activities', activities, activities.body.map((activity) => activity.payload.activityType).join(' '))
const [one, two] = await Promise.all([execution, '/agents/v2/executions?page=1&pageSize=10'].map((path) => call('billing', 'GET', path)))
show('get', one, `${one.body.status} ${one.body.triggerContext}`)
show('list', two, `${two.body.items.length} of ${two.body.total}`)
