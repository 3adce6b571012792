// Somebody else's relying party (openid-client): discovery, code flow with PKCE, user info, and
// then the tokens' end. Reads {issuer, client_id, client_secret, redirect_uri, cookie, scope};
// `cookie` is the session of the person whose browser this plays.
import { json } from "node:stream/consumers";
import * as client from "openid-client";

const asked = await json(process.stdin);

// The provider of the tests speaks http on localhost; openid-client refuses that unless told.
const config = await client.discovery(
  new URL(asked.issuer),
  asked.client_id,
  undefined,
  client.ClientSecretBasic(asked.client_secret),
  { execute: [client.allowInsecureRequests] },
);

const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
const start = client.buildAuthorizationUrl(config, {
  redirect_uri: asked.redirect_uri,
  scope: "openid",
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
});

async function walk(url) {
  const hops = [];
  for (let here = url; hops.length < 5; ) {
    const answer = await fetch(here, { redirect: "manual", headers: { Cookie: asked.cookie } });
    hops.push(answer.status);
    const next = answer.headers.get("location");
    if (!next) throw new Error(`no way back: ${answer.status} at ${here}`);
    here = new URL(next, here);
    if (here.href.startsWith(asked.redirect_uri)) return { hops, back: here };
  }
  throw new Error("too many redirects");
}

async function refusal(action) {
  try {
    await action();
  } catch (error) {
    return error.error ?? error.code ?? String(error);
  }
  return null;
}

const { hops, back } = await walk(start);
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
const tokens = await client.authorizationCodeGrant(config, back, { ...checks, idTokenExpected: true });
const claims = tokens.claims();
const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const active = (token) => client.tokenIntrospection(config, token).then((answer) => answer.active);
const activeBefore = await active(tokens.access_token);

// The same code a second time: refused, and what it yielded ends (RFC 6749 s. 4.1.2).
const replay = await refusal(() => client.authorizationCodeGrant(config, back, checks));
const activeAfterReplay = await active(tokens.access_token);

const own = await client.clientCredentialsGrant(config, { scope: asked.scope });
const ownBefore = await active(own.access_token);
await client.tokenRevocation(config, own.access_token);

console.log(JSON.stringify({
  hops,
  claims,
  userinfo,
  token_type: tokens.token_type,
  activeBefore,
  replay,
  activeAfterReplay,
  ownScope: own.scope,
  ownBefore,
  ownAfter: await active(own.access_token),
}));
