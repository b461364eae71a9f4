// Checks 10, 12, 13 and 33: two programs that the same event starts, or two steps that may run at once, must not command
// different things of one place.
//   F1  Two programs meet when one event can start both: same source, overlapping folder and pattern, overlapping windows.
//   F2  Reading with reading, and appending with appending, commute; so do identical commands (reported as redundant).
//   F3  Pairs are first told apart by their triggers and by the languages of their places; what is left is asked in one query,
//       one selector for each pair. Hold times and throttles are left out: more is possible, never less.
import { capabilityName } from "@writ/core/ids";
import { evaluate, renderExpression, type Expression } from "@writ/core/expression";
import { equalValues } from "@writ/core/value";
import { machineOf, shortestWord, type Machine } from "../automata/machine.ts";
import { placeMachine, segmentsOf } from "../automata/path.ts";
import { patternLanguage } from "../automata/pattern.ts";
import { prefixOf } from "../automata/regular.ts";
import { hasTexts, symbolsOf, type Answer } from "../encode/ask.ts";
import { createEncoder, type Encoder } from "../encode/encoder.ts";
import { pathsRead, replayOf, triggerAccepts, valuesRead, type Replay } from "../encode/replay.ts";
import {
  conjunction,
  createScript,
  disjunction,
  negation,
  type Owner,
  type Script,
} from "../encode/script.ts";
import { areOrdered, type Analysis } from "../model/analysis.ts";
import { cronsMayMeet } from "../model/cron.ts";
import { sharedReads } from "../model/reads.ts";
import { conditionsOf, holds as isTrue } from "../model/formula.ts";
import { present, schemaData } from "../model/typing.ts";
import { languagesOfPlace } from "./containment.ts";
import { isPlace, isWrite, sayAction, usesOf, type Use } from "./effects.ts";
import {
  counterexample,
  holds,
  information,
  quoteRule,
  sayValues,
  unknown,
  violated,
  type Context,
  type Result,
} from "./result.ts";

interface Pair {
  readonly left: Use;
  readonly right: Use;
  readonly other: Analysis;
  readonly kind: "conflict" | "read";
}

const problemsMax = 5;
/** Pairs that one query speaks of. */
const pairsMax = 2000;

const between = {
  check: 10,
  name: "no contradiction with deployed rules",
  method: "solver",
} as const;

const inside = {
  check: 33,
  name: "no contradiction between steps that run at once",
  claim:
    "For all values: two steps that may run at the same time never command different things of one place",
  method: "solver",
} as const;

export interface ConflictCache {
  /** Pairs of uses of two programs that can touch one place, by both hashes. */
  readonly pairs: Map<string, readonly Pair[]>;
  /** Whether one event can start both, by what the two triggers say. */
  readonly meetings: Map<string, boolean>;
}

export async function checkConflicts(context: Context, cache: ConflictCache): Promise<readonly Result[]> {
  const { subject, deployed } = context;
  const others = deployed.filter((other) => other.subject.hash !== subject.subject.hash);
  const pairs = others.flatMap((other) => {
    const key = `${subject.subject.hash} ${other.subject.hash}`;
    let found = cache.pairs.get(key);
    if (found === undefined) {
      found = meet(subject, other, cache) ? pairsOf(usesOf(subject), usesOf(other), other) : [];
      cache.pairs.set(key, found);
    }
    return found;
  });
  const claim =
    `For all events and all values: no event starts this rule and one of the ${others.length} deployed rules so that they ` +
    "command different things of one place (hold times and throttles are left out)";
  const base = { ...between, claim };
  const commands = pairs.filter((pair) => pair.kind === "conflict");
  if (commands.length > pairsMax) {
    return [
      unknown({ ...base, method: "automata" }, `${commands.length} pairs of steps may touch one place`),
    ];
  }
  const results =
    commands.length === 0 ? [holds({ ...base, method: "automata" })] : await decide(context, base, commands);
  return [
    ...results,
    ...races(
      pairs.filter((pair) => pair.kind === "read"),
      subject,
    ),
  ];
}

function meet(left: Analysis, right: Analysis, cache: ConflictCache): boolean {
  const key = JSON.stringify([left, right].map(({ program }) => [program.workspace.name, program.trigger]));
  let answer = cache.meetings.get(key);
  if (answer === undefined) {
    answer = canMeet(left, right) && haveNames(left, right);
    cache.meetings.set(key, answer);
  }
  return answer;
}

