import { fstatSync, ftruncateSync, futimesSync, constants } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { CallContext } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { Type, type Static } from "@writ/core/schema";
import { fileCapability } from "./file-capability.ts";
import { fault } from "../faults.ts";
import { readRange, removeAppendedId } from "./append.ts";
import type { Spot } from "./contained.ts";
import { isSameTime } from "./file-image.ts";
import {
  chunksOf,
  factsOf,
  hashOf,
  lookAtFile,
  openFile,
  putInPlace,
  removeIfThere,
  removeTemporary,
  sameFacts,
  sha256Of,
  syncFolder,
  writeTemporary,
} from "./files.ts";
import { filePath, fileRetries, sha256Text, shownPath, sizeBytes } from "./params.ts";
import { fileTarget, placeToWrite } from "./place.ts";

/** Files up to this size are searched when the range is no longer at its offset. */
const searchBytesMax = 16 * 1024 * 1024;

const params = Type.Object(
  {
    path: filePath,
    offset: Type.Integer({ minimum: 0 }),
    sizeBytes,
    sha256: sha256Text,
    /** The file did not exist before. */
    created: Type.Boolean(),
    /** Times of change in ns, before the append and after it. */
    times: Type.Optional(
      Type.Object(
        { before: Type.String({ maxLength: 24 }), after: Type.String({ maxLength: 24 }) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
type Params = Static<typeof params>;

export const removeAppended = fileCapability({
  id: removeAppendedId,
  summary: {
    en: "Takes back exactly the text that an append added",
    fr: "Retire exactement le texte qu'un ajout avait écrit",
  },
  params,
  result: Type.Object({ path: shownPath }, { additionalProperties: false }),
  effect: { kind: "write", undo: capabilityId("filesystem.append_file@1.0.0") },
  resources: [{ kind: "file", param: "path", does: "replace" }],
  crash: "queryable",
  risk: "low",
  criticality: "guarded",
  permission: "filesystem.write",
  labels: [],
  phrases: { en: [], fr: [] },
  timeoutMs: 120_000,
  resultBytesMax: 8192,
  retryOn: fileRetries,
  internal: true,
  async inspect({ path }, context) {
    using spot = placeToWrite(path, context);
    const stat = lookAtFile(spot);
    const before = stat === null ? null : { ino: String(stat.ino), sizeBytes: Number(stat.size) };
    return { targets: [fileTarget(spot, "replace", null)], before: { file: before } };
  },
  async perform(given, context) {
    using spot = placeToWrite(given.path, context);
    await removeRange(spot, given, context);
    return { result: { path: spot.relative }, undo: null, evidence: "observed" };
  },
  async resolve(given, context) {
    using spot = placeToWrite(given.path, context);
    removeTemporary(spot.folder, context.idempotencyKey);
    const stat = lookAtFile(spot);
    const { file } = context.before;
    if (file === undefined || file === null || typeof file !== "object" || !("sizeBytes" in file)) {
      return { kind: "not-done" };
    }
    const sizeBefore = Number(file["sizeBytes"]);
    const size = stat === null ? 0 : Number(stat.size);
    if (size === sizeBefore) return { kind: "not-done" };
    if (size === sizeBefore - given.sizeBytes) {
      if (stat !== null && size === 0 && given.created) removeIfThere(spot.at);
      await syncFolder(spot.folder);
      return {
        kind: "done",
        performed: { result: { path: spot.relative }, undo: null, evidence: "observed" },
      };
    }
    return { kind: "unknown", reason: `\`${spot.relative}\` was written by others at the same time` };
  },
});

async function removeRange(spot: Spot, given: Params, context: CallContext): Promise<void> {
  if (lookAtFile(spot) === null) throw worldChanged(spot, "it was moved or deleted since");
  await using handle = await openFile(spot, constants.O_RDWR);
  const offset = await offsetOf(handle, spot, given);
  const stat = fstatSync(handle.fd, { bigint: true });
  const end = offset + given.sizeBytes;
  if (Number(stat.size) === end) {
    ftruncateSync(handle.fd, offset);
    putTimeBack(handle, stat.mtimeNs, given.times);
    await handle.sync();
    if (given.created && offset === 0 && fstatSync(handle.fd).size === 0) {
      removeIfThere(spot.at);
      await syncFolder(spot.folder);
    }
    return;
  }
  const facts = factsOf(await handle.stat({ bigint: true }));
  async function* without() {
    yield* chunksOf(handle, context.signal, { start: 0, end: offset });
    yield* chunksOf(handle, context.signal, { start: end, end: Infinity });
  }
  const written = await writeTemporary(spot.folder, context.idempotencyKey, {
    source: without(),
    mode: facts.mode,
  });
  try {
    const now = lookAtFile(spot);
    if (now === null || !sameFacts(factsOf(now), facts)) throw worldChanged(spot, "it is being written to");
    await putInPlace(spot, written.name, true);
  } finally {
    removeTemporary(spot.folder, context.idempotencyKey);
  }
}

/** An effect before this one is taken back only where the file is what it left; a file that others changed since keeps its time. */
function putTimeBack(handle: FileHandle, foundNs: bigint, times: Params["times"]): void {
  if (times === undefined || !isSameTime(foundNs, BigInt(times.after))) return;
  const seconds = Number(BigInt(times.before) / 1000n) / 1_000_000;
  futimesSync(handle.fd, seconds, seconds);
}

/** Where the appended bytes stand: at their offset, or at the one earlier place where they are whole lines. */
async function offsetOf(handle: FileHandle, spot: Spot, given: Params): Promise<number> {
  const { size } = await handle.stat();
  const range = { start: given.offset, end: given.offset + given.sizeBytes };
  if (range.end <= size) {
    const never = { aborted: false, addEventListener: () => {}, removeEventListener: () => {} };
    if ((await hashOf(chunksOf(handle, never, range))).sha256 === given.sha256) return given.offset;
  }
  if (size > searchBytesMax) throw worldChanged(spot, "the appended text is not where it was");
  const content = await readRange(handle, 0, size);
  const found: number[] = [];
  const isLine = (start: number) => start === 0 || content[start - 1] === 10;
  for (
    let start = 0;
    start + given.sizeBytes <= size && start < given.offset;
    start = nextLine(content, start)
  ) {
    const candidate = content.subarray(start, start + given.sizeBytes);
    if (isLine(start) && candidate.at(-1) === 10 && sha256Of(candidate) === given.sha256) found.push(start);
  }
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw worldChanged(spot, "the appended text was changed or removed");
  return only;
}

function nextLine(content: Buffer, start: number): number {
  const end = content.indexOf(10, start);
  return end === -1 ? content.length : end + 1;
}

function worldChanged(spot: Spot, what: string) {
  return fault("undo.world-changed", `Cannot take back what was appended to \`${spot.relative}\`: ${what}`, {
    path: spot.relative,
    changed: what,
  });
}
