import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, appendFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { WorkspaceHost } from "@writ/core/workspace";
import { httpCapabilities, type Address } from "@writ/modules/api-http";
import { modulesOf } from "@writ/modules/registry";
import { bench, find, resolveWith, type Bench } from "./support.ts";

interface Server extends AsyncDisposable {
  readonly port: number;
  readonly seen: {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingMessage["headers"];
    readonly body: string;
  }[];
}

async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<Server> {
  const seen: Server["seen"] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      answer(request, response, body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const listed = (host: string, more: Partial<WorkspaceHost> = {}): WorkspaceHost => ({
  host,
  scheme: "http",
  risk: "low",
  ...more,
});

function web(hosts: readonly WorkspaceHost[], resolve?: (host: string) => readonly Address[]): Bench {
  if (resolve === undefined) return bench({ workspace: { hosts: [...hosts] } });
  const modules = modulesOf(
    httpCapabilities(async (host) => resolve(host)),
    [],
  );
  return bench({ workspace: { hosts: [...hosts] }, modules });
}

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const json = (response: ServerResponse, value: unknown) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};

test("H1 H2 addresses that are not listed, private or oddly spelt are refused", async () => {
  await using server = await serve((_request, response) => json(response, {}));
  using b = web([
    listed(`127.0.0.1:${server.port}`),
    listed("169.254.169.254:80"),
    listed("example.test:80"),
  ]);
  const refusedAddresses = [
    "http://127.0.0.1:1/",
    "http://localhost/",
    "http://x.localhost:3999/",
    "http://[::1]/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://0.0.0.0/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::7f00:1]/",
    `http://2130706433:${server.port}/`,
    `http://0x7f.0.0.1:${server.port}/`,
    `http://0177.0.0.1:${server.port}/`,
    `http://127.1:${server.port}/`,
    `http://１２７.0.0.1:${server.port}/`,
  ];
  for (const url of refusedAddresses) {
    await expect(b.do("api_http.http_get", { url }), url).rejects.toEqual(code("http.address-refused"));
    await expect(b.do("api_http.http_post", { url, raw_body: "" }), url).rejects.toEqual(
      code("http.address-refused"),
    );
  }
  for (const url of [
    "http://example.com/",
    `https://127.0.0.1.example.org:${server.port}/`,
    "https://example.test:80/",
    "http://8.8.8.8/",
  ]) {
    await expect(b.do("api_http.http_get", { url }), url).rejects.toEqual(code("http.host-not-listed"));
  }
  for (const url of [
    "ftp://example.test/",
    "file:///etc/passwd",
    "http://user:pw@example.test/",
    `http://127.0.0.1:${server.port}\\@evil.test/`,
    "http://exa\nmple.test/",
    "http:///",
  ]) {
    await expect(b.do("api_http.http_get", { url }), url).rejects.toEqual(code("http.url-invalid"));
  }
  expect(server.seen).toEqual([]);
});

test("H3 a name that leads to a private address, at once or the second time, reaches nothing", async () => {
  await using server = await serve((_request, response) => json(response, { secret: true }));
  const host = `rebind.test:${server.port}`;
  using direct = web([listed(host)], () => [{ address: "127.0.0.1", family: 4 }]);
  await expect(direct.do("api_http.http_get", { url: `http://${host}/` })).rejects.toEqual(
    code("http.address-refused"),
  );
  let asked = 0;
  using rebinding = web([listed(host)], () => [
    { address: asked++ === 0 ? "93.184.215.14" : "127.0.0.1", family: 4 },
  ]);
  await expect(rebinding.do("api_http.http_get", { url: `http://${host}/` })).rejects.toEqual(
    code("http.address-refused"),
  );
  expect(asked).toBe(2);
  expect(server.seen).toEqual([]);
  using named = web([listed(`localhost:${server.port}`)], () => [{ address: "127.0.0.1", family: 4 }]);
  expect(
    (await named.do("api_http.http_get", { url: `http://localhost:${server.port}/` })).result["status"],
  ).toBe(200);
});

test("H3 redirects are checked like the first address, and take no credentials elsewhere", async () => {
  await using other = await serve((_request, response) => json(response, { other: true }));
  await using server = await serve((request, response) => {
    const to = new URL(request.url ?? "", "http://x").searchParams.get("to") ?? "";
    const status = Number(new URL(request.url ?? "", "http://x").searchParams.get("status") ?? 302);
    if (to === "") return json(response, { here: true });
    response.writeHead(status, { location: to });
    response.end();
  });
  const base = `http://127.0.0.1:${server.port}`;
  using b = web([listed(`127.0.0.1:${server.port}`), listed(`127.0.0.1:${other.port}`)]);
  const to = (target: string) => `${base}/?to=${encodeURIComponent(target)}`;
  await expect(b.do("api_http.http_get", { url: to("http://169.254.169.254/") })).rejects.toEqual(
    code("http.address-refused"),
  );
  await expect(b.do("api_http.http_get", { url: to("http://example.com/") })).rejects.toEqual(
    code("http.host-not-listed"),
  );
  await expect(
    b.do("api_http.http_get", { url: to(to("/")).replace(/to=.*/, "to=%2F%3Fto%3D%252F%253Fto%253Dx") }),
  ).resolves.toBeDefined();
  const done = await b.do("api_http.http_get", {
    url: to(`http://127.0.0.1:${other.port}/`),
    auth: ["user", "secret"],
    cookies: { session: "secret" },
  });
  expect(done.result["json"]).toEqual({ other: true });
  expect(server.seen.at(-1)?.headers).toMatchObject({
    authorization: "Basic dXNlcjpzZWNyZXQ=",
    cookie: "session=secret",
  });
  expect(other.seen[0]?.headers["authorization"]).toBeUndefined();
  expect(other.seen[0]?.headers["cookie"]).toBeUndefined();
  await expect(
    b.do("api_http.http_post", { url: to(`http://127.0.0.1:${other.port}/`), raw_body: "x" }),
  ).rejects.toEqual(code("http.redirect-refused"));
  expect((await b.do("api_http.http_get", { url: to("/x"), follow_redirects: false })).result["status"]).toBe(
    302,
  );
  await using circle = await serve((_request, response) => {
    response.writeHead(302, { location: "/again" });
    response.end();
  });
  using c = web([listed(`127.0.0.1:${circle.port}`)]);
  await expect(c.do("api_http.http_get", { url: `http://127.0.0.1:${circle.port}/` })).rejects.toEqual(
    code("http.redirect-refused"),
  );
});

test("H5 K55 headers that carry credentials are refused: they would be recorded in clear", async () => {
  await using server = await serve((_request, response) => json(response, { ok: true }));
  using b = web([listed(`127.0.0.1:${server.port}`)]);
  for (const name of ["Authorization", "proxy-authorization", "Cookie", "X-API-Key"]) {
    await expect(
      b.do("api_http.http_get", {
        url: `http://127.0.0.1:${server.port}/`,
        headers: { [name]: "hunter2" },
      }),
    ).rejects.toEqual(code("http.secret-header"));
  }
  expect(server.seen).toEqual([]);
});

test("H3 a redirect leads to no host of higher risk, and takes no header of the author to another origin", async () => {
  await using vault = await serve((_request, response) => json(response, { vault: true }));
  await using server = await serve((request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${vault.port}/${request.url === "/" ? "" : "x"}` });
    response.end();
  });
  const url = `http://127.0.0.1:${server.port}/`;
  const risky = [listed(`127.0.0.1:${server.port}`), listed(`127.0.0.1:${vault.port}`, { risk: "high" })];
  using b = web(risky);
  await expect(b.do("api_http.http_get", { url })).rejects.toEqual(code("http.redirect-refused"));
  expect(vault.seen).toEqual([]);
  using alike = web(risky.map((host) => ({ ...host, risk: "high" as const })));
  await alike.do("api_http.http_get", { url, headers: { "x-own": "secret", accept: "text/html" } });
  expect(vault.seen[0]?.headers).toMatchObject({ accept: "text/html" });
  expect(vault.seen[0]?.headers["x-own"]).toBeUndefined();
});

test("H4 H6 what a redirect makes of a request does not hide that it may have been done", async () => {
  await using server = await serve((request, response) => {
    if (request.method === "POST") response.writeHead(303, { location: `${request.url}/done` });
    else if (request.url === "/a/done") response.writeHead(404);
    else response.writeHead(302, { location: "http://elsewhere.example/" });
    response.end();
  });
  using b = web([listed(`127.0.0.1:${server.port}`)]);
  const post = (path: string) =>
    b.do("api_http.http_post", { url: `http://127.0.0.1:${server.port}${path}`, raw_body: "x" });
  await expect(post("/a")).rejects.toMatchObject({
    code: "http.status-4xx",
    facts: { outcome: "unknown" },
  });
  await expect(post("/b")).rejects.toMatchObject({
    code: "http.redirect-refused",
    facts: { outcome: "unknown" },
  });
});

test("H2 an address that stands for another is refused even where it is listed, and a broken entry lists nothing", async () => {
  const odd = ["[::ffff:a9fe:a9fe]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:a9fe:a9fe::1]:80", "[::7f00:1]:80"];
  using b = web([listed("999.1.1.1:80"), listed("a.test:99999"), ...odd.map((host) => listed(host))]);
  for (const host of odd) {
    await expect(b.do("api_http.http_get", { url: `http://${host}/` }), host).rejects.toEqual(
      code("http.address-refused"),
    );
  }
  await expect(b.do("api_http.http_get", { url: "http://b.test/" })).rejects.toEqual(
    code("http.host-not-listed"),
  );
});

test("H5 H6 K55 K56 K57 each parameter reaches its place, secrets only theirs", async () => {
  await using server = await serve((_request, response) => json(response, { ok: true }));
  const url = `http://127.0.0.1:${server.port}/a?x=1`;
  using b = web([listed(`127.0.0.1:${server.port}`)]);
  await b.do("api_http.http_get", {
    url,
    params: { y: "é&" },
    headers: { "X-One": "1" },
    cookies: { c: "v" },
  });
  expect(server.seen[0]).toMatchObject({
    method: "GET",
    url: "/a?x=1&y=%C3%A9%26",
    body: "",
    headers: { "x-one": "1", cookie: "c=v" },
  });
  const posted = await b.do("api_http.http_post", {
    url,
    body_json: { a: [1, "é"] },
    auth: ["u", "top-secret"],
  });
  expect(server.seen[1]).toMatchObject({
    method: "POST",
    body: '{"a":[1,"é"]}',
    headers: { "content-type": "application/json", authorization: "Basic dTp0b3Atc2VjcmV0" },
  });
  expect(JSON.stringify([posted.result, posted.inspection])).not.toMatch(/top-secret|dTp0b3At/);
  await b.do("api_http.http_put", { url, data: { a: "b c" } });
  expect(server.seen[2]).toMatchObject({
    method: "PUT",
    body: "a=b+c",
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  await b.do("api_http.http_post", { url, form: { field: "value" } });
  expect(server.seen[3]?.body).toContain('name="field"\r\n\r\nvalue\r\n');
  await b.do("api_http.http_patch", { url, body_json: null });
  expect(server.seen[4]).toMatchObject({ method: "PATCH", body: "null" });
  await b.do("api_http.http_delete", { url });
  expect(server.seen[5]).toMatchObject({ method: "DELETE" });
  await expect(b.do("api_http.http_post", { url, raw_body: "a", data: {} })).rejects.toEqual(
    code("http.body-ambiguous"),
  );
  await expect(b.do("api_http.http_get", { url, verify_ssl: false })).rejects.toEqual(
    code("http.tls-required"),
  );
  for (const headers of [
    { host: "evil" },
    { "x-a": "1\r\nx-b: 2" },
    { "Content-Length": "3" },
    { "idempotency-key": "k" },
  ]) {
    await expect(b.do("api_http.http_get", { url, headers })).rejects.toEqual(code("http.header-refused"));
  }
  expect(server.seen).toHaveLength(6);
});

test("H6 numbers of an answer are exact, its size is limited, its text decoded", async () => {
  await using server = await serve((request, response) => {
    if (request.url === "/big") return void response.end(Buffer.alloc(10 * 1024 * 1024 + 1));
    if (request.url === "/latin") {
      response.writeHead(200, { "content-type": "text/plain; charset=iso-8859-1" });
      return void response.end(Buffer.from("café", "latin1"));
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end('{"amount": 0.1, "big": 12345678901234567890, "n": 3}');
  });
  const base = `http://127.0.0.1:${server.port}`;
  using b = web([listed(`127.0.0.1:${server.port}`)]);
  expect((await b.do("api_http.http_get", { url: `${base}/` })).result["json"]).toEqual({
    amount: "0.1",
    big: "12345678901234567890",
    n: 3,
  });
  expect((await b.do("api_http.http_get", { url: `${base}/latin` })).result["text"]).toBe("café");
  await expect(b.do("api_http.http_get", { url: `${base}/big` })).rejects.toEqual(
    code("http.response-too-large"),
  );
});

test("H4 K28 K91 what was surely not sent may be retried, what may have been done is unknown", async () => {
  await using server = await serve((request, response) => {
    if (request.url === "/drop") return void response.destroy();
    if (request.url === "/hang") return;
    response.writeHead(Number(request.url?.slice(1)), {});
    response.end("because");
  });
  const host = `127.0.0.1:${server.port}`;
  using b = web([listed(host), listed("127.0.0.1:1")]);
  const post = (path: string) =>
    b.do("api_http.http_post", { url: `http://${host}${path}`, raw_body: "x", timeout: 1 });
  await expect(post("/404")).rejects.toMatchObject({
    code: "http.status-4xx",
    kind: "rejected",
    facts: { status: 404, answer: "because" },
  });
  await expect(post("/503")).rejects.toMatchObject({
    code: "http.status-5xx",
    kind: "transient",
    facts: { outcome: "unknown" },
  });
  await expect(post("/drop")).rejects.toMatchObject({
    code: "http.connection",
    facts: { outcome: "unknown" },
  });
  await expect(post("/hang")).rejects.toMatchObject({ code: "http.timeout", facts: { outcome: "unknown" } });
  const closed = b.do("api_http.http_post", { url: "http://127.0.0.1:1/", raw_body: "x" });
  await expect(closed).rejects.toMatchObject({
    code: "http.connection",
    kind: "transient",
    facts: { reason: "ECONNREFUSED" },
  });
  await expect(closed).rejects.not.toHaveProperty("facts.outcome");
  const params = { url: `http://${host}/`, raw_body: "x" };
  const capability = find(b.modules, "api_http.http_post");
  expect((await resolveWith(capability, params, b.context())).kind).toBe("unknown");
  using keyed = web([listed(host, { idempotent: true })]);
  expect((await resolveWith(capability, params, keyed.context())).kind).toBe("not-done");
  expect((await b.do("api_http.check_url_availability", { url: "http://127.0.0.1:1/" })).result).toEqual({
    available: false,
    status: null,
    reason: "http.connection",
  });
  expect(
    (await b.do("api_http.check_url_availability", { url: `http://${host}/404`, expected_status: 404 }))
      .result["available"],
  ).toBe(true);
});

test("H7 download_file puts the body into a file that undo takes away again", async () => {
  await using server = await serve((request, response) => {
    if (request.url === "/cut") {
      response.writeHead(200, { "content-length": "1000000" });
      response.write("x".repeat(100_000));
      return void setTimeout(() => response.destroy(), 20);
    }
    response.end("x".repeat(300_000));
  });
  const base = `http://127.0.0.1:${server.port}`;
  using b = web([listed(`127.0.0.1:${server.port}`)]);
  const done = await b.do("api_http.download_file", { url: `${base}/`, destination: "inbox/d" });
  expect(done.result).toMatchObject({ sizeBytes: 300_000, created: true, status: 200 });
  await b.undo(done.performed);
  expect(existsSync(join(b.root, "inbox/d"))).toBe(false);
  await expect(
    b.do("api_http.download_file", { url: `${base}/cut`, destination: "inbox/d" }),
  ).rejects.toEqual(code("http.connection"));
  expect(existsSync(join(b.root, "inbox/d"))).toBe(false);
});

test("H8 the example receiver counts each key once, also over SIGKILL and a torn line", async () => {
  const folder = mkdtempSync(join(tmpdir(), "writ-receiver-"));
  const file = join(folder, "received.jsonl");
  const script = new URL("../../../examples/receiver/receiver.mjs", import.meta.url).pathname;
  const start = async () => {
    const child = spawn(process.execPath, [script, "--port", "0", "--file", file]);
    const [line] = await once(child.stdout, "data");
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(String(line))?.[1]);
    return {
      port,
      async kill() {
        child.kill("SIGKILL");
        await once(child, "exit");
      },
    };
  };
  try {
    const first = await start();
    using b = web([listed(`127.0.0.1:${first.port}`, { idempotent: true })]);
    const params = { url: `http://127.0.0.1:${first.port}/`, body_json: { n: 1 } };
    const key = "0123456789abcdef0123456789abcdef";
    expect((await b.do("api_http.http_post", params, { idempotencyKey: key })).result).toMatchObject({
      status: 201,
      json: { number: 1, repeated: false },
    });
    expect((await b.do("api_http.http_post", params, { idempotencyKey: key })).result).toMatchObject({
      status: 200,
      json: { number: 1, repeated: true },
    });
    await first.kill();
    appendFileSync(file, '{"number":2,"key":"torn');
    const second = await start();
    using c = web([listed(`127.0.0.1:${second.port}`, { idempotent: true })]);
    const again = { ...params, url: `http://127.0.0.1:${second.port}/` };
    expect((await c.do("api_http.http_post", again, { idempotencyKey: key })).result["json"]).toMatchObject({
      number: 1,
      repeated: true,
    });
    expect((await c.do("api_http.http_post", again)).result["json"]).toMatchObject({
      number: 2,
      repeated: false,
    });
    await expect(
      c.do("api_http.http_post", { ...again, body_json: { n: 2 } }, { idempotencyKey: key }),
    ).rejects.toMatchObject({ facts: { status: 422 } });
    await second.kill();
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

test("H9 a certificate that nobody vouches for is refused", async ({ skip }) => {
  skip(!hasOpenssl, "needs openssl to make a certificate");
  const folder = mkdtempSync(join(tmpdir(), "writ-tls-"));
  const [key, cert] = [join(folder, "key"), join(folder, "cert")];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "1",
  ];
  spawnSync("openssl", [...made, "-subj", "/CN=localhost", "-keyout", key, "-out", cert]);
  let asked = 0;
  const server = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (_request, response) => {
      asked++;
      response.end("secret");
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const host = `localhost:${address.port}`;
    using b = web([{ ...listed(host), scheme: "https" }], () => [{ address: "127.0.0.1", family: 4 }]);
    await expect(b.do("api_http.http_get", { url: `https://${host}/` })).rejects.toEqual(
      code("http.certificate"),
    );
    expect(asked).toBe(0);
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
