"""Reproducible measurements of PromptForge and of what it is compared with; README.md tells how to read them."""
