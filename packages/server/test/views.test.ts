import { slotViews } from "../src/views/slot.ts";
import fc from "fast-check";
import { capabilityId } from "@writ/core/ids";
import { faultRecord } from "@writ/core/fault";
import { schemaProblems } from "@writ/core/schema";
import { Problem } from "@writ/core/api";
import { builtInModules } from "@writ/modules/registry";
import { expect, test } from "vitest";
import { fault, serverFaults } from "../src/faults.ts";
import { guide } from "../src/guide.ts";
import { problemOf, asFault, statusOf } from "../src/http/problem.ts";
import { closestNames, searchCapabilities } from "../src/views/capability.ts";
import { excerptOf } from "../src/views/excerpt.ts";

test("S65 the words of a span are underlined on their line", () => {
  const text = "When a file arrives,\nmove it to approved.\nEnd.";
  expect(excerptOf(text, [[29, 40]])).toBe("move it to approved.\n        ^^^^^^^^^^^");
  expect(excerptOf(text, [])).toBeNull();
});

test("S65 a span over a line break is underlined on both lines, a surrogate pair by one caret", () => {
  expect(excerptOf("ab\ncd", [[1, 4]])).toBe("ab\n ^\ncd\n^");
  expect(excerptOf("a😀b", [[1, 3]])).toBe("a😀b\n ^");
});

test("S65 an excerpt never has more carets than the line has characters", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), fc.nat(90), fc.nat(90), (text, start, length) => {
      const lines = (excerptOf(text, [[start, start + length]]) ?? "").split("\n");
      for (let i = 0; i + 1 < lines.length; i += 2) {
        expect((lines[i + 1] ?? "").length).toBeLessThanOrEqual((lines[i] ?? "").length);
      }
    }),
  );
});

test("S65 a long line is cut around the words in question", () => {
  const text = `${"a".repeat(5000)}WRONG${"b".repeat(5000)}`;
  const [line = "", carets = ""] = (excerptOf(text, [[5000, 5005]]) ?? "").split("\n");
  expect(line.length).toBeLessThan(300);
  expect(line.slice(carets.indexOf("^"), carets.lastIndexOf("^") + 1)).toBe("WRONG");
});

const named = builtInModules()
  .all()
  .filter(({ internal }) => internal !== true);

test("S66 the best match of a search stands first, in both languages", () => {
  expect(searchCapabilities(named, "move files")[0]?.id).toMatch(/^filesystem\.move_file@/);
  expect(searchCapabilities(named, "deplace fichier").map(({ id }) => id.replace(/@.*/, ""))).toContain(
    "filesystem.move_file",
  );
});

test("S66 a search without words finds everything, one without a match nothing", () => {
  expect(searchCapabilities(named, " - ")).toHaveLength(named.length);
  expect(searchCapabilities(named, "zzzzqqq")).toEqual([]);
});

test("S66 a misspelt name is answered with the closest ones", () => {
  expect(
    closestNames(
      "filesytem.mvoe_file",
      named.map(({ id }) => id.replace(/@.*/, "")),
    )[0],
  ).toBe("filesystem.move_file");
});

test("S6 every fault of the server becomes a problem document of the published form", () => {
  for (const code of Object.keys(serverFaults) as (keyof typeof serverFaults)[]) {
    const record = faultRecord(
      fault(code, "Cannot do it", { when: undefined, what: new Map(), id: capabilityId("a.b@1.0.0") }),
    );
    if (record === undefined) throw new Error("no fault");
    expect(schemaProblems(Problem, JSON.parse(JSON.stringify(problemOf(record, "/x"))))).toEqual([]);
  }
});

test("S6 a defect is told without its message", () => {
  const record = asFault(new Error("secret path /root"));
  expect(record).toMatchObject({ code: "server.bug", kind: "broken" });
  expect(JSON.stringify(problemOf(record))).not.toContain("secret");
});

test.each([
  ["auth.missing", 401],
  ["auth.role", 403],
  ["program.unknown", 404],
  ["person.exists", 409],
  ["request.too-large", 413],
  ["program.not-proved", 422],
  ["runtime.busy", 429],
  ["server.bug", 500],
] as const)("S6 the status of %s is %i", (code, status) => {
  const record = faultRecord(fault(code, "x"));
  expect(record === undefined ? 0 : statusOf(record)).toBe(status);
});

test("S35 the commands the guide prints work as printed, whatever the port and the folder", () => {
  const facts = {
    url: "http://127.0.0.1:4123",
    data: "/home/some body/it's",
    version: "0.1.0",
    pid: 4242,
    ownerToken: "TOKEN",
    exampleRoot: "/home/some body/it's/workspaces/invoices",
    recovered: { runs: 0, held: 0 },
    broken: ["a\nYour token"],
  };
  const first = guide(facts);
  expect(first).toContain("bin/writ login TOKEN \\\n      --url http://127.0.0.1:4123\n");
  expect(first).toContain(String.raw`cd '/home/some body/it'\''s/workspaces/invoices' && `);
  const later = guide({ ...facts, ownerToken: undefined });
  expect(later).toContain(String.raw`bin/writ token new --data '/home/some body/it'\''s'`);
  expect(later).toContain("not armed: a⏎Your token");
});

test("S35 the guide of the first start fits on a screen of 24 lines and 100 columns", () => {
  const text = guide({
    url: "http://127.0.0.1:3000",
    data: "/home/somebody/.writ",
    version: "0.1.0",
    pid: 4242,
    ownerToken: `writ_${"0".repeat(16)}_${"A".repeat(43)}`,
    exampleRoot: "/home/somebody/.writ/workspaces/invoices",
    recovered: { runs: 0, held: 0 },
    broken: [],
  });
  const lines = text.split("\n");
  expect(lines.length).toBeLessThanOrEqual(24);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(110);
  for (const word of [
    "login",
    "person add",
    "compile",
    "approve",
    "deploy",
    "approvals",
    "undo",
    "ledger verify",
  ]) {
    expect(text).toContain(word);
  }
});

test("S101 a secret value of a run is named and not shown", () => {
  const slots = new Map([
    ["pin", { value: "4711", labels: ["secret"] as const }],
    ["n", { value: 7, labels: ["origin:web"] as const }],
  ]);
  const seen = slotViews(slots);
  expect(JSON.stringify(seen)).not.toContain("4711");
  expect(seen).toEqual([
    { name: "pin", value: "(secret, not shown)", labels: ["secret"] },
    { name: "n", value: 7, labels: ["origin:web"] },
  ]);
});
