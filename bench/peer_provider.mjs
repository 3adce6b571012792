// npm oidc-provider as `make bench ONLY=provider` measures it: node peer_provider.mjs PORT [DATABASE]
//
// One process. Without DATABASE it keeps its default adapter, in memory; with one, an adapter over
// node's own SQLite that makes each write durable (WAL, synchronous=FULL), as Placet does.
// GET /bench/codes?count=N prepares N people's grants and authorization codes through its models.
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { Provider } from 'oidc-provider'

const [port, database] = process.argv.slice(2)
const CLIENT = { id: 'bench', secret: 'a-secret-of-the-bench-that-nobody-guesses' }
const REDIRECT_URI = 'https://rp.example/callback'
const VERIFIER = 'v'.repeat(43)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')
const PEOPLE = 50

function durableAdapter (path) {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    CREATE TABLE kept (key TEXT PRIMARY KEY, payload TEXT NOT NULL, grant_id TEXT, uid TEXT,
                       expires_at INTEGER) WITHOUT ROWID;
    CREATE INDEX kept_grant ON kept (grant_id); CREATE INDEX kept_uid ON kept (uid)`)
  const read = db.prepare('SELECT payload, expires_at FROM kept WHERE key = ?')
  const readByUid = db.prepare('SELECT payload FROM kept WHERE uid = ?')
  const write = db.prepare('INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)')
  const consume = db.prepare("UPDATE kept SET payload = json_set(payload, '$.consumed', ?) WHERE key = ?")
  const remove = db.prepare('DELETE FROM kept WHERE key = ?')
  const revoke = db.prepare('DELETE FROM kept WHERE grant_id = ?')
  const now = () => Math.floor(Date.now() / 1000)
  const adapter = (model) => ({
    async find (id) {
      const row = read.get(`${model}:${id}`)
      return row && (row.expires_at === null || row.expires_at > now()) ? JSON.parse(row.payload) : undefined
    },
    async findByUid (uid) {
      const row = readByUid.get(uid)
      return row && JSON.parse(row.payload)
    },
    async upsert (id, payload, expiresIn) {
      write.run(`${model}:${id}`, JSON.stringify(payload), payload.grantId ?? null, payload.uid ?? null,
        expiresIn ? now() + expiresIn : null)
    },
    async consume (id) { consume.run(now(), `${model}:${id}`) },
    async destroy (id) { remove.run(`${model}:${id}`) },
    async revokeByGrantId (grantId) { revoke.run(grantId) }
  })
  return { adapter, begin: () => db.exec('BEGIN'), commit: () => db.exec('COMMIT') }
}

const durable = database ? durableAdapter(database) : undefined
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const issuer = `http://localhost:${port}`
const provider = new Provider(issuer, {
  ...(durable && { adapter: durable.adapter }),
  clients: [{
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    subject_type: 'pairwise'
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'bench' }] },
  cookies: { keys: ['only-for-pages-that-nobody-opens'] },
  features: { devInteractions: { enabled: false }, introspection: { enabled: true } },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pairwiseIdentifier: (_ctx, accountId, client) =>
    createHmac('sha256', 'pairwise').update(`${client.clientId}|${accountId}`).digest('base64url'),
  pkce: { required: () => true },
  subjectTypes: ['pairwise'],
  ttl: { AccessToken: 600, AuthorizationCode: 600, Grant: 600, IdToken: 300 }
})

async function code (number) {
  const client = await provider.Client.find(CLIENT.id)
  const accountId = `person-${number % PEOPLE}`
  const grant = new provider.Grant({ clientId: CLIENT.id, accountId })
  grant.addOIDCScope('openid')
  const grantId = await grant.save(600)
  return new provider.AuthorizationCode({
    accountId,
    amr: ['pwd'],
    authTime: Math.floor(Date.now() / 1000),
    client,
    codeChallenge: CHALLENGE,
    codeChallengeMethod: 'S256',
    grantId,
    gty: 'authorization_code',
    nonce: 'n'.repeat(22),
    redirectUri: REDIRECT_URI,
    scope: 'openid'
  }).save(600)
}

const answer = provider.callback()
createServer(async (request, response) => {
  if (!request.url.startsWith('/bench/codes')) return answer(request, response)
  const count = Number(new URL(request.url, issuer).searchParams.get('count'))
  const codes = []
  durable?.begin() // one flush for all of them: preparing is not what is measured
  for (let number = 0; number < count; number += 1) codes.push(await code(number))
  durable?.commit()
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ codes, client_id: CLIENT.id, client_secret: CLIENT.secret }))
}).listen(Number(port), '127.0.0.1')
