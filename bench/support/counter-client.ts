import { connect, type Socket } from "node:net";

export interface CounterClient {
  /** Resolves when the counter has counted the key. */
  add(key: string): Promise<void>;
  /** Whether the key was counted. */
  has(key: string): Promise<boolean>;
  /** Effects are counted and not answered until `go`. */
  hold(): Promise<void>;
  go(): Promise<void>;
  read(): Promise<{ readonly count: number; readonly distinct: number }>;
  close(): void;
}

/** One connection, answers in order. */
export async function counterClient(port: number): Promise<CounterClient> {
  const socket: Socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  socket.setEncoding("utf8");
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  const waiting: ((line: string) => void)[] = [];
  let rest = "";
  let outgoing = "";
  socket.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) waiting.shift()?.(line);
  });
  const ask = (line: string): Promise<string> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (outgoing === "") {
        queueMicrotask(() => {
          const text = outgoing;
          outgoing = "";
          socket.write(text);
        });
      }
      outgoing += `${line}\n`;
    });
  return {
    add: async (key) => {
      await ask(key);
    },
    has: async (key) => (await ask(`=${key}`)) === "yes",
    hold: async () => void (await ask("!hold")),
    go: async () => void (await ask("!go")),
    read: async () => JSON.parse(await ask("?")) as { count: number; distinct: number },
    close: () => socket.destroy(),
  };
}
