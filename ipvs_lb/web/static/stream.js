// The live stream: server-sent events read with fetch(), which can carry a token, and opened again when they end.

const SILENCE = 8000; // milliseconds: something comes every second
const PAUSES = [300, 1000, 2000, 5000, 10000];

/** Reads the stream for as long as it is `open`ed. `told` has a function for every kind of event. */
export class Stream {
  constructor(told) {
    this.told = told;
    this.token = "";
    this.after = "";
    this.event = 0;
    this.sight = [];
    this.failures = 0;
    this.current = null;
    this.timer = 0;
  }

  /** Begin, or begin again with another sight: what was told already is not told again. */
  open() {
    this.close();
    const current = new AbortController();
    this.current = current;
    this.run(current).catch((problem) => this.failed(current, problem));
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    this.current?.abort();
    this.current = null;
  }

  async run(current) {
    this.listen(current);
    const query = new URLSearchParams();
    if (this.after) query.set("after", this.after);
    if (this.event) query.set("event", this.event);
    for (const one of this.sight) query.append("sight", one);
    const response = await fetch(`/ui/live?${query}`, {
      headers: this.token ? { Authorization: `Bearer ${this.token}` } : {},
      signal: current.signal,
      cache: "no-store",
    });
    if (response.status === 401) {
      this.close();
      this.told.stranger();
      return;
    }
    if (!response.ok) throw new Error(await reason(response));
    await this.read(current, response.body.getReader());
    throw new Error("the gateway has ended the connection");
  }

  async read(current, reader) {
    const decoder = new TextDecoder();
    let kept = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || current !== this.current) return;
      this.listen(current);
      kept += decoder.decode(value, { stream: true });
      let from = 0;
      for (let end = kept.indexOf("\n\n"); end >= 0; end = kept.indexOf("\n\n", from)) {
        this.tell(kept.slice(from, end));
        from = end + 2;
      }
      kept = kept.slice(from);
    }
  }

  tell(event) {
    const end = event.indexOf("\n");
    const kind = event.slice("event: ".length, end);
    const content = JSON.parse(event.slice(end + 1 + "data: ".length));
    if (kind === "reached") this.after = content;
    if (kind === "events") this.event = content.at(-1).number;
    this.failures = 0;
    this.told[kind]?.(content);
  }

  listen(current) {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.failed(current, new Error("no answer")), SILENCE);
  }

  failed(current, problem) {
    if (current !== this.current) return;
    this.close();
    this.told.lost(problem.message);
    const pause = PAUSES[Math.min(this.failures, PAUSES.length - 1)];
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), pause);
  }
}

/** Why a request was refused, as the gateway says it. */
export async function reason(response) {
  try {
    const { error } = await response.json();
    return error.hint ? `${error.message} (${error.hint})` : error.message;
  } catch {
    return `the gateway answered ${response.status}`;
  }
}
