// The rules of the story.
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "./node-process.ts";

export const englishRuleFile = path.join(root, "examples", "invoices.en.rule");
export const frenchRuleFile = path.join(root, "examples", "invoices.fr.rule");

export function storyRule(): string {
  return readFileSync(englishRuleFile, "utf8");
}
