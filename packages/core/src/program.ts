// Programs (LLM-IR, format 1): structured, not jumps. A program is a list of steps with data edges (slots) and control edges (`after`),
// and nested blocks. The set of opcodes is closed; an unknown one is a refusal at decode, never a skip.
//   P1  A step's id is unique in the whole program; a slot is written by at most one step on any path.
//   P2  Within a block a step is ready when all of `after` have ended as its tolerance allows; `after` names steps of the same block.
//   P3  Expressions are canonical CEL text (`renderExpression`); names in them are slots.
//   P4  Everything that depends on language, author or time stands in `ProgramSource`, outside the hash: twins have one hash.
import type { CapabilityId, ProgramHash, RoleName, Sha256, SlotName, StepId } from "./ids.ts";
import type { Language } from "./capability.ts";
import type { Priority } from "./event.ts";
import type { Label } from "./label.ts";
import type { Schema } from "./schema.ts";
import type { Value } from "./value.ts";

/** A parameter: a frozen value, or CEL over slots. */
export type Operand =
  | { readonly kind: "literal"; readonly value: Value }
  | { readonly kind: "expression"; readonly text: string };
export type Operands = Readonly<Record<string, Operand>>;

export interface Block {
  readonly steps: readonly Step[];
}

export interface Step {
  readonly id: StepId;
  readonly after: readonly StepId[];
  /** Steps of `after` that may have FAILED (policy `continue`) or been SKIPPED without this step being skipped too. */
  readonly tolerates: readonly StepId[];
  readonly op: Opcode;
  readonly failure: FailurePolicy;
  readonly timeoutMs: number | null;
}

export type Opcode =
  | {
      readonly op: "load";
      readonly capability: CapabilityId;
      readonly params: Operands;
      readonly output: SlotName;
      readonly freshnessMsMax: number | null;
    }
  | { readonly op: "eval"; readonly expression: string; readonly output: SlotName }
  | { readonly op: "check"; readonly slot: SlotName; readonly schema: Schema }
  | {
      readonly op: "call";
      readonly capability: CapabilityId;
      readonly params: Operands;
      readonly output: SlotName | null;
      readonly compensation: Compensation | null;
    }
  | {
      readonly op: "branch";
      readonly arms: readonly { readonly when: string; readonly block: Block }[];
      readonly otherwise: Block;
    }
  | { readonly op: "parallel"; readonly branches: readonly Block[]; readonly join: Join }
  | { readonly op: "wait"; readonly until: WaitUntil }
  | {
      readonly op: "approve";
      readonly role: RoleName;
      readonly withinMs: number;
      readonly message: Operand | null;
      readonly body: Block;
      readonly otherwise: Block | null;
    }
  | { readonly op: "emit"; readonly type: string; readonly data: Operands }
  | { readonly op: "fail"; readonly code: string; readonly message: Operand }
  | { readonly op: "finish"; readonly result: Operand };

/** A compensation the author wrote instead of the capability's own undo. It is never a step of the normal run. */
export interface Compensation {
  readonly capability: CapabilityId;
  readonly params: Operands;
}

export type Join =
  | { readonly kind: "all" }
  | { readonly kind: "first" }
  | { readonly kind: "race" }
  | { readonly kind: "quorum"; readonly count: number };

export type WaitUntil =
  | { readonly kind: "duration"; readonly ms: number }
  | { readonly kind: "time"; readonly at: Operand };

/** The policies of table 4.1 that this version runs; the compiler refuses the others by name. */
export type FailurePolicy =
  | { readonly kind: "safe_halt" }
  | {
      readonly kind: "retry";
      readonly attemptsMax: number;
      readonly delayMs: number;
      readonly factor: number;
      readonly delayMsMax: number;
      /** Fault codes; a step of a non-idempotent capability without a key is never retried. */
      readonly on: readonly string[];
      readonly then: FailurePolicy;
    }
  | { readonly kind: "safe_value"; readonly value: Value }
  | { readonly kind: "degrade"; readonly block: Block }
  | { readonly kind: "skip" }
  | { readonly kind: "continue" }
  | { readonly kind: "ask_person"; readonly role: RoleName; readonly withinMs: number }
  | { readonly kind: "compensate" };

export type Trigger =
  | { readonly kind: "manual" }
  | {
      readonly kind: "source";
      readonly source: CapabilityId;
      /** Matches the source's config schema. */
      readonly config: Readonly<Record<string, Value>>;
      /** CEL over `event`, or null for every event. */
      readonly filter: string | null;
      /** Fires when `filter` has held for this long without interruption (per `event.data.key` where present); 0 at once. */
      readonly holdMs: number;
      /** At most one run per this time; 0 for no bound. */
      readonly throttleMs: number;
    };

/** Fires only between these minutes of the day in `zone`; `from > to` crosses midnight. */
export interface TimeWindow {
  readonly fromMinute: number;
  readonly toMinute: number;
  /** 0 = Sunday; empty = every day. */
  readonly days: readonly number[];
  readonly zone: string;
}

/** A claim of the author that the verifier proves and the gate enforces. */
export type Invariant =
  | { readonly kind: "writes-within"; readonly paths: readonly string[] }
  | { readonly kind: "never-writes"; readonly paths: readonly string[] }
  | { readonly kind: "never-calls"; readonly capability: CapabilityId }
  | { readonly kind: "never-sends" };

