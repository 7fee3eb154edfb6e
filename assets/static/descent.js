/* <descent-explorer data-hessian="6.1, 3, 2" data-minimum="1.5, 2" data-loss="0.05" data-start="0, 0" data-rate="0.2">
 * fallback text</descent-explorer>
 *
 * Gradient descent on the loss of a straight line, step by step on the contours, with a learning rate of the reader's
 * choice. The loss is a quadratic, so five numbers say all of it: the Hessian (slope-slope, slope-intercept,
 * intercept-intercept), the slope and intercept where the loss is smallest, and that smallest loss.
 * No framework, no request, no shadow DOM: course.css styles it with the theme's own color variables.
 * The text inside the element is what a reader without JavaScript sees; it is replaced when the script runs.
 */
(() => {
  "use strict";

  const SIZE = 320; // of the picture, in its own units; the style sheet scales it to the page
  const LEFT = 38; // room for the tick labels and the name of the vertical axis
  const PLOT = SIZE - LEFT - 6; // the plot is a square: steps leave a contour at a right angle only at equal scales
  const LEVELS = [4, 1, 1 / 4, 1 / 16, 1 / 64, 1 / 256]; // heights above the minimum, as shares of the start's
  const TICK = 120; // ms between two steps of a run; later in a run several steps share a tick
  const QUIET = 700; // ms without a change before the numbers are announced: not at each of many quick presses
  const NEAR = 0.001; // settled: the loss is this close to its minimum, the last digit shown
  const FAR = 1000; // diverged: the height above the minimum is this many times the start's
  const LIMIT = 500; // steps of one run
  let instances = 0; // ids must be unique on a page that holds several explorers

  /** A number as text, with a real minus sign, without "-0.000", and short even when a descent has blown up. */
  function format(value, digits) {
    const text = Math.abs(value) < 1e5 ? value.toFixed(digits) : value.toExponential(1);
    return Number(text) === 0 ? text.replace("-", "") : text.replaceAll("-", "\u2212");
  }

  /** An element with attributes and children. Text goes in as text nodes, so nothing is ever parsed as HTML. */
  function make(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
  }

  /** The same for a part of an SVG picture. */
  function draw(tag, attributes = {}, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  class DescentExplorer extends HTMLElement {
    connectedCallback() {
      if (this.slider) return; // moved within the page: keep what the reader has set
      const [hessian, minimum, loss, start, rate] = ["hessian", "minimum", "loss", "start", "rate"].map((name) =>
        (this.dataset[name] ?? "").split(",").map((word) => (word.trim() ? Number(word) : NaN)),
      );
      const [h11, h12, h22] = hessian;
      const counts = [hessian, minimum, loss, start, rate].map((numbers) => numbers.length).join();
      const finite = [hessian, minimum, loss, start, rate].flat().every(Number.isFinite);
      // No bowl to show (the Hessian must be positive definite): leave the fallback text where it is.
      if (counts !== "3,2,1,2,1" || !finite || !(h11 > 0 && h11 * h22 > h12 * h12)) return;

      Object.assign(this, { hessian, minimum, start, lowest: loss[0], startGap: this.gap(start, hessian, minimum) });
      if (!(this.startGap > 0)) return; // it starts at the minimum: nowhere to go
      this.id ||= `descent-explorer-${++instances}`;
      this.reach = 1.4 * Math.hypot(start[0] - minimum[0], start[1] - minimum[1]);
      this.numbers = make("p", { class: "descent-numbers" });
      this.status = make("p", { class: "descent-status", role: "status", "aria-live": "polite" });

      this.setAttribute("role", "group");
      this.setAttribute("aria-label", "Gradient descent on the loss of a line, step by step");
      this.replaceChildren(this.makePicture(), this.makeSlider(rate[0]), this.makeButtons(), this.numbers, this.status);
      this.addEventListener("input", () => this.changeRate());
      this.restart({ announce: false }); // silence on load
    }

    disconnectedCallback() {
      clearTimeout(this.timer);
      this.pause();
    }

    /** How far the loss at a point lies above its minimum: half of e'He, with e the way from the minimum. */
    gap([w, b], [h11, h12, h22] = this.hessian, [w0, b0] = this.minimum) {
      const [u, v] = [w - w0, b - b0];
      return (h11 * u * u + 2 * h12 * u * v + h22 * v * v) / 2;
    }

    /** One step of gradient descent; the gradient of the quadratic is He. */
    next([w, b]) {
      const [h11, h12, h22] = this.hessian;
      const [u, v] = [w - this.minimum[0], b - this.minimum[1]];
      return [w - this.rate * (h11 * u + h12 * v), b - this.rate * (h12 * u + h22 * v)];
    }

    /** The slider holds the rate; the browser clamps it to its range and snaps it to its step. */
    get rate() {
      return Number(this.slider.value);
    }

    get settled() {
      return this.gap(this.path.at(-1)) < NEAR;
    }

    get diverged() {
      return this.gap(this.path.at(-1)) > FAR * this.startGap;
    }

    /** From slope and intercept to the picture's units. */
    place([w, b]) {
      const unit = PLOT / (2 * this.reach);
      return [
        LEFT + (w - this.minimum[0] + this.reach) * unit,
        6 + (this.minimum[1] + this.reach - b) * unit,
      ].map((value) => Math.round(100 * value) / 100);
    }

    makePicture() {
      const clip = `${this.id}-clip`;
      const square = { x: LEFT, y: 6, width: PLOT, height: PLOT };
      const [x, y] = this.place(this.minimum);
      this.ghost = draw("polyline", { class: "descent-ghost" });
      this.trail = draw("polyline", { class: "descent-trail" });
      this.dots = draw("path", { class: "descent-dots" });
      this.ball = draw("circle", { class: "descent-ball", r: 6 });
      const cross = draw("path", { class: "descent-minimum", d: `M${x - 5} ${y}h10M${x} ${y - 5}v10` });
      const inside = [...this.makeContours(), this.ghost, this.trail, this.dots, cross, this.ball];
      const label = "Contours of the loss over slope and intercept, and the path of the descent; a cross marks the minimum";
      return draw(
        "svg",
        { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": label, class: "descent-picture" },
        draw("clipPath", { id: clip }, draw("rect", square)),
        draw("rect", { ...square, class: "descent-frame" }),
        draw("g", { "clip-path": `url(#${clip})` }, ...inside),
        ...this.makeAxes(),
      );
    }

    /** Contours of a quadratic are ellipses; a Cholesky factor of the Hessian makes them out of a circle. */
    makeContours() {
      const [h11, h12, h22] = this.hessian;
      const l11 = Math.sqrt(h11);
      const l21 = h12 / l11;
      const l22 = Math.sqrt(h22 - l21 * l21);
      return LEVELS.map((level) => {
        const radius = Math.sqrt(2 * level * this.startGap);
        const points = Array.from({ length: 90 }, (_, i) => {
          const v = (radius * Math.sin((i * Math.PI) / 45)) / l22;
          const u = (radius * Math.cos((i * Math.PI) / 45) - l21 * v) / l11;
          return this.place([this.minimum[0] + u, this.minimum[1] + v]).join();
        });
        return draw("polygon", { class: "descent-contour", points: points.join(" ") });
      });
    }

    makeAxes() {
      const bottom = 6 + PLOT;
      const stride = Math.max(1, Math.ceil(this.reach / 4)); // whole numbers, eight or so to an axis
      const marks = (center) => {
        const first = Math.ceil((center - this.reach) / stride) * stride;
        const count = Math.floor((center + this.reach - first) / stride) + 1;
        return Array.from({ length: count }, (_, i) => first + i * stride);
      };
      const [w0, b0] = this.minimum;
      const across = marks(w0).map((w) => {
        const [x] = this.place([w, b0]);
        return draw("text", { x, y: bottom + 14, "text-anchor": "middle" }, format(w, 0));
      });
      const upward = marks(b0).map((b) => {
        const [, y] = this.place([w0, b]);
        return draw("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, format(b, 0));
      });
      const middle = 6 + PLOT / 2;
      return [
        ...across,
        ...upward,
        draw("text", { x: LEFT + PLOT / 2, y: SIZE - 3, "text-anchor": "middle" }, "slope w"),
        draw("text", { transform: `translate(11 ${middle}) rotate(-90)`, "text-anchor": "middle" }, "intercept b"),
      ];
    }

    makeSlider(rate) {
      const id = `${this.id}-rate`;
      const range = { type: "range", id, min: 0.01, max: 0.3, step: 0.01, value: rate, autocomplete: "off" };
      this.slider = make("input", range);
      // <output> is a live region by default and would speak at every step of a drag: the status line speaks instead.
      this.shown = make("output", { for: id, "aria-live": "off" });
      return make("div", { class: "descent-rate" }, make("label", { for: id }, "learning rate"), this.slider, this.shown);
    }

    makeButtons() {
      const actions = [
        ["Step", () => this.step()],
        ["Run", () => (this.running ? this.pause() : this.run())],
        ["Start over", () => this.restart({ forget: true })],
      ];
      const buttons = actions.map(([text, action]) => {
        const button = make("button", { type: "button" }, text);
        button.addEventListener("click", action);
        return button;
      });
      this.runButton = buttons[1];
      return make("div", { class: "descent-buttons" }, ...buttons);
    }

    step() {
      this.pause();
      this.path.push(this.next(this.path.at(-1)));
      this.update();
    }

    run() {
      const end = this.path.length + LIMIT;
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const tick = () => {
        const some = still ? LIMIT : 1 + Math.floor((LIMIT - (end - this.path.length)) / 15);
        for (let i = 0; i < some && this.path.length < end && !this.settled && !this.diverged; i++)
          this.path.push(this.next(this.path.at(-1)));
        this.update({ announce: false });
        if (this.settled || this.diverged || this.path.length >= end) this.arrive();
      };
      this.running = setInterval(tick, TICK);
      this.runButton.textContent = "Pause";
      tick();
    }

    pause() {
      clearInterval(this.running);
      this.running = undefined;
      if (this.runButton) this.runButton.textContent = "Run";
    }

    /** The end of a run, in a sentence that everybody sees. */
    arrive() {
      this.pause();
      const steps = this.path.length - 1;
      if (this.settled) this.say(`Settled: step ${steps} is within ${NEAR} of the smallest loss.`, { visible: true });
      else if (this.diverged) this.say(`Diverged: after ${steps} steps the loss has blown up.`, { visible: true });
      else this.say(`Not there yet after ${steps} steps. Press Run to go on.`, { visible: true });
    }

    /** Another rate begins at the start again; the earlier path stays, faint, to compare. */
    changeRate() {
      const traveled = this.path.length > 1;
      if (traveled) this.ghost.setAttribute("points", this.trail.getAttribute("points"));
      this.restart();
    }

    restart({ announce = true, forget = false } = {}) {
      this.pause();
      if (forget) this.ghost.setAttribute("points", "");
      this.path = [this.start];
      this.update({ announce });
    }

    update({ announce = true } = {}) {
      const [w, b] = this.path.at(-1);
      const places = this.path.map((point) => this.place(point));
      this.trail.setAttribute("points", places.map((place) => place.join()).join(" "));
      this.dots.setAttribute("d", places.map(([x, y]) => `M${x} ${y}h0`).join("")); // round caps make dots of them
      this.ball.setAttribute("cx", places.at(-1)[0]);
      this.ball.setAttribute("cy", places.at(-1)[1]);
      this.shown.value = format(this.rate, 2);
      const loss = format(this.lowest + this.gap([w, b]), 3);
      const steps = this.path.length - 1;
      const words = [`step ${steps}`, `slope ${format(w, 3)}`, `intercept ${format(b, 3)}`, `loss ${loss}`];
      this.numbers.replaceChildren(...words.flatMap((word) => [make("span", {}, word), " "]));
      clearTimeout(this.timer);
      this.status.classList.remove("is-visible");
      if (announce) this.timer = setTimeout(() => this.say(words.join(", ")), QUIET);
    }

    /** Announce politely; the sentence is on the screen as well only where the numbers don't already show it. */
    say(sentence, { visible = false } = {}) {
      clearTimeout(this.timer);
      this.status.textContent = sentence;
      this.status.classList.toggle("is-visible", visible);
    }
  }

  if (!customElements.get("descent-explorer")) customElements.define("descent-explorer", DescentExplorer);
})();
