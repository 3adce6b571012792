// The browser of a person who is signed in, as far as a relying party's flow needs one: keeps
// cookies, follows redirects and pages that go on by themselves, and answers the pages that ask.

const ATTRIBUTE = /([a-z-]+)="([^"]*)"/g;

function attributes(tag) {
  const found = Object.fromEntries([...tag.matchAll(ATTRIBUTE)].map((each) => [each[1], each[2]]));
  for (const [name, value] of Object.entries(found)) {
    found[name] = value.replaceAll("&amp;", "&").replaceAll("&#39;", "'").replaceAll("&#34;", '"');
  }
  return found;
}

export class Person {
  /** @param {string} cookie the session's, as `name=value` */
  constructor(cookie) {
    const [name, value] = cookie.split(/=(.*)/s);
    this.cookies = new Map([[name, value]]);
    this.pages = 0;
  }

  async send(url, options = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...options.headers, Cookie: cookie };
    const answer = await fetch(url, { redirect: "manual", ...options, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split(/=(.*)/s);
      this.cookies.set(name, value);
    }
    return answer;
  }

  /**
   * Go where a relying party sends the person, until they come back to `home`.
   * @param {string[]} ticked values of the boxes that the person ticks on the consent page
   * @param {boolean} refuses whether they go back instead
   */
  async walk(start, home, { ticked = [], refuses = false } = {}) {
    let here = new URL(start);
    let answer = await this.send(here);
    for (let steps = 0; steps < 12; steps += 1) {
      const refresh = answer.headers.get("refresh")?.match(/url=(.*)$/)?.[1];
      const next = answer.headers.get("location") ?? refresh;
      if (next) {
        here = new URL(next, here);
        if (here.href.startsWith(home)) return here;
        answer = await this.send(here);
        continue;
      }
      const page = await answer.text();
      const form = page.match(/<form[^>]*action="[^"]*\/oauth\/(consent|select)[\s\S]*?<\/form>/);
      if (!form) throw new Error(`no way back: ${answer.status} at ${here.pathname}: ${page}`);
      if (form[1] === "consent") this.pages += 1;
      const body = new URLSearchParams();
      for (const [tag] of form[0].matchAll(/<input[^>]*>/g)) {
        const input = attributes(tag);
        if (input.type === "hidden") body.append(input.name, input.value ?? "");
        if (input.type === "checkbox" && ticked.includes(input.value)) {
          body.append(input.name, input.value);
        }
      }
      const buttons = [...form[0].matchAll(/<button[^>]*>/g)].map(([tag]) => attributes(tag));
      const button = buttons[refuses ? 1 : 0];
      if (button.name) body.append(button.name, button.value);
      here = new URL(attributes(form[0].match(/<form[^>]*>/)[0]).action, here);
      answer = await this.send(here, { method: "POST", body });
    }
    throw new Error(`still on the way at ${here}`);
  }
}
