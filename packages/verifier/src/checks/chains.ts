// Check 16: what one rule writes may start another. An edge is information; a way back to the rule itself is a loop and refused.
//   G1  An edge: a file that a step can write is one that the other rule's folder, pattern and filter let through.
//   G2  Only ways that begin at the rule under proof are followed, so the cost grows with its own consequences.
//   G3  Whether the later rule's other conditions hold then is not asked: more is possible, never less.
import type { Expression } from "@writ/core/expression";
import { machineOf, shortestWord, type Machine } from "../automata/machine.ts";
import { segmentsOf } from "../automata/path.ts";
import { patternLanguage } from "../automata/pattern.ts";
import { anything, concat, word, type Regular } from "../automata/regular.ts";
import { createEncoder } from "../encode/encoder.ts";
import { createScript, quote, type Owner } from "../encode/script.ts";
import type { Analysis } from "../model/analysis.ts";
import {
  languageOfPath,
  watchedFolder,
  watchedPattern,
  watchesOneFolder,
  type AccessPath,
} from "../model/typing.ts";
import { languagesOfPlace } from "./containment.ts";
import { isPlace, isWrite, usesOf, type Use } from "./effects.ts";
import {
  counterexample,
  holds,
  information,
  quoteRule,
  unknown,
  violated,
  type Context,
  type Result,
} from "./result.ts";

interface Edge {
  readonly from: Analysis;
  readonly to: Analysis;
  readonly use: Use;
  /** A file that is written and watched. */
  readonly file: string;
  /** Set when the solver could not say whether the filter lets it through. */
  readonly doubt: string | null;
}

const base = {
  check: 16,
  name: "no loop of rules",
  claim: "For all files that can be written: no chain of rules that start each other leads back to this rule",
  method: "automata",
} as const;

const name: AccessPath = { root: "event", fields: ["data", "name"] };

export async function checkChains(context: Context): Promise<readonly Result[]> {
  const { subject, deployed } = context;
  const all = [subject, ...deployed.filter((other) => other.subject.hash !== subject.subject.hash)];
  const ways = new Map<Analysis, readonly Edge[]>();
  const pending: { readonly at: Analysis; readonly way: readonly Edge[] }[] = [{ at: subject, way: [] }];
  const direct: Edge[] = [];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    for (const to of all) {
      if (ways.has(to)) continue;
      // Each rule's ways on are looked at once: the shortest way to it is the one kept.
      const edge = await edgeOf(context, next.at, to);
      if (edge === null) continue;
      const way = [...next.way, edge];
      if (to === subject) return [loopOf(subject, way)];
      ways.set(to, way);
      if (next.at === subject) direct.push(edge);
      pending.push({ at: to, way });
    }
  }
  return [...direct.map((edge) => edgeInformation(subject, edge)), holds(base)];
}

function loopOf(subject: Analysis, way: readonly Edge[]): Result {
  const names = way.map(
    (edge) => `“${edge.from.name}” writes \`${edge.file}\`, which starts “${edge.to.name}”`,
  );
  const doubt = way.find((edge) => edge.doubt !== null)?.doubt ?? null;
  if (doubt !== null)
    return unknown(base, `a possible loop (${names.join("; ")}) could not be excluded: ${doubt}`);
  const [first] = way;
  const last = way.at(-1);
  const example = counterexample(subject, {
    summary: `The rules would start each other without end: ${names.join("; ")}`,
    values: way.map((edge) => ({ name: "file", value: edge.file })),
    path: way.map((edge) => `${edge.from.name}: ${edge.use.site.step.id}`),
    keys: ["trigger", ...(first === undefined ? [] : [first.use.site.step.id])],
    other: last === undefined || last.from === subject ? null : last.from.subject.hash,
  });
  const other =
    last === undefined || last.from === subject
      ? null
      : { analysis: last.from, keys: [last.use.site.step.id] };
  return violated(base, "verifier.trigger-loop", example, other);
}

function edgeInformation(subject: Analysis, edge: Edge): Result {
  const summary = `Step ${quoteRule(subject, [edge.use.site.step.id], `\`${edge.use.site.step.id}\``)} can start “${edge.to.name}”, for example with \`${edge.file}\``;
  return information(
    { ...base, claim: `This rule can start the deployed rule “${edge.to.name}”` },
    counterexample(subject, {
      summary,
      values: [{ name: "file", value: edge.file }],
      path: edge.use.site.path,
      keys: [edge.use.site.step.id],
      other: edge.to.subject.hash,
    }),
    edge.to,
  );
}

