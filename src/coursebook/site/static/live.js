// Live code in a page: its cells become editors, and run in a kernel of a Jupyter server.
//
// `live-button.js` imports this when the reader presses the button, with what `sphinx/live.py` has written into the page:
//   cells     in their order; `source` where the code doesn't stand in the page, `shown` where its outputs do
//   server, token, binder, files, local   where kernels may be had
//   kernel, language, folder              which kernel, and the page's folder in the course
const STARTING_MS = 60_000; // a kernel that imports nothing answers within seconds
const BINDER_MS = 900_000; // an image that must be built first takes minutes
const WAY = { local: "this machine", server: "the course's Jupyter server", binder: "Binder" };

/** An element with properties, attributes (`aria-…`) and children. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

const button = (text, title, press) =>
  element("button", { type: "button", className: "live-press", textContent: text, title, onclick: press });

/** What went wrong, in words: `needsToken` where a token may help. */
class Trouble extends Error {
  constructor(message, needsToken = false) {
    super(message);
    this.needsToken = needsToken;
  }
}

function within(promise, milliseconds, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Trouble(message)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Where kernels may be had -------------------------------------------------------------------------------------------

const kept = {
  get(key) {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      sessionStorage.setItem(key, JSON.stringify(value));
    } catch {
      // a browser that keeps nothing asks again
    }
  },
};

/** The address and token of a server for `way`; `say` tells what is being waited for. Throws Trouble. */
async function findServer(options, way, say) {
  if (way === "local") return { url: new URL(options.local.url, location.href).href, token: options.local.token };
  if (way === "server") {
    const place = new URL(options.server).origin;
    // It may not say more to a page of another origin that has no token, but it answers.
    const ask = fetch(`${options.server}api`, { mode: "no-cors", cache: "no-store" }).catch(() => null);
    const isThere = await within(ask, STARTING_MS, `The Jupyter server at ${place} is silent.`);
    if (!isThere) throw new Trouble(`Nothing answers at ${place}.`);
    const token = options.token ?? kept.get(`live-token ${options.server}`);
    if (token === undefined || token === null) throw new Trouble(`The Jupyter server at ${place} wants its token.`, true);
    return { url: options.server, token };
  }
  const key = `live-binder ${options.binder}`;
  const before = kept.get(key);
  if (before) {
    say("Looking whether the machine from before is still there…");
    const answer = await fetch(`${before.url}api/status?token=${before.token}`).catch(() => null);
    if (answer?.ok) return before;
  }
  const found = await within(askBinder(options.binder, say), BINDER_MS, "Binder has not started a machine in 15 minutes.");
  kept.set(key, found);
  return found;
}

function askBinder(address, say) {
  say("Asking Binder for a machine…");
  const told = {
    waiting: "Binder has put this in its queue…",
    fetching: "Binder is fetching the course…",
    building: "Binder is building the course's environment; the first time this takes minutes…",
    pushing: "Binder is storing the environment…",
    built: "Binder has the environment; starting a machine…",
    launching: "Binder is starting a machine…",
  };
  return new Promise((resolve, reject) => {
    const events = new EventSource(address);
    events.onerror = () => {
      events.close();
      reject(new Trouble(`Binder doesn't answer (${new URL(address).host}).`));
    };
    events.onmessage = ({ data }) => {
      const { phase, message, url, token } = JSON.parse(data);
      if (phase === "ready") {
        events.close();
        resolve({ url, token });
      } else if (phase === "failed") {
        events.close();
        reject(new Trouble(`Binder could not start a machine: ${String(message).trim()}`));
      } else if (told[phase]) {
        say(told[phase]);
      }
    };
  });
}

// The cells of the page ----------------------------------------------------------------------------------------------

/** A code cell; `box` is its place in the page, which hidden cells don't have. */
class Cell {
  constructor(live, { source, fails = false, skipped = false }, box, number) {
    Object.assign(this, { live, fails, skipped, box, number, hasRun: false });
    this.input = source === undefined ? box?.querySelector(".cell_input") : null;
    this.original = source ?? sourceOf(this.input);
    this.output = box?.querySelector(".cell_output");
    if (this.input) this.open();
  }

  get name() {
    return this.number ? `Cell ${this.number}` : "A hidden cell";
  }

  get source() {
    return this.editor?.state.doc.toString() ?? this.original;
  }

