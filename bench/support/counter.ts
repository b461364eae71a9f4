// The world outside the node: counts effects. One line in (`key`), one line out (`ok`). `?` answers the count and the number of distinct keys.
// Not idempotent on purpose: the same key twice counts twice, and is seen.
import { createServer } from "node:net";
import process from "node:process";

let count = 0;
const keys = new Set<string>();

const server = createServer((socket) => {
  let rest = "";
  socket.setNoDelay(true);
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    let answer = "";
    for (const line of lines) {
      if (line === "?") answer += `${JSON.stringify({ count, distinct: keys.size })}\n`;
      else {
        count += 1;
        keys.add(line);
        answer += "ok\n";
      }
    }
    socket.write(answer);
  });
  socket.on("error", () => socket.destroy());
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) process.stdout.write(`${address.port}\n`);
});
