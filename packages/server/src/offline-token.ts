// `token new`, on the machine itself: through the running node when there is one, else by opening the data folder.
//   S34  Whoever may read the data folder may have a new token; the ledger says it was made on the machine.
import { existsSync } from "node:fs";
import path from "node:path";
import { hasCode } from "@writ/core/fault";
import { parse } from "@writ/core/schema";
import { PersonToken } from "@writ/core/api";
import { personId } from "@writ/core/ids";
import { emptyRegistry, foldRegistry } from "@writ/runtime/registry";
import { openStore, type Store } from "@writ/store/open-store";
import { fault } from "./faults.ts";
import { readLocalKey } from "./node/local-key.ts";
import { newToken } from "./token.ts";
import { systemEntropy, systemWorld } from "./world.ts";

/** @throws token.no-node, person.unknown, token.unreachable, store.* */
export async function replaceTokenOffline(data: string, person: string, version: string): Promise<string> {
  // Opening a folder makes it a node's: a mistyped name must not become one.
  if (!["ledger", "keys"].some((folder) => existsSync(path.join(data, folder)))) {
    throw fault("token.no-node", `Cannot make a token: no node has been started on \`${data}\``, { data });
  }
  let store: Store;
  try {
    store = await openStore({ dataFolder: data, world: systemWorld, entropy: systemEntropy, version });
  } catch (error) {
    if (hasCode(error, "store.folder-in-use")) return await askNode(data, person);
    throw error;
  }
  try {
    return await appendToken(store, person);
  } finally {
    await store.close("a token was replaced");
  }
}

async function appendToken(store: Store, person: string): Promise<string> {
  let registry = emptyRegistry;
  for await (const entry of store.projections.nodeEntries()) registry = foldRegistry(registry, entry);
  const known = registry.people.get(personId(person));
  if (known === undefined) {
    throw fault("person.unknown", `Cannot find the person \`${person}\``, {
      person,
      people: [...registry.people.keys()],
    });
  }
  const { token, key, tokenHash } = newToken(systemEntropy);
  const { seq } = store.ledger.append({
    kind: "person.token-replaced",
    run: null,
    cause: null,
    actor: { kind: "node" },
    atMs: systemWorld.nowMs(),
    facts: { person: known.id, key, tokenHash, on: "machine" },
  });
  await store.ledger.durable(seq);
  return token;
}

async function askNode(data: string, person: string): Promise<string> {
  const local = readLocalKey(data);
  if (local === undefined)
    throw fault("token.unreachable", "Cannot reach the node that holds the data folder", { data });
  const url = `http://127.0.0.1:${local.port}/people/${encodeURIComponent(person)}/token`;
  let answer: unknown;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${local.token}`, "content-type": "application/json" },
      body: "{}",
    });
    answer = await response.json();
    if (response.status === 404)
      throw fault("person.unknown", `Cannot find the person \`${person}\``, { person });
  } catch (error) {
    if (hasCode(error, "person.unknown")) throw error;
    throw fault(
      "token.unreachable",
      "Cannot reach the node that holds the data folder",
      { data, url },
      error,
    );
  }
  return parse(PersonToken, answer, "the node's answer").token;
}
