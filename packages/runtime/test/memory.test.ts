// Memory and questions through the engine, on a ledger that can crash.
import { expect, test } from "vitest";
import { capabilityId, slotName } from "@writ/core/ids";
import type { Operand, Step } from "@writ/core/program";
import type { HashedProgram } from "@writ/core/program";
import { Type } from "@writ/core/schema";
import type { Models } from "@writ/core/ports";
import type { Value } from "@writ/core/value";
import { memoryLedger, type MemoryLedger } from "@writ/testkit/memory-ledger";
import { ledgerMemory, withMemory } from "@writ/testkit/remembering";
import { scriptedModels } from "@writ/testkit/scripted-models";
import { memoryBlobs, simulatedSite, type SimulatedSite } from "@writ/testkit/simulated-modules";
import { call, chain, finish, literal, load, program, retry, rig, step, text, type Rig } from "./support.ts";

interface Given {
  readonly models?: Models;
  readonly site?: SimulatedSite;
  readonly ledger?: MemoryLedger;
  readonly programs?: Map<string, HashedProgram>;
}

const blobs = memoryBlobs();

function node({ models, site = simulatedSite(), ledger = memoryLedger(), programs }: Given = {}): Rig {
  const modules = withMemory(site.modules, ledger, models);
  return rig({
    site,
    ledger,
    blobs,
    options: { modules },
    ...(programs === undefined ? {} : { programs }),
  });
}

const remember = (value: Operand, scope: "program" | "workspace" = "workspace"): Step["op"] => ({
  op: "remember",
  scope,
  key: literal("total"),
  value,
});
const recall: Step["op"] = {
  op: "recall",
  scope: "workspace",
  key: literal("total"),
  output: slotName("known"),
};
const send = (what: string): Step["op"] =>
  call("send", { host: literal("http://127.0.0.1:9000/in"), text: text(what) });
const writer = program([step("keep", remember(literal("first")))]);
const reader = program(chain(step("look", recall), step("end", finish("known"))));

test("E16 G4 what was remembered from a file is untrusted wherever it is recalled: sending it waits for a person", async () => {
  const made = node();
  made.site.files.set("inbox/a", ["from outside"]);
  const from = program(chain(step("r", load("inbox/a", "file")), step("keep", remember(text("file")))));
  const kept = await made.run(from, { labels: ["origin:file"] });
  expect(kept.status).toBe("finished");
  const sender = program(chain(step("look", recall), step("s", send("known.content[0]"))));
  const labelled = made.ledger
    .entries()
    .find((entry) => entry.kind === "effect.completed" && entry.facts.step === "keep");
  expect(labelled).toMatchObject({ facts: { labels: ["origin:file"] } });
  const run = made.start(sender);
  await made.site.advance(0);
  const asked = made.ledger
    .entries()
    .find((entry) => entry.run === run && entry.kind === "approval.requested");
  expect(asked).toMatchObject({ facts: { reason: "gate", step: "s" } });
  expect(made.site.effects.filter(({ capability }) => capability === "sim.send")).toEqual([]);
});

test("E16 what only the program itself chose is recalled as trusted, and may be sent", async () => {
  const made = node();
  await made.run(writer);
  const sender = program(chain(step("look", recall), step("s", send("known"))));
  expect(await made.run(sender)).toMatchObject({ status: "finished" });
  expect(made.site.effects.at(-1)).toMatchObject({ capability: "sim.send", text: "first" });
});

test("E16 whatever decided that something is remembered stands on it", async () => {
  const made = node();
  made.site.files.set("inbox/a", ["yes"]);
  const keeps = step("keep", remember(literal("fixed")));
  const arms = [{ when: "file.size > 0", block: { steps: [keeps] } }];
  const decided = program(
    chain(step("r", load("inbox/a", "file")), step("b", { op: "branch", arms, otherwise: { steps: [] } })),
  );
  await made.run(decided, { labels: ["origin:file"] });
  const look = await made.run(reader);
  expect(look).toMatchObject({ result: "fixed" });
  const recalled = made.ledger
    .entries()
    .find((entry) => entry.run === look.run && entry.kind === "effect.completed");
  expect(recalled).toMatchObject({ facts: { labels: ["origin:file"] } });
});

test("E16 G5 a secret is not remembered where every program of the workspace may recall it", async () => {
  const made = node();
  const start = async (scope: "program" | "workspace") => {
    const hidden = program(
      chain(step("k", load("k", "token")), step("keep", remember(text("token"), scope))),
    );
    return made.run(hidden);
  };
  made.site.files.set("k", ["x"]);
  const read = made.options.modules.find(capabilityId("sim.read@1.0.0"));
  if (read === undefined) throw new Error("the site reads");
  Object.assign(read, { labels: ["secret"] });
  expect(await start("workspace")).toMatchObject({
    status: "failed",
    fault: { code: "gate.secret-leaves" },
  });
  expect(await start("program")).toMatchObject({ status: "finished" });
});

test("E16 a crash before the outcome leaves what was there, and it is remembered once after the restart", async () => {
  const ledger: MemoryLedger = memoryLedger({
    reach: (point) => point !== "before-sync" || !all().includes("effect.completed"),
  });
  const all = () => ledger.entries().map(({ kind }) => String(kind));
  const made = node({ ledger });
  const run = made.start(writer);
  await made.site.advance(0);
  expect(all()).toContain("effect.completed");
  const after = ledger.crash();
  const again = node({ site: made.site, ledger: after, programs: made.programs });
  const place = { scope: "workspace", owner: "sim", key: "total" } as const;
  expect(ledgerMemory(after).find(place)).toBeNull();
  await again.engine.recover();
  await again.site.advance(0);
  expect(await again.engine.ended(run)).toMatchObject({ status: "finished" });
  expect(await again.run(reader)).toMatchObject({ result: "first" });
  expect(again.kinds(run).filter((kind) => kind === "effect.completed")).toHaveLength(1);
});

