// Appending: bytes added at the end of a file, never twice, never over what others added.
//   F8  The offset is recorded before the intent. Bytes go through O_APPEND, so what another process adds meanwhile is never overwritten.
//   F9  After a crash: nothing beyond the offset → not done; our bytes at the offset → done; a beginning of them → completed (rolled back
//       when the disk is full); bytes of others beyond the offset → a person, unless ours are certainly not among them.
//   F10 Undo removes exactly our bytes, at their offset or (when earlier ranges were taken back) at the one place where they stand as
//       whole lines; what others appended later survives.
import { constants, fstatSync, ftruncateSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { CallContext, Inspection, Performed, Resolution } from "@writ/core/capability";
import { capabilityId } from "@writ/core/ids";
import { parse, Type, type Static } from "@writ/core/schema";
import { fault } from "../faults.ts";
import type { Spot } from "./contained.ts";
import { changed, lookAtFile, openFile, sha256Of, syncAfterEffect, syncFolder } from "./files.ts";
import { fsFault } from "./fs-fault.ts";
import { fileTarget, placeToWrite } from "./place.ts";

export const removeAppendedId = capabilityId("filesystem.remove_appended@1.0.0");

/** Bytes looked at beyond the recorded offset when others wrote as well. */
const foreignBytesMax = 64 * 1024 * 1024;

const Before = Type.Object(
  {
    /** Inode, or null when the file is to be created. */
    ino: Type.Union([Type.String({ maxLength: 24 }), Type.Null()]),
    offset: Type.Integer({ minimum: 0 }),
    /** The file does not end with a line end: one is written first. */
    isLineOpen: Type.Boolean(),
  },
  { additionalProperties: true },
);
export type AppendBefore = Static<typeof Before>;

/** The bytes to add, given what the file ends with. */
export type BytesOf = (before: AppendBefore) => Uint8Array;

export async function inspectAppend(path: string, context: CallContext): Promise<Inspection> {
  using spot = placeToWrite(path, context);
  const stat = lookAtFile(spot);
  // No state: appending does not depend on what is there, and an approval of it stays good when others append.
  const targets = [fileTarget(spot, "append", null)];
  if (stat === null) return { targets, before: { ino: null, offset: 0, isLineOpen: false } };
  await using handle = await openFile(spot);
  const offset = Number(stat.size);
  return {
    targets,
    before: { ino: String(stat.ino), offset, isLineOpen: await isLineOpenAt(handle, offset) },
  };
}

export function parseAppendBefore(context: CallContext): AppendBefore {
  return parse(Before, context.before, "the state before appending");
}

export async function performAppend(
  path: string,
  bytesOf: BytesOf,
  context: CallContext,
): Promise<Performed> {
  using spot = placeToWrite(path, context);
  const recorded = parseAppendBefore(context);
  const isCreated = recorded.ino === null;
  await using handle = await openToAppend(spot, isCreated);
  const stat = fstatSync(handle.fd, { bigint: true });
  const size = Number(stat.size);
  if (recorded.ino !== null && String(stat.ino) !== recorded.ino)
    throw changed(spot.relative, "it was replaced");
  if (size < recorded.offset) throw changed(spot.relative, "it became shorter");
  const isLineOpen = size === recorded.offset ? recorded.isLineOpen : await isLineOpenAt(handle, size);
  const bytes = bytesOf({ ...recorded, isLineOpen });
  await appendAll(handle, bytes, { offset: size, path: spot.relative });
  await syncAppended(handle, spot, isCreated);
  const offset = await findWritten(handle, bytes, size);
  if (offset === null) {
    throw fault(
      "filesystem.readback",
      `Cannot confirm \`${spot.relative}\`: the appended text is not there`,
      {
        path: spot.relative,
        outcome: "unknown",
      },
    );
  }
  const after = fstatSync(handle.fd, { bigint: true });
  const times = { before: String(stat.mtimeNs), after: String(after.mtimeNs) };
  return performed(spot, { offset, bytes, isCreated, times });
}

async function syncAppended(handle: FileHandle, spot: Spot, isCreated: boolean): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    const facts = { path: spot.relative, outcome: "unknown" };
    throw fault(
      "filesystem.io",
      `Cannot make the text appended to \`${spot.relative}\` durable`,
      facts,
      error,
    );
  }
  if (isCreated) await syncAfterEffect(spot.folder);
}

/** The result it would give; nothing is written. */
export async function predictAppend(
  path: string,
  bytesOf: BytesOf,
  context: CallContext,
): Promise<Performed["result"]> {
  using spot = placeToWrite(path, context);
  const recorded = parseAppendBefore({ ...context, before: (await inspectAppend(path, context)).before });
  const done = { offset: recorded.offset, bytes: bytesOf(recorded), isCreated: recorded.ino === null };
  return performed(spot, done).result;
}

