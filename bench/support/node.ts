// A node with the counting capability beside the built-in ones, as a process of its own. Prints one JSON line when it serves.
import process from "node:process";
import { builtInModules } from "@writ/modules/registry";
import { startNode } from "@writ/server/node";
import { counterCapabilities, withCapabilities } from "./counter-module.ts";

const [data, counterPort] = process.argv.slice(2);
if (data === undefined || counterPort === undefined) throw new Error("usage: node.ts DATA COUNTER_PORT");

const startedMs = performance.now();
const node = await startNode({
  data,
  port: 0,
  version: "bench",
  print: () => {},
  modules: withCapabilities(builtInModules(), counterCapabilities(Number(counterPort))),
});
process.stdout.write(
  `${JSON.stringify({ port: node.port, ownerToken: node.ownerToken ?? null, startMs: performance.now() - startedMs })}\n`,
);
process.on("SIGTERM", () => {
  void node.close("the benchmark ended").then(() => process.exit(0));
});
// For the memory figures: what is left when the garbage is gone.
process.on("SIGUSR2", () => {
  (globalThis as { gc?: () => void }).gc?.();
});
