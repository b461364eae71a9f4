// Trees and programs as text: a tree as sentences of the rule language, a program as a listing that is the same in every language.
import type { Catalog, Language } from "@writ/core/capability";
import type { Program } from "@writ/core/program";
import { english } from "./language/english.ts";
import { french } from "./language/french.ts";
import type { Tree } from "./language/tree.ts";
import { listing } from "./render/program.ts";
import { sentencesOf } from "./render/tree.ts";

/** The rule language's sentences for a tree. Compiling them gives the same tree. */
export function renderTree(tree: Tree, language: Language, catalog: Catalog): string {
  return sentencesOf(tree, language === "fr" ? french : english, catalog).join(" ");
}

/** One line for each step, blocks indented: what `writ compile` shows of a program. */
export function renderProgramText(program: Program): string {
  return listing(program).join("\n");
}
