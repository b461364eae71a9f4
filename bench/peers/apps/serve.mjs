// What the applications of DBOS and BullMQ share: an HTTP server with two routes, and the counter. `POST /runs` answers when the run has
// finished, `POST /starts` as soon as the engine has taken it over.
import { createServer } from "node:http";
import { counterClient } from "../../support/counter-client.ts";

export const stepsPerRun = 3;

/** The key of each effect is the run's id and the step's number: the same one twice is seen. */
export async function openCounter(port) {
  const client = await counterClient(Number(port));
  return (id, step) => client.add(`${id}/${step}`);
}

/** `begin(id)` resolves when the engine holds the run, with a function that resolves when it has finished. */
export async function serve(begin) {
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => void take(request.url, text, response));
  });
  async function take(url, text, response) {
    try {
      const { id } = JSON.parse(text);
      const finished = await begin(id);
      if (url === "/runs") await finished();
      answer(response, 200, { id });
    } catch (error) {
      answer(response, 500, { error: String(error) });
    }
  }
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.stdout.write(`${server.address().port}\n`);
}

function answer(response, status, body) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}
