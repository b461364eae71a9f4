// Capabilities: what can be done here, and what may not be done any more.
import type { CapabilityDefinition } from "@writ/core/capability";
import { capabilityName } from "@writ/core/ids";
import { revocationOf } from "@writ/runtime/registry";
import { fault } from "../faults.ts";
import type { Handlers } from "../http/app.ts";
import { record, type NodeContext, type Queue } from "../node/context.ts";
import {
  capabilityDetail,
  capabilitySummary,
  closestNames,
  searchCapabilities,
} from "../views/capability.ts";

export function capabilityHandlers(
  node: NodeContext,
  inOrder: Queue,
): Pick<Handlers, "listCapabilities" | "getCapability" | "revokeCapability" | "getPolicies"> {
  const isRevoked = (definition: CapabilityDefinition) =>
    revocationOf(node.registry(), definition.id) !== undefined;
  const named = () => node.modules.all().filter((definition) => definition.internal !== true);
  return {
    listCapabilities: async ({ query }) => ({
      capabilities: searchCapabilities(named(), query.search ?? "").map((found) =>
        capabilitySummary(found, isRevoked(found)),
      ),
    }),
    getCapability: async ({ params }) => {
      const found = findCapability(node, params.id);
      return capabilityDetail(found, isRevoked(found));
    },
    revokeCapability: ({ body, caller }) =>
      inOrder(async () => {
        const found = findCapability(node, body.capability);
        const { capability, restore = false, reason = "" } = body;
        const isSet = node.registry().revokedCapabilities.has(capability);
        if (restore && isSet)
          await record(node, caller.actor, { kind: "capability.restored", facts: { capability } });
        if (!restore && !isSet) {
          await record(node, caller.actor, { kind: "capability.revoked", facts: { capability, reason } });
        }
        // What it means for programs that use it shows when they are verified again.
        await node.triggers.sync();
        // Restoring one version leaves what was revoked for every version, and the other way round.
        return { capability, revoked: isRevoked(found) };
      }),
    getPolicies: async () => ({
      hash: node.policy.hash,
      files: node.policy.files.map(({ name, text }) => ({ name, text })),
    }),
  };
}

/** The capability of an id, or the newest version of `module.action`. @throws capability.unknown with the closest names */
function findCapability(node: NodeContext, id: string): CapabilityDefinition {
  const all = node.modules.all();
  const found = all
    .filter((definition) => definition.id === id || capabilityName(definition.id) === id)
    .sort((a, b) => b.id.localeCompare(a.id, "en", { numeric: true }))[0];
  if (found !== undefined) return found;
  const closest = closestNames(
    id,
    all.filter(({ internal }) => internal !== true).map((definition) => capabilityName(definition.id)),
  );
  throw fault("capability.unknown", `Cannot find the capability \`${id}\``, { capability: id, closest });
}
