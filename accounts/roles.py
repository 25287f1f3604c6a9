"""Which role may do what: the table of release-model as data."""

from collections.abc import Mapping

from django.db import models


class Role(models.TextChoices):
    VIEWER = "viewer"
    EDITOR = "editor"
    REVIEWER = "reviewer"
    RELEASE_MANAGER = "release-manager"
    ADMIN = "admin"


class Permission(models.TextChoices):
    """What can be held on a project, and (but for the last three) on a single prompt."""

    READ = "read", "Read prompts, diffs and history"
    EDIT = "edit", "Save versions and open promotions"
    REVIEW = "review", "Review promotions"
    RELEASE = "release", "Release, schedule, roll back, dismiss reviews"
    READ_OBSERVATIONS = "read_observations", "Read what models answered"
    CONFIGURE = "configure", "Change channels, policies and connections"
    ADMINISTER = "administer", "Manage members and keys"


ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: frozenset({Permission.READ}),
    Role.EDITOR: frozenset({Permission.READ, Permission.EDIT}),
    Role.REVIEWER: frozenset({Permission.READ, Permission.REVIEW, Permission.READ_OBSERVATIONS}),
    Role.RELEASE_MANAGER: frozenset(
        {
            Permission.READ,
            Permission.EDIT,
            Permission.REVIEW,
            Permission.RELEASE,
            Permission.CONFIGURE,
            Permission.READ_OBSERVATIONS,
        }
    ),
    Role.ADMIN: frozenset(
        {
            Permission.READ,
            Permission.EDIT,
            Permission.CONFIGURE,
            Permission.ADMINISTER,
            Permission.READ_OBSERVATIONS,
        }
    ),
}


class Scope(models.TextChoices):
    """What an API key opens."""

    PROMPTS_READ = "prompts:read"
    VERSIONS_WRITE = "versions:write"
    PROMOTIONS_WRITE = "promotions:write"
    RELEASES_WRITE = "releases:write"
    EVALUATIONS_RUN = "evaluations:run"
    OBSERVATIONS_WRITE = "observations:write"
    OBSERVATIONS_READ = "observations:read"
    FEEDBACK_WRITE = "feedback:write"
    AUDIT_READ = "audit:read"
    MANAGE = "manage"
