import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { CompileOutcome, Preview, ProgramSummary } from "@writ/core/api";
import { faultRecord } from "@writ/core/fault";
import { fromBase64, toBase64 } from "@writ/core/bytes";
import { expect, test } from "vitest";
import { pause, root } from "../support/node-process.ts";
import { englishRuleFile, frenchRuleFile, storyRule } from "../support/rules.ts";
import { answerOf, Story } from "../support/story.ts";

const examples = path.join(root, "examples", "rules");
const refusedRules = ["contradicts-invoices", "escape", "impossible"];

type Compiled = Extract<CompileOutcome, { kind: "compiled" }>;

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no fault",
    (error: unknown) => faultRecord(error)?.code ?? String(error),
  );
}

test("E1 both languages give one hash; text, graph, proof, approvals and hash are shown", async () => {
  await using story = await Story.begin();
  const english = answerOf<Compiled>(await story.writ("compile", englishRuleFile, "--json"));
  const french = answerOf<Compiled>(await story.writ("compile", frenchRuleFile, "--json"));
  expect(french.program.hash).toBe(english.program.hash);
  expect(english.program.proof.verdict).toBe("proved");
  expect(
    english.program.proof.checks.every(
      (check) => check.verdict !== "violated" && check.verdict !== "unknown",
    ),
  ).toBe(true);
  const shown = await story.writ("compile", englishRuleFile);
  expect(shown.code).toBe(0);
  for (const part of [
    "Reads as",
    "Graph",
    "Proof: proved",
    "Approvals needed",
    "accountant",
    english.program.hash,
  ]) {
    expect(shown.out).toContain(part);
  }
  // What is rendered back is a rule again, and the same one.
  const rendered = english.program.rendered;
  expect(rendered).not.toBeNull();
  for (const [language, text] of Object.entries(rendered ?? {})) {
    const file = path.join(story.node.folder, `again.${language}.rule`);
    writeFileSync(file, text);
    const again = answerOf<Compiled>(await story.writ("compile", file, "--json"));
    expect(again.program.hash).toBe(english.program.hash);
  }
});

test("E2 a preview shows what would happen and changes nothing", async () => {
  await using story = await Story.begin();
  const { program } = answerOf<Compiled>(await story.writ("compile", englishRuleFile, "--json"));
  for (const sample of ["low-office-supplies.csv", "high-machine-parts.csv"]) {
    story.drop(sample);
    const preview = answerOf<Preview>(
      await story.writ("preview", program.hash.slice(0, 12), `inbox/${sample}`, "--json"),
    );
    const text = JSON.stringify(preview.steps);
    expect(text).toContain(`approved/${sample}`);
    // Approvals are taken as given, and shown.
    const waits = preview.steps.filter((step) => step.forecast === "would-wait").map((step) => step.op);
    expect(waits).toEqual(sample.startsWith("high") ? ["approve"] : []);
    expect(preview.outcome).toBe("finished");
    expect(story.has(`inbox/${sample}`)).toBe(true);
    expect(story.has(`approved/${sample}`)).toBe(false);
    expect(story.has("journal.csv")).toBe(false);
  }
  const { runs } = await story.node.client().call("listRuns", { query: {} });
  expect(runs).toEqual([]);
});

test("E3 a contradiction, an impossible guard and an escape are refused with underlined words, in both languages", async () => {
  await using story = await Story.begin();
  await story.deploy(storyRule());
  for (const name of refusedRules) {
    for (const language of ["en", "fr"]) {
      const shown = await story.writ("compile", path.join(examples, `${name}.${language}.rule`));
      expect(shown.code, shown.out + shown.error).toBe(1);
      expect(shown.out).toMatch(/^refused/m);
      expect(shown.out).toMatch(/\^{3,}/);
      expect(shown.out).toMatch(/for example\n +\S/);
    }
  }
});

