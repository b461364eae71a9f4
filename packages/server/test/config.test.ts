import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { readCommand } from "../src/config.ts";

const configOf = (args: readonly string[], environment = {}) => {
  const command = readCommand(args, environment);
  if (command.kind === "help") throw new Error("help");
  return command.config;
};

test("S30 flags come before environment, environment before file, file before default", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "writ-config-"));
  try {
    writeFileSync(path.join(folder, "config.json"), '{"port": 4003}');
    expect(configOf(["--data", folder, "--port", "4001"], { WRIT_PORT: "4002" }).port).toBe(4001);
    expect(configOf(["--data", folder], { WRIT_PORT: "4002" }).port).toBe(4002);
    expect(configOf([], { WRIT_DATA: folder })).toEqual({ data: folder, port: 4003 });
    expect(configOf(["--data", folder], { WRIT_DATA: "", WRIT_PORT: "" })).toEqual({
      data: folder,
      port: 4003,
    });
    expect(configOf(["--data", path.join(folder, "none")]).port).toBe(3000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("S30 limits come from the file, and a wrong one stops the start", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "writ-config-"));
  const limits = {
    runsActiveMax: 100,
    actionsPerMinuteMax: 100,
    requestsPerMinuteMax: 60,
    resources: { pump: 2 },
  };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify({ limits }));
  expect(configOf(["--data", folder]).limits).toEqual(limits);
  writeFileSync(path.join(folder, "config.json"), '{"limits": {"effectsActiveMax": 0}}');
  expect(() => configOf(["--data", folder])).toThrow(expect.objectContaining({ code: "server.flag" }));
  rmSync(folder, { recursive: true });
});

test("S30 a configuration that is there and cannot be read stops the start", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "writ-config-"));
  const isRefused = expect.objectContaining({ code: "server.flag" }) as Error;
  mkdirSync(path.join(folder, "config.json"));
  expect(() => configOf(["--data", folder])).toThrow(isRefused);
  rmSync(path.join(folder, "config.json"), { recursive: true });
  writeFileSync(path.join(folder, "config.json"), '{"prot": 4003}');
  expect(() => configOf(["--data", folder])).toThrow(isRefused);
  rmSync(folder, { recursive: true });
});

test("S30 the data folder is ~/.writ unless told otherwise", () => {
  expect(configOf([]).data).toBe(path.join(homedir(), ".writ"));
});

test.each([
  ["--port", "70000"],
  ["--port", "http"],
  ["--nonsense"],
  ["token"],
  ["token", "old"],
  ["restore"],
  ["fly"],
])("S30 `%s %s` is refused with the flags' fault", (...args) => {
  expect(() =>
    readCommand(
      args.filter((arg) => arg !== undefined),
      {},
    ),
  ).toThrow(expect.objectContaining({ code: "server.flag" }));
});

test("S30 the two offline commands are read", () => {
  expect(readCommand(["token", "new", "--person", "anna"], {})).toMatchObject({
    kind: "token",
    person: "anna",
  });
  expect(readCommand(["restore", "/b.tar"], {})).toMatchObject({ kind: "restore", file: "/b.tar" });
});
