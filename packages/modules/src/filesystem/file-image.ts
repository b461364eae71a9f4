// Images of files: the state of a file as `inspect` records it and as undo expects to find it.
import { createHash } from "node:crypto";
import type { CallContext } from "@writ/core/capability";
import { sha256 as parseSha256, type Sha256 } from "@writ/core/ids";
import { parse, Type, type Static } from "@writ/core/schema";
import type { Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { Spot } from "./contained.ts";
import { chunksOf, factsOf, hashing, hashOf, lookAtFile, openFile, sameFacts } from "./files.ts";

const sha256Text = Type.String({ pattern: "^[0-9a-f]{64}$", maxLength: 64 });

/** Something kept in the blobs, in the form by which the verification of a ledger knows that it must be there. */
export const Kept = Type.Object({ $blob: sha256Text }, { additionalProperties: false });
export type Kept = Static<typeof Kept>;

export const FileImage = Type.Object(
  {
    ino: Type.String({ maxLength: 24 }),
    sizeBytes: Type.Integer({ minimum: 0 }),
    mtimeNs: Type.String({ maxLength: 24 }),
    mode: Type.Integer({ minimum: 0 }),
    sha256: sha256Text,
    /** Where its bytes are kept; absent when only their hash was taken. */
    kept: Type.Optional(Kept),
  },
  { additionalProperties: false },
);
export type FileImage = Static<typeof FileImage>;

/** An image, or null for `there was nothing`. */
export const FileImageOrNull = Type.Union([FileImage, Type.Null()]);

export function parseFileImage(value: Value | undefined, what: string): FileImage | null {
  return parse(FileImageOrNull, value, what);
}

/** The file's state, hashed in one pass; with `keep` its bytes are put into the blobs in the same pass. Null when absent. */
export async function fileImageOf(
  spot: Spot,
  context: CallContext,
  keep: "keep" | "hash" = "hash",
): Promise<FileImage | null> {
  if (lookAtFile(spot) === null) return null;
  await using handle = await openFile(spot);
  const facts = factsOf(await handle.stat({ bigint: true }));
  const bytes = chunksOf(handle, context.signal);
  const into = { hash: createHash("sha256"), sizeBytes: 0 };
  const sha256 =
    keep === "keep" ? (await context.blobs.put(hashing(bytes, into))).sha256 : (await hashOf(bytes)).sha256;
  if (keep === "keep" && parseSha256(into.hash.digest("hex")) !== sha256) {
    throw new Error("Invariant broken: the blob store returns the hash of what it was given");
  }
  if (!sameFacts(facts, factsOf(await handle.stat({ bigint: true })))) {
    throw fault("filesystem.changed", `Cannot use \`${spot.relative}\`: it changed while it was read`, {
      path: spot.relative,
    });
  }
  return keep === "keep" ? { ...facts, sha256, kept: { $blob: sha256 } } : { ...facts, sha256 };
}

/** True when the file is still what the image says, by identity, size and time of change (not read again). */
export function isStill(spot: Spot, fileImage: FileImage | null): boolean {
  const stat = lookAtFile(spot);
  if (stat === null || fileImage === null) return stat === null && fileImage === null;
  return sameFacts(factsOf(stat), fileImage);
}

/** @throws undo.world-changed naming what differs, unless the place is exactly what the effect left there */
export async function assertUntouched(
  spot: Spot,
  left: FileImage | null,
  context: CallContext,
): Promise<void> {
  const found = await fileImageOf(spot, context);
  const difference = differenceOf(left, found);
  if (difference === null) return;
  throw fault("undo.world-changed", `Cannot take back \`${spot.relative}\`: ${difference}`, {
    path: spot.relative,
    expected: left,
    found,
  });
}

/** What a person would call the difference, or null when nothing that matters differs. */
export function differenceOf(left: FileImage | null, found: FileImage | null): string | null {
  if (left === null) return found === null ? null : "a file of that name has appeared since";
  if (found === null) return "it was moved or deleted since";
  if (found.sha256 !== left.sha256) {
    return `its content was changed since (${left.sizeBytes} bytes then, ${found.sizeBytes} bytes now)`;
  }
  // A file that our own undo of a later step put back has a new inode but its old time of change.
  return found.ino === left.ino || isSameTime(BigInt(found.mtimeNs), BigInt(left.mtimeNs))
    ? null
    : "it was replaced by another file since";
}

export function milliseconds(fileImage: FileImage): number {
  return Number(BigInt(fileImage.mtimeNs) / 1000n) / 1000;
}

/** Times in ns. They are set in doubles of seconds, which hold about a microsecond. */
export function isSameTime(a: bigint, b: bigint): boolean {
  return a - b < 2_000n && b - a < 2_000n;
}

export function stateOf(fileImage: FileImage | null): Sha256 | null {
  return fileImage === null ? null : parseSha256(fileImage.sha256);
}
