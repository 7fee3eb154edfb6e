/* <softmax-explorer scores="2, 1, 0.1">fallback text</softmax-explorer>
 *
 * Sliders for the scores, bars for the probabilities that softmax makes of them, and the cross-entropy of a chosen
 * true class. No framework, no request, no shadow DOM: course.css styles it with the theme's own color variables.
 * The text inside the element is what a reader without JavaScript sees; it is replaced when the script runs.
 */
(() => {
  "use strict";

  const RANGE = 10; // scores from -10 to 10: enough to saturate, small enough for a finger on a phone
  const QUIET = 700; // ms without a change before the numbers are announced: not at each step of a drag
  let instances = 0; // ids must be unique on a page that holds several explorers

  /** Softmax and the logarithms of its entries; subtracting the maximum keeps exp from overflowing. */
  function softmax(scores) {
    const top = Math.max(...scores);
    const logSum = top + Math.log(scores.reduce((sum, s) => sum + Math.exp(s - top), 0));
    const logs = scores.map((s) => s - logSum);
    return { logs, probabilities: logs.map(Math.exp) };
  }

  /** A number as text, with a real minus sign and without "-0.000". */
  function format(value, digits) {
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
  }

  /** An element with attributes and children. Text goes in as text nodes, so nothing is ever parsed as HTML. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  class SoftmaxExplorer extends HTMLElement {
    connectedCallback() {
      if (this.sliders) return; // moved within the page: keep what the reader has set
      const words = (this.getAttribute("scores") ?? "2, 1, 0.1").split(",").map((word) => word.trim());
      const initial = words.map(Number);
      // Nothing sensible to show: leave the fallback text where it is.
      if (initial.length < 2 || words.includes("") || !initial.every(Number.isFinite)) return;

      this.initial = initial;
      this.id ||= `softmax-explorer-${++instances}`;
      this.rows = initial.map((_, i) => this.makeRow(i + 1)); // classes count from 1, as in the formulas
      this.sliders = this.rows.map((row) => row.querySelector("input"));
      this.lossLine = make("p", { class: "softmax-loss" });
      this.status = make("p", { class: "softmax-status", role: "status", "aria-live": "polite" });

      this.setAttribute("role", "group");
      this.setAttribute("aria-label", "Softmax: scores, probabilities and cross-entropy");
      this.replaceChildren(...this.rows, this.makeClasses(), this.lossLine, this.makeButtons(), this.status);
      this.addEventListener("input", () => this.update());
      this.reset();
      this.update({ announce: false }); // silence on load
    }

    disconnectedCallback() {
      clearTimeout(this.timer);
    }

    makeRow(number) {
      const id = `${this.id}-score-${number}`;
      const range = { type: "range", id, min: -RANGE, max: RANGE, step: 0.1, autocomplete: "off" };
      // <output> is a live region by default and would speak at every step of a drag: the status line speaks instead.
      const quiet = { for: id, "aria-live": "off" };
      return make(
        "div",
        { class: "softmax-row" },
        make("label", { for: id }, "score ", make("i", {}, "s"), make("sub", {}, String(number))),
        make("input", range),
        make("output", { ...quiet, class: "softmax-score" }),
        make("span", { class: "softmax-name" }, `p(y = ${number} | x)`),
        make("div", { class: "softmax-track", "aria-hidden": "true" }, make("div", { class: "softmax-bar" })),
        make("output", { ...quiet, class: "softmax-probability" }),
      );
    }

    makeClasses() {
      const choices = this.initial.map((_, i) => {
        const radio = make("input", { type: "radio", name: `${this.id}-class`, value: i, autocomplete: "off" });
        return make("label", {}, radio, ` ${i + 1}`);
      });
      return make("fieldset", { class: "softmax-classes" }, make("legend", {}, "true class y"), ...choices);
    }

    makeButtons() {
      const actions = [
        ["Add 1 to every score", () => this.change((score) => score + 1)],
        ["Double every score", () => this.change((score) => 2 * score)],
        ["Reset", () => this.reset()],
      ];
      const buttons = actions.map(([text, action]) => {
        const button = make("button", { type: "button" }, text);
        button.addEventListener("click", action);
        return button;
      });
      return make("div", { class: "softmax-buttons" }, ...buttons);
    }

    /** The sliders hold the state; the browser clamps them to their range and snaps them to their step. */
    get scores() {
      return this.sliders.map((slider) => Number(slider.value));
    }

    get trueClass() {
      return Number(this.querySelector("input[type=radio]:checked").value);
    }

    /** All scores or none: clamping only some of them would make "add 1" change the probabilities. */
    change(rule) {
      const changed = this.scores.map(rule);
      if (changed.some((score) => Math.abs(score) > RANGE + 1e-9)) {
        this.say(`Nothing changed: a score would leave the range from \u2212${RANGE} to ${RANGE}.`, { visible: true });
        return;
      }
      changed.forEach((score, i) => (this.sliders[i].value = score));
      this.update();
    }

    reset() {
      this.initial.forEach((score, i) => (this.sliders[i].value = score));
      this.querySelector("input[type=radio]").checked = true;
      this.update();
    }

    update({ announce = true } = {}) {
      const { logs, probabilities } = softmax(this.scores);
      const y = this.trueClass;
      this.rows.forEach((row, i) => {
        row.classList.toggle("is-true", i === y);
        row.querySelector(".softmax-score").value = format(this.scores[i], 1);
        row.querySelector(".softmax-probability").value = format(probabilities[i], 3);
        row.querySelector(".softmax-bar").style.width = `${100 * probabilities[i]}%`;
      });
      this.lossLine.textContent = `cross-entropy: \u2212log p(y = ${y + 1} | x) =\u00a0${format(-logs[y], 3)}`;
      const spoken = probabilities.map((p, i) => `class ${i + 1}: ${format(p, 3)}`).join(", ");
      clearTimeout(this.timer);
      this.status.classList.remove("is-visible");
      if (!announce) return;
      this.timer = setTimeout(() => this.say(`${spoken}; cross-entropy ${format(-logs[y], 3)}`), QUIET);
    }

    /** Announce politely; the sentence is on the screen as well only where the bars don't already show it. */
    say(sentence, { visible = false } = {}) {
      clearTimeout(this.timer);
      this.status.textContent = sentence;
      this.status.classList.toggle("is-visible", visible);
    }
  }

  if (!customElements.get("softmax-explorer")) customElements.define("softmax-explorer", SoftmaxExplorer);
})();
