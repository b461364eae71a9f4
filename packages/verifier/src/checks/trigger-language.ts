// What the trigger's pattern leaves of a text: names that pass `*.csv`, and paths made of them.
import type { Expression } from "@writ/core/expression";
import { concat, word, type Regular } from "../automata/regular.ts";
import type { Analysis } from "../model/analysis.ts";
import { languageOf } from "../model/text.ts";
import {
  accessPath,
  pathText,
  triggerLanguage,
  watchedFolder,
  watchesOneFolder,
  type AccessPath,
} from "../model/typing.ts";

const eventName: AccessPath = { root: "event", fields: ["data", "name"] };

/**
 * A second language that the text of the expression is in, or null when the trigger says nothing about it. `names` stands for the
 * names of the event's files: those the trigger's pattern lets through, unless others are asked about.
 */
export function triggerLanguageOf(
  analysis: Analysis,
  expression: Expression,
  decodes: boolean,
  names: Regular | null = triggerLanguage(analysis, eventName),
): Regular | null {
  if (names === null) return null;
  const path = accessPath(expression);
  if (path !== null) {
    const folder = watchedFolder(analysis);
    if (pathText(path) === "event.data.name") return names;
    if (pathText(path) === "event.data.path" && folder !== null && watchesOneFolder(analysis)) {
      return folder === "" ? names : concat(word(`${folder}/`), names);
    }
    return null;
  }
  if (expression.kind !== "binary" || expression.operator !== "+") return null;
  const left = triggerLanguageOf(analysis, expression.left, decodes, names);
  const right = triggerLanguageOf(analysis, expression.right, decodes, names);
  if (left === null && right === null) return null;
  return concat(
    left ?? languageOf(analysis, expression.left, decodes),
    right ?? languageOf(analysis, expression.right, decodes),
  );
}
