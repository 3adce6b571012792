// c15t as `make bench` measures it: node peer_c15t.mjs PORT DATABASE, where DATABASE is a PostgreSQL
// address or the path of a SQLite file. Its own routes, adapter and migrations; one process.
// SQLite is node's own, which makes each write durable (WAL, synchronous=FULL), as Placet does.
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { c15tInstance } from '@c15t/backend'
import { kyselyAdapter } from '@c15t/backend/db/adapters/kysely'
import { migrator } from '@c15t/backend/db/migrator'
import { DB } from '@c15t/backend/db/schema'
import { Kysely, PostgresDialect, SqliteDialect } from 'kysely'
import pg from 'pg'

const [port, database] = process.argv.slice(2)
const postgres = database.startsWith('postgresql:')

// The few calls that Kysely makes of better-sqlite3, on node's own module.
function sqlite (path) {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON')
  const plain = (values) => values.map((value) =>
    value === undefined ? null : value instanceof Date ? value.getTime() : typeof value === 'boolean' ? Number(value) : value)
  return {
    close: () => db.close(),
    prepare (text) {
      const statement = db.prepare(text)
      return {
        reader: statement.columns().length > 0,
        all: (values) => statement.all(...plain(values)),
        run: (values) => statement.run(...plain(values)),
        iterate: (values) => statement.iterate(...plain(values))
      }
    }
  }
}

const dialect = postgres
  ? new PostgresDialect({ pool: new pg.Pool({ connectionString: database, max: 16 }) })
  : new SqliteDialect({ database: sqlite(database) })
const adapter = kyselyAdapter({ db: new Kysely({ dialect }), provider: postgres ? 'postgresql' : 'sqlite' })
const migration = await migrator({ db: DB.client(adapter), schema: 'latest' })
await migration.execute()

const c15t = c15tInstance({
  appName: 'bench',
  basePath: '/api/c15t',
  trustedOrigins: ['http://127.0.0.1'],
  adapter,
  logger: { level: 'error' }
})

createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  const answer = await c15t.handler(new Request(`http://127.0.0.1:${port}${request.url}`, {
    method: request.method,
    headers: request.headers,
    ...(parts.length > 0 && { body: Buffer.concat(parts) })
  }))
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(Buffer.from(await answer.arrayBuffer()))
}).listen(Number(port), '127.0.0.1')
