// What programs remember, as people see it and have it forgotten.
//   S97  Operators and owners list what is remembered, see where it comes from and have it forgotten; a forgetting is an entry with who and
//        why. A secret value is not shown.
import type { RememberedSummary } from "@writ/core/api";
import { decodeCbor } from "@writ/core/cbor";
import type { Memory, MemoryPlace, Remembered } from "@writ/core/ports";
import { toJson } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import { memoryPageMax } from "../limits.ts";
import { record, type NodeContext, type Queue } from "../node/context.ts";
import { findProgram } from "../node/programs.ts";

export function memoryHandlers(
  node: NodeContext,
  memory: Memory,
  inOrder: Queue,
): Pick<Handlers, "listMemory" | "showMemory" | "forgetMemory"> {
  const ownerOf = ({ scope, owner }: Pick<MemoryPlace, "scope" | "owner">): string =>
    scope === "workspace" || /^[0-9a-f]{64}$/.test(owner) ? owner : findProgram(node, owner).hash;
  const find = (asked: MemoryPlace): Remembered => {
    const place = { ...asked, owner: ownerOf(asked) };
    const known = memory.find(place);
    if (known !== null) return known;
    const { scope, owner, key } = place;
    throw fault("memory.unknown", `Cannot find \`${key}\`: the ${scope} \`${owner}\` remembers no such key`, {
      scope,
      owner,
      key,
    });
  };
  return {
    listMemory: async ({ query: { scope, owner, after } }) => {
      const page = { scope, owner: ownerOf({ scope, owner }), limit: memoryPageMax };
      return { remembered: memory.list({ ...page, ...(after === undefined ? {} : { after }) }).map(view) };
    },
    showMemory: async ({ query }) => {
      const known = find(query);
      if (known.labels.includes("secret")) return { ...view(known), isSecret: true, value: null };
      const { value } = known;
      const bytes = "inline" in value ? value.inline : await node.blobs.get(value.blob);
      return { ...view(known), isSecret: false, value: toJson(decodeCbor(bytes)) };
    },
    forgetMemory: ({ body, caller }) =>
      inOrder(async () => {
        const { scope, owner, key } = find(body);
        const facts = { scope, owner, key, reason: body.reason };
        await record(node, caller.actor, { kind: "memory.forgotten", facts });
        return { forgotten: `${scope} ${owner}/${key}` };
      }),
  };
}

function view({ scope, owner, key, value, labels, run, seq, atMs }: Remembered): RememberedSummary {
  const sizeBytes = "inline" in value ? value.inline.length : value.sizeBytes;
  return { scope, owner, key, labels: [...labels], sizeBytes, run, seq, atMs };
}
