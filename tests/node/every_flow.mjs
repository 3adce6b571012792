// Every flow of the provider as openid-client, which somebody else wrote, sees it. Reads {issuer,
// redirect_uri, after_logout, cookie, purpose, resource, secret_client, key_client}: `secret_client`
// is {client_id, client_secret}, `key_client` is {client_id, jwk} with its private key.
import { json } from "node:stream/consumers";
import { importJWK } from "jose";
import * as client from "openid-client";
import { Person } from "./person.mjs";

const asked = await json(process.stdin);
const ana = new Person(asked.cookie);
const insecure = { execute: [client.allowInsecureRequests] };
const { jwk } = asked.key_client;
const key = { key: await importJWK(jwk, jwk.alg), kid: jwk.kid };

const discover = (id, auth) => client.discovery(new URL(asked.issuer), id, undefined, auth, insecure);
const { client_id, client_secret } = asked.secret_client;
const basic = await discover(client_id, client.ClientSecretBasic(client_secret));
const post = await discover(client_id, client.ClientSecretPost(client_secret));
const keyed = await discover(asked.key_client.client_id, client.PrivateKeyJwt(key));

async function refusal(action) {
  try {
    await action();
  } catch (error) {
    return error.error ?? error.code ?? String(error);
  }
  return null;
}

async function begin(config, { pushed = false, answer = {}, ...changes } = {}) {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const nonce = client.randomNonce();
  const parameters = {
    redirect_uri: asked.redirect_uri,
    scope: "openid",
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    nonce,
    ...changes,
  };
  const start = pushed
    ? await client.buildAuthorizationUrlWithPAR(config, parameters)
    : client.buildAuthorizationUrl(config, parameters);
  const back = await ana.walk(start, asked.redirect_uri, answer);
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
  return { start, back, checks };
}

async function signIn(config, options) {
  const { back, checks } = await begin(config, options);
  return client.authorizationCodeGrant(config, back, { ...checks, idTokenExpected: true });
}

const active = (config, token) =>
  client.tokenIntrospection(config, token).then((answer) => answer.active);

const found = {};

// Scopes that ask for claims and for staying connected: the page asks once, userinfo answers.
const scope = "openid profile email offline_access";
const first = await signIn(basic, { scope, answer: { ticked: [asked.purpose] } });
found.pagesFirst = ana.pages;
found.claims = first.claims();
found.userinfo = await client.fetchUserInfo(basic, first.access_token, first.claims().sub);
const again = await signIn(basic, { scope });
found.pagesAgain = ana.pages - found.pagesFirst;
found.sameSub = again.claims().sub === first.claims().sub;

// Rotation, and what a second use of a spent refresh token does once its successor was used.
const second = await client.refreshTokenGrant(basic, first.refresh_token);
const lost = await client.refreshTokenGrant(basic, first.refresh_token);
found.samePairInGrace =
  lost.refresh_token === second.refresh_token && lost.access_token === second.access_token;
const third = await client.refreshTokenGrant(basic, second.refresh_token);
found.refreshedSub = third.claims().sub === first.claims().sub;
found.reuse = await refusal(() => client.refreshTokenGrant(basic, first.refresh_token));
found.familyAfterReuse = await active(basic, third.access_token);
found.successorAfterReuse = await refusal(() =>
  client.refreshTokenGrant(basic, third.refresh_token),
);

// A code a second time: refused, and what it yielded ends (RFC 6749 s. 4.1.2).
const once = await begin(basic);
const yielded = await client.authorizationCodeGrant(basic, once.back, once.checks);
found.activeBeforeReplay = await active(basic, yielded.access_token);
found.replay = await refusal(() => client.authorizationCodeGrant(basic, once.back, once.checks));
found.activeAfterReplay = await active(basic, yielded.access_token);

// The same by client_secret_post, and revocation of a refresh token.
const byPost = await signIn(post, { scope });
found.introspected = await client.tokenIntrospection(post, byPost.access_token);
await client.tokenRevocation(post, byPost.refresh_token);
found.afterRevocation = await active(post, byPost.access_token);

// A pushed request, and a client that proves itself by a key.
const pushed = await begin(keyed, { pushed: true, scope: "openid" });
found.pushedQuery = [...new URL(pushed.start).searchParams.keys()].sort();
const byKey = await client.authorizationCodeGrant(keyed, pushed.back, {
  ...pushed.checks,
  idTokenExpected: true,
});
found.otherSub = byKey.claims().sub !== first.claims().sub;
found.pushedTwice = await refusal(() => ana.walk(pushed.start, asked.redirect_uri));
const own = await client.clientCredentialsGrant(keyed, { resource: asked.resource });
found.ownActive = await active(keyed, own.access_token);
found.foreign = await active(basic, own.access_token);

// Errors come back where they belong.
const refused = await begin(basic, {
  scope: "openid email offline_access",
  prompt: "consent",
  answer: { refuses: true },
});
found.refused = refused.back.searchParams.get("error");
const silent = await begin(basic, { prompt: "none" });
found.silent = { ...Object.fromEntries(silent.back.searchParams), code: null, state: null };

// Signing out at the provider, and back to the application.
const leaving = client.buildEndSessionUrl(basic, {
  post_logout_redirect_uri: asked.after_logout,
  id_token_hint: again.id_token,
  state: "bye",
});
const left = await ana.walk(leaving, asked.after_logout);
found.left = left.search;
const signedOut = await begin(basic, { prompt: "none" });
found.signedOut = signedOut.back.searchParams.get("error");
found.offlineAfterLogout = await active(basic, again.refresh_token);

console.log(JSON.stringify(found));
