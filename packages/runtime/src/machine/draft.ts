// A state in the making: copies of what an entry may change, dropped or published as a whole.
import type { ApprovalId, StepId } from "@writ/core/ids";
import { joinLabels, type Label } from "@writ/core/label";
import type { Value } from "@writ/core/value";
import { fault } from "../faults.ts";
import type { Command, Decision, MachineEntry } from "../machine.ts";
import type { PreparedProgram, StepIndex } from "../program-index.ts";
import type { ControlState } from "./control-state.ts";
import {
  transition,
  type ApprovalState,
  type BlockState,
  type Ending,
  type RunState,
  type SlotState,
  type StepState,
  type StepStatus,
} from "../state.ts";

export class Draft {
  base: RunState;
  readonly seq: number;
  readonly atMs: number;
  head: Pick<
    RunState,
    | "event"
    | "workspace"
    | "principal"
    | "priority"
    | "startedAtMs"
    | "preemptions"
    | "begun"
    | "simulated"
    | "parent"
  >;
  ending: Ending | null;
  ended: RunState["ended"];
  control: ControlState;
  /** Iterations of loops that this entry led to. */
  loopTurns = 0;
  #steps: Map<StepId, StepState>;
  #blocks: BlockState[];
  #slots: Map<string, SlotState> | null = null;
  #approvals: Map<ApprovalId, ApprovalState> | null = null;
  readonly #commands: Command[] = [];

  constructor(base: RunState, entry: MachineEntry) {
    this.base = base;
    this.seq = entry.seq;
    this.atMs = entry.atMs;
    this.head = base;
    this.ending = base.ending;
    this.ended = base.ended;
    this.control = base.control;
    this.#steps = new Map(base.steps);
    this.#blocks = [...base.blocks];
  }

  get steps(): ReadonlyMap<StepId, StepState> {
    return this.#steps;
  }
  get blocks(): readonly BlockState[] {
    return this.#blocks;
  }
  get slots(): ReadonlyMap<string, SlotState> {
    return this.#slots ?? this.base.slots;
  }
  get approvals(): ReadonlyMap<ApprovalId, ApprovalState> {
    return this.#approvals ?? this.base.approvals;
  }

  index(id: StepId): StepIndex {
    const found = this.base.prepared.steps.get(id);
    if (found === undefined) throw this.diverged(`the program has no step \`${id}\``);
    return found;
  }

  step(id: StepId): StepState {
    const found = this.#steps.get(id);
    if (found === undefined) throw this.diverged(`the program has no step \`${id}\``);
    return found;
  }

  /** Changes what is not the status. */
  change(id: StepId, change: Omit<Partial<StepState>, "status">): void {
    this.#steps.set(id, { ...this.step(id), ...change });
  }

  /** Another instance of the step takes the place of the present one. */
  renew(id: StepId, step: StepState): void {
    this.#steps.set(id, step);
  }

  /** Goes on as a run of another version. */
  adopt(prepared: PreparedProgram, steps: Map<StepId, StepState>, blocks: readonly BlockState[]): void {
    this.base = { ...this.base, prepared, program: prepared.hashed.hash };
    this.#steps = steps;
    this.#blocks = [...blocks];
  }

  /** Moves along one or more lines of the table. */
  move(id: StepId, ...path: readonly StepStatus[]): void {
    const step = this.step(id);
    this.#steps.set(id, {
      ...step,
      status: path.reduce((from, to) => transition(id, from, to), step.status),
    });
  }

  block(number: number): BlockState {
    const found = this.#blocks[number];
    if (found === undefined) throw this.diverged(`the program has no block ${number}`);
    return found;
  }

  changeBlock(number: number, change: Partial<BlockState>): void {
    this.#blocks[number] = { ...this.block(number), ...change };
  }

  writeSlot(name: string, value: Value, labels: readonly Label[]): void {
    if (this.slots.has(name)) {
      throw fault("runtime.slot-taken", `Cannot write slot \`${name}\` a second time`, { slot: name });
    }
    this.#slots ??= new Map(this.base.slots);
    this.#slots.set(name, { value, labels: joinLabels(labels) });
  }

  dropSlot(name: string): void {
    if (!this.slots.has(name)) return;
    this.#slots ??= new Map(this.base.slots);
    this.#slots.delete(name);
  }

  setApproval(approval: ApprovalState): void {
    this.#approvals ??= new Map(this.base.approvals);
    this.#approvals.set(approval.approval, approval);
  }

  /** What somebody decided for the step in one iteration says nothing about the next. */
  forgetApprovals(id: StepId): void {
    for (const { approval, step, state } of this.approvals.values()) {
      if (step !== id || state === "waiting") continue;
      this.#approvals ??= new Map(this.base.approvals);
      this.#approvals.delete(approval);
    }
  }

  command(command: Command): void {
    this.#commands.push(command);
  }

  diverged(why: string) {
    return fault("runtime.diverged", `Cannot fold entry ${this.seq} of run \`${this.base.run}\`: ${why}`, {
      run: this.base.run,
      seq: this.seq,
    });
  }

  finish(): Decision {
    const { event, workspace, principal, priority, startedAtMs, preemptions, begun, simulated, parent } =
      this.head;
    const state: RunState = {
      ...this.base,
      event,
      workspace,
      principal,
      priority,
      startedAtMs,
      preemptions,
      begun,
      simulated,
      ...(parent === undefined ? {} : { parent }),
      seq: this.seq,
      atMs: this.atMs,
      steps: this.#steps,
      blocks: this.#blocks,
      slots: this.slots,
      approvals: this.approvals,
      ending: this.ending,
      ended: this.ended,
      control: this.control,
    };
    return { state, commands: this.#commands };
  }
}
