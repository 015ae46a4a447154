// A real identity provider on loopback, for the sign-in scenario: its own pages, keys and checks.
// Anybody is who they say they are at its login page. With each start it has another key.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

// Standard output says the issuer and nothing else: nobody reads on.
console.info = console.warn = console.error;

const { PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI } = process.env;

function signingKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: `key ${process.pid}` };
}

const account = (id) => ({
  accountId: id,
  claims: async () => ({ sub: id, name: id, email: `${id}@example.com`, email_verified: true }),
});

const server = createServer();
server.listen(Number(PORT || 0), "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: [REDIRECT_URI] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["only for tests"] },
    findAccount: (_, id) => account(id),
    jwks: { keys: [signingKey()] },
  });
  server.on("request", provider.callback());
  console.log(`issuer ${issuer}`);
});

// Whoever started it is gone.
process.stdin.on("end", () => process.exit());
process.stdin.resume();
