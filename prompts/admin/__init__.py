"""Prompts, channels, the ledger and promotions in the admin."""

from prompts.admin import ledger, projects, promotions, written

__all__ = ["ledger", "projects", "promotions", "written"]