export async function checkParallel(context: Context): Promise<readonly Result[]> {
  const { subject } = context;
  const uses = usesOf(subject).filter((use) => !use.action.isCompensation && isPlace(use) && isWrite(use));
  const touches = new Map<string, boolean>();
  const pairs: Pair[] = [];
  for (const [index, left] of uses.entries()) {
    for (const right of uses.slice(index + 1)) {
      if (left.site === right.site || clash(left, right) !== "conflict" || areOrdered(left.site, right.site))
        continue;
      // Steps made from one template name their places with the same expressions: each pair of expressions is looked at once.
      const key = [left, right].map((use) => `${use.kind} ${renderExpression(use.place)}`).join("\n");
      const canMeetThere = touches.get(key) ?? canTouch(left, right);
      touches.set(key, canMeetThere);
      if (canMeetThere) pairs.push({ left, right, other: subject, kind: "conflict" });
    }
  }
  if (pairs.length > pairsMax) return [unknown(inside, `${pairs.length} pairs of steps may touch one place`)];
  return pairs.length === 0 ? [holds({ ...inside, method: "graph" })] : decide(context, inside, pairs);
}

type Base = {
  readonly check: number;
  readonly name: string;
  readonly claim: string;
  readonly method: "solver";
};

async function decide(context: Context, base: Base, pairs: readonly Pair[]): Promise<readonly Result[]> {
  const { subject } = context;
  const results: Result[] = [];
  let open = pairs;
  for (let round = 0; round < problemsMax && open.length > 0; round++) {
    const question = ask(subject, open, base);
    const answer = await context.ask({
      script: question.script,
      relevant: (truths) => question.relevant(truths),
    });
    const asked = { ...base, answer };
    if (answer.result === "unknown") return [...results, unknown(asked, answer.reason)];
    if (answer.result === "unsat") {
      if (results.length === 0) results.push(...(await redundant(context, pairs)), holds(asked));
      return results;
    }
    const index = question.chosen(answer.solution.truths);
    const found = open[index];
    const encoders = question.encoders[index];
    if (found === undefined || encoders === undefined)
      return [...results, unknown(asked, "the answer names no pair")];
    results.push(conflictOf(subject, found, asked, question.script, encoders));
    open = open.filter((pair) => pair.other !== found.other || pair.other === subject);
    if (found.other === subject) open = open.filter((pair) => pair !== found);
  }
  return results;
}

interface Question {
  readonly script: Script;
  readonly encoders: readonly { readonly left: Encoder; readonly right: Encoder }[];
  relevant(truths: ReadonlyMap<string, boolean>): ReadonlySet<string>;
  chosen(truths: ReadonlyMap<string, boolean>): number;
}

function ask(subject: Analysis, pairs: readonly Pair[], base: Base, mustDiffer = true): Question {
  const script = createScript(`Check ${base.check}: ${base.name}; sat means a violation`);
  const own: Owner = { prefix: "p", analysis: subject };
  const event: Owner = { prefix: "e", analysis: subject };
  const left = createEncoder(script, own, event);
  const encoders: { left: Encoder; right: Encoder }[] = [];
  const byAnalysis = new Map<Analysis, Encoder>([[subject, left]]);
  const terms: string[] = [];
  const selectors: string[] = [];
  for (const [index, pair] of pairs.entries()) {
    let right = byAnalysis.get(pair.other);
    if (right === undefined) {
      right = createEncoder(script, { prefix: `d${byAnalysis.size}`, analysis: pair.other }, event);
      byAnalysis.set(pair.other, right);
    }
    const term = conjunction([
      left.trigger(),
      right.trigger(),
      left.formula(subject.filter),
      right.formula(pair.other.filter),
      left.formula(pair.left.site.reach),
      right.formula(pair.right.site.reach),
      samePlace(left, right, pair),
      mustDiffer ? differs(left, right, pair) : negation(differs(left, right, pair)),
    ]);
    const selector = script.declare(`pair ${index}`, "Bool", { kind: "selector", index });
    encoders.push({ left, right });
    terms.push(term);
    selectors.push(selector);
    script.assert(`(=> ${selector} ${term})`, `pair ${index} means`, "");
  }
  script.assert(disjunction(selectors), "some pair", "");
  const chosen = (truths: ReadonlyMap<string, boolean>) =>
    pairs.findIndex((_, index) => truths.get(`pair ${index}`) === true);
  return {
    script,
    encoders,
    chosen,
    relevant: (truths) => symbolsOf(terms[chosen(truths)] ?? ""),
  };
}

