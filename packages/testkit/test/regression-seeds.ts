// Seeds that once failed, each with what was wrong. A seed plays another story when the generator changes: then it guards what it still reaches.
export const regressionSeeds: readonly { readonly seed: number; readonly was: string }[] = [];