/** What of the workspace the program used, frozen at compile time. */
export interface FrozenWorkspace {
  readonly name: string;
  readonly zone: string;
  readonly profile: string;
  readonly folders: readonly {
    readonly name: string;
    readonly path: string;
    readonly access: "read" | "write";
  }[];
  readonly files: readonly {
    readonly name: string;
    readonly path: string;
    readonly access: "read" | "write";
  }[];
  readonly roles: readonly string[];
  readonly columns: readonly {
    readonly folder: string;
    readonly column: string;
    readonly type: string;
    readonly dimension: string | null;
    readonly min: string | null;
    readonly max: string | null;
  }[];
  readonly hosts: readonly {
    readonly host: string;
    readonly scheme: string;
    readonly risk: string;
    readonly idempotent: boolean;
  }[];
}

/** Type of a slot as the verifier sees it. */
export interface SlotDeclaration {
  readonly name: SlotName;
  readonly schema: Schema;
  readonly labels: readonly Label[];
}

export interface Program {
  readonly format: 1;
  readonly trigger: Trigger;
  readonly windows: readonly TimeWindow[];
  readonly priority: Priority;
  readonly runTimeoutMs: number;
  /** Runs of one program at once; further events queue. */
  readonly concurrencyMax: number;
  /** Sorted, distinct; exactly those that steps call. */
  readonly capabilities: readonly CapabilityId[];
  readonly invariants: readonly Invariant[];
  readonly workspace: FrozenWorkspace;
  readonly slots: readonly SlotDeclaration[];
  readonly body: Block;
}

/** Where a program came from; kept beside it, outside its hash. */
export interface ProgramSource {
  readonly kind: "rule" | "plan" | "program";
  readonly name: string;
  readonly text: string;
  readonly language: Language | null;
  /** Step id or trigger part → characters [start, end) of the text that it came from. Keys `trigger`, `invariant.N` and step ids. */
  readonly spans: Readonly<Record<string, readonly [number, number]>>;
}

/** DSSE envelope: signatures cover PAE(payloadType, payload). */
export interface SignedProgram {
  readonly payloadType: "application/vnd.writ.program.v1+protobuf";
  readonly payload: Uint8Array;
  readonly signatures: readonly ProgramSignature[];
}

export interface ProgramSignature {
  readonly keyId: string;
  readonly algorithm: "ed25519" | "ml-dsa-65";
  readonly signature: Uint8Array;
}

/** A program with the hash of its payload bytes. */
export interface HashedProgram {
  readonly hash: ProgramHash;
  readonly program: Program;
  readonly bytes: Uint8Array;
}

export interface CertificateCheck {
  /** Number of the check in the verifier's table. */
  readonly check: number;
  readonly name: string;
  readonly verdict: "holds" | "violated" | "unknown" | "information";
  /** What was claimed, in words, with its bound. */
  readonly claim: string;
  readonly method: "solver" | "automata" | "graph" | "fixpoint" | "types";
  /** Canonical SMT-LIB text and its hash where a solver was asked. */
  readonly query: {
    readonly text: string;
    readonly sha256: Sha256;
    readonly result: "sat" | "unsat" | "unknown";
  } | null;
  readonly counterexample: Counterexample | null;
}

export interface Counterexample {
  /** One sentence a person understands, in English. */
  readonly summary: string;
  /** Concrete values, such as `sum of amount = 10000.01 EUR`. */
  readonly values: readonly { readonly name: string; readonly value: string }[];
  /** Steps it passes through, in order. */
  readonly path: readonly string[];
  /** Characters of the rule's text that clash, filled in when the source is known. */
  readonly spans: readonly (readonly [number, number])[];
  /** Hash of another program involved, if any. */
  readonly other: ProgramHash | null;
}

export interface Certificate {
  readonly v: 1;
  readonly program: ProgramHash;
  readonly verdict: "proved" | "refused";
  readonly encoder: string;
  /** Solver and full version, or null when no solver was asked. */
  readonly solver: string | null;
  /** Hashes of the programs it was compared with, sorted. */
  readonly against: readonly ProgramHash[];
  readonly checks: readonly CertificateCheck[];
  readonly elapsedMs: number;
}

/** The blocks an opcode holds, in operand order. */
export function blocksOf(opcode: Opcode): readonly Block[] {
  switch (opcode.op) {
    case "branch":
      return [...opcode.arms.map((arm) => arm.block), opcode.otherwise];
    case "parallel":
      return opcode.branches;
    case "approve":
      return opcode.otherwise === null ? [opcode.body] : [opcode.body, opcode.otherwise];
    case "load":
    case "eval":
    case "check":
    case "call":
    case "wait":
    case "emit":
    case "fail":
    case "finish":
      return [];
  }
}

/** Every step of a block and of the blocks inside it (also degraded alternatives), outer before inner, in order. */
export function allSteps(block: Block): readonly Step[] {
  const steps: Step[] = [];
  const pending: Block[] = [block];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const step of next.steps) {
      steps.push(step);
      pending.push(...blocksOf(step.op));
      for (
        let policy: FailurePolicy | null = step.failure;
        policy !== null;
        policy = policy.kind === "retry" ? policy.then : null
      ) {
        if (policy.kind === "degrade") pending.push(policy.block);
      }
    }
  }
  return steps;
}
