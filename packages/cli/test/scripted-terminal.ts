import type { Terminal } from "../src/terminal.ts";

export interface ScriptedTerminal extends Terminal {
  readonly printed: { out: string; error: string };
  readonly local: (readonly string[])[];
}

/** A terminal that remembers what was printed. */
export function scriptedTerminal(
  options: {
    readonly environment?: Readonly<Record<string, string>>;
    readonly folder?: string;
    readonly home?: string;
    readonly input?: readonly string[];
    readonly localStatus?: number;
  } = {},
): ScriptedTerminal {
  const printed = { out: "", error: "" };
  const local: (readonly string[])[] = [];
  return {
    printed,
    local,
    out(text) {
      printed.out += text;
    },
    error(text) {
      printed.error += text;
    },
    async *input() {
      yield* options.input ?? [];
    },
    environment: options.environment ?? {},
    folder: options.folder ?? "/nowhere",
    home: options.home ?? "/nowhere",
    async runLocal(script, args) {
      local.push([script, ...args]);
      return options.localStatus ?? 0;
    },
  };
}
