// What the pages take from CodeMirror, in one file: `script/bundle-editor` writes it to static/vendor/codemirror.
export { Compartment, EditorState, RangeSetBuilder, StateEffect, StateField } from "@codemirror/state";
export { Decoration, EditorView, MatchDecorator, ViewPlugin, highlightSpecialChars, keymap } from "@codemirror/view";
export { history, historyKeymap, standardKeymap } from "@codemirror/commands";
