// Long work on the only thread there is, a piece at a time: what is waiting gets its turn between two of them.

export async function inPieces<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const piece = work.next();
    if (piece.done === true) return piece.value;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
