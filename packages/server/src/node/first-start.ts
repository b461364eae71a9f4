// What a data folder begins with: its owner, the node's keys as pinned, and the example workspace.
import { cpSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { toHex, utf8 } from "@writ/core/bytes";
import { personId, roleName } from "@writ/core/ids";
import type { KeyRecord } from "@writ/core/ports";
import { addWorkspace } from "../handlers/workspaces.ts";
import { policyText } from "../policy.ts";
import { newToken } from "../token.ts";
import { record, storeBytes, type NodeContext } from "./context.ts";

const ownerId = "owner";

/** Pins the node's own keys, so that the ledger says whose signatures count. */
export async function pinKeys(
  node: Pick<NodeContext, "ledger" | "world" | "registry">,
  keys: readonly KeyRecord[],
): Promise<void> {
  const pinned = node.registry().keys;
  const missing = keys
    .filter(({ id }) => !pinned.has(id))
    .map(({ id, algorithm, publicKey }) => ({
      kind: "key.added" as const,
      facts: { key: id, algorithm, publicKey: toHex(publicKey), purpose: "programs" as const },
    }));
  if (missing.length > 0) await record(node, { kind: "node" }, ...missing);
}

/** The node's first person; the token is returned once and kept nowhere. Last of the first start: a node without people begins again. */
export async function addOwner(node: Pick<NodeContext, "ledger" | "world" | "entropy">): Promise<string> {
  const { token, key, tokenHash } = newToken(node.entropy);
  const facts = { person: personId(ownerId), name: "Owner", roles: [roleName("owner")], key, tokenHash };
  await record(node, { kind: "node" }, { kind: "person.added", facts });
  return token;
}

/** Records the policies when they are not those in force. */
export async function recordPolicy(
  node: Pick<NodeContext, "ledger" | "world" | "blobs" | "registry" | "policy">,
): Promise<void> {
  const { hash, files } = node.policy;
  if (node.registry().policy?.hash === hash) return;
  const text = await storeBytes(node.blobs, utf8(policyText(files)));
  await record(node, { kind: "node" }, { kind: "policy.set", facts: { hash, text } });
}

const example = fileURLToPath(new URL("../../../../examples/workspace/", import.meta.url));

/** Copies the example into the data folder, so that the place it ships in stays clean, and adds it. */
export async function addExample(
  node: Pick<NodeContext, "ledger" | "world" | "blobs" | "registry" | "data">,
): Promise<string | undefined> {
  if (!existsSync(example)) return undefined;
  const root = path.join(node.data, "workspaces", "invoices");
  if (!existsSync(root)) {
    mkdirSync(path.dirname(root), { recursive: true, mode: 0o700 });
    cpSync(example, root, { recursive: true, errorOnExist: false });
  }
  const { root: real } = await addWorkspace(node, root, { kind: "node" });
  return real;
}
