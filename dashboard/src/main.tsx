// The dashboard begins here.

import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";

import { onSignedOut } from "./api/client";
import { client, meQuery } from "./api/queries";
import { App } from "./App";
import "./app.css";

onSignedOut(() => client.setQueryData(meQuery.queryKey, null));

const root = document.getElementById("root");
if (root) createRoot(root).render(<QueryClientProvider client={client}><App /></QueryClientProvider>);
