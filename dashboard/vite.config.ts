// How the dashboard is built, and how `npm run dev` reaches a running Creel.

import tailwindcss from "@tailwindcss/vite";
import { defineConfig } from "vite";

const creel = process.env.CREEL_URL ?? "http://127.0.0.1:7300";

export default defineConfig({
  plugins: [tailwindcss()],
  esbuild: { jsx: "automatic" },
  build: {
    target: "es2022",
    // Below a folder that is always there, which the build of crates/control watches.
    outDir: "dist/web",
    emptyOutDir: true,
    // The page's own rules let in no data: address and no inline code.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      onwarn: (warning, warn) => {
        // "use client" means nothing here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: {
    proxy: {
      "/v1": { target: creel, changeOrigin: true, ws: true },
      "/sign-in": { target: creel, changeOrigin: true },
    },
  },
});
