// What live code takes from elsewhere, in one file: JupyterLab's connection to a kernel, its outputs, and CodeMirror.
// The page's own script, static/live.js, imports it when a reader presses "Live code".
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { tagHighlighter, tags as t } from "@lezer/highlight";
import "@jupyterlab/outputarea/style/base.css";
import "@jupyterlab/rendermime/style/base.css";

export { OutputArea, OutputAreaModel } from "@jupyterlab/outputarea";
export { RenderMimeRegistry, standardRendererFactories } from "@jupyterlab/rendermime";
export { KernelAPI, KernelConnection, ServerConnection } from "@jupyterlab/services";
export { Widget } from "@lumino/widgets";

// Pygments' names: the page's own style sheet colors the editor as it colors the page, in light and in dark.
const pygments = tagHighlighter([
  { tag: [t.controlKeyword, t.definitionKeyword, t.keyword, t.modifier], class: "k" },
  { tag: t.moduleKeyword, class: "kn" },
  { tag: t.operatorKeyword, class: "ow" },
  { tag: [t.bool, t.null], class: "kc" },
  { tag: [t.function(t.definition(t.variableName))], class: "nf" },
  { tag: t.definition(t.className), class: "nc" },
  { tag: t.standard(t.variableName), class: "nb" },
  { tag: [t.string, t.special(t.string)], class: "s2" },
  { tag: t.comment, class: "c1" },
  { tag: t.number, class: "mi" },
  { tag: [t.operator, t.arithmeticOperator, t.compareOperator, t.definitionOperator], class: "o" },
  { tag: t.meta, class: "nd" },
]);

/** An editor of `source` in `parent`. `keys` are CodeMirror's key bindings that come before all others. */
export function makeEditor({ parent, source, label, language, keys, changed }) {
  // Who comes by with Tab goes on with Tab; it indents for who has typed or clicked here.
  let isInUse = false;
  const tab = { key: "Tab", run: (view) => isInUse && indentMore(view), shift: (view) => isInUse && indentLess(view) };
  return new EditorView({
    parent,
    doc: source,
    extensions: [
      keymap.of([...keys, tab, ...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
      history(),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      indentUnit.of("    "),
      EditorState.tabSize.of(4),
      syntaxHighlighting(pygments),
      language === "python" ? python() : [],
      EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      EditorView.domEventHandlers({
        pointerdown: () => void (isInUse = true),
        blur: () => void (isInUse = false),
      }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        isInUse = update.view.hasFocus;
        changed();
      }),
    ],
  });
}
