import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pauseFor } from "node:timers/promises";
import { streamEntries } from "@writ/sdk/entries";
import { routes } from "@writ/core/api";
import { expect, test } from "vitest";
import { eventually, NodeProcess, root } from "../support/node-process.ts";
import { Story } from "../support/story.ts";

test("E16 the first start shows the token and the story in one screen, later ones do not", async () => {
  await using node = await NodeProcess.start();
  await eventually(() => (node.printed.includes("ledger verify") ? true : undefined), "the whole guide");
  expect(node.printed).toContain(node.token);
  expect(node.printed.split("\n").length).toBeLessThanOrEqual(40);
  expect(await node.stop()).toBe(0);
  await node.start();
  await pauseFor(100);
  expect(node.printed).not.toMatch(/writ_[0-9a-f]{16}_/);
  expect((await node.writ("status")).code).toBe(0);
});

test("E16 the commands a start prints work as printed, on a port and in a folder of one's own", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "writ node-"));
  await using node = new NodeProcess(folder, path.join(folder, "my data"));
  await node.start();
  await eventually(() => (node.printed.includes("ledger verify") ? true : undefined), "the whole guide");
  const login = /^ *(bin\/writ login \S+ \\\n.*)$/m.exec(node.printed)?.[1] ?? "";
  expect(login).toContain(node.url);
  const saved = await node.shell(login);
  expect(saved.code, saved.error).toBe(0);
  expect((await node.shell("bin/writ status")).out).toContain(node.data);
  await node.stop();
  await node.start();
  await eventually(
    () => (node.printed.includes("token new") ? true : undefined),
    "the lines of a later start",
  );
  const line = /bin\/writ token new .*/.exec(node.printed)?.[0] ?? "";
  const made = await node.shell(line);
  expect(made.code, made.error).toBe(0);
  expect((await node.writAs(made.out.trim(), ["status"])).code).toBe(0);
  expect((await node.writ("status")).code).toBe(4);
});

test("E15 a mistyped data folder gets no token and does not become a node's", async () => {
  await using node = new NodeProcess();
  const mistyped = path.join(node.folder, "mistyped");
  const refused = await node.shell(`bin/writ token new --data ${mistyped}`);
  expect(refused.code).not.toBe(0);
  expect(refused.error).toContain("token.no-node");
  expect(existsSync(mistyped)).toBe(false);
});

test("E16 a second node on the data folder and a taken port are refused with a remedy", async () => {
  await using node = await NodeProcess.start();
  const second = new NodeProcess(node.folder, node.data);
  await expect(second.start()).rejects.toThrow(/in-use|in use/);
  await using elsewhere = new NodeProcess();
  const { port } = new URL(node.url);
  await expect(elsewhere.start("--port", port)).rejects.toThrow(/server\.port-in-use[^]*--port/);
});

test("E16 it listens on loopback only and answers nothing without a token", async () => {
  await using node = await NodeProcess.start();
  const { port } = new URL(node.url);
  const taken = createServer();
  // Another address of this machine is free on that port: the node does not hold it.
  await new Promise<void>((resolve, reject) => {
    taken.once("error", reject);
    taken.listen(Number(port), "127.0.0.2", resolve);
  });
  expect((taken.address() as AddressInfo).port).toBe(Number(port));
  taken.close();
  for (const [name, route] of Object.entries(routes)) {
    if (name === "streamEntries") continue;
    const url = node.url + route.path.replaceAll(/\{\w+\}/g, "x");
    const response = await fetch(url, {
      method: route.method,
      ...("body" in route ? { body: "{}", headers: { "content-type": "application/json" } } : {}),
    });
    expect(response.status, name).toBe(route.access === "public" ? 200 : 401);
  }
});

