// Programs (LLM-IR, formats 1 and 2): structured, not jumps. A program is a list of steps with data edges (slots) and control edges (`after`),
// and nested blocks. The set of opcodes is closed; an unknown one is a refusal at decode, never a skip.
//   P1  A step's id is unique in the whole program; a slot is written by at most one step on any path.
//   P2  Within a block a step is ready when all of `after` have ended as its tolerance allows; `after` names steps of the same block.
//   P3  Expressions are canonical CEL text (`renderExpression`); names in them are slots.
//   P4  Everything that depends on language, author or time stands in `ProgramSource`, outside the hash: twins have one hash.
// Format 2 is format 1 and everything that is marked so below (`program-format.ts` lists it); what uses none of it stays format 1.
import type { CapabilityId, ProgramHash, RoleName, Sha256, SlotName, StepId } from "./ids.ts";
import type { Language } from "./capability.ts";
import type { Priority } from "./event.ts";
import type { Label } from "./label.ts";
import type { Schema } from "./schema.ts";
import type { Decimal, Value } from "./value.ts";

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
  /** For steps with blocks, `loop` and `run`: the whole of it, not one iteration or attempt. */
  readonly timeoutMs: number | null;
  /** Format 2: where the step's effect stands among what waits for a turn; the run's own priority when absent. */
  readonly priority?: Priority;
  /** Format 2: what is more urgent may begin between this step and the next. */
  readonly preemptible?: boolean;
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
      /** Format 2. */
      readonly guard?: Guard;
    }
  | {
      readonly op: "branch";
      readonly arms: readonly { readonly when: string; readonly block: Block }[];
      readonly otherwise: Block;
    }
  | { readonly op: "parallel"; readonly branches: readonly Block[]; readonly join: Join }
  | {
      readonly op: "wait";
      readonly until: WaitUntil;
      /** Format 2: what becomes of a wait that came due while the node was down; absent: it goes on, late. */
      readonly missed?: "go-on" | "fail";
      /** Format 2: the matching event as `eventSlot` gives it, or null where the wait went on without one. */
      readonly output?: SlotName;
    }
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
  | { readonly op: "finish"; readonly result: Operand }
  | Loop
  /** Format 2: a model answers, through capability `model.ask@1.0.0`; the answer fits the schema or the step fails. */
  | {
      readonly op: "ask";
      readonly model: string;
      /** Frozen with the program: the model sees this and the prompt, nothing else. */
      readonly context: string;
      readonly prompt: Operand;
      readonly schema: Schema;
      readonly output: SlotName;
      /** Answers asked for until one fits: 1 to `askAttemptsMax`. */
      readonly attemptsMax: number;
    }
  /** Format 2: what was remembered last under the key, or null; through capability `memory.recall@1.0.0`. */
  | {
      readonly op: "recall";
      readonly scope: MemoryScope;
      readonly key: Operand;
      readonly output: SlotName;
    }
  /** Format 2: through capability `memory.remember@1.0.0`. */
  | {
      readonly op: "remember";
      readonly scope: MemoryScope;
      readonly key: Operand;
      readonly value: Operand;
    }
  /** Format 2: runs another program, of exactly this version; its result is the output, its end this step's end. */
  | {
      readonly op: "run";
      readonly program: ProgramHash;
      /** `event.data` of the run it starts. */
      readonly input: Operands;
      readonly output: SlotName | null;
    };

/** Whose memory: of this program under its hash, or of every program of the workspace. */
export type MemoryScope = "program" | "workspace";

/**
 * Format 2. The body runs once per iteration; slots that it writes are dropped where the next iteration begins. After each iteration
 * every `next` is computed from the slots as they are, all replace their slots together, and then `until` is looked at.
 */
