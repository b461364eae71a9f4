// Restate: a handler of three steps, called by the server over HTTP/2.
//   node restate.mjs PORT COUNTER_PORT
import { createServer } from "node:http2";
import * as restate from "@restatedev/restate-sdk";
import { openCounter, stepsPerRun } from "./serve.mjs";

const [port, counterPort] = process.argv.slice(2);
const add = await openCounter(counterPort);
const bench = restate.service({
  name: "bench",
  handlers: {
    run: async (ctx, { id }) => {
      for (let step = 1; step <= stepsPerRun; step++) await ctx.run(`step ${step}`, () => add(id, step));
      return { id };
    },
  },
});
const server = createServer(restate.createEndpointHandler({ services: [bench] }));
server.listen(Number(port), "127.0.0.1", () => process.stdout.write(`${port}\n`));
