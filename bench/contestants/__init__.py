"""What PromptForge is measured against."""
