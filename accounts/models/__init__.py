from accounts.models.api_keys import ApiKey
from accounts.models.projects import (
    BreakGlassGrant,
    Membership,
    Project,
    ProjectGroupPermission,
    ProjectUserPermission,
    RoleGroup,
)
from accounts.models.requests import IdempotentAnswer, SignInFailures, WriteBucket
from accounts.models.sessions import ResetLetter, Session
from accounts.models.users import User

__all__ = [
    "ApiKey",
    "BreakGlassGrant",
    "IdempotentAnswer",
    "Membership",
    "Project",
    "ProjectGroupPermission",
    "ProjectUserPermission",
    "ResetLetter",
    "RoleGroup",
    "Session",
    "SignInFailures",
    "User",
    "WriteBucket",
]