test("E1 every example rule is proved and has one hash in both languages", async () => {
  await using story = await Story.begin();
  const names = readdirSync(examples)
    .filter((name) => name.endsWith(".en.rule"))
    .map((name) => name.replace(".en.rule", ""))
    .filter((name) => !refusedRules.includes(name));
  expect(names.length).toBeGreaterThanOrEqual(10);
  const client = story.node.client();
  for (const name of names) {
    const hashes: string[] = [];
    for (const language of ["en", "fr"] as const) {
      const file = path.join(examples, `${name}.${language}.rule`);
      const text = readFileSync(file, "utf8").replaceAll(
        "127.0.0.1:3999",
        `127.0.0.1:${story.receiver.port}`,
      );
      const outcome = await client.call("compileProgram", { body: { kind: "rule", text, language } });
      if (outcome.kind !== "compiled") throw new Error(`${name}.${language}: ${JSON.stringify(outcome)}`);
      hashes.push(outcome.program.hash);
    }
    expect(new Set(hashes).size, name).toBe(1);
  }
});

test("E4 only what was approved is deployed; pausing, resuming, undeploying", async () => {
  await using story = await Story.begin();
  const { program } = answerOf<Compiled>(await story.writ("compile", englishRuleFile, "--json"));
  const short = program.hash.slice(0, 8);
  const early = await story.writ("deploy", short);
  expect(early.code).toBe(5);
  expect(early.error).toContain("program.not-approved");
  const states = [
    ["approve", "approved"],
    ["deploy", "deployed"],
    ["pause", "paused"],
    ["resume", "deployed"],
    ["undeploy", "undeployed"],
  ] as const;
  for (const [command, state] of states) {
    const summary = answerOf<ProgramSummary>(await story.writ(command, short, "--json"));
    expect(summary.state).toBe(state);
  }
  const agent = await story.node.writAs(story.tokens.agent, ["approve", short]);
  expect(agent.code).toBe(4);
});

test("E4 K10 a changed byte, a missing or single signature and an unknown key have their own codes", async () => {
  await using story = await Story.begin();
  await using other = await Story.begin();
  await story.deploy(storyRule());
  const client = story.node.client();
  const [program] = (await client.call("listPrograms", { query: {} })).programs;
  const envelope = await client.call("exportProgram", { params: { hash: program?.hash ?? "" } });
  const payload = fromBase64(envelope.payload);
  payload[payload.length - 1] = (payload.at(-1) ?? 0) ^ 1;
  const importing = (changed: typeof envelope, node = story.node) =>
    codeOf(node.client().call("importProgram", { body: { envelope: changed } }));
  expect(await importing({ ...envelope, payload: toBase64(payload) })).toBe("signature.invalid");
  expect(await importing({ ...envelope, signatures: [] })).toBe("signature.missing");
  for (const kept of envelope.signatures) {
    expect(await importing({ ...envelope, signatures: [kept] })).toBe("signature.incomplete");
  }
  expect(await importing(envelope, other.node)).toBe("signature.unknown-key");
});

test("E4 a revoked capability stops deployment, and what is deployed", async () => {
  await using story = await Story.begin();
  const hash = await story.deploy(storyRule());
  const revoked = await story.writ("capability", "revoke", "filesystem.move_file", "--reason", "test");
  expect(revoked.code, revoked.error).toBe(0);
  story.drop("low-office-supplies.csv");
  await pause(2000);
  expect(story.has("approved/low-office-supplies.csv")).toBe(false);
  expect(story.has("inbox/low-office-supplies.csv")).toBe(true);
  await story.writ("undeploy", hash.slice(0, 12));
  const again = await story.writ("deploy", hash.slice(0, 12));
  expect(again.code).not.toBe(0);
  expect(again.error).toMatch(/revoked/);
});

test("E1 the two example rules are texts in two languages", () => {
  expect(readFileSync(englishRuleFile, "utf8")).not.toBe(readFileSync(frenchRuleFile, "utf8"));
});
