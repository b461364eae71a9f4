import { routes } from "@writ/core/api";
import { faultRecord } from "@writ/core/fault";
import { expect, test } from "vitest";
import { openClient, pathOf } from "../src/client.ts";
import { localServer } from "../../../test/support/local-server.ts";

const hash = "ab".repeat(32);

function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => faultRecord(error) ?? error,
  );
}

test("D1 an answer that fits its schema is given back", async () => {
  await using server = await localServer((_, response) => {
    response.setHeader("content-type", "application/json");
    response.end('{"status":"ok"}');
  });
  await expect(openClient({ url: `${server.url}/` }).call("health", {})).resolves.toEqual({ status: "ok" });
  expect(server.received[0]).toMatchObject({ method: "GET", url: "/health" });
  expect(server.received[0]?.headers.authorization).toBeUndefined();
});

test("D1 an answer that does not fit is refused with the place named", async () => {
  await using server = await localServer((_, response) => response.end('{"status":"great"}'));
  expect(await failure(openClient({ url: server.url }).call("health", {}))).toMatchObject({
    code: "client.unexpected-answer",
    facts: { route: "health" },
  });
});

test("D2 a problem document becomes the fault it carries", async () => {
  const problem = {
    type: "urn:writ:fault:program.not-approved",
    title: "Not approved",
    status: 409,
    detail: "Cannot deploy `ab`: nobody approved it",
    code: "program.not-approved",
    kind: "rejected",
    remedy: "Approve it first",
    facts: { hash },
  };
  await using server = await localServer((_, response) => {
    response.writeHead(409, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
  });
  const client = openClient({ url: server.url, token: "secret" });
  expect(await failure(client.call("deployProgram", { params: { hash }, body: {} }))).toEqual({
    code: "program.not-approved",
    kind: "rejected",
    message: problem.detail,
    remedy: problem.remedy,
    facts: { hash },
  });
  expect(server.received[0]).toMatchObject({ method: "POST", url: `/programs/${hash}/deploy`, body: "{}" });
  expect(server.received[0]?.headers.authorization).toBe("Bearer secret");
});

test("D2 an error page of something else is not taken for a fault of the node", async () => {
  await using server = await localServer((_, response) => response.writeHead(502).end("<html>bad gateway"));
  expect(await failure(openClient({ url: server.url }).call("health", {}))).toMatchObject({
    code: "client.unexpected-answer",
    facts: { status: 502 },
  });
});

test("D3 a node that is not there is unreachable, and is asked once", async () => {
  const gone = await localServer((_, response) => response.end());
  await gone[Symbol.asyncDispose]();
  expect(await failure(openClient({ url: gone.url }).call("health", {}))).toMatchObject({
    code: "client.unreachable",
    kind: "transient",
    facts: { why: "ECONNREFUSED" },
  });
});

test("D3 a change that was sent and not answered is not said to have reached nobody", async () => {
  await using server = await localServer((_, response) => response.socket?.destroy());
  const client = openClient({ url: server.url });
  const hash = "3f9c1a20".padEnd(64, "0");
  const fault = await failure(client.call("startRun", { params: { hash }, body: {} }));
  expect(fault).toMatchObject({ code: "client.cut-off", kind: "broken" });
  expect(await failure(client.call("health", {}))).toMatchObject({ code: "client.unreachable" });
  expect(server.received).toHaveLength(2);
});

test("D3 a redirect is not followed, so a token goes nowhere else", async () => {
  await using server = await localServer((_, response) =>
    response.writeHead(307, { location: "http://127.0.0.1:9/" }).end(),
  );
  const client = openClient({ url: server.url, token: "secret" });
  expect(await failure(client.call("status", {}))).toMatchObject({ code: "client.unreachable" });
  expect(server.received).toHaveLength(1);
});

test("D3 an aborted call ends with the reason of its signal", async () => {
  await using server = await localServer(() => {});
  const stop = new AbortController();
  const call = openClient({ url: server.url }).call("health", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
});

test("D6 parameters are encoded and absent query values left out", () => {
  expect(pathOf(routes.settleStep, { params: { run: "r_1", step: "a/b c" } })).toBe(
    "/runs/r_1/steps/a%2Fb%20c/settle",
  );
  expect(pathOf(routes.listRuns, { query: { limit: 3, status: undefined } })).toBe("/runs?limit=3");
});

test("D6 an address is a plain http one", () => {
  expect(openClient({ url: "http://localhost:3000/base/" }).url).toBe("http://localhost:3000/base");
  for (const url of ["localhost:3000", "ftp://x", "http://x/?a=1", ""]) {
    expect(() => openClient({ url }), url).toThrow(/Cannot use/);
  }
});

test("K68 every path parameter of the table has a schema, and no schema names one that is not in the path", () => {
  for (const [name, route] of Object.entries(routes)) {
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").toSorted();
    const params = "params" in route ? Object.keys(route.params.properties) : [];
    expect(params.toSorted(), name).toEqual(inPath);
  }
});

test("D7 an id or name of the wrong form is answered here, with the right form", async () => {
  await using server = await localServer((_, response) => response.end("{}"));
  const client = openClient({ url: server.url });
  expect(await failure(client.call("getRun", { params: { run: "7" } }))).toMatchObject({
    code: "client.form",
    message: expect.stringMatching(/`7`: expected a run's id, such as `r_/),
  });
  expect(await failure(client.call("removeWorkspace", { params: { id: "a b" } }))).toMatchObject({
    code: "client.form",
  });
  expect(await failure(client.call("listRuns", { query: { before: "last" } }))).toMatchObject({
    message: expect.stringContaining("`last`: expected a run's id"),
  });
  for (const body of [
    { id: "Anna", roles: [] },
    { id: "anna", roles: ["owner", "Anna"] },
  ]) {
    expect(await failure(client.call("addPerson", { body }))).toMatchObject({
      code: "client.form",
      message: expect.stringContaining("`Anna`: expected a name of small letters"),
    });
  }
  expect(server.received).toEqual([]);
});
