// Node's memcached: pipelines by nature, for nothing waits.
'use strict';
const assert = require('assert');
const Memcached = require('memcached');

const client = new Memcached(`127.0.0.1:${process.argv[2]}`, { timeout: 10000, retries: 0, poolSize: 4 });
const call = (name, ...args) =>
  new Promise((done, failed) => client[name](...args, (error, value) => (error ? failed(error) : done(value))));

async function main() {
  assert.strictEqual(await call('set', 'a', { b: [1, 'ü'] }, 100), true);
  assert.deepStrictEqual(await call('get', 'a'), { b: [1, 'ü'] });
  assert.strictEqual(await call('get', 'none'), undefined);
  assert.strictEqual(await call('set', 'n', 5, 100), true);
  assert.strictEqual(await call('incr', 'n', 10), 15);
  assert.strictEqual(await call('decr', 'n', 1), 14);
  assert.strictEqual(await call('touch', 'n', 100), true);
  const { cas, n } = await call('gets', 'n');
  assert.equal(n, 14);
  assert.strictEqual(await call('cas', 'n', '20', cas, 100), true);
  assert.strictEqual(await call('cas', 'n', '21', cas, 100), false);
  assert.strictEqual(await call('set', 's', 'b', 100), true);
  assert.strictEqual(await call('append', 's', 'c'), true);
  assert.strictEqual(await call('prepend', 's', 'a'), true);
  assert.strictEqual(await call('get', 's'), 'abc');
  assert.strictEqual(await call('del', 's'), true);
  const keys = Array.from({ length: 150 }, (_, nth) => `k${nth}`);
  await Promise.all(keys.map((key) => call('set', key, `${key}:${'v'.repeat(200)}`, 100)));
  const found = await call('getMulti', [...keys, 'none']);
  assert.deepStrictEqual(Object.keys(found).sort(), [...keys].sort());
  const each = await Promise.all(keys.map((key) => call('get', key)));
  assert.ok(each.every((value, nth) => value === `${keys[nth]}:${'v'.repeat(200)}`));
}

main().then(
  () => { client.end(); process.exit(0); },
  (error) => { console.error(error); process.exit(1); },
);