function samePlace(left: Encoder, right: Encoder, pair: Pair): string {
  const [a, b] = [left.term(pair.left.place), right.term(pair.right.place)];
  // A folder stands for all that is in it; the languages have said already that the two can meet.
  if (pair.left.kind === "folder" || pair.right.kind === "folder") return "true";
  return left.equal(normal(a), normal(b));
}

function normal(term: ReturnType<Encoder["term"]>): ReturnType<Encoder["term"]> {
  if (term.kind !== "text") return term;
  const [first, ...rest] = term.parts;
  if (typeof first !== "string") return term;
  const isWhole = rest.length === 0;
  const cut = isWhole ? first.length : first.lastIndexOf("/") + 1;
  const folder = segmentsOf(first.slice(0, cut)).join("/");
  const head = `${folder}${!isWhole && folder !== "" ? "/" : ""}${first.slice(cut)}`;
  return { kind: "text", parts: head === "" ? rest : [head, ...rest] };
}

/** That the two commands are not the same command. */
function differs(left: Encoder, right: Encoder, pair: Pair): string {
  const [a, b] = [pair.left.action, pair.right.action];
  if (a.definition.id !== b.definition.id) return "true";
  const names = new Set([...a.params.keys(), ...b.params.keys()]);
  return disjunction(
    [...names].map((name) => {
      const [x, y] = [a.params.get(name), b.params.get(name)];
      if (x === undefined || y === undefined) return "true";
      return negation(
        left.equal(asPath(pair.left, name, left.term(x)), asPath(pair.right, name, right.term(y))),
      );
    }),
  );
}

function asPath(use: Use, param: string, term: ReturnType<Encoder["term"]>): ReturnType<Encoder["term"]> {
  const properties: unknown = schemaData(use.action.definition.params)["properties"];
  const schema: unknown =
    typeof properties === "object" && properties !== null ? Reflect.get(properties, param) : null;
  const isPath = typeof schema === "object" && schema !== null && Reflect.has(schema, "x-path");
  return isPath ? normal(term) : term;
}

function conflictOf(
  subject: Analysis,
  pair: Pair,
  asked: Base & { readonly answer: Answer },
  script: Script,
  encoders: { readonly left: Encoder; readonly right: Encoder },
): Result {
  const { answer } = asked;
  if (answer.result !== "sat") return unknown(asked, "the solver gave no values");
  const { left, right, other } = pair;
  const event: Owner = { prefix: "e", analysis: subject };
  const mine = replayOf(script, encoders.left.owner, event, answer.solution);
  const event2 = mine.bindings["event"];
  const fromOther = replayOf(script, encoders.right.owner, event, answer.solution);
  // One event starts both, so both see the same one.
  const theirs: Replay =
    event2 === undefined ? fromOther : { ...fromOther, bindings: { ...fromOther.bindings, event: event2 } };
  const isSelf = other === subject;
  const problem = isSelf ? replaySteps(subject, pair, mine, mine) : replaySteps(subject, pair, mine, theirs);
  if (problem !== null) {
    return unknown(asked, `a possible contradiction with “${other.name}” could not be replayed: ${problem}`);
  }
  const values = distinctValues([
    ...valuesOf(subject, left, mine),
    ...(isSelf ? valuesOf(other, right, mine) : valuesOf(other, right, theirs, ` (${other.name})`)),
    ...clockValues(script, answer, [subject, other]),
  ]);
  const keysLeft = keysOf(left);
  const keysRight = keysOf(right);
  const first = quoteRule(subject, [left.site.step.id], sayUse(left, mine));
  const second = quoteRule(other, [right.site.step.id], sayUse(right, isSelf ? mine : theirs));
  const place = said(left.place, mine) ?? "the same place";
  // Fixed places under no condition meet whatever the values are.
  const [within, example] =
    values.length === 0 ? ["", ""] : [`with ${sayValues(values)}, `, ` (${sayValues(values)})`];
  const summary = isSelf
    ? `In “${subject.name}”, ${first} and ${second} may run at once and both act on \`${place}\` in different ways${example}`
    : `“${subject.name}” and “${other.name}” contradict each other: ${within}the first does ${first} and the second does ${second} to \`${place}\``;
  return violated(
    asked,
    isSelf ? "verifier.parallel-conflict" : "verifier.contradiction",
    counterexample(subject, {
      summary,
      values,
      path: [...left.site.path, ...right.site.path.map((step) => (isSelf ? step : `${other.name}: ${step}`))],
      keys: isSelf ? [...keysLeft, ...keysRight] : keysLeft,
      other: isSelf ? null : other.subject.hash,
    }),
    isSelf ? null : { analysis: other, keys: keysRight },
  );
}

