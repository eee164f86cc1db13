// What an application does with node-redis and ioredis, with their default settings and with RESP2.
'use strict';

const assert = require('node:assert');
const { createClient } = require('redis');
const Redis = require('ioredis');

const port = Number(process.argv[2]);

async function withNodeRedis(name, options) {
  const client = createClient({ socket: { port }, ...options });
  client.on('error', (error) => { throw error; });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  const keys = Array.from({ length: 50 }, (_, n) => `${name}:key${n}`);
  await Promise.all(keys.map((key, n) => client.set(key, String(n))));
  assert.deepEqual(await client.mGet([...keys, 'none']), [...keys.map((_, n) => String(n)), null]);
  await client.hSet(`${name}:hash`, { a: '1', b: '2' });
  assert.deepEqual({ ...await client.hGetAll(`${name}:hash`) }, { a: '1', b: '2' });
  await client.sAdd(`${name}:set`, ['x', 'y']);
  assert.deepEqual([...await client.sMembers(`${name}:set`)].sort(), ['x', 'y']);
  await client.zAdd(`${name}:zset`, { score: 1.5, value: 'm' });
  assert.equal(await client.zScore(`${name}:zset`, 'm'), 1.5);
  assert.equal(await client.get('none'), null);
  assert.equal(await client.del(keys), 50);
  await assert.rejects(client.lPush(`${name}:hash`, 'x'), /WRONGTYPE/);
  await client.close();
  const other = createClient({ socket: { port }, database: 7, ...options });
  await other.connect();
  await other.set(`${name}:in`, 'seven');
  await other.select(8);
  assert.equal(await other.get(`${name}:in`), null);
  await other.select(7);
  assert.equal(await other.get(`${name}:in`), 'seven');
  await other.close();
}

async function withIoredis(name, options) {
  const client = new Redis({ port, ...options });
  assert.equal(await client.ping(), 'PONG');
  const keys = Array.from({ length: 50 }, (_, n) => `${name}:key${n}`);
  await client.mset(...keys.flatMap((key, n) => [key, n]));
  assert.deepEqual(await client.mget(...keys, 'none'), [...keys.map((_, n) => String(n)), null]);
  await client.hset(`${name}:hash`, 'a', '1');
  assert.deepEqual({ ...await client.hgetall(`${name}:hash`) }, { a: '1' });
  const replies = await client.pipeline().set(`${name}:p`, '1').get(`${name}:p`).get('none').exec();
  assert.deepEqual(replies, [[null, 'OK'], [null, '1'], [null, null]]);
  await client.select(7);
  assert.equal(await client.get(`${name}:p`), null);
  await client.quit();
}

async function main() {
  await withNodeRedis('node3', {});
  await withNodeRedis('node2', { RESP: 2 });
  await withIoredis('io3', {});
  await withIoredis('io2', { protocol: 2 });
  console.log('node-redis and ioredis: well');
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
