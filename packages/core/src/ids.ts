import type { Brand } from "./brand.ts";
import { toHex } from "./bytes.ts";
import { fault } from "./faults.ts";

export type RunId = Brand<string, "RunId">;
export type StepId = Brand<string, "StepId">;
export type SlotName = Brand<string, "SlotName">;
export type NodeId = Brand<string, "NodeId">;
export type PersonId = Brand<string, "PersonId">;
export type RoleName = Brand<string, "RoleName">;
export type KeyId = Brand<string, "KeyId">;
export type ApprovalId = Brand<string, "ApprovalId">;
export type EventId = Brand<string, "EventId">;
/** `module.action@major.minor.patch` */
export type CapabilityId = Brand<string, "CapabilityId">;
/** 64 lower-case hexadecimal digits. */
export type Sha256 = Brand<string, "Sha256">;
/** SHA-256 of a program's payload bytes. */
export type ProgramHash = Brand<Sha256, "ProgramHash">;

function idMaker<Id extends string>(name: string, pattern: RegExp, form: string) {
  return (text: string): Id => {
    if (!pattern.test(text)) {
      throw fault("core.invalid-id", `Cannot read \`${text.slice(0, 80)}\` as ${name}: expected ${form}`, {
        text: text.slice(0, 200),
        form,
      });
    }
    return text as Id;
  };
}

export const runId = idMaker<RunId>(
  "a run id",
  /^r_[0-9a-z]{8,40}$/,
  "`r_` and 8 to 40 digits or small letters",
);
export const stepId = idMaker<StepId>(
  "a step id",
  /^[A-Za-z0-9_.-]{1,128}$/,
  "1 to 128 letters, digits, `_`, `.` or `-`",
);
export const slotName = idMaker<SlotName>(
  "a slot name",
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
  "a CEL identifier",
);
export const nodeId = idMaker<NodeId>(
  "a node id",
  /^n_[0-9a-z]{8,40}$/,
  "`n_` and 8 to 40 digits or small letters",
);
export const personId = idMaker<PersonId>(
  "a person id",
  /^[a-z][a-z0-9_-]{0,63}$/,
  "a small letter, then small letters, digits, `_` or `-`",
);
export const roleName = idMaker<RoleName>(
  "a role",
  /^[a-z][a-z0-9_-]{0,63}$/,
  "a small letter, then small letters, digits, `_` or `-`",
);
export const keyId = idMaker<KeyId>(
  "a key id",
  /^k_[0-9a-f]{16,64}$/,
  "`k_` and 16 to 64 hexadecimal digits",
);
export const approvalId = idMaker<ApprovalId>(
  "an approval id",
  /^a_[0-9a-z]{8,40}$/,
  "`a_` and 8 to 40 digits or small letters",
);
export const eventId = idMaker<EventId>(
  "an event id",
  /^[\x21-\x7e]{1,256}$/,
  "1 to 256 visible ASCII characters",
);
export const capabilityId = idMaker<CapabilityId>(
  "a capability id",
  /^[a-z][a-z0-9_]{0,63}\.[a-z][a-z0-9_]{0,63}@\d{1,6}\.\d{1,6}\.\d{1,6}$/,
  "`module.action@1.2.3`",
);
export const sha256 = idMaker<Sha256>("a SHA-256", /^[0-9a-f]{64}$/, "64 small hexadecimal digits");
/** The text of a digest of 32 bytes. */
export function sha256OfDigest(digest: Uint8Array): Sha256 {
  if (digest.length !== 32) throw new RangeError("a SHA-256 has 32 bytes");
  return toHex(digest) as Sha256;
}

export const programHash = idMaker<ProgramHash>(
  "a program hash",
  /^[0-9a-f]{64}$/,
  "64 small hexadecimal digits",
);

/** `module.action` without the version. */
export function capabilityName(id: CapabilityId): string {
  return id.slice(0, id.indexOf("@"));
}
