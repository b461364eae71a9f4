// DBOS: a workflow of three steps on PostgreSQL.
//   node dbos.mjs DATABASE_URL COUNTER_PORT
import { DBOS } from "@dbos-inc/dbos-sdk";
import { openCounter, serve, stepsPerRun } from "./serve.mjs";

const [systemDatabaseUrl, counterPort] = process.argv.slice(2);
const add = await openCounter(counterPort);
const run = DBOS.registerWorkflow(
  async (id) => {
    for (let step = 1; step <= stepsPerRun; step++)
      await DBOS.runStep(() => add(id, step), { name: `step ${step}` });
  },
  { name: "run" },
);
DBOS.setConfig({
  name: "bench",
  applicationVersion: "1",
  systemDatabaseUrl,
  systemDatabasePoolSize: 20,
  logLevel: "error",
  runAdminServer: false,
});
await DBOS.launch();
await serve(async (id) => {
  const handle = await DBOS.startWorkflow(run, { workflowID: id })(id);
  return () => handle.getResult();
});