async function edgeOf(context: Context, from: Analysis, to: Analysis): Promise<Edge | null> {
  const watched = watchedMachine(to);
  if (watched === null || from.program.workspace.name !== to.program.workspace.name) return null;
  for (const use of usesOf(from)) {
    if (!isPlace(use) || !isWrite(use) || use.does === "remove") continue;
    // Making a folder brings no file; what is done to a folder otherwise may bring any file into it.
    if (use.kind === "folder" && use.does === "create") continue;
    const folder = watchedFolder(to) ?? "";
    const head = fixedFolder(use.place);
    if (use.kind === "file" && head.isWhole && watchesOneFolder(to) && head.folder !== folder) continue;
    const written = filesWritten(from, use).map(machineOf);
    const found = shortestWord({ in: [...written, watched] });
    if (found.kind === "none") continue;
    const file = found.kind === "word" ? found.word : `${folder}/…`;
    if (to.filter.kind === "true") return { from, to, use, file, doubt: null };
    const passed = await passesFilter(context, to, written);
    if (passed.kind === "no") continue;
    const shown = passed.kind === "yes" ? `${folder === "" ? "" : `${folder}/`}${passed.name}` : file;
    return { from, to, use, file: shown, doubt: passed.kind === "doubt" ? passed.reason : null };
  }
  return null;
}

/** The languages of the files that the use can write, all of them at once. */
function filesWritten(from: Analysis, use: Use): readonly Regular[] {
  const places = languagesOfPlace(from, normalPlace(use.place), false);
  if (use.kind === "file") return places;
  const isRoot = use.place.kind === "literal" && segmentsOf(String(use.place.value)).length === 0;
  return isRoot ? [anything] : places.map((place) => concat(place, word("/"), anything));
}

const machines = new WeakMap<Analysis, Machine>();

/** Files whose arrival starts the rule, leaving out its filter; null when it does not watch files. */
function watchedMachine(analysis: Analysis): Machine | null {
  const folder = watchedFolder(analysis);
  if (folder === null) return null;
  let present = machines.get(analysis);
  if (present === undefined) {
    const pattern = watchedPattern(analysis);
    const names = pattern === null ? anything : patternLanguage(pattern);
    const head = folder === "" ? word("") : word(`${folder}/`);
    present = machineOf(watchesOneFolder(analysis) ? concat(head, names) : concat(head, anything));
    machines.set(analysis, present);
  }
  return present;
}

type Passed =
  | { readonly kind: "yes"; readonly name: string }
  | { readonly kind: "no" }
  | { readonly kind: "doubt"; readonly reason: string };

/** Whether one of the written files, by its name, can pass the other rule's filter. */
async function passesFilter(context: Context, to: Analysis, written: readonly Machine[]): Promise<Passed> {
  const script = createScript("Check 16: a written file passes the filter of the rule that watches it");
  const owner: Owner = { prefix: "w", analysis: to };
  const encoder = createEncoder(script, owner, owner);
  script.assert(encoder.trigger(), "trigger", "");
  script.assert(encoder.formula(to.filter), "filter", "");
  const variable = "w.event.data.name";
  script.text({ name: variable, owner, path: name, reading: null, base: languageOfPath(to, name, false) });
  const folder = watchedFolder(to) ?? "";
  for (const [index, machine] of written.entries()) {
    const atom = `${variable} is written ${index}`;
    const language = watchesOneFolder(to)
      ? after(machine, folder === "" ? "" : `${folder}/`)
      : machineOf(anything);
    script.declare(atom, "Bool", { kind: "atom", text: variable, language, says: "is written" });
    script.assert(quote(atom), `written ${index}`, "");
  }
  const answer = await context.ask({ script });
  if (answer.result === "unsat") return { kind: "no" };
  if (answer.result === "unknown") return { kind: "doubt", reason: answer.reason };
  return { kind: "yes", name: answer.solution.texts.get(variable) ?? "…" };
}

/** The texts that follow the prefix in the machine's language. */
function after(machine: Machine, prefix: string): Machine {
  let start = 0;
  for (const character of prefix) start = machine.step(start, character.codePointAt(0) ?? 0);
  // State 0 is where a machine starts, so states are shifted by one and 0 stands for the state after the prefix.
  const inner = (state: number) => (state === 0 ? start : state - 1);
  return {
    sets: machine.sets,
    step: (state, code) => machine.step(inner(state), code) + 1,
    accepts: (state) => machine.accepts(inner(state)),
    isDead: (state) => machine.isDead(inner(state)),
  };
}

/** The folder a place is surely in: `isWhole` when the rest of it is a single name. */
function fixedFolder(place: Expression): { readonly folder: string; readonly isWhole: boolean } {
  if (place.kind === "literal" && typeof place.value === "string") {
    return { folder: segmentsOf(place.value).slice(0, -1).join("/"), isWhole: true };
  }
  return { folder: "", isWhole: false };
}

/** The place with the fixed folder at its head in normal form. */
function normalPlace(place: Expression): Expression {
  if (place.kind === "literal" && typeof place.value === "string") {
    return { kind: "literal", value: segmentsOf(place.value).join("/") };
  }
  if (place.kind !== "binary" || place.operator !== "+" || place.left.kind !== "literal") return place;
  const head = place.left.value;
  if (typeof head !== "string" || !head.includes("/")) return place;
  const cut = head.lastIndexOf("/") + 1;
  const folder = segmentsOf(head.slice(0, cut)).join("/");
  const value = `${folder}${folder === "" ? "" : "/"}${head.slice(cut)}`;
  return { ...place, left: { kind: "literal", value } };
}
