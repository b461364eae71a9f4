// Everything the command may use of the machine, so that tests can run it in process.
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** Standard input, as text, until its end. */
  input(): AsyncIterable<string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder: string;
  readonly home: string;
  /** Runs a program of this clone with the terminal's own input and output. Resolves with its exit status. */
  runLocal(script: string, args: readonly string[]): Promise<number>;
}
