// The provider as oauth4webapi sees it, which checks each answer by itself and forgives little.
// Reads {issuer, redirect_uri, cookie, client_id, jwk, resource}: a client with a key and JWT
// access tokens.
import { json } from "node:stream/consumers";
import { importJWK } from "jose";
import * as oauth from "oauth4webapi";
import { Person } from "./person.mjs";

const asked = await json(process.stdin);
const ana = new Person(asked.cookie);
const here = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(asked.issuer);
const found = {};

const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...here, algorithm: "oidc" }),
);
const byOAuth = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { ...here, algorithm: "oauth2" }),
);
found.sameMetadata = JSON.stringify(as) === JSON.stringify(byOAuth);

const client = { client_id: asked.client_id };
const key = { key: await importJWK(asked.jwk, asked.jwk.alg), kid: asked.jwk.kid };
const auth = oauth.PrivateKeyJwt(key);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const parameters = new URLSearchParams({
  client_id: asked.client_id,
  response_type: "code",
  redirect_uri: asked.redirect_uri,
  scope: "openid offline_access",
  resource: asked.resource,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  state,
  nonce,
});
const par = await oauth.processPushedAuthorizationResponse(
  as,
  client,
  await oauth.pushedAuthorizationRequest(as, client, auth, parameters, here),
);
found.parLifetime = par.expires_in;
const start = new URL(as.authorization_endpoint);
start.searchParams.set("client_id", asked.client_id);
start.searchParams.set("request_uri", par.request_uri);
const back = await ana.walk(start, asked.redirect_uri);
const answer = oauth.validateAuthResponse(as, client, back, state);
const tokens = await oauth.processAuthorizationCodeResponse(
  as,
  client,
  await oauth.authorizationCodeGrantRequest(
    as, client, auth, answer, asked.redirect_uri, verifier, here,
  ),
  { expectedNonce: nonce, requireIdToken: true },
);
const id = oauth.getValidatedIdTokenClaims(tokens);
found.subInIdToken = id.sub;

// A resource server of the company verifies the access token alone. Source: RFC 9068.
const call = (token) =>
  new Request(asked.resource, { headers: { Authorization: `Bearer ${token}` } });
found.accessToken = await oauth.validateJwtAccessToken(as, call(tokens.access_token), asked.resource, here);
try {
  await oauth.validateJwtAccessToken(as, call(tokens.id_token), asked.resource, here);
} catch (error) {
  found.idTokenAsAccessToken = error.code ?? String(error);
}

const refreshed = await oauth.processRefreshTokenResponse(
  as,
  client,
  await oauth.refreshTokenGrantRequest(as, client, auth, tokens.refresh_token, here),
);
found.rotated = refreshed.refresh_token !== tokens.refresh_token;

const seen = await oauth.processIntrospectionResponse(
  as,
  client,
  await oauth.introspectionRequest(as, client, auth, refreshed.access_token, here),
);
found.introspected = { active: seen.active, aud: seen.aud, sub: seen.sub };
const own = await oauth.processClientCredentialsResponse(
  as,
  client,
  await oauth.clientCredentialsGrantRequest(as, client, auth, { resource: asked.resource }, here),
);
const ownClaims = await oauth.validateJwtAccessToken(as, call(own.access_token), asked.resource, here);
found.ownSub = ownClaims.sub;
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, here),
);
const gone = await oauth.processIntrospectionResponse(
  as,
  client,
  await oauth.introspectionRequest(as, client, auth, refreshed.access_token, here),
);
found.afterRevocation = gone.active;

console.log(JSON.stringify(found));
