// Program bytes: protobuf, formats 1 and 2 (proto/writ/program/v1/program.proto). The decoder of a format is frozen: it takes exactly the
// bytes the encoder makes.
//   F1  One program has one byte sequence: fields in number order, pairs sorted by name, values as deterministic CBOR, no default written.
//   F2  Bytes that do not re-encode to themselves (unknown field, trailing bytes, other order) are malformed, not tolerated.
//   F3  The format is read before anything else; another format is `program.version`, whatever follows.
//   F5  Format 1 has nothing of format 2: such a program is not written, and such bytes are not read.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { equalBytes, toHex } from "./bytes.ts";
import { fault } from "./faults.ts";
import { hasCode } from "./fault.ts";
import { ProgramSchema, type Program as ProgramMessage } from "./gen/writ/program/v1/program_pb.ts";
import { programHash, type ProgramHash } from "./ids.ts";
import { blockDepthMax, programBytesMax } from "./limits.ts";
import type { Hasher } from "./ports.ts";
import type { HashedProgram, Program } from "./program.ts";
import { format2Features } from "./program-format.ts";
import { fromMessage } from "./program-codec/from-message.ts";
import { toMessage } from "./program-codec/to-message.ts";

/** Messages between one block and the next: block, step, opcode, arm; or step, failure policy, retry, policy inside it. */
const recursionLimit = blockDepthMax * 6 + 16;

/** @throws program.malformed when the program cannot be written (a number that is no safe integer, too large, not of its format) */
export function encodeProgram(program: Program): Uint8Array {
  if (program.format === 1) checkFormat1(program);
  let bytes: Uint8Array;
  try {
    bytes = toBinary(ProgramSchema, create(ProgramSchema, toMessage(program)));
  } catch (error) {
    if (hasCode(error, "program.malformed")) throw error;
    throw fault("program.malformed", `Cannot encode the program: ${messageOf(error)}`, {}, error);
  }
  checkSize(bytes);
  return bytes;
}

/** @throws program.malformed, program.version */
export function decodeProgram(bytes: Uint8Array): Program {
  checkSize(bytes);
  const program = decodeMessage(bytes, formatOf(bytes));
  if (!equalBytes(encodeProgram(program), bytes)) {
    throw fault(
      "program.malformed",
      "Cannot accept the program: its bytes hold an unknown field, trailing bytes or another encoding than the one of its format",
      { sizeBytes: bytes.length },
    );
  }
  return program;
}

/** SHA-256 of the payload bytes: the name by which a program is proven, approved, signed and run. */
export function hashProgram(bytes: Uint8Array, hasher: Hasher): ProgramHash {
  return programHash(toHex(hasher.sha256(bytes)));
}

/** Encodes and hashes. @throws program.malformed */
export function hashedProgram(program: Program, hasher: Hasher): HashedProgram {
  const bytes = encodeProgram(program);
  return { hash: hashProgram(bytes, hasher), program, bytes };
}

function checkSize(bytes: Uint8Array): void {
  if (bytes.length > programBytesMax) {
    throw fault("program.malformed", `Cannot take a program of ${bytes.length} bytes`, {
      sizeBytes: bytes.length,
      sizeBytesMax: programBytesMax,
    });
  }
}

/** Field 1 stands first in every format: tag 0x08, then the number as a varint. */
function formatOf(bytes: Uint8Array): Program["format"] {
  if (bytes[0] !== 0x08 || bytes[1] === undefined) {
    throw fault("program.malformed", "Cannot read the program: it does not begin with a format number", {
      sizeBytes: bytes.length,
    });
  }
  const format = bytes[1];
  if (format === 1 || format === 2) return format;
  const known = format < 0x80 ? format : null;
  throw fault(
    "program.version",
    `Cannot read a program of format ${known ?? "above 127"}: this version reads formats 1 and 2`,
    { format: known },
  );
}

function checkFormat1(program: Program): void {
  const [first] = format2Features(program);
  if (first === undefined) return;
  throw fault("program.malformed", `Cannot write a program of format 1 with ${first}: that is format 2`, {
    feature: first,
  });
}

function decodeMessage(bytes: Uint8Array, format: Program["format"]): Program {
  let message: ProgramMessage;
  try {
    message = fromBinary(ProgramSchema, bytes, { recursionLimit, readUnknownFields: true });
    return fromMessage(message, format);
  } catch (error) {
    if (hasCode(error, "program.malformed")) throw error;
    throw fault("program.malformed", `Cannot read the program: ${messageOf(error)}`, {}, error);
  }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