export async function resolveAppend(
  path: string,
  bytesOf: BytesOf,
  context: CallContext,
): Promise<Resolution> {
  using spot = placeToWrite(path, context);
  const recorded = parseAppendBefore(context);
  const isCreated = recorded.ino === null;
  const stat = lookAtFile(spot);
  if (stat === null) {
    return isCreated ? { kind: "not-done" } : { kind: "unknown", reason: `\`${spot.relative}\` is gone` };
  }
  if (recorded.ino !== null && String(stat.ino) !== recorded.ino) {
    return { kind: "unknown", reason: `\`${spot.relative}\` was replaced by another file` };
  }
  const size = Number(stat.size);
  if (size < recorded.offset) return { kind: "unknown", reason: `\`${spot.relative}\` became shorter` };
  if (size === recorded.offset) return { kind: "not-done" };
  if (size - recorded.offset > foreignBytesMax) {
    return { kind: "unknown", reason: `much was appended to \`${spot.relative}\` meanwhile` };
  }
  const bytes = Buffer.from(bytesOf(recorded));
  await using handle = await openToAppend(spot, false);
  const tail = await readRange(handle, recorded.offset, size - recorded.offset);
  const isDone = tail.subarray(0, bytes.length).equals(bytes);
  if (!isDone && tail.length < bytes.length && bytes.subarray(0, tail.length).equals(tail)) {
    const isCompleted = await complete(handle, bytes.subarray(tail.length), {
      from: recorded.offset,
      at: size,
    });
    if (!isCompleted) return { kind: "not-done" };
  } else if (!isDone) {
    return mayHold(tail, Buffer.from(bytesOf({ ...recorded, isLineOpen: false })))
      ? { kind: "unknown", reason: `others appended to \`${spot.relative}\` at the same time` }
      : { kind: "not-done" };
  }
  await handle.sync();
  if (isCreated) await syncFolder(spot.folder);
  return { kind: "done", performed: performed(spot, { offset: recorded.offset, bytes, isCreated }) };
}

function performed(
  spot: Spot,
  done: {
    readonly offset: number;
    readonly bytes: Uint8Array;
    readonly isCreated: boolean;
    /** Times of change in ns, where they were seen: the undo puts the earlier one back, so that the file is again what it was. */
    readonly times?: { readonly before: string; readonly after: string };
  },
): Performed {
  const { offset, bytes, isCreated, times } = done;
  const sha256 = sha256Of(bytes);
  return {
    result: { path: spot.relative, offset, sizeBytes: bytes.length, sha256, created: isCreated },
    undo: {
      capability: removeAppendedId,
      params: {
        path: spot.relative,
        offset,
        sizeBytes: bytes.length,
        sha256,
        created: isCreated,
        ...(times === undefined ? {} : { times }),
      },
    },
    evidence: "observed",
  };
}

async function openToAppend(spot: Spot, create: boolean): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    lookAtFile(spot);
    return await open(spot.at, create ? flags | constants.O_CREAT : flags, 0o666);
  } catch (error) {
    throw fsFault(error, `Cannot append to \`${spot.relative}\``, spot.relative);
  }
}

/** Writes all bytes at the end; when the disk fills up half way, what was written is taken back. */
async function appendAll(
  handle: FileHandle,
  bytes: Uint8Array,
  place: { readonly offset: number; readonly path: string },
): Promise<void> {
  let written = 0;
  try {
    while (written < bytes.length) {
      const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, null);
      written += bytesWritten;
    }
  } catch (error) {
    const isOurs = written > 0 && fstatSync(handle.fd).size === place.offset + written;
    if (isOurs) ftruncateSync(handle.fd, place.offset);
    throw fsFault(error, `Cannot append to \`${place.path}\``, place.path);
  }
}

async function complete(
  handle: FileHandle,
  rest: Uint8Array,
  place: { readonly from: number; readonly at: number },
): Promise<boolean> {
  try {
    await appendAll(handle, rest, { offset: place.at, path: "the file" });
    return true;
  } catch {
    if (fstatSync(handle.fd).size !== place.at)
      throw fault("filesystem.io", "Cannot complete a torn append", {});
    ftruncateSync(handle.fd, place.from);
    await handle.sync();
    return false;
  }
}

/** Where the bytes stand from `offset` on, or null. */
async function findWritten(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<number | null> {
  const direct = await readRange(handle, offset, bytes.length);
  if (direct.equals(bytes)) return offset;
  const { size } = await handle.stat();
  const tail = await readRange(handle, offset, Math.min(size - offset, foreignBytesMax));
  const index = tail.indexOf(bytes);
  return index === -1 ? null : offset + index;
}

/** Whether our bytes, or a beginning of them at the end, may be among what was appended. */
function mayHold(tail: Buffer, bytes: Buffer): boolean {
  if (tail.includes(bytes)) return true;
  for (let length = Math.min(tail.length, bytes.length - 1); length > 0; length--) {
    if (tail.subarray(tail.length - length).equals(bytes.subarray(0, length))) return true;
  }
  return false;
}

export async function readRange(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function isLineOpenAt(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const end = await readRange(handle, Math.max(0, size - 2), Math.min(2, size));
  // A line end in UTF-8, the windows encodings and big-endian UTF-16, or in little-endian UTF-16.
  return end.at(-1) !== 10 && !(end[0] === 10 && end[1] === 0);
}
