// Why a step did what it did: the chain of causes, first cause first. Everything here was recorded; nothing is guessed.
import type { Why } from "@writ/core/api";
import { isRunEntry, type Entry, type NodeEntry, type RunEntry } from "@writ/core/entry";
import { freeNames, parseExpression } from "@writ/core/expression";
import { runId, type RunId, type StepId } from "@writ/core/ids";
import { operandsOf } from "@writ/core/program-check";
import type { Step } from "@writ/core/program";
import { printableJson } from "@writ/core/printable";
import { toJson, type Value } from "@writ/core/value";
import type { RunState } from "@writ/runtime/state";
import type { KeptSource } from "../node/source.ts";
import { actorText, entryText } from "./entry.ts";
import { excerptOf } from "./excerpt.ts";
import { labelOf } from "./program.ts";
import { visibleValue } from "./slot.ts";

export type WhyLink = Why["links"][number];

export interface WhyParts {
  /** Where the run stands. */
  readonly state: RunState;
  readonly step: StepId;
  /** All entries of the run, in order. */
  readonly entries: readonly RunEntry[];
  /** The entry that recorded the event, where a source saw it. */
  readonly received: Entry | null;
  /** What was decided on the program, in order. */
  readonly decisions: readonly NodeEntry[];
  readonly name: string;
  readonly source: Pick<KeptSource, "kind" | "text" | "spans"> | null;
}

const valueLengthMax = 400;
const ownEntriesMax = 40;

export function whyLinks(parts: WhyParts): readonly WhyLink[] {
  const { state, step, entries } = parts;
  const before = stepsBefore(state, step);
  return [
    ...eventLinks(parts),
    ...wordLinks(parts),
    ...decisionLinks(parts),
    ...entries.filter(({ kind }) => kind === "run.started").map((entry) => ofEntry("start", entry)),
    ...before.flatMap((id) => stepLinks(parts, id)),
    ...dataLinks(parts),
    ...ownLinks(entries.filter((entry) => concerns(entry, step))),
    ...entries.filter(({ kind }) => isOrder(kind)).map((entry) => ofEntry("person", entry)),
  ];
}

/** What the step did, the newest of it: a step of a loop did it over and over. */
function ownLinks(entries: readonly RunEntry[]): readonly WhyLink[] {
  const shown = entries.slice(-ownEntriesMax).map((entry) => ofEntry(kindOf(entry), entry));
  const before = entries.length - shown.length;
  return before === 0 ? shown : [link("effect", `${before} entries of it before these`), ...shown];
}

function link(kind: WhyLink["kind"], text: string, more: Partial<WhyLink> = {}): WhyLink {
  const nothing = { excerpt: null, seq: null, hash: null, atMs: null, by: null, run: null };
  return { kind, text: text.slice(0, 4096), ...nothing, ...more };
}

function ofEntry(kind: WhyLink["kind"], entry: Entry): WhyLink {
  const { seq, hash, atMs, actor } = entry;
  const step = "step" in entry.facts ? `\`${entry.facts.step}\` ` : "";
  return link(kind, `${step}${entry.kind}: ${entryText(entry)}`, { seq, hash, atMs, by: actorText(actor) });
}

/** What set it off, and the run that emitted it where another one did. */
function eventLinks({ state, received }: WhyParts): readonly WhyLink[] {
  const { event } = state;
  if (event === null) return [];
  const text = `${event.type} ${event.subject ?? ""} ${shown(event.data)}`.replaceAll(/ +/g, " ");
  const place =
    received === null ? {} : { seq: received.seq, hash: received.hash, atMs: received.atMs, by: "the node" };
  const links = [link("event", text, place)];
  const emitter = event.cause === undefined ? null : runOf(event.cause);
  if (event.cause !== undefined) {
    const told = emitter === null ? event.cause : `run ${emitter}: writ why ${event.cause.replace(".", " ")}`;
    links.unshift(link("event", `caused by ${told}`, { run: emitter }));
  }
  return links;
}

/** Events of a run are called by the run and the step that emitted them. */
function runOf(cause: string): RunId | null {
  const [run = ""] = cause.split(".");
  return /^r_[0-9a-z]{8,40}$/.test(run) ? runId(run) : null;
}

