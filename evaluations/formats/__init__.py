"""Evaluation sets in the forms of other tools and in our own: pure readers and writers, which execute nothing."""
