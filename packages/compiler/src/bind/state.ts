// What the binder gathers while it walks a tree: steps, slots, what of catalog and workspace was used, and where the event's file is now.
import type { CapabilityDefinition, Catalog, SourceDefinition } from "@writ/core/capability";
import type { Expression } from "@writ/core/expression";
import { slotName, stepId, type CapabilityId, type SlotName, type StepId } from "@writ/core/ids";
import type { FailurePolicy, Opcode, SlotDeclaration, Step } from "@writ/core/program";
import type { Schema } from "@writ/core/schema";
import type { Span, Spans, Tree } from "../language/tree.ts";
import type { RuleProblem } from "../rule-problems.ts";

/** Where the event's file is; `lost` says why nobody can tell. */
export type FileState =
  | { readonly kind: "at"; readonly path: Expression; readonly name: Expression }
  | { readonly kind: "none" }
  | { readonly kind: "gone" }
  | { readonly kind: "elsewhere" };

/** Slots of reads that can be spoken of again, by capability and arguments. Inner blocks see the outer ones, not the reverse. */
type Loaded = Map<string, SlotName>;

interface Used {
  readonly folders: Set<string>;
  readonly files: Set<string>;
  readonly roles: Set<string>;
  readonly hosts: Set<string>;
  readonly columns: Map<string, { readonly folder: string; readonly column: string }>;
  readonly capabilities: Set<CapabilityId>;
}

export class Binding {
  readonly catalog: Catalog;
  readonly tree: Tree;
  readonly spans: Spans;
  readonly source: SourceDefinition | null;
  /** Workspace name of the folder that the trigger watches. */
  readonly folder: string | null;
  readonly problems: RuleProblem[] = [];
  readonly stepSpans: Record<string, Span> = {};
  readonly slots: SlotDeclaration[] = [];
  readonly used: Used = {
    folders: new Set(),
    files: new Set(),
    roles: new Set(),
    hosts: new Set(),
    columns: new Map(),
    capabilities: new Set(),
  };
  #count = 0;

  constructor(options: {
    readonly catalog: Catalog;
    readonly tree: Tree;
    readonly spans: Spans;
    readonly source: SourceDefinition | null;
    readonly folder: string | null;
  }) {
    this.catalog = options.catalog;
    this.tree = options.tree;
    this.spans = options.spans;
    this.source = options.source;
    this.folder = options.folder;
  }

  nextStep(span: Span): StepId {
    const id = stepId(`s${++this.#count}`);
    this.stepSpans[id] = span;
    return id;
  }

  spanOf(key: string): Span {
    const own = this.spans[key];
    if (own !== undefined) return own;
    const dot = key.lastIndexOf(".");
    return dot === -1 ? [0, 0] : this.spanOf(key.slice(0, dot));
  }

  capability(id: CapabilityId): CapabilityDefinition {
    const found = this.catalog.capabilities.find((definition) => definition.id === id);
    if (found === undefined)
      throw new Error(`Invariant broken: R3 the tree names \`${id}\`, which is not in the catalog`);
    return found;
  }

  /** Declares the slot of a capability's result: action and step, so that proofs read well in every language. */
  slotFor(definition: CapabilityDefinition, step: StepId): SlotName {
    const action = definition.id.slice(definition.id.indexOf(".") + 1, definition.id.indexOf("@"));
    const name = slotName(`${action}_${step.slice(1)}`);
    this.slots.push({ name, schema: definition.result, labels: definition.labels });
    return name;
  }

  annotate(slot: SlotName, change: (schema: Schema) => Schema): void {
    const index = this.slots.findIndex(({ name }) => name === slot);
    const declared = this.slots[index];
    if (declared !== undefined) this.slots[index] = { ...declared, schema: change(declared.schema) };
  }

  /** What happens when a step fails, as the rule says. */
  failureOf(op: Opcode): FailurePolicy {
    const { retry, then } = this.tree.limits.failure;
    const isEffect = op.op === "call" || op.op === "load";
    const last: FailurePolicy =
      then === "undo"
        ? { kind: "compensate" }
        : then === "skip" && isEffect
          ? { kind: "skip" }
          : { kind: "safe_halt" };
    if (retry === 0 || !isEffect) return last;
    const { retryOn } = this.capability(op.capability);
    if (retryOn.length === 0) return last;
    return {
      kind: "retry",
      attemptsMax: retry + 1,
      delayMs: retryDelayMs,
      factor: 2,
      delayMsMax: retryDelayMsMax,
      on: [...retryOn].sort(),
      then: last,
    };
  }
}

const retryDelayMs = 1000;
const retryDelayMsMax = 60_000;

/** A block under construction: steps run one after another, or side by side where the rule lists independent acts. */
export class Chain {
  readonly steps: Step[] = [];
  readonly loaded: Loaded;
  readonly #binding: Binding;
  #tails: readonly StepId[] = [];
  #isStale = false;

  constructor(binding: Binding, outer: Loaded) {
    this.#binding = binding;
    this.loaded = new Map(outer);
  }

  get tails(): readonly StepId[] {
    return this.#tails;
  }

  add(id: StepId, op: Opcode, after: readonly StepId[] = this.#tails): void {
    this.steps.push({ id, after, tolerates: [], op, failure: this.#binding.failureOf(op), timeoutMs: null });
    this.#tails = [id];
  }

  join(tails: readonly StepId[]): void {
    this.#tails = tails;
  }

  /** The event's file was changed: what was read of it is stale from here on. */
  invalidate(): void {
    this.loaded.clear();
    this.#isStale = true;
  }

  get isStale(): boolean {
    return this.#isStale;
  }
}
