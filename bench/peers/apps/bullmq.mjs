// BullMQ: a job of three steps, its progress kept in the job's data after each (the documented pattern for steps).
//   node bullmq.mjs REDIS_PORT COUNTER_PORT
import { Queue, QueueEvents, Worker } from "bullmq";
import { openCounter, serve, stepsPerRun } from "./serve.mjs";

const [redisPort, counterPort] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(redisPort), maxRetriesPerRequest: null };
const add = await openCounter(counterPort);
const queue = new Queue("bench", { connection });
const events = new QueueEvents("bench", { connection });
const worker = new Worker(
  "bench",
  async (job) => {
    for (let step = job.data.step ?? 0; step < stepsPerRun; step++) {
      await add(job.data.id, step + 1);
      await job.updateData({ ...job.data, step: step + 1 });
    }
  },
  { connection, concurrency: 256, removeOnComplete: { count: 1000 } },
);
worker.on("error", () => {});
await Promise.all([worker.waitUntilReady(), events.waitUntilReady(), queue.waitUntilReady()]);
events.setMaxListeners(0);
await serve(async (id) => {
  const job = await queue.add("run", { id }, { jobId: id });
  return () => job.waitUntilFinished(events);
});
