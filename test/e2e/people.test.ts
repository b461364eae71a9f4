import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Person, PersonToken, Workspace } from "@writ/core/api";
import { expect, test } from "vitest";
import { answerOf, Story } from "../support/story.ts";

test("E6 people are added, listed and removed, and a removed one's token is void", async () => {
  await using story = await Story.begin();
  const added = answerOf<PersonToken>(
    await story.writ("person", "add", "claire", "--name", "Claire", "--role", "operator", "--json"),
  );
  const listed = answerOf<readonly Person[]>(await story.writ("people", "--json"));
  expect(listed.map(({ id }) => id).toSorted()).toEqual(["anna", "claire", "helper", "owner"]);
  expect((await story.node.writAs(added.token, ["status"])).code).toBe(0);
  expect((await story.node.writAs(added.token, ["person", "add", "mallory", "--role", "owner"])).code).toBe(
    4,
  );
  expect((await story.writ("person", "remove", "claire")).code).toBe(0);
  expect((await story.node.writAs(added.token, ["status"])).code).toBe(4);
  const last = await story.writ("person", "remove", "owner");
  expect(last.error).toContain("person.last-owner");
});

test("E6 one's own folder becomes a workspace, and what was written into it is understood", async () => {
  await using story = await Story.begin();
  const folder = path.join(story.node.folder, "mine");
  mkdirSync(path.join(folder, "inbox"), { recursive: true });
  const added = answerOf<Workspace>(await story.writ("workspace", "add", folder, "--json"));
  expect(added.root).toBe(folder);
  const listed = answerOf<readonly Workspace[]>(await story.writ("workspace", "list", "--json"));
  expect(listed.map(({ name }) => name)).toContain(added.name);
  writeFileSync(path.join(folder, "workspace.json"), '{"version":1}');
  const broken = await story.writ("workspace", "add", folder);
  expect(broken.code).toBe(5);
  expect(broken.error).toContain("core.schema-mismatch");
  expect((await story.writ("workspace", "add", path.join(folder, "none"))).error).toContain(
    "workspace.folder",
  );
  expect((await story.writ("workspace", "remove", added.name)).code).toBe(0);
});

test("E15 words that cannot be read, unknown capabilities and ambiguous sentences are answered, not guessed", async () => {
  await using story = await Story.begin();
  const file = path.join(story.node.folder, "bad.rule");
  const texts = [
    "Wenn eine Datei kommt, verschiebe sie.",
    "When a CSV file arrives in the inbox, teleport the file to approved.",
    'When a CSV file arrives in the inbox, read it. If the sum of "amount" is above 10 000, move the file to approved.',
    "",
    "When a CSV file arrives in the cellar, move the file to approved.",
  ];
  for (const text of texts) {
    writeFileSync(file, text);
    const shown = await story.writ("compile", file);
    expect([1, 5], `${text}: ${shown.out}${shown.error}`).toContain(shown.code);
    expect(`${shown.out}${shown.error}`, text).toMatch(/[a-z-]+\.[a-z-]+/);
  }
  writeFileSync(file, Buffer.from([0xff, 0xfe, 0x41]));
  const binary = await story.writ("compile", file);
  expect(binary.error).toContain("command.file");
});
