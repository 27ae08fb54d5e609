// Orders to servers: what is about to happen in words, a reason, and no order without a yes.

import { get, say, show } from "./dom.js";
import { plural } from "./words.js";

const PATH = "/v1/servers/override";
const SAYS = {
  drain: ["Drain", "It gets no new connections, and goes when those it has have ended or at the service's drain_timeout."],
  down: ["Disable", "It goes at once, whatever its checks say. Its established connections end."],
  enable: ["Enable", "What was ordered is taken back: its checks and the configuration decide again."],
  weight: ["Set the weight of", "Its share of new connections changes. Its checks still decide whether it is in."],
};

export class Orders {
  constructor(page) {
    this.page = page;
    this.dialog = get("order");
    get("order-no").addEventListener("click", () => this.dialog.close());
    get("order-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.give();
    });
  }

  /** Ask whether *action* is to be ordered. */
  open(server, action) {
    this.server = server;
    this.action = action;
    const [verb, what] = SAYS[action];
    const active = this.page.model.detail(server.id)?.active_connections;
    const now = active ? ` ${plural(active, "connection")} ${active === 1 ? "is" : "are"} active now.` : "";
    say(get("order-title"), `${verb} ${server.name}?`);
    say(get("order-what"), `${server.where} of ${server.service.title} (${server.service.key}). ${what}${now}`);
    const isLast = (action === "drain" || action === "down") && isTheLast(server);
    show(get("order-warning"), isLast);
    say(get("order-warning"), isLast ? "No other server of this service is up: nobody would serve new connections." : "");
    show(get("order-weight-field"), action === "weight");
    show(get("order-reason-field"), action !== "enable");
    show(get("order-for-field"), action !== "enable");
    get("order-weight").value = server.weight ?? 1;
    get("order-weight").required = action === "weight";
    get("order-reason").value = "";
    get("order-for").value = "";
    say(get("order-problem"), "");
    say(get("order-yes"), action === "weight" ? "Set the weight" : verb);
    get("order-yes").disabled = false;
    this.dialog.showModal();
    const first = { enable: "order-yes", weight: "order-weight" }[action] ?? "order-reason";
    get(first).focus();
  }

  async give() {
    const { server, action, page } = this;
    const name = `${server.service.key}/${server.where}`;
    get("order-yes").disabled = true;
    try {
      if (action === "enable") {
        await page.ask("DELETE", `${PATH}?${new URLSearchParams({ server: name })}`);
      } else {
        await page.ask("POST", PATH, this.body(name));
      }
      this.dialog.close();
      page.done(`${SAYS[action][0]} ${server.name}: ordered`);
    } catch (problem) {
      say(get("order-problem"), problem.message);
      get("order-yes").disabled = false;
    }
  }

  body(name) {
    const body = { servers: [name], action: this.action, reason: get("order-reason").value.trim() };
    if (this.action === "weight") body.weight = Number(get("order-weight").value);
    if (get("order-for").value) body.for = Number(get("order-for").value);
    return body;
  }
}

function isTheLast(server) {
  return server.state === "up" && !server.service.servers.some((one) => one !== server && one.state === "up");
}
