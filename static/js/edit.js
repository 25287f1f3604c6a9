// The editor beyond its form: drafts are kept as one writes, buttons change the page in place, texts are highlighted.
export {};
