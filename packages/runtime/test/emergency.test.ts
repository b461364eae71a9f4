import { expect, test } from "vitest";
import { Fault } from "@writ/core/fault";
import { foldRegistry } from "@writ/runtime/registry";
import { simulatedPolicy } from "@writ/testkit/simulated-modules";
import { act, chain, load, owner, program, rig, step, type Rig } from "./support.ts";

/** The registry follows the ledger, as on a node. */
function following(given: Parameters<typeof rig>[0] = {}): Rig {
  const made = rig(given);
  made.ledger.subscribe((entries) => {
    for (const entry of entries) made.registry = foldRegistry(made.registry, entry);
  });
  return made;
}

const writes = (name: string) => program([step("write", act("put", name))]);

test("D1 a stopped target is refused, another is not, and a read is not", async () => {
  const r = following();
  await r.engine.emergencyStop({ kind: "target", name: "inbox" }, owner, "water");
  const stopped = await r.run(writes("inbox/a"));
  expect(stopped).toMatchObject({ status: "failed", fault: { code: "gate.emergency-stop" } });
  expect((await r.run(writes("other/a"))).status).toBe("finished");
  expect((await r.run(program([step("look", load("inbox/a", "seen"))]))).status).toBe("finished");
  expect(r.site.effects.map(({ name }) => name)).toEqual(["other/a"]);
});

test("D1 a stop of a workspace or of everything is refused at the gate", async () => {
  for (const scope of [{ kind: "workspace", name: "sim" }, { kind: "everything" }] as const) {
    const r = following();
    await r.engine.emergencyStop(scope, owner, "");
    expect(await r.run(writes("a"))).toMatchObject({ fault: { code: "gate.emergency-stop" } });
    expect(r.site.effects).toEqual([]);
  }
  const elsewhere = following();
  await elsewhere.engine.emergencyStop({ kind: "workspace", name: "other" }, owner, "");
  expect((await elsewhere.run(writes("a"))).status).toBe("finished");
});

test("D1 a stop between the intent and the effect stops the effect", async () => {
  // The intent is appended in one tick; the effect begins when it is durable.
  const fresh = following();
  let seen = false;
  const second = fresh.start(writes("a"));
  const stopAtIntent = async (): Promise<void> => {
    for (let turn = 0; turn < 50 && !seen; turn++) {
      if (fresh.kinds(second).includes("effect.intended")) {
        seen = true;
        await fresh.engine.emergencyStop({ kind: "everything" }, owner, "now");
      } else await Promise.resolve();
    }
  };
  await stopAtIntent();
  expect(seen).toBe(true);
  await fresh.site.runUntil(() => fresh.engine.state(second)?.ended !== null);
  expect(fresh.engine.state(second)?.ended).toMatchObject({
    status: "failed",
    fault: { code: "gate.emergency-stop" },
  });
  expect(fresh.site.effects).toEqual([]);
});

test("D2 a stop survives a restart and ends when an owner clears it", async () => {
  const first = following();
  const { stop } = await first.engine.emergencyStop({ kind: "everything" }, owner, "smoke");
  await first.engine.stop();
  const second = following({ site: first.site, ledger: first.ledger, registry: first.registry });
  expect(second.engine.emergencies().map((one) => one.stop)).toEqual([stop.stop]);
  expect((await second.run(writes("a"))).fault?.code).toBe("gate.emergency-stop");
  await second.engine.clearEmergency(stop.stop, owner, "dry");
  expect(second.engine.emergencies()).toEqual([]);
  expect((await second.run(writes("a"))).status).toBe("finished");
  await expect(second.engine.clearEmergency(stop.stop, owner, "")).rejects.toMatchObject({
    code: "emergency.unknown",
  });
});

test("D3 what waits for an approval in the scope is taken away and does not come back", async () => {
  const policy = simulatedPolicy(() => ({ kind: "permit-with-approval", role: "owner", reason: "asked" }));
  const r = following({ policy });
  const run = r.start(program(chain(step("write", act("put", "a")))));
  const other = r.start(program(chain(step("write", act("put", "b")))));
  await r.site.runUntil(() => r.engine.approvals().length === 2);
  const stopped = await r.engine.emergencyStop({ kind: "target", name: "a" }, owner, "water");
  expect(stopped.cancelled).toEqual([{ run, step: "write" }]);
  await r.site.runUntil(() => r.engine.state(run)?.ended !== null);
  expect(r.engine.state(run)?.ended).toMatchObject({ fault: { code: "gate.emergency-stop" } });
  expect(r.engine.approvals().map((approval) => approval.run)).toEqual([other]);
  await r.engine.clearEmergency(stopped.stop.stop, owner, "");
  expect(r.site.effects).toEqual([]);
  const replay = await r.engine.replay(run);
  expect(replay.divergence).toBeNull();
  expect(replay.steps.at(-1)?.state.ended).toMatchObject({ status: "failed" });
});

test("D3 a step whose end cannot be recorded keeps no other from being stopped", async () => {
  const policy = simulatedPolicy(() => ({ kind: "permit-with-approval", role: "owner", reason: "asked" }));
  const r = following({ policy });
  const odd = r.start(program([step("write", act("put", "a"))]));
  const run = r.start(program([step("write", act("put", "b"))]));
  await r.site.runUntil(() => r.engine.approvals().length === 2);
  const refusal = { code: "store.refused", kind: "rejected", message: "no", remedy: "", facts: {} } as const;
  const append = r.ledger.append.bind(r.ledger);
  r.ledger.append = (draft) => {
    if (draft.run === odd && draft.kind === "guard.decided") throw new Fault(refusal);
    return append(draft);
  };
  const stopped = await r.engine.emergencyStop({ kind: "everything" }, owner, "fire");
  expect(stopped.cancelled).toEqual([{ run, step: "write" }]);
  expect([r.engine.halted(), r.site.effects]).toEqual([null, []]);
});
