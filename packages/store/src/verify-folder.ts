// Verifies a data folder from its files alone, also while a node is using it.
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { NodeId } from "@writ/core/ids";
import {
  verifyLedger,
  type LedgerFiles,
  type NamedBytes,
  type VerifiedLedger,
} from "@writ/core/ledger-verify";
import { fault } from "./faults.ts";
import { nodeHasher, verifySignature } from "./node-crypto.ts";
import { attempt } from "./node-disk.ts";

/**
 * With an archive, what was pruned is read from there and verified like everything else.
 * Reads every byte: about a second for 200,000 entries. What was found is in the result, also when it is bad.
 * @throws store.folder-missing when there is no ledger, store.disk-failed when a file cannot be read
 */
export async function verifyFolder(
  dataFolder: string,
  options: { readonly node?: NodeId; readonly archive?: string } = {},
): Promise<VerifiedLedger> {
  // In this order, because a running node goes on: what is known and signed first, then the entries that must hold it.
  const known = knownEntries(dataFolder);
  const checkpoints = await names(dataFolder, "checkpoints", /\.txt$/);
  const segments = await names(dataFolder, "ledger", /^\d{10}\.segment$/);
  if (segments.length === 0 && !existsSync(join(dataFolder, "ledger"))) {
    throw fault("store.folder-missing", `Cannot verify \`${dataFolder}\`: it holds no ledger`, {
      dataFolder,
    });
  }
  const files: LedgerFiles = {
    checkpoints: contents(dataFolder, checkpoints),
    segments: contents(dataFolder, segments, options.archive),
    blobs: options.archive === undefined ? blobHashes(dataFolder) : both(dataFolder, options.archive),
  };
  return verifyLedger(files, {
    hasher: nodeHasher,
    verify: verifySignature,
    knownEntries: known,
    ...(options.node === undefined ? {} : { node: options.node }),
  });
}

async function names(dataFolder: string, folder: string, pattern: RegExp): Promise<readonly string[]> {
  if (!existsSync(join(dataFolder, folder))) return [];
  const found = await attempt("list", folder, () => readdir(join(dataFolder, folder)));
  return found
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** A file that the archive holds is read from there: it was whole when it was archived. */
async function* contents(
  dataFolder: string,
  files: readonly string[],
  archive?: string,
): AsyncGenerator<NamedBytes> {
  for (const name of files) {
    const archived = archive === undefined ? "" : join(archive, name);
    const file = archived !== "" && existsSync(archived) ? archived : join(dataFolder, name);
    yield { name, bytes: await attempt("read", name, () => readFile(file)) };
  }
}

async function* both(dataFolder: string, archive: string): AsyncGenerator<{ name: string; found: string }> {
  yield* blobHashes(dataFolder);
  yield* blobHashes(archive);
}

async function* blobHashes(dataFolder: string): AsyncGenerator<{ name: string; found: string }> {
  for (const folder of await names(dataFolder, "blobs", /^[0-9a-f]{2}$/)) {
    for (const file of await names(dataFolder, folder, /^[0-9a-f]{62}$/)) {
      yield { name: file.slice("blobs/".length).replace("/", ""), found: await hashOfFile(dataFolder, file) };
    }
  }
}

async function hashOfFile(dataFolder: string, name: string): Promise<string> {
  return attempt("read", name, async () => {
    const digest = createHash("sha256");
    for await (const chunk of createReadStream(join(dataFolder, name))) digest.update(chunk as Uint8Array);
    return digest.digest("hex");
  });
}

/** What the projections have seen was durable. Broken or absent projections know nothing; they are no evidence against the ledger. */
function knownEntries(dataFolder: string): number {
  const file = join(dataFolder, "projections.db");
  if (!existsSync(file)) return 0;
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      return Number(db.prepare("SELECT seq FROM head").get()?.["seq"] ?? -1) + 1;
    } finally {
      db.close();
    }
  } catch {
    return 0;
  }
}
