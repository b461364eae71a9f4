import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseWorkspace } from "@writ/core/workspace";
import { expect, test } from "vitest";

const folder = path.join(path.dirname(import.meta.dirname), "examples", "workspace");

test("W1 the example's workspace file is one, and its words have an owner", () => {
  const workspace = parseWorkspace(JSON.parse(readFileSync(path.join(folder, "workspace.json"), "utf8")));
  expect(workspace.name).toBe("invoices");
  const spoken = [
    ...Object.values(workspace.folders),
    ...Object.values(workspace.files),
    ...workspace.hosts,
  ].flatMap((place) =>
    [...(place.words?.en ?? []), ...(place.words?.fr ?? [])].map((word) => [word, place] as const),
  );
  for (const [word, place] of spoken) {
    expect(
      spoken.filter(([other, owner]) => other === word && owner !== place),
      word,
    ).toEqual([]);
  }
});

test("W1 every sample the example's page names is there", () => {
  const names = [
    ...readFileSync(path.join(folder, "README.md"), "utf8").matchAll(/`([a-z0-9-]+\.csv)`/g),
  ].map((match) => match[1] ?? "");
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !existsSync(path.join(folder, "samples", name)))).toEqual([]);
});
