// The pure parts are tested without a browser; all that needs one is in tests/browser.

import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["src/**/*.test.ts"], environment: "node" } });
