// Check 28 (and the path invariants of check 21): writes stay inside, by inclusion of regular languages.
//   C1  The place of a write is the language of its expression; what comes from outside without a contract is any text.
//   C2  Every write stays in the workspace, whether the rule says so or not, and out of folders and files that are only read.
//       The workspace file is written under no name that stands in the rule; a computed name is refused when it is known.
//   C3  Both readings are proven: as written, and with `%2e` and `%2f` taken for what they stand for.
import { renderExpression, type Expression } from "@writ/core/expression";
import { machineOf, shortestWord, type SearchResult } from "../automata/machine.ts";
import { placeMachine, placeOfPath, type Place } from "../automata/path.ts";
import { anything, chars, concat } from "../automata/regular.ts";
import type { Analysis } from "../model/analysis.ts";
import { accessPath, nameOfPath } from "../model/typing.ts";
import { languageOf } from "../model/text.ts";
import { triggerLanguageOf } from "./trigger-language.ts";
import { isPlace, isWrite, usesOf, type Use } from "./effects.ts";
import { isWorkspaceFile } from "@writ/core/workspace";
import { counterexample, holds, unknown, violated, type ProblemCode, type Result } from "./result.ts";

interface Rule {
  readonly check: 21 | 28;
  readonly name: string;
  readonly claim: string;
  readonly code: ProblemCode;
  readonly key: string;
  readonly places: readonly string[];
  readonly says: string;
  bad(use: Use): readonly Place[];
}

export function checkContainment(analysis: Analysis): readonly Result[] {
  const uses = usesOf(analysis).filter((use) => isPlace(use) && isWrite(use));
  // Arms of one branch often write the same place, and a rule often says what holds of every rule: each question is answered once.
  const searches: Searches = new Map();
  const named = uses.flatMap((use) => workspaceFileViolation(analysis, use));
  if (named.length > 0) return named.slice(0, 10);
  return rulesOf(analysis).flatMap((rule) => {
    const base = { check: rule.check, name: rule.name, claim: rule.claim, method: "automata" } as const;
    const found = uses.flatMap((use) => violation(analysis, rule, use, searches));
    return found.length === 0 ? [holds(base)] : found.slice(0, 10);
  });
}

function workspaceFileViolation(analysis: Analysis, use: Use): readonly Result[] {
  const { place, param, site } = use;
  if (place.kind !== "literal" || typeof place.value !== "string" || !isWorkspaceFile(place.value)) return [];
  const claim = "For all runs: no step writes the workspace file";
  const base = { check: 28, name: "never writes the workspace file", claim, method: "automata" } as const;
  const example = counterexample(analysis, {
    summary: `Step \`${site.step.id}\` of “${analysis.name}” writes the workspace file, which says what programs may do`,
    values: [{ name: param, value: place.value }],
    path: site.path,
    keys: [site.step.id],
  });
  return [violated(base, "verifier.path-escape", example)];
}

function rulesOf(analysis: Analysis): readonly Rule[] {
  const { workspace, invariants } = analysis.program;
  const readOnly = [...workspace.folders, ...workspace.files].filter((place) => place.access === "read");
  const rules: Rule[] = [
    {
      check: 28,
      name: "writes only inside",
      claim:
        "For all events and all values read: every write stays inside the workspace (symbolic links are looked at when it happens)",
      code: "verifier.path-escape",
      key: "",
      places: ["."],
      says: "outside the workspace",
      bad: () => ["outside", "lost"],
    },
  ];
  if (readOnly.length > 0) {
    const names = readOnly.map((place) => place.path);
    rules.push({
      check: 28,
      name: "writes only where allowed",
      claim: `For all events and all values read: nothing is written in ${names.join(", ")}`,
      code: "verifier.path-escape",
      key: "",
      places: names,
      says: "in a place that is only read",
      bad: (use) => (use.kind === "folder" ? ["inside", "above", "lost"] : ["inside", "lost"]),
    });
  }
  for (const [index, invariant] of invariants.entries()) {
    const key = `invariant.${index}`;
    if (invariant.kind === "writes-within") {
      rules.push({
        check: 21,
        name: "writes within",
        claim: `For all runs: every write is inside ${saidPlaces(invariant.paths)}`,
        code: "verifier.invariant",
        key,
        places: invariant.paths,
        says: `outside ${saidPlaces(invariant.paths)}`,
        bad: () => ["outside", "elsewhere", "above", "lost"],
      });
    } else if (invariant.kind === "never-writes") {
      rules.push({
        check: 21,
        name: "never writes",
        claim: `For all runs: nothing is written in ${invariant.paths.join(", ")}`,
        code: "verifier.invariant",
        key,
        places: invariant.paths,
        says: `in ${invariant.paths.join(", ")}`,
        bad: (use) => (use.kind === "folder" ? ["inside", "above", "lost"] : ["inside", "lost"]),
      });
    }
  }
  return rules;
}

