// A job queue with blocking pops and scripts: BullMQ, whose keys a hash tag keeps on one server.
'use strict';

const assert = require('node:assert');
const { Queue, Worker, QueueEvents } = require('bullmq');

const connection = { port: Number(process.argv[2]), maxRetriesPerRequest: null };
const prefix = '{jobs}';

async function main() {
  const queue = new Queue('mail', { connection, prefix });
  const events = new QueueEvents('mail', { connection, prefix });
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  const done = [];
  const worker = new Worker('mail', async (job) => {
    done.push(job.data.n);
    if (job.name === 'fails' && job.attemptsMade === 0) throw new Error('on purpose');
    return job.data.n * 2;
  }, { connection, prefix, concurrency: 4 });
  await worker.waitUntilReady();

  const jobs = await queue.addBulk(Array.from({ length: 50 }, (_, n) => ({ name: 'plain', data: { n } })));
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20000)));
  assert.deepEqual(results, jobs.map((job) => job.data.n * 2));
  assert.equal(new Set(done).size, 50, 'each job once');

  const again = await queue.add('fails', { n: 100 }, { attempts: 2, backoff: 10 });
  assert.equal(await again.waitUntilFinished(events, 20000), 200);
  const later = await queue.add('plain', { n: 7 }, { delay: 200 });
  assert.equal(await later.waitUntilFinished(events, 20000), 14);
  const counts = await queue.getJobCounts('completed', 'failed', 'waiting', 'active');
  assert.deepEqual(counts, { completed: 52, failed: 0, waiting: 0, active: 0 });
  // It finds its workers by CLIENT LIST.
  const workers = await queue.getWorkers();
  assert.equal(workers.length, 1, 'the worker is listed');

  await worker.close();
  await events.close();
  await queue.close();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