test("E16 what a run remembered is put back in reverse, and held when another wrote since", async () => {
  const made = node();
  await made.run(writer);
  const twice = program(
    chain(step("one", remember(literal("a"))), step("two", remember(literal("b"))), step("end", fail)),
  );
  const ended = await made.run(twice);
  await made.engine.undoRun(ended.run, { kind: "node" }, "wrong");
  await made.site.runUntil(() => made.engine.state(ended.run)?.ended?.status === "rolled_back", 1000);
  expect(await made.run(reader)).toMatchObject({ result: "first" });
  const later = await made.run(program([step("keep", remember(literal("c")))]));
  await made.run(program([step("other", remember(literal("d")))]));
  await made.engine.undoRun(later.run, { kind: "node" }, "wrong");
  await made.site.advance(0);
  expect(made.kinds(later.run)).toContain("undo.held");
  expect(await made.run(reader)).toMatchObject({ result: "d" });
});

const fail: Step["op"] = { op: "fail", code: "demo.no", message: literal("no") };

const ask = (prompt: Operand, attemptsMax = 2): Step["op"] => ({
  op: "ask",
  model: "demo",
  context: "Classify.",
  prompt,
  schema: Type.Object({ word: Type.Enum(["yes", "no"]) }, { additionalProperties: false }),
  output: slotName("answer"),
  attemptsMax,
});
const asking = program(chain(step("a", ask(literal("is it?"))), step("end", finish("answer.word"))));

test("E17 K41 an answer that fits is used, one that does not is recorded and asked for again, and replay asks nobody", async () => {
  const models = scriptedModels([{ word: "maybe" }, { word: "yes" }]);
  const made = node({ models });
  const ended = await made.run(asking);
  expect(ended).toMatchObject({ status: "finished", result: "yes" });
  expect(made.kinds(ended.run)).toContain("effect.progress");
  expect(models.asked.map(({ problems }) => problems.length)).toEqual([0, 1]);
  expect((await made.engine.replay(ended.run)).divergence).toBeNull();
  expect(models.asked).toHaveLength(2);
});

test("E17 K41 a model that never answers as it should fails the step, and one that is not there is tried again where the step says so", async () => {
  const never = node({ models: scriptedModels([{ word: 1 }, "no", { word: "yes" }]) });
  expect(await never.run(asking)).toMatchObject({ status: "failed", fault: { code: "model.answer" } });
  const away = scriptedModels([]);
  const policy = retry(2, ["model.unavailable"]);
  const twice = program([step("a", ask(literal("x")), { failure: policy })]);
  expect(await node({ models: away }).run(twice)).toMatchObject({ fault: { code: "model.unavailable" } });
  expect(away.asked).toHaveLength(2);
});

test("E17 K41 a model that hangs is given up at the step's time limit", async () => {
  const hangs: Models = { answer: () => new Promise<Value>(() => undefined) };
  const made = node({ models: hangs });
  const limited = program([step("a", ask(literal("x")), { timeoutMs: 3000 })]);
  expect(await made.run(limited)).toMatchObject({ status: "failed", fault: { code: "runtime.timeout" } });
});

test("E17 G5 a secret is not put into a question", async () => {
  const models = scriptedModels([{ word: "yes" }]);
  const made = node({ models });
  made.site.files.set("k", ["x"]);
  const read = made.options.modules.find(capabilityId("sim.read@1.0.0"));
  if (read === undefined) throw new Error("the site reads");
  Object.assign(read, { labels: ["secret"] });
  const leaks = program(chain(step("k", load("k", "token")), step("a", ask(text("token.content[0]")))));
  expect(await made.run(leaks)).toMatchObject({ status: "failed", fault: { code: "gate.secret-leaves" } });
  expect(models.asked).toEqual([]);
});

test("E17 E4 a crash in the middle of a question asks again, under the same key", async () => {
  const hangs: Models = { answer: () => new Promise<Value>(() => undefined) };
  const made = node({ models: hangs });
  const run = made.start(asking);
  await made.site.advance(0);
  expect(made.kinds(run)).toContain("effect.intended");
  const models = scriptedModels([{ word: "no" }]);
  const again = node({ models, site: made.site, ledger: made.ledger.crash(), programs: made.programs });
  await again.engine.recover();
  await again.site.advance(0);
  expect(await again.engine.ended(run)).toMatchObject({ status: "finished", result: "no" });
  expect(models.asked).toHaveLength(1);
  expect(again.kinds(run).filter((kind) => kind === "effect.intended")).toHaveLength(1);
});

test("E17 G4 an answer may not choose what is sent, nor whether, without an approval", async () => {
  const models = scriptedModels([{ word: "yes" }, { word: "yes" }]);
  const made = node({ models });
  const chooses = program(chain(step("a", ask(literal("x"))), step("s", send("answer.word"))));
  const steers = program(
    chain(
      step("a", ask(literal("x"))),
      step("b", {
        op: "branch",
        arms: [{ when: 'answer.word == "yes"', block: { steps: [step("s", send('"fixed"'))] } }],
        otherwise: { steps: [] },
      }),
    ),
  );
  for (const hashed of [chooses, steers]) {
    const run = made.start(hashed);
    await made.site.advance(0);
    expect(made.kinds(run)).toContain("approval.requested");
  }
  expect(made.site.effects.filter(({ capability }) => capability === "sim.send")).toEqual([]);
});
