from prompts.models.channels import Channel, ChannelPolicy, FreezeWindow, PolicyChange
from prompts.models.promotions import Check, Promotion, Schedule
from prompts.models.prompts import Prompt, PromptGroupPermission, PromptUserPermission
from prompts.models.releases import Head, Ratification, Release
from prompts.models.reviews import Review, ReviewDismissal
from prompts.models.versions import Draft, PromptVersion, SampleValues

__all__ = [
    "Channel",
    "ChannelPolicy",
    "Check",
    "Draft",
    "FreezeWindow",
    "Head",
    "PolicyChange",
    "Promotion",
    "Prompt",
    "PromptGroupPermission",
    "PromptUserPermission",
    "PromptVersion",
    "Ratification",
    "Release",
    "Review",
    "ReviewDismissal",
    "SampleValues",
    "Schedule",
]
