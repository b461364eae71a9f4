// Renders the table of routes at the end of docs/http-api.md from the table that the server serves: `npm run faults` writes both pages.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { accessRoles, routes, type Access, type RouteDefinition } from "@writ/core/api";

const target = path.join(path.dirname(import.meta.dirname), "docs", "http-api.md");
const mark = "## Routes\n";

const who: Readonly<Record<Access, string>> = {
  public: "everybody, without a key",
  signed: "who signs the request",
  anyone: "every person with a key",
  owner: accessRoles.owner.join(", "),
  operator: accessRoles.operator.join(", "),
  submitter: accessRoles.submitter.join(", "),
};

/** The page as it should be: what is written by hand before the routes, and their table. */
export function renderApi(page: string): string {
  const [byHand = ""] = page.split(mark);
  const all: readonly RouteDefinition[] = Object.values(routes);
  const rows = all.map(
    ({ method, path: route, access, summary }) =>
      `| ${method} | \`${route}\` | ${who[access]} | ${summary.replaceAll("|", "\\|")} |`,
  );
  const head = "This table is generated (`npm run faults`); the schemas are in `GET /openapi.json`.";
  return `${byHand.trimEnd()}\n\n${mark}\n${head}\n\n| method | path | who may | what it does |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
}

/** Writes the page anew. */
export function writeApi(): void {
  writeFileSync(target, renderApi(readFileSync(target, "utf8")));
}
