// Passkeys (WebAuthn) in a form. Pages load it with `defer`; without it, or where the browser knows
// no passkeys, a page shows what stands in [data-passkey-missing] and the buttons stay hidden.
//
// The contract with a page (templates/mfa/passkey_parts.html writes all of it):
//
//   <form method="post" action="/login/passkey">          where the finished ceremony goes
//     <input type="hidden" name="csrf_token" value="…">
//     <input type="hidden" name="credential" value="">     gets the response, JSON text
//     <p data-passkey-missing>…</p>                        for browsers without passkeys
//     <p data-passkey-error role="alert" hidden            gets what went wrong, in these words:
//        data-cancelled="…" data-known="…" data-failed="…"></p>
//     <button type="button" hidden
//             data-passkey="create" or "get"               register a passkey, or show one
//             data-options="/login/passkey/options"        where the ceremony begins
//             data-conditional>                            (get) also offer it while typing
//   </form>
//
// Pressing the button posts the form's fields but csrf_token, credential and passwords to
// `data-options` as one JSON object, with the token in X-CSRFToken. The answer is
//   200  the options as JSON (PublicKeyCredentialCreationOptionsJSON or …RequestOptionsJSON);
//        whoever answers keeps the ceremony's id in the signed cookie
//   4xx  {"errors": [{"field": "email", "detail": "words for the person"}]}; the words are shown
//        and the field gets the focus; anything else shows the words of data-failed
//   a redirect (the session must prove more first) is followed by the whole page.
// Then the browser asks the person, the response is written into `credential` and the form is sent
// as any other form: the server answers with a page or a redirect.
//
// `data-conditional` needs a field with autocomplete="username webauthn" on the page: its list of
// suggestions offers the passkeys. Source: W3C WebAuthn L3 s. 5.1, 5.1.4.
"use strict";

(() => {
  const RENEW_AFTER_MS = 4 * 60 * 1000; // a ceremony lives five minutes
  const buttons = document.querySelectorAll("button[data-passkey]");
  if (!buttons.length || !window.PublicKeyCredential || !navigator.credentials) return;

  const toBytes = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
  };
  const toText = (buffer) => {
    const plain = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  };
  const named = (each) => ({ ...each, id: toBytes(each.id) });

  const publicKeyOf = (options) => {
    const read = { ...options, challenge: toBytes(options.challenge) };
    if (options.user) read.user = named(options.user);
    if (options.excludeCredentials) read.excludeCredentials = options.excludeCredentials.map(named);
    if (options.allowCredentials) read.allowCredentials = options.allowCredentials.map(named);
    return read;
  };

  const jsonOf = (credential) => {
    const { response } = credential;
    const written = { clientDataJSON: toText(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) written[name] = toText(response[name]);
    }
    if (response.getTransports) written.transports = response.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response: written,
    });
  };

  class Refused extends Error {
    constructor(errors) {
      super(errors.map((each) => each.detail).join(" "));
      this.field = errors[0].field;
    }
  }

  // Begin a ceremony; null where the whole page moves on to prove more first. One after the other:
  // the cookie keeps the last one's id, and the last to be answered must be the last that was begun.
  let lastBegun = Promise.resolve();
  const begin = (button) => {
    const begun = lastBegun.then(() => askForOptions(button));
    lastBegun = begun.catch(() => {});
    return begun;
  };

  const askForOptions = async (button) => {
    const { csrf_token: token, credential, ...fields } = Object.fromEntries(
      [...new FormData(button.form)].filter(([name]) => button.form.elements[name]?.type !== "password"),
    );
    const answer = await fetch(button.dataset.options, {
      method: "POST",
      headers: {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": token,
      },
      body: JSON.stringify(fields),
    });
    if (answer.redirected) {
      window.location.assign(answer.url);
      return null;
    }
    const body = await answer.json();
    if (answer.ok) return body;
    if (answer.status === 422 && body.errors?.length) throw new Refused(body.errors);
    throw new Error(`options: ${answer.status}`);
  };

  const ask = (button, options, more = {}) => {
    const asked = { publicKey: publicKeyOf(options), ...more };
    return button.dataset.passkey === "create"
      ? navigator.credentials.create(asked)
      : navigator.credentials.get(asked);
  };

  const finish = (button, credential) => {
    button.form.elements.credential.value = jsonOf(credential);
    button.form.submit(); // past the listeners: this is not the form's own button
  };

  const explain = (button, error) => {
    const place = button.form.querySelector("[data-passkey-error]");
    const words = {
      NotAllowedError: place.dataset.cancelled,
      AbortError: place.dataset.cancelled,
      InvalidStateError: place.dataset.known,
    };
    place.textContent =
      error instanceof Refused ? error.message : words[error.name] ?? place.dataset.failed;
    place.hidden = false;
    if (error instanceof Refused) button.form.elements[error.field]?.focus();
  };

  // ---- offering passkeys among the suggestions of a field ----

  let waiting = null;

  const stopOffering = () => {
    if (waiting) clearTimeout(waiting.timer);
    waiting?.controller.abort();
    waiting = null;
  };

  const offer = async (button) => {
    stopOffering();
    const controller = new AbortController();
    const timer = setTimeout(() => offer(button), RENEW_AFTER_MS);
    waiting = { controller, timer };
    try {
      const options = await begin(button);
      if (!options || controller.signal.aborted) return;
      const more = { mediation: "conditional", signal: controller.signal };
      const credential = await ask(button, options, more);
      if (credential) finish(button, credential);
    } catch {
      // Nobody asked for this: the form and the button are still there.
    }
  };

  const press = async (button) => {
    stopOffering();
    button.form.querySelector("[data-passkey-error]").hidden = true;
    button.disabled = true;
    try {
      const options = await begin(button);
      if (options) finish(button, await ask(button, options));
    } catch (error) {
      explain(button, error);
      if ("conditional" in button.dataset) offerWherePossible(button);
    } finally {
      button.disabled = false;
    }
  };

  const offerWherePossible = async (button) => {
    if (await PublicKeyCredential.isConditionalMediationAvailable?.()) offer(button);
  };

  for (const button of buttons) {
    for (const note of button.form.querySelectorAll("[data-passkey-missing]")) note.hidden = true;
    button.hidden = false;
    button.addEventListener("click", () => press(button));
    if ("conditional" in button.dataset) offerWherePossible(button);
  }
})();
