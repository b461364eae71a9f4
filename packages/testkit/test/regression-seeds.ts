// Seeds that once failed, each with what was wrong. A seed plays another story when the generator changes: then it guards what it still reaches.
export const regressionSeeds: readonly { readonly seed: number; readonly was: string }[] = [
  {
    seed: 3067,
    was: "a kill before the first sync of a segment, then a power cut: the header that the restart built upon was lost",
  },
];