test("K68 every documented route is served, and every route a client calls is documented", async () => {
  await using node = await NodeProcess.start();
  const document = (await node.client().call("openapi", {})) as {
    openapi: string;
    paths: Record<string, Record<string, unknown>>;
  };
  expect(document.openapi).toMatch(/^3\.1\./);
  const documented = Object.entries(document.paths).flatMap(([place, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${place}`),
  );
  for (const [name, route] of Object.entries(routes))
    expect(documented, name).toContain(`${route.method} ${route.path}`);
  for (const place of documented) {
    const [method = "", template = ""] = place.split(" ");
    const response = await fetch(node.url + template.replaceAll(/\{\w+\}/g, "x"), {
      method,
      headers: {
        authorization: `Bearer ${node.token}`,
        ...(method === "POST" ? { "content-type": "application/json" } : {}),
      },
      ...(method === "POST" ? { body: "{}" } : {}),
    });
    expect(await response.text(), place).not.toContain("request.route");
  }
});

test("K9 nothing that does not exist is answered with success", async () => {
  await using node = await NodeProcess.start();
  const unknown: Readonly<Record<string, string>> = {
    hash: "0".repeat(64),
    run: "r_00000000",
    approval: "a_00000000",
    step: "s1",
    id: "nobody",
  };
  for (const [name, route] of Object.entries(routes)) {
    const takesBody = "body" in route && JSON.stringify(route.body).includes('"properties":{"');
    if (!("params" in route) && !takesBody) continue;
    const place = route.path.replaceAll(/\{(\w+)\}/g, (_, key: string) =>
      name === "getCapability" ? "filesystem.teleport" : (unknown[key] ?? ""),
    );
    const response = await fetch(node.url + place, {
      method: route.method,
      headers: { authorization: `Bearer ${node.token}`, "content-type": "application/json" },
      ...(route.method === "POST" ? { body: '{"decision":"approve","data":{}}' } : {}),
    });
    expect(response.status, name).toBeGreaterThanOrEqual(400);
    expect(response.status, name).toBeLessThan(500);
    const { code } = (await response.json()) as { readonly code?: string };
    if (name !== "mcp") expect(code, name).toMatch(/^[a-z]+\.[a-z-]+$/);
  }
});

test("K221 K223 no flag turns a check off, and the flags' defaults are as documented", async () => {
  const child = spawn(process.execPath, [
    "--conditions=@writ/source",
    path.join(root, "packages/server/src/main.ts"),
    "--help",
  ]);
  let help = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    help += text;
  });
  await once(child, "close");
  const flags = new Set(help.match(/--[a-z-]+/g));
  expect([...flags].toSorted((a, b) => a.localeCompare(b))).toEqual(["--data", "--person", "--port"]);
  expect(help).toContain("default 3000");
  expect(help).toContain("default ~/.writ");
});

test("E15 a lost token is replaced on the machine itself, running or not, and the old one is void", async () => {
  await using node = await NodeProcess.start();
  const old = node.token;
  for (const isRunning of [true, false]) {
    if (!isRunning) await node.stop();
    const made = await node.writ("token", "new");
    expect(made.code, made.out + made.error).toBe(0);
    const token = /writ_[0-9a-f]{16}_[A-Za-z0-9_-]{43}/.exec(made.out)?.[0] ?? "";
    expect(token).not.toBe("");
    if (!isRunning) await node.start();
    node.token = token;
    expect((await node.writ("status")).code).toBe(0);
    expect((await node.writAs(old, ["status"])).code).toBe(4);
  }
  const unknown = await node.writ("token", "new", "--person", "nobody");
  expect(unknown.code).not.toBe(0);
  expect(unknown.error).toContain("person.unknown");
});

test("E16 entries are streamed in order from where one asks, once they are durable", async () => {
  await using story = await Story.begin();
  const stop = new AbortController();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const entry of streamEntries(story.node.client(), { from: 0 }, stop.signal)) {
      seen.push(entry.seq);
      if (entry.kind === "person.added" && JSON.stringify(entry.facts).includes("late")) break;
    }
  })();
  await story.writ("person", "add", "late", "--role", "operator");
  await reading;
  expect(seen).toEqual(seen.map((_, index) => index));
  expect(seen.length).toBeGreaterThan(3);
  stop.abort();
});

test("E16 npm start hands flags and signals on, and Ctrl-C is graceful", async () => {
  await using node = new NodeProcess();
  const child = spawn("npm", ["start", "--", "--data", node.data, "--port", "0"], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, HOME: node.folder },
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  await eventually(
    () => (/http:\/\/127\.0\.0\.1:\d+/.test(printed) ? true : undefined),
    "the node's address",
    60_000,
  );
  expect(printed).toContain(node.data);
  const ended = once(child, "exit");
  // As a terminal does it: to every process of the group.
  process.kill(-(child.pid ?? 0), "SIGINT");
  await ended;
  node.token = "unused";
  await node.start();
  const report = await node.writ("status");
  expect([0, 4]).toContain(report.code);
  expect(path.isAbsolute(node.data)).toBe(true);
});
