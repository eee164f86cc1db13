// What an application does with node-redis and ioredis to listen to channels, with their default settings and
// with RESP2; and a fan-out to sockets by socket.io's adapter, whose servers find each other by PUBSUB NUMSUB.

const assert = require('node:assert');
const { once } = require('node:events');
const { createServer } = require('node:http');
const { createClient } = require('redis');
const Redis = require('ioredis');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');
const { createAdapter } = require('@socket.io/redis-adapter');

const port = Number(process.argv[2]);
const shared = process.env.PUBSUB === 'shared';
const channels = Array.from({ length: 20 }, (_, n) => `node:${n}`);

async function withNodeRedis(options) {
  const client = await createClient({ socket: { port }, ...options }).connect();
  const listener = client.duplicate();
  await listener.connect();
  const heard = [];
  await listener.subscribe(channels, (message, channel) => heard.push([channel, message]));
  await listener.pSubscribe('node:*', (message, channel) => heard.push([`p ${channel}`, message]));
  await listener.sSubscribe('node-shard', (message, channel) => heard.push([channel, message]));
  for (const channel of channels) {
    assert.equal(await client.publish(channel, 'hello'), 2);
  }
  await client.sPublish('node-shard', 'hello');
  // Behind the last confirmation all of it has come.
  await listener.unsubscribe();
  await listener.pUnsubscribe();
  const due = [...channels, ...channels.map((channel) => `p ${channel}`), 'node-shard'];
  assert.deepEqual(heard.map(([channel]) => channel).sort(), due.sort());
  assert.equal(await client.publish(channels[0], 'late'), 0);
  await listener.sUnsubscribe();
  assert.equal(await listener.ping(), 'PONG');
  await listener.close();
  await client.close();
}

async function withIoredis(options) {
  const client = new Redis({ port, ...options });
  const listener = new Redis({ port, ...options });
  const heard = [];
  listener.on('message', (channel, message) => heard.push([channel, message]));
  listener.on('pmessage', (pattern, channel, message) => heard.push([`${pattern} ${channel}`, message]));
  assert.equal(await listener.subscribe(...channels), 20);
  assert.equal(await listener.psubscribe('io:*'), 21);
  for (const channel of channels) {
    await client.publish(channel, channel);
  }
  await client.publish('io:1', 'x');
  await listener.unsubscribe(...channels);
  await listener.punsubscribe('io:*');
  assert.deepEqual(heard.map(([channel]) => channel).sort(), [...channels, 'io:* io:1'].sort());
  await listener.quit();
  await client.quit();
}

async function fansOut(connect) {
  const servers = [];
  for (let n = 0; n < 3; n += 1) {
    const http = createServer();
    const [publisher, subscriber] = [await connect(), await connect()];
    const server = new Server(http, { adapter: createAdapter(publisher, subscriber, { requestsTimeout: 5000 }) });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    servers.push({ http, server, publisher, subscriber });
  }
  const sockets = [];
  for (let n = 0; n < 9; n += 1) {
    const at = servers[n % 3].http.address().port;
    const socket = io(`http://127.0.0.1:${at}`, { transports: ['websocket'], forceNew: true });
    await once(socket, 'connect');
    sockets.push(socket);
  }
  // The adapter's own subscriptions may not be there yet.
  const deadline = Date.now() + 10000;
  const heard = new Set();
  sockets.forEach((socket, n) => socket.on('news', () => heard.add(n)));
  while (heard.size < 9) {
    assert(Date.now() < deadline, `only ${heard.size} sockets hear what one server says`);
    servers[0].server.emit('news', 'hello');
    await new Promise((done) => setTimeout(done, 20));
  }
  if (!shared) {
    assert.equal((await servers[1].server.fetchSockets()).length, 9);
    assert.equal(await servers[0].server.of('/').adapter.serverCount(), 3);
  }
  sockets.forEach((socket) => socket.close());
  for (const { server } of servers) {
    await server.close();
  }
}

async function main() {
  await withNodeRedis({});
  await withNodeRedis({ RESP: 2 });
  await withIoredis({});
  await withIoredis({ protocol: 2 });
  await fansOut(async () => new Redis({ port }));
  await fansOut(() => createClient({ socket: { port } }).connect());
  console.log('node-redis, ioredis and socket.io listen: well');
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