function saidPlaces(paths: readonly string[]): string {
  return paths.map((path) => (path === "." ? "the workspace" : path)).join(", ");
}

type Searches = Map<string, SearchResult>;

function search(
  analysis: Analysis,
  rule: Rule,
  use: Use,
  decodes: boolean,
  searches: Searches,
): SearchResult {
  const wanted = rule.bad(use);
  // One place and all that is in the workspace: `elsewhere` and `above` do not happen.
  const matters =
    rule.places.length === 1 && rule.places[0] === "."
      ? wanted.filter((place) => place === "outside" || place === "lost")
      : wanted;
  const key = JSON.stringify([renderExpression(use.place), rule.places, matters, decodes]);
  let found = searches.get(key);
  if (found === undefined) {
    found = searchPlace(analysis, rule, use.place, decodes, matters);
    searches.set(key, found);
  }
  return found;
}

function searchPlace(
  analysis: Analysis,
  rule: Rule,
  place: Expression,
  decodes: boolean,
  wanted: readonly Place[],
): SearchResult {
  if (place.kind === "literal" && typeof place.value === "string") {
    const isBad = wanted.includes(placeOfPath(place.value, rule.places, decodes));
    return isBad ? { kind: "word", word: place.value } : { kind: "none" };
  }
  const places = placeMachine({ places: rule.places, wanted, decodes });
  return shortestWord({ in: [...languagesOfPlace(analysis, place, decodes).map(machineOf), places] });
}

/** A way out with a file name that begins with a letter, if there is one: it reads better than the shortest. */
function pleasantWord(analysis: Analysis, rule: Rule, use: Use, decodes: boolean): string | null {
  const named = triggerLanguageOf(analysis, use.place, decodes, concat(chars([[97, 122]]), anything));
  if (named === null) return null;
  const places = placeMachine({ places: rule.places, wanted: rule.bad(use), decodes });
  const languages = [...languagesOfPlace(analysis, use.place, decodes), named].map(machineOf);
  const found = shortestWord({ in: [...languages, places] });
  return found.kind === "word" ? found.word : null;
}

function violation(analysis: Analysis, rule: Rule, use: Use, searches: Searches): readonly Result[] {
  const base = { check: rule.check, name: rule.name, claim: rule.claim, method: "automata" } as const;
  for (const decodes of [false, true]) {
    const found = search(analysis, rule, use, decodes, searches);
    if (found.kind === "none") continue;
    if (found.kind === "too-large")
      return [unknown(base, `the places of step \`${use.site.step.id}\` are too many`)];
    const word = pleasantWord(analysis, rule, use, decodes) ?? found.word;
    const input = inputOf(analysis, use.place, word);
    const values = [...(input === null ? [] : [input]), { name: use.param, value: word }];
    return [
      violated(
        base,
        rule.code,
        counterexample(analysis, {
          summary:
            `Step \`${use.site.step.id}\` of “${analysis.name}” could write ${rule.says}: ` +
            (input === null || input.value === word
              ? `\`${use.param}\` can be \`${word}\``
              : `when ${input.name} is \`${input.value}\`, \`${use.param}\` is \`${word}\``) +
            (decodes ? " (after `%2e` and `%2f` are decoded)" : ""),
          values,
          path: use.site.path,
          keys: [use.site.step.id, rule.key],
        }),
      ),
    ];
  }
  return [];
}

/** The languages that the place's text is in, all of them at once. */
export function languagesOfPlace(analysis: Analysis, place: Expression, decodes: boolean) {
  const whole = languageOf(analysis, place, decodes);
  const narrowed = triggerLanguageOf(analysis, place, decodes);
  return narrowed === null ? [whole] : [whole, narrowed];
}

/** The input that makes the place this text, when the place is one input with fixed text around it. */
function inputOf(
  analysis: Analysis,
  place: Expression,
  text: string,
): { readonly name: string; readonly value: string } | null {
  const path = accessPath(place);
  if (path !== null) return { name: nameOfPath(analysis, path), value: text };
  if (place.kind !== "binary" || place.operator !== "+") return null;
  const { left, right } = place;
  if (left.kind === "literal" && typeof left.value === "string" && text.startsWith(left.value)) {
    return inputOf(analysis, right, text.slice(left.value.length));
  }
  if (right.kind === "literal" && typeof right.value === "string" && text.endsWith(right.value)) {
    return inputOf(analysis, left, text.slice(0, text.length - right.value.length));
  }
  return null;
}