function wordLinks({ source, step, name }: WhyParts): readonly WhyLink[] {
  if (source === null) return [];
  const found = ["trigger", step].flatMap((key) => {
    const span = source.spans[key];
    return span === undefined ? [] : [[key, span] as const];
  });
  return found.map(([key, span]) =>
    link("words", `the ${source.kind} “${name}” says so (${key === "trigger" ? "when" : key})`, {
      excerpt: excerptOf(source.text, [span]),
    }),
  );
}

function decisionLinks({ decisions }: WhyParts): readonly WhyLink[] {
  return decisions.map((entry) =>
    ofEntry(entry.kind === "program.approved" && entry.actor.kind === "person" ? "person" : "program", entry),
  );
}

/** Steps that had to end before this one, and those whose blocks it stands in, in the order in which they ended. */
function stepsBefore(state: RunState, step: StepId): readonly StepId[] {
  const found = new Set<StepId>();
  const pending = [step];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    const index = state.prepared.steps.get(id);
    if (index === undefined) continue;
    const owner = state.prepared.blocks[index.block]?.owner ?? null;
    for (const before of [...index.step.after, ...(owner === null ? [] : [owner])]) {
      if (found.has(before)) continue;
      found.add(before);
      pending.push(before);
    }
  }
  return [...state.prepared.steps.keys()].filter((id) => found.has(id));
}

function stepLinks({ state, entries }: WhyParts, id: StepId): readonly WhyLink[] {
  const step = state.prepared.steps.get(id)?.step;
  const now = state.steps.get(id);
  if (step === undefined || now === undefined) return [];
  const { op } = step;
  const decided = op.op === "branch" || op.op === "approve";
  const values = decided ? namesIn(step).map((name) => slotText(state, name)) : [];
  const outcome = now.outcome === null ? now.status : `${now.status}, ${now.outcome}`;
  const last = entries.findLast((entry) => concerns(entry, id));
  const text = [`\`${id}\` ${labelOf(step)}: ${outcome}`, ...values].join("; ");
  return [
    link(
      decided ? "decision" : "step",
      text,
      last === undefined ? {} : { seq: last.seq, hash: last.hash, atMs: last.atMs },
    ),
    // What people were asked and answered on the way here.
    ...entries
      .filter((entry) => concerns(entry, id) && (isAsked(entry) || entry.actor.kind === "person"))
      .map((entry) => ofEntry(kindOf(entry), entry)),
  ];
}

function isAsked({ kind }: Entry): boolean {
  return kind === "approval.requested" || kind === "approval.expired";
}

/** What the step's parameters were made from. */
function dataLinks({ state, step }: WhyParts): readonly WhyLink[] {
  const own = state.prepared.steps.get(step)?.step;
  if (own === undefined) return [];
  return namesIn(own).map((name) => {
    const writer = [...state.prepared.steps.values()].find(
      (other) => "output" in other.step.op && other.step.op.output === name,
    );
    const from =
      name === "event" ? " from the event" : writer === undefined ? "" : ` from \`${writer.step.id}\``;
    return link("data", `${slotText(state, name)}${from}`);
  });
}

function namesIn(step: Step): readonly string[] {
  const { op } = step;
  const texts = operandsOf(step).flatMap((operand) => (operand.kind === "expression" ? [operand.text] : []));
  if (op.op === "eval") texts.push(op.expression);
  if (op.op === "branch") texts.push(...op.arms.map(({ when }) => when));
  const names = texts.flatMap((text) => freeNames(parseExpression(text)));
  return [...new Set(op.op === "check" ? [...names, op.slot] : names)];
}

function slotText(state: RunState, name: string): string {
  const slot = state.slots.get(name);
  if (slot === undefined) return `${name} was not there`;
  const labels = slot.labels.length === 0 ? "" : ` (${slot.labels.join(", ")})`;
  return `${name} = ${shown(visibleValue(slot))}${labels}`;
}

function shown(value: Value): string {
  const text = printableJson(toJson(value));
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}…` : text;
}

function concerns(entry: Entry, step: StepId): boolean {
  return isRunEntry(entry) && "step" in entry.facts && entry.facts.step === step;
}

/** What a person ordered of the whole run. */
function isOrder(kind: string): boolean {
  return kind === "run.cancel-requested" || kind === "undo.requested";
}

function kindOf({ kind, actor }: RunEntry): WhyLink["kind"] {
  if (kind === "effect.refused") return "gate";
  if (actor.kind === "person") return "person";
  return kind.startsWith("approval.") ? "decision" : "effect";
}
