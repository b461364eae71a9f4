// The world outside the engines: counts effects. One line in (a key), one line out (`ok`) on the same connection, in order.
//   KEY     counts the key; not idempotent on purpose: the same key twice counts twice, and is seen
//   =KEY    answers `yes` when the key was counted, else `no`
//   ?       answers the count and the number of distinct keys, as JSON
//   !hold   counts as before, but withholds every `ok` that follows, so that what is under way stays under way
//   !go     answers what was withheld, and goes on as before
import { createServer, type Socket } from "node:net";
import process from "node:process";

let count = 0;
let isHolding = false;
const keys = new Set<string>();
const held: Socket[] = [];

const server = createServer((socket) => {
  let rest = "";
  socket.setNoDelay(true);
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    let answer = "";
    for (const line of lines) answer += answerTo(line, socket);
    if (answer !== "") socket.write(answer);
  });
  socket.on("error", () => socket.destroy());
});

function answerTo(line: string, socket: Socket): string {
  switch (line[0]) {
    case "?":
      return `${JSON.stringify({ count, distinct: keys.size })}\n`;
    case "=":
      return keys.has(line.slice(1)) ? "yes\n" : "no\n";
    case "!":
      isHolding = line === "!hold";
      if (!isHolding) for (const waiting of held.splice(0)) if (waiting.writable) waiting.write("ok\n");
      return "ok\n";
    default:
      count += 1;
      keys.add(line);
      if (!isHolding) return "ok\n";
      held.push(socket);
      return "";
  }
}

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) process.stdout.write(`${address.port}\n`);
});
