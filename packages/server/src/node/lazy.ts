// What a node loads only when somebody asks for it: the compiler with the verifier, and the Model Context Protocol. A node that starts to
// run what is deployed needs neither, and both together take a third of its start and 25 MB.
import type { CompileRoad } from "../compile.ts";
import type { McpEndpoint, McpOptions } from "../mcp.ts";
import type { NodeContext } from "./context.ts";

/** The road, and what closes its solver. */
export function lazyRoad(node: NodeContext): CompileRoad & { close(): Promise<void> } {
  const load = async () => {
    const [{ createCompileRoad }, { createProver }] = await Promise.all([
      import("../compile.ts"),
      import("./prover.ts"),
    ]);
    const prover = createProver(node.world);
    return { road: createCompileRoad(node, prover), prover };
  };
  let loading: ReturnType<typeof load> | null = null;
  const loaded = () => (loading ??= load());
  return {
    compile: async (...asked) => (await loaded()).road.compile(...asked),
    check: async (...asked) => (await loaded()).road.check(...asked),
    express: async (...asked) => (await loaded()).road.express(...asked),
    proveAgain: async (...asked) => (await loaded()).road.proveAgain(...asked),
    take: async (...asked) => (await loaded()).road.take(...asked),
    async close() {
      if (loading !== null) await (await loading).prover.close();
    },
  };
}

export function lazyMcp(options: McpOptions): McpEndpoint {
  const load = async () => (await import("../mcp.ts")).createMcpEndpoint(options);
  let loading: ReturnType<typeof load> | null = null;
  return {
    handle: async (request, reply, caller) => (await (loading ??= load())).handle(request, reply, caller),
    async close() {
      if (loading !== null) await (await loading).close();
    },
  };
}
