import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Replay, RunDiff, Why } from "@writ/core/api";
import { expect, test } from "vitest";
import { answerOf, Story } from "../support/story.ts";
import { storyRule } from "../support/rules.ts";

test("E20 a run is looked back at: any moment, another run beside it, its causes, and as a file that proves itself", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  story.drop("low-office-supplies.csv");
  story.drop("high-machine-parts.csv");
  const low = await story.runOf("low-office-supplies.csv", "finished");
  const asked = await story.runOf("high-machine-parts.csv", "waiting");
  const approval = await story.approvalOf(asked.id);
  const approved = await story.node.writAs(story.tokens.accountant, [
    "approvals",
    "approve",
    approval.id,
    "--comment",
    "paid before",
  ]);
  expect(approved.code, approved.error).toBe(0);
  const high = await story.ended(asked.id);
  expect(high.status).toBe("finished");

  const whole = answerOf<Replay>(await story.writ("run", "replay", high.id, "--json"));
  expect(whole.at).toBeNull();
  const request = high.entries.find(({ kind }) => kind === "approval.requested");
  const then = answerOf<Replay>(
    await story.writ("run", "replay", high.id, "--to", String(request?.seq), "--json"),
  );
  expect(then.status).toBe("waiting");
  expect(then.at?.next.some((command) => command.startsWith("await-approval"))).toBe(true);
  expect(then.at?.slots.find(({ name }) => name === "event")?.labels).toContain("origin:event");
  expect(then.entries).toBeLessThan(whole.entries);

  const diff = answerOf<RunDiff>(await story.writ("run", "diff", low.id, high.id, "--json"));
  expect(diff.sameProgram).toBe(true);
  expect(diff.event.map(({ at }) => at)).toContain("/name");
  expect(diff.first).not.toBeNull();
  const same = await story.writ("run", "diff", high.id, high.id);
  expect(same.out).toContain("nothing differs");

  const acted = high.steps.find(({ label, state }) => label.includes("move_file") && state === "COMPLETED");
  const why = answerOf<Why>(await story.writ("why", high.id, acted?.id ?? "", "--json"));
  const kinds = why.links.map(({ kind }) => kind);
  expect(kinds.indexOf("event")).toBe(0);
  expect(kinds).toEqual(expect.arrayContaining(["words", "person", "start", "decision", "effect"]));
  expect(why.links.find(({ excerpt }) => excerpt !== null)?.excerpt).toContain("^^^");
  expect(why.links.some(({ text }) => text.includes("paid before"))).toBe(true);
  const unknown = await story.writ("why", high.id, "no-such-step");
  expect(unknown.code).not.toBe(0);
  expect(unknown.error).toContain("run.unknown-step");

  const file = path.join(story.node.folder, "evidence.writ");
  const exported = await story.writ("run", "export", high.id, file);
  expect(exported.code, exported.error).toBe(0);
  expect((await story.writ("run", "export", high.id, file)).code, "evidence is not replaced").not.toBe(0);
  await story.node.kill();
  const verified = await story.writ("ledger", "verify", file);
  expect(verified.code, verified.error).toBe(0);
  expect(verified.out).toContain(`intact: run ${high.id}`);
  const bytes = readFileSync(file);
  for (const at of [40, bytes.length >> 1, bytes.length - 40]) {
    const forged = Buffer.from(bytes);
    forged[at] = (forged[at] ?? 0) ^ 1;
    writeFileSync(`${file}.forged`, forged);
    const refused = await story.writ("ledger", "verify", `${file}.forged`);
    expect(refused.code, `byte ${at}`).toBe(1);
    expect(refused.out).toContain("NOT TO BE TRUSTED");
  }
});