export interface Loop {
  readonly op: "loop";
  readonly body: Block;
  /** One iteration per element, the element in `item`; a list longer than `iterationsMax` fails before the first. Null: no list. */
  readonly over: { readonly list: Operand; readonly item: SlotName } | null;
  /** Number of the iteration from 0, visible in the body. */
  readonly index: SlotName | null;
  /** Values handed from one iteration to the next; the slots keep the last ones when the loop has ended. */
  readonly carry: readonly { readonly slot: SlotName; readonly initial: Operand; readonly next: string }[];
  /** CEL; true ends the loop. */
  readonly until: string | null;
  /** 1 to `loopIterationsMax`. */
  readonly iterationsMax: number;
  /** Ending without `until` being true (bound reached, list at its end) is the fault `loop.not-converged`. */
  readonly mustConverge: boolean;
}

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
  | { readonly kind: "time"; readonly at: Operand }
  /**
   * Format 2: an event that comes after the wait began. `source` null: one that a run of the same workspace emits. `type`: exactly this
   * type. `filter`: CEL over the slots, with `event` as the new event. None within `withinMs`: the fault `wait.timed-out`.
   */
  | {
      readonly kind: "event";
      readonly source: CapabilityId | null;
      readonly config: Readonly<Record<string, Value>>;
      readonly type: string | null;
      readonly filter: string | null;
      readonly withinMs: number;
    }
  /**
   * Format 2: `condition` (as `filter`) has held for `holdMs`, from the first event for which it is true, without one for which it is
   * not, per `event.data.key` where there is one. `down`: whether time during which the node was down counts.
   */
  | {
      readonly kind: "condition";
      readonly source: CapabilityId | null;
      readonly config: Readonly<Record<string, Value>>;
      readonly type: string | null;
      readonly condition: string;
      readonly holdMs: number;
      readonly withinMs: number;
      readonly down: "counts" | "restarts";
    };

/** Format 2: what is looked at before, around and after an effect on something physical. */
export interface Guard {
  /** CEL over slots; each must be true. */
  readonly preconditions?: readonly string[];
  readonly window?: {
    readonly window: TimeWindow;
    readonly outside: "queue" | "refuse" | "skip";
    /** How long it may queue. */
    readonly queueMs: number;
  };
  /** Announced, and done when the time has passed without anybody having stopped it. */
  readonly countdown?: {
    readonly ms: number;
    readonly role: RoleName;
    readonly requiresAcknowledgment: boolean;
    readonly onMissed: "abort" | "execute" | "escalate";
  };
  /** On one target, whoever moves it. `perMinuteMax` 0: no bound. */
  readonly rate?: { readonly cooldownMs: number; readonly perMinuteMax: number };
  readonly ranges?: readonly {
    readonly param: string;
    readonly min: Decimal | null;
    readonly max: Decimal | null;
    /** Largest change from one effect to the next. */
    readonly stepMax: Decimal | null;
  }[];
  readonly readBack?: {
    readonly capability: CapabilityId;
    readonly params: Operands;
    /** CEL over the slots, `result` (what was read) and `tolerance`, such as `abs(result.position - target) <= tolerance`. */
    readonly check: string;
    readonly tolerance: Decimal | null;
    readonly pollMs: number;
    readonly timeoutMs: number;
  };
}

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
      /** Format 2: 0 to 1, the part of the delay that is drawn; the drawn time is recorded. */
      readonly jitter?: number;
    }
  | { readonly kind: "safe_value"; readonly value: Value }
  | { readonly kind: "degrade"; readonly block: Block }
  | { readonly kind: "skip" }
  | { readonly kind: "continue" }
  | { readonly kind: "ask_person"; readonly role: RoleName; readonly withinMs: number }
  | { readonly kind: "compensate" }
  /** Format 2: a model gives the value that the step could not, checked against the schema. */
  | {
      readonly kind: "ask_model";
      readonly model: string;
      readonly context: string;
      readonly schema: Schema;
      readonly attemptsMax: number;
    }
  /** Format 2: the run stands until somebody in the role moves it to another version of the program, or lets it fail. */
  | { readonly kind: "recompile"; readonly role: RoleName; readonly withinMs: number };

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
  readonly format: 1 | 2;
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
  // The rest is format 2.
  /** Sources that stay open while the program is deployed, beside its trigger: those its waits hear. Sorted as the program lists them. */
  readonly listens?: readonly Listening[];
  /** What an event does that comes while `concurrencyMax` runs are there; absent: it queues. */
  readonly conflict?: "queue" | "preempt" | "reject";
  /** Events that may queue; one more is refused. */
  readonly queueMax?: number;
  readonly resources?: readonly ResourceNeed[];
  /** What becomes of a run that was stopped for another one. */
  readonly onPreempted?: "again" | "fail";
}

export interface Listening {
  readonly source: CapabilityId;
  readonly config: Readonly<Record<string, Value>>;
}

/** So many units of a named resource, for the whole run. */
export interface ResourceNeed {
  readonly name: string;
  readonly count: number;
  readonly access: "shared" | "exclusive";
  readonly leaseMs: number;
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

/**
 * DSSE envelope: signatures cover PAE(payloadType, payload). Both formats have one payload type: it names the protobuf package, which
 * they share, and the format number is the first thing in the signed bytes, so that no envelope can pass one for the other.
 */
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
    case "loop":
      return [opcode.body];
    case "ask":
    case "recall":
    case "remember":
    case "run":
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