/** What does not replay, or null when everything does. */
function replaySteps(subject: Analysis, pair: Pair, mine: Replay, theirs: Replay): string | null {
  const { left, right, other } = pair;
  try {
    const sides = [
      [subject, left, mine],
      [other, right, theirs],
    ] as const;
    for (const [analysis, use, replay] of sides) {
      if (!triggerAccepts(analysis, replay.bindings)) return "the trigger does not accept the event";
      if (!isTrue(analysis.filter, replay.bindings, replay.choices))
        return "the trigger's condition is false";
      if (!isTrue(use.site.reach, replay.bindings, replay.choices))
        return `step \`${use.site.step.id}\` is not reached`;
    }
    const [a, b] = [evaluate(left.place, mine.bindings), evaluate(right.place, theirs.bindings)];
    if (typeof a !== "string" || typeof b !== "string") return "a place is no text";
    const [x, y] = [segmentsOf(a).join("/"), segmentsOf(b).join("/")];
    const isFolder = left.kind === "folder" || right.kind === "folder";
    if (x !== y && !(isFolder && (`${x}/`.startsWith(`${y}/`) || `${y}/`.startsWith(`${x}/`))))
      return "the places differ";
    return left.action.definition.id !== right.action.definition.id || !sameParams(left, right, mine, theirs)
      ? null
      : "both command the same";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function sameParams(left: Use, right: Use, mine: Replay, theirs: Replay): boolean {
  const names = new Set([...left.action.params.keys(), ...right.action.params.keys()]);
  return [...names].every((name) => {
    const [a, b] = [left.action.params.get(name), right.action.params.get(name)];
    return (
      a !== undefined &&
      b !== undefined &&
      equalValues(evaluate(a, mine.bindings), evaluate(b, theirs.bindings))
    );
  });
}

function keysOf(use: Use): readonly string[] {
  return [use.site.step.id, ...conditionsOf(use.site.reach).map((condition) => condition.at)];
}

/** What the conditions and the place read. What only this program sees is marked; the event and shared readings are everybody's. */
function valuesOf(analysis: Analysis, use: Use, replay: Replay, mark = "") {
  const expressions = [
    ...conditionsOf(analysis.filter).map((condition) => condition.expression),
    ...conditionsOf(use.site.reach).map((condition) => condition.expression),
    use.place,
  ];
  const shared = sharedReads(analysis);
  return pathsRead(analysis, expressions).flatMap((path) => {
    const isShared = path.root === "event" || shared.has(path.root);
    return valuesRead(analysis, replay.bindings, [path]).map(({ name, value }) => ({
      name: isShared ? name : `${name}${mark}`,
      value,
    }));
  });
}

function distinctValues(values: readonly { readonly name: string; readonly value: string }[]) {
  return [...new Map(values.map((value) => [`${value.name} = ${value.value}`, value])).values()];
}

function clockValues(script: Script, answer: Answer, analyses: readonly Analysis[]) {
  if (answer.result !== "sat") return [];
  const zones = new Set(
    analyses.flatMap((analysis) => analysis.program.windows.map((window) => window.zone)),
  );
  return [...zones].flatMap((zone) => {
    const minute = answer.solution.numbers.get(`clock ${zone} minute`);
    if (minute === undefined || !script.meanings.has(`clock ${zone} minute`)) return [];
    const [hours, rest] = [Math.floor(minute.toNumber() / 60), minute.toNumber() % 60];
    const text = `${String(hours).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
    return [{ name: `time of day (${zone})`, value: text }];
  });
}

function said(place: Expression, replay: Replay): string | null {
  try {
    const value = evaluate(place, replay.bindings);
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}

function sayUse(use: Use, replay: Replay): string {
  const params = [...use.action.params].map(([name, expression]) => {
    const value = said(expression, replay);
    return `${name} = ${value ?? "…"}`;
  });
  return `“${sayAction(use.action)}” (${params.join(", ")})`;
}

/** Rules that command the very same: nothing contradicts, but one of them is not needed. */
async function redundant(context: Context, pairs: readonly Pair[]): Promise<readonly Result[]> {
  const { subject } = context;
  const same = pairs.filter(
    ({ left, right, other }) => other !== subject && left.action.definition.id === right.action.definition.id,
  );
  if (same.length === 0) return [];
  const base = {
    check: 12,
    name: "redundant or shadowed",
    claim: "For all events and all values: no deployed rule commands the same for the same event",
    method: "solver",
  } as const;
  const question = ask(subject, same, base, false);
  const answer = await context.ask({
    script: question.script,
    relevant: (truths) => question.relevant(truths),
  });
  if (answer.result !== "sat") return [];
  const found = same[question.chosen(answer.solution.truths)];
  if (found === undefined) return [];
  const { other, left, right } = found;
  return [
    information(
      { ...base, claim: `The deployed rule “${other.name}” already does the same for some events`, answer },
      counterexample(subject, {
        summary: `“${other.name}” already does ${quoteRule(other, [right.site.step.id], `the same as step \`${left.site.step.id}\``)} for some of these events`,
        keys: [left.site.step.id],
        path: left.site.path,
        other: other.subject.hash,
      }),
      other,
    ),
  ];
}

/** One rule reads what the other takes away: no contradiction, but who comes first decides. */
function races(pairs: readonly Pair[], subject: Analysis): readonly Result[] {
  const named = new Map(pairs.map((pair) => [pair.other.subject.hash, pair]));
  return [...named.values()].slice(0, problemsMax).map(({ left, right, other }) => {
    const summary =
      `“${subject.name}” and “${other.name}” may start on the same event, and one ${isWrite(left) ? "changes" : "reads"} ` +
      `what the other ${isWrite(right) ? "changes" : "reads"}: which one comes first is not fixed`;
    return information(
      {
        check: 13,
        name: "shared resource",
        claim: "Which rule uses the place first is not fixed",
        method: "automata",
      },
      counterexample(subject, {
        summary,
        keys: [left.site.step.id],
        path: left.site.path,
        other: other.subject.hash,
      }),
      other,
    );
  });
}

/** Pairs of uses that can touch one place and do not commute. */
function pairsOf(left: readonly Use[], right: readonly Use[], other: Analysis): readonly Pair[] {
  const pairs: Pair[] = [];
  for (const a of left) {
    if (!isPlace(a) || a.action.isCompensation) continue;
    for (const b of right) {
      if (!isPlace(b) || b.action.isCompensation || a === b) continue;
      const kind = clash(a, b);
      if (kind !== null && canTouch(a, b)) pairs.push({ left: a, right: b, other, kind });
    }
  }
  return pairs;
}

function clash(a: Use, b: Use): Pair["kind"] | null {
  // Making sure that a folder exists disturbs nobody but who takes folders away.
  if (makesFolder(a) && (makesFolder(b) || b.does !== "remove")) return null;
  if (makesFolder(b) && a.does !== "remove") return null;
  if (isWrite(a) && isWrite(b)) return a.does === "append" && b.does === "append" ? null : "conflict";
  if (!isWrite(a) && !isWrite(b)) return null;
  // Reading what another one moves away or replaces depends on who is first; a file that only grows is read safely.
  const write = isWrite(a) ? a : b;
  return write.does === "append" ? null : "read";
}

function makesFolder(use: Use): boolean {
  return use.kind === "folder" && use.does === "create";
}

const placeMachines = new WeakMap<Use, readonly Machine[]>();

function canTouch(a: Use, b: Use): boolean {
  if (a.kind === "folder" || b.kind === "folder") return areNested(a, b) || areNested(b, a);
  const [x, y] = [fixedPlace(a.place), fixedPlace(b.place)];
  if (x !== null && y !== null) return x === y;
  const [p, q] = [headOf(a), headOf(b)];
  if (!p.startsWith(q) && !q.startsWith(p)) return false;
  return shortestWord({ in: [...machinesOf(a), ...machinesOf(b)] }).kind !== "none";
}

/** True when what `inner` names can be at or below what the folder `outer` names. */
function areNested(outer: Use, inner: Use): boolean {
  const folder = fixedPlace(outer.place);
  if (outer.kind !== "folder") return false;
  if (folder === null) return true;
  const below = placeMachine({
    places: [folder === "" ? "." : folder],
    wanted: ["inside", "lost"],
    decodes: false,
  });
  return shortestWord({ in: [...machinesOf(inner), below] }).kind !== "none";
}

const heads = new WeakMap<Use, string>();

/** What every place of the use begins with: cheap to compare before the languages are. */
function headOf(use: Use): string {
  let head = heads.get(use);
  if (head === undefined) {
    const [language] = languagesOfPlace(use.analysis, use.place, false);
    head = language === undefined ? "" : prefixOf(language);
    heads.set(use, head);
  }
  return head;
}

function fixedPlace(place: Expression): string | null {
  return place.kind === "literal" && typeof place.value === "string"
    ? segmentsOf(place.value).join("/")
    : null;
}

function machinesOf(use: Use): readonly Machine[] {
  const present = placeMachines.get(use);
  if (present !== undefined) return present;
  const machines = languagesOfPlace(use.analysis, use.place, false).map(machineOf);
  placeMachines.set(use, machines);
  return machines;
}

/** True when one event can start both programs. */
export function canMeet(left: Analysis, right: Analysis): boolean {
  // Events belong to a workspace, and so do the places that relative paths name.
  if (left.program.workspace.name !== right.program.workspace.name) return false;
  const [a, b] = [left.program.trigger, right.program.trigger];
  if (a.kind !== "source" || b.kind !== "source") return false;
  if (capabilityName(a.source) !== capabilityName(b.source)) return false;
  const keys = new Set([...Object.keys(a.config), ...Object.keys(b.config)]);
  const schema = left.source === null ? {} : schemaData(left.source.config);
  for (const key of keys) {
    const [x, y] = [a.config[key], b.config[key]];
    if (x === undefined || y === undefined || equalValues(x, y)) continue;
    if (typeof x !== "string" || typeof y !== "string") continue;
    if (key === "cron" && equalValues(a.config["zone"] ?? null, b.config["zone"] ?? null)) {
      if (!cronsMayMeet(x, y)) return false;
      continue;
    }
    if (key === "pattern") {
      const both = [patternLanguage(x), patternLanguage(y)].map(machineOf);
      if (shortestWord({ in: both }).kind === "none") return false;
      continue;
    }
    const properties: unknown = schema["properties"];
    const one: unknown =
      typeof properties === "object" && properties !== null ? Reflect.get(properties, key) : null;
    const isFolder =
      typeof one === "object" &&
      one !== null &&
      Reflect.get(present(one as Readonly<Record<string, unknown>>), "x-path") === "folder";
    if (
      (isFolder || key === "folder") &&
      areApart(x, y, a.config["recursive"] === true || b.config["recursive"] === true)
    ) {
      return false;
    }
  }
  return true;
}

/** False when no file name passes both patterns and both filters. */
function haveNames(left: Analysis, right: Analysis): boolean {
  const script = createScript("names that both triggers accept");
  const event: Owner = { prefix: "e", analysis: left };
  const terms = [left, right].flatMap((analysis, index) => {
    const encoder = createEncoder(script, { prefix: `t${index}`, analysis }, event);
    return [encoder.trigger(), encoder.formula(analysis.filter)];
  });
  return hasTexts(script, terms);
}

function areApart(left: string, right: string, isRecursive: boolean): boolean {
  const [x, y] = [left, right].map((path) => segmentsOf(path).join("/"));
  if (x === y) return false;
  return !(
    isRecursive &&
    (`${x}/`.startsWith(`${y}/`) || `${y}/`.startsWith(`${x}/`) || x === "" || y === "")
  );
}
