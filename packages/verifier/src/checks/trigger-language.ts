// What the trigger's pattern and filter leave of a text: names that pass `*.csv` and `startsWith("in-")`, and paths made of them.
import type { Expression } from "@writ/core/expression";
import { concat, word, type Regular } from "../automata/regular.ts";
import type { Analysis } from "../model/analysis.ts";
import { accessPath, pathText, triggerLanguage, watchedFolder, watchesOneFolder } from "../model/typing.ts";
import { languageOf } from "../model/text.ts";

/** A second language that the text of the expression is in, or null when the trigger says nothing about it. */
export function triggerLanguageOf(
  analysis: Analysis,
  expression: Expression,
  decodes: boolean,
): Regular | null {
  const path = accessPath(expression);
  if (path !== null) {
    const folder = watchedFolder(analysis);
    const names = triggerLanguage(analysis, { root: "event", fields: ["data", "name"] });
    if (names === null) return null;
    if (pathText(path) === "event.data.name") return names;
    if (pathText(path) === "event.data.path" && folder !== null && watchesOneFolder(analysis)) {
      return folder === "" ? names : concat(word(`${folder}/`), names);
    }
    return null;
  }
  if (expression.kind !== "binary" || expression.operator !== "+") return null;
  const left = triggerLanguageOf(analysis, expression.left, decodes);
  const right = triggerLanguageOf(analysis, expression.right, decodes);
  if (left === null && right === null) return null;
  return concat(
    left ?? languageOf(analysis, expression.left, decodes),
    right ?? languageOf(analysis, expression.right, decodes),
  );
}
