// A receiver of HTTP requests that performs each idempotency key at most once, also after it was killed.
//
//   node examples/receiver/receiver.mjs --port 3999 [--file .writ/received.jsonl]
//
// Every request that changes something (POST, PUT, PATCH, DELETE) becomes one line of the file. The line is on disk before the answer
// leaves, so a request that was answered is counted for ever. A request whose `Idempotency-Key` was seen before gets the first
// answer again (draft-ietf-httpapi-idempotency-key-header): the same key with another body is refused with 422. GET / tells the count.
// Requests to /fail… always get 500 and count
// for nothing. Listens on 127.0.0.1 only. `--fail TIMES` answers 503 so many times before it works, to watch retries.
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const bodyBytesMax = 1024 * 1024;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "3999" },
    file: { type: "string", default: join(".writ", "received.jsonl") },
    fail: { type: "string", default: "0" },
  },
});

const received = openReceived(values.file);
let failuresLeft = Number(values.fail);

const server = createServer((request, response) => {
  const answer = (status, body, headers = {}) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(`${JSON.stringify(body)}\n`);
  };
  const parts = [];
  let size = 0;
  request.on("data", (part) => {
    size += part.length;
    if (size <= bodyBytesMax) parts.push(part);
  });
  request.on("error", () => response.destroy());
  request.on("end", () => {
    if (request.method === "GET" || request.method === "HEAD") {
      answer(200, { count: received.count(), last: received.last() });
    } else if (size > bodyBytesMax) {
      answer(413, { error: `at most ${bodyBytesMax} bytes` });
    } else if (request.url.startsWith("/fail")) {
      answer(500, { error: "this address always fails" });
    } else if (failuresLeft > 0) {
      failuresLeft--;
      answer(503, { error: "not yet", failuresLeft }, { "retry-after": "1" });
    } else {
      accept(request, Buffer.concat(parts), answer);
    }
  });
});

/** One request that changes something. Synchronous: two with one key cannot overtake each other. */
function accept(request, body, answer) {
  const key = request.headers["idempotency-key"];
  const bodyHash = createHash("sha256").update(body).digest("hex");
  const fingerprint = `${request.method} ${request.url} ${bodyHash}`;
  const before = key === undefined ? undefined : received.byKey(key);
  if (before !== undefined && before.fingerprint !== fingerprint) {
    answer(422, { error: "this idempotency key was used for another request" });
    return;
  }
  if (before !== undefined) {
    answer(200, { number: before.number, repeated: true });
    return;
  }
  const number = received.append({ key: key ?? null, fingerprint, text: body.toString("utf8") });
  answer(201, { number, repeated: false });
}

/** The file, one JSON line a request. A torn last line (killed while writing) was never answered and is dropped. */
function openReceived(path) {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, "a+");
  const bytes = readFileSync(path);
  const whole = bytes.lastIndexOf(10) + 1;
  if (whole < bytes.length) truncateSync(path, whole);
  const lines = bytes.subarray(0, whole).toString("utf8").split("\n").slice(0, -1);
  const records = lines.map((line) => JSON.parse(line));
  const keys = new Map(records.filter(({ key }) => key !== null).map((record) => [record.key, record]));
  return {
    count: () => records.length,
    last: () => records.at(-1) ?? null,
    byKey: (key) => keys.get(key),
    append(record) {
      const numbered = { number: records.length + 1, ...record };
      writeSync(file, `${JSON.stringify(numbered)}\n`);
      fsyncSync(file);
      records.push(numbered);
      if (numbered.key !== null) keys.set(numbered.key, numbered);
      return numbered.number;
    },
    close: () => closeSync(file),
  };
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    server.closeAllConnections();
    server.close(() => {
      received.close();
      process.exit(0);
    });
  });
}
server.on("error", (error) => {
  console.error(
    error.code === "EADDRINUSE"
      ? `Port ${values.port} is in use: choose another with --port.`
      : error.message,
  );
  process.exit(1);
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(
    `receiver listens on http://127.0.0.1:${server.address().port}, ${received.count()} received, in ${values.file}`,
  );
});