  open() {
    const { live } = this;
    this.still = this.input.querySelector("div.highlight")?.closest("[class^=highlight-]") ?? this.input.firstElementChild;
    this.still.hidden = true;
    const place = element("div", { className: "live-editor highlight" });
    const run = () => (live.run(this), true);
    this.state = element("span", { className: "live-state" });
    this.press = button("Run", `Run cell ${this.number} (Shift-Enter in its code)`, run);
    this.undo = button("Original", `Put back the original code of cell ${this.number}`, () => this.restore());
    this.undo.hidden = true;
    const above = button("Run all above", `Run every cell above cell ${this.number} again`, () => live.runAbove(this));
    this.tools = element("div", { className: "live-tools", role: "group", "aria-label": `Cell ${this.number}` });
    this.tools.append(this.press, above, this.undo, this.state);
    this.input.append(place, this.tools);
    this.editor = live.library.makeEditor({
      parent: place,
      source: this.original,
      label: `Code of cell ${this.number}. Shift-Enter runs it, Escape leaves it.`,
      language: live.options.language,
      keys: [
        { key: "Shift-Enter", run },
        { key: "Mod-Enter", run },
        { key: "Escape", run: () => (this.press.focus(), true) },
      ],
      changed: () => {
        this.undo.hidden = this.source === this.original;
      },
    });
    this.mark("");
  }

  restore() {
    this.editor.dispatch({ changes: { from: 0, to: this.editor.state.doc.length, insert: this.original } });
    this.press.focus();
  }

  /** Show what becomes of the cell: "" (nothing yet), "waits", "runs", "done" or "failed". */
  mark(what) {
    if (!this.box) return;
    this.box.dataset.live = what;
    if (this.state) {
      this.state.textContent = { "": "not run yet", waits: "waits", runs: "running…", done: "done", failed: "failed" }[what];
    }
  }

  /** A fresh place for outputs, instead of the page's own. */
  clear() {
    if (!this.box) return null;
    const { library, rendermime } = this.live;
    this.area?.dispose();
    this.area = new library.OutputArea({ model: new library.OutputAreaModel({ trusted: true }), rendermime });
    if (!this.place) {
      this.place = element("div", { className: "cell_output live-output mathjax_process" });
      const old = this.output && (this.output.closest("details.below-input") ?? this.output);
      this.old = old;
      if (old) {
        old.after(this.place);
        old.hidden = true;
      } else {
        (this.input ?? this.box.lastElementChild ?? this.box).after(this.place);
      }
    }
    library.Widget.attach(this.area, this.place);
    return this.area;
  }

  close() {
    this.area?.dispose();
    this.editor?.destroy();
    this.place?.remove();
    this.tools?.previousElementSibling?.remove();
    this.tools?.remove();
    if (this.still) this.still.hidden = false;
    if (this.old) this.old.hidden = false;
    if (this.box) delete this.box.dataset.live;
  }
}

function sourceOf(input) {
  const copy = input.querySelector("pre").cloneNode(true);
  copy.querySelectorAll(".linenos").forEach((number) => number.remove());
  return copy.textContent.replace(/\n$/, "");
}

// The bar, and all that the reader can do ----------------------------------------------------------------------------

