import { defineConfig } from "vitest/config";

const shared = {
  resolve: { conditions: ["@writ/source"] },
  ssr: { resolve: { conditions: ["@writ/source"] } },
};

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts", "test/*.test.ts"],
          exclude: ["**/*.sim.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: { name: "simulation", include: ["packages/*/test/**/*.sim.test.ts"], testTimeout: 120_000 },
      },
      {
        ...shared,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
