// A real OpenID provider, npm `oidc-provider`, at which everybody is who the setting says.
// Reads one JSON object from the environment variable UPSTREAM:
//   {port, redirect_uri, backchannel_logout_uri, client_id, client_secret, account: {sub, ...}}
import http from "node:http";
import Provider from "oidc-provider";

const setting = JSON.parse(process.env.UPSTREAM);
const issuer = `http://127.0.0.1:${setting.port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: setting.client_id,
      client_secret: setting.client_secret,
      redirect_uris: [setting.redirect_uri],
      backchannel_logout_uri: setting.backchannel_logout_uri,
      backchannel_logout_session_required: true,
    },
  ],
  claims: { openid: ["sub", "sid"], email: ["email", "email_verified"], profile: ["given_name"] },
  cookies: { keys: ["only for tests"] },
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: false } },
  // Its own guard refuses loopback, where the tests are.
  fetch: (url, options) => {
    delete options.dispatcher;
    return globalThis.fetch(url, options);
  },
  findAccount: (_context, sub) => ({ accountId: sub, claims: async () => ({ ...setting.account, sub }) }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
});

// Nobody is asked anything: each interaction ends at once, signed in and agreed.
async function agree(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const accountId = setting.account.sub;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(request, response, { login: { accountId }, consent });
}

const answer = provider.callback();
http
  .createServer((request, response) => {
    if (request.url.startsWith("/interaction/")) {
      agree(request, response).catch((error) => {
        console.error(error);
        response.statusCode = 500;
        response.end();
      });
    } else {
      answer(request, response);
    }
  })
  .listen(setting.port, "127.0.0.1");