class Live {
  constructor(options, buttons, library) {
    Object.assign(this, { options, buttons, library, isOn: false, turn: 0 });
    const { RenderMimeRegistry, standardRendererFactories } = library;
    const latexTypesetter = { typeset: (node) => this.typeset(node) };
    this.rendermime = new RenderMimeRegistry({ initialFactories: standardRendererFactories, latexTypesetter });
    this.ways = Object.keys(WAY).filter((way) => options[way]);
    window.addEventListener("pagehide", () => this.leave());
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted && this.isOn) this.fail(new Trouble("The kernel was shut down when you left the page."));
    });
  }

  toggle() {
    if (this.isOn) this.stop();
    else this.start();
  }

  start() {
    this.isOn = true;
    document.querySelector(".live-lost")?.remove();
    this.buttons.forEach((press) => press.setAttribute("aria-pressed", "true"));
    this.makeBar();
    const boxes = [...document.querySelectorAll(".bd-article div.cell.container")];
    let number = 0;
    this.cells = this.options.cells.map((told) => {
      const isInPage = told.source === undefined || told.shown;
      return new Cell(this, told, isInPage ? boxes.shift() : null, told.source === undefined ? ++number : 0);
    });
    this.connect(this.ways[0]);
  }

  stop() {
    this.leave();
    this.isOn = false;
    this.cells.forEach((cell) => cell.close());
    this.bar.remove();
    this.buttons.forEach((press) => press.setAttribute("aria-pressed", "false"));
    this.buttons[0].focus();
  }

  makeBar() {
    this.status = element("p", { className: "live-status", role: "status", "aria-live": "polite" });
    this.above = element("input", { type: "checkbox", checked: true });
    const title = "Pressing Run also runs the cells above that have not run yet, so that their names exist";
    const label = element("label", { title }, this.above, " run the cells above first");
    this.interrupting = button("Interrupt", "Stop the cell that is running", () => this.interrupt());
    this.restarting = button("Restart", "Start the kernel anew: what the cells have made is lost", () => this.restart());
    this.all = button("Run all", "Run every cell of the page, from the top", () => this.runAll());
    const end = button("End", "End live code and show the page as it was", () => this.stop());
    this.offers = element("div", { className: "live-offers" });
    this.bar = element(
      "section",
      { className: "live-bar", "aria-label": "Live code" },
      this.status,
      element("div", { className: "live-buttons" }, this.all, this.interrupting, this.restarting, end, label),
      this.offers,
    );
    document.querySelector(".bd-article h1").after(this.bar);
  }

  /** Say where things are: `state` is "starting", "ready", "running" or "failed". */
  say(state, text) {
    this.bar.dataset.state = state;
    this.status.textContent = text;
    const hasKernel = state === "ready" || state === "running";
    this.all.disabled = this.restarting.disabled = !hasKernel;
    this.interrupting.disabled = state !== "running";
    if (state !== "failed") this.offers.replaceChildren();
  }

  // The kernel

  async connect(way) {
    this.leave();
    const turn = this.turn;
    this.way = way;
    const isOld = () => turn !== this.turn;
    const tell = (text) => isOld() || this.say("starting", text);
    try {
      tell(`Starting a kernel on ${WAY[way]}…`);
      const server = await findServer(this.options, way, tell);
      if (isOld()) return;
      const kernel = await this.startKernel(server, tell, isOld);
      if (isOld()) return;
      const lack = await this.fetchFiles(kernel, tell);
      if (isOld()) return;
      this.forget();
      this.say("ready", `Ready. Change a cell and press Shift-Enter to run it.${lack}`);
    } catch (error) {
      if (!isOld()) this.fail(error);
    }
  }

  async startKernel(server, tell, isOld) {
    const { KernelAPI, KernelConnection, ServerConnection } = this.library;
    const settings = ServerConnection.makeSettings({ baseUrl: server.url, token: server.token, appendToken: true });
    const wanted = { name: this.options.kernel, path: this.options.folder };
    const late = `There was no kernel within ${STARTING_MS / 1000} seconds.`;
    let model;
    try {
      model = await within(KernelAPI.startNew(wanted, settings), STARTING_MS, late);
    } catch (error) {
      throw explain(error, server, this.way, this.options.kernel);
    }
    this.server = { ...server, id: model.id };
    if (isOld()) {
      this.shutDown();
      return null;
    }
    tell("The kernel is starting…");
    const kernel = new KernelConnection({ model, serverSettings: settings, handleComms: false });
    this.kernel = kernel;
    await within(kernel.info, STARTING_MS, late);
    kernel.statusChanged.connect((_, status) => {
      if (status === "dead") this.fail(new Trouble("The kernel died."));
      if (status !== "autorestarting") return;
      this.turn += 1;
      this.forget();
      this.hasDied = true;
      this.say("starting", "The kernel died; a new one is starting…");
    });
    kernel.connectionStatusChanged.connect(async (_, status) => {
      if (this.isRestarting || kernel.isDisposed) return; // which connects anew
      if (status === "connected") {
        const { hasDied } = this;
        this.hasDied = false;
        const lack = hasDied ? await this.fetchFiles(kernel, (text) => this.say("starting", text)) : "";
        const lost = "The kernel died and was started anew: what the cells had made is lost.";
        this.say("ready", hasDied ? `${lost}${lack}` : "The kernel is there again.");
      } else if (!this.hasDied) {
        this.fail(new Trouble("The connection to the kernel is lost."));
      }
    });
    return kernel;
  }

  /**
   * Binder's machine has the course's environment; this brings the files that cells read, and enters their folder, which
   * every new kernel must. What to tell where it can't.
   */
  async fetchFiles(kernel, tell) {
    if (this.way !== "binder" || !this.options.files || this.options.language !== "python") return "";
    tell("Fetching the course's files…");
    const [repository, branch, folder] = [...this.options.files, this.options.folder].map((text) => JSON.stringify(text));
    const code = `
import os as _os, subprocess as _subprocess
_to = _os.path.expanduser("~/.coursebook-files")
if not _os.path.isdir(_to):
    _subprocess.run(["git", "clone", "-q", "--depth", "1", "--branch", ${branch}, ${repository}, _to], check=True, timeout=120)
_os.chdir(_os.path.join(_to, ${folder}))
del _os, _subprocess, _to`;
    const { content } = await kernel.requestExecute({ code, silent: true, store_history: false }).done;
    return content.status === "ok" ? "" : " The course's files could not be fetched: cells that read one will fail.";
  }

  /** Let go of the kernel: nothing of it is left on the server, also when the page is being left. */
  leave() {
    this.turn += 1;
    this.kernel?.dispose();
    this.kernel = null;
    this.shutDown();
  }

  shutDown() {
    if (!this.server) return;
    const { url, token, id } = this.server;
    this.server = null;
    const headers = token ? { Authorization: `token ${token}` } : {};
    fetch(`${url}api/kernels/${id}`, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  }

  async restart() {
    this.say("starting", "Restarting the kernel…");
    this.turn += 1;
    this.isRestarting = true;
    try {
      await within(this.kernel.restart(), STARTING_MS, "The kernel did not restart.");
      const lack = await this.fetchFiles(this.kernel, (text) => this.say("starting", text));
      this.forget();
      this.say("ready", `The kernel is fresh: no cell has run yet.${lack}`);
    } catch (error) {
      this.fail(error);
    } finally {
      this.isRestarting = false;
    }
  }

  interrupt() {
    this.turn += 1; // what waits doesn't run
    this.kernel.interrupt().catch((error) => this.fail(error));
  }

  /** A kernel that knows of no cell. */
  forget() {
    for (const cell of this.cells) {
      cell.hasRun = false;
      cell.mark("");
    }
  }

  // Running

  run(cell) {
    const before = this.above.checked ? this.cells.slice(0, this.cells.indexOf(cell)).filter((c) => !c.hasRun) : [];
    return this.runEach([...before.filter((c) => !c.skipped), cell]);
  }

  runAbove(cell) {
    return this.runEach(this.cells.slice(0, this.cells.indexOf(cell)).filter((c) => !c.skipped));
  }

  runAll() {
    return this.runEach(this.cells.filter((c) => !c.skipped));
  }

  async runEach(cells) {
    if (!this.kernel || this.bar.dataset.state === "starting" || this.bar.dataset.state === "failed") {
      // Said again, so that pressing a key is answered.
      const { textContent } = this.status;
      this.status.textContent = "";
      this.status.textContent = textContent;
      return;
    }
    const { turn, kernel } = this;
    cells.forEach((cell) => cell.mark("waits"));
    this.waiting = (this.waiting ?? Promise.resolve()).then(() => this.runWaiting(cells, turn, kernel));
    await this.waiting;
  }

  async runWaiting(cells, turn, kernel) {
    for (const [index, cell] of cells.entries()) {
      const left = cells.slice(index);
      if (turn !== this.turn || kernel.isDisposed) {
        left.forEach((one) => one.mark(""));
        return;
      }
      const first = cells.length > 1 && index < cells.length - 1 ? `${index + 1} of ${cells.length}: ` : "";
      this.say("running", `Running ${first}${cell.name.toLowerCase()}…`);
      let failure;
      try {
        failure = await this.execute(cell, kernel);
      } catch (error) {
        left.forEach((one) => one.mark(""));
        if (turn === this.turn && !kernel.isDisposed) this.fail(error);
        return;
      }
      if (failure && !cell.fails) {
        left.slice(1).forEach((one) => one.mark(""));
        const rest = left.length > 1 ? ` ${left.length - 1} more did not run.` : "";
        this.say("ready", `${cell.name} failed: ${failure}${rest}`);
        return;
      }
    }
    const last = cells.at(-1);
    if (last) this.say("ready", cells.length > 1 ? `Done: ${cells.length} cells have run.` : `${last.name} is done.`);
  }

  /** Run a cell; what it raised, in words, or nothing. */
  async execute(cell, kernel) {
    cell.mark("runs");
    const future = kernel.requestExecute({ code: cell.source, allow_stdin: Boolean(cell.box), stop_on_error: false });
    const area = cell.clear();
    if (area) area.future = future;
    const { content } = await future.done;
    const isGood = content.status === "ok";
    cell.hasRun = isGood || cell.fails;
    cell.mark(isGood ? "done" : "failed");
    if (isGood) return "";
    if (content.ename === "KeyboardInterrupt") return "it was interrupted.";
    return content.ename ? `${content.ename}: ${content.evalue}`.replace(/[^.!?]$/, "$&.") : "it was not run.";
  }

  async typeset(node) {
    if (!/\\[([]|\$|\\begin/.test(node.textContent)) return;
    if (!window.MathJax?.typesetPromise) {
      this.mathjax ??= new Promise((resolve) => {
        window.MathJax ??= { options: { processHtmlClass: "mathjax_process", enableMenu: false } };
        document.head.append(element("script", { src: this.options.mathjax, onload: resolve, onerror: resolve }));
      });
      await this.mathjax;
      await window.MathJax.startup?.promise;
    }
    await window.MathJax.typesetPromise?.([node]);
  }

  // When there is no kernel

  fail(error) {
    this.turn += 1;
    this.cells.forEach((cell) => ["waits", "runs"].includes(cell.box?.dataset.live) && cell.mark(""));
    const text = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
    this.say("failed", `Failed: ${text}`);
    this.offers.replaceChildren();
    if (error.needsToken) this.offers.append(this.askForToken());
    this.offers.append(button("Try again", `Ask ${WAY[this.way]} again`, () => this.connect(this.way)));
    for (const way of this.ways.filter((other) => other !== this.way)) {
      this.offers.append(button(`Use ${WAY[way]}`, `Have a kernel on ${WAY[way]} instead`, () => this.connect(way)));
    }
    const links = [...document.querySelectorAll(".article-header-buttons a[href]")].filter(
      (link) => /launch|download/.test(link.className + link.closest(".dropdown")?.className),
    );
    if (links.length) {
      this.offers.append(element("span", { textContent: "Or take the page elsewhere:" }));
      for (const link of links) {
        const text = link.textContent.trim();
        const name = /download/.test(link.className) ? `Download ${text}` : text || link.title;
        this.offers.append(element("a", { href: link.href, textContent: name }));
      }
    }
  }

  askForToken() {
    const field = element("input", { type: "password", autocomplete: "off" });
    return element(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          if (this.way === "server") {
            this.options.token = undefined;
            kept.set(`live-token ${this.options.server}`, field.value.trim());
          } else {
            this.options.local.token = field.value.trim();
          }
          this.connect(this.way);
        },
      },
      element("label", {}, "Token of the Jupyter server ", field),
      element("button", { type: "submit", className: "live-press", textContent: "Connect" }),
    );
  }
}

/** An error of the Jupyter server, or of the way to it, as a reader understands it. */
function explain(error, { url }, way, kernel) {
  if (error instanceof Trouble) return error;
  const place = new URL(url).origin;
  const status = error.response?.status;
  if (status === 401 || status === 403) return new Trouble(`The Jupyter server at ${place} wants its token.`, true);
  if (status === 404) return new Trouble(`There is no Jupyter server at ${url}.`);
  if (status) return new Trouble(`The Jupyter server can't start the kernel "${kernel}": ${error.message}`);
  if (way === "server") return new Trouble(`The Jupyter server at ${place} refuses: is this its token, and may this site ask it?`, true);
  return new Trouble(`Nothing answers at ${place}.`);
}

/** The page's live code, off. Fetches what it is made of; throws where that can't be had. */
export async function makeLive(options, buttons) {
  const sheets = options.styles.map(
    (href) =>
      new Promise((resolve, reject) => {
        const onerror = () => reject(new Error("its style sheet is missing"));
        document.head.append(element("link", { rel: "stylesheet", href, onload: resolve, onerror }));
      }),
  );
  const [library] = await Promise.all([import(new URL(options.library, location.href)), ...sheets]);
  return new Live(options, buttons, library);
}
