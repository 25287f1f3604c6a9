"""A file that a person looks at before it is saved into a set: kept as it came, read anew each time, never executed."""

from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from accounts.policies import Principal
from evaluations.actions.sets import import_cases, may_edit
from evaluations.formats.records import MAX_BYTES, Imported
from evaluations.importing import read_named
from evaluations.models import EvaluationSet, StagedFile
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require

KEPT = timedelta(days=1)
MAX_NAME = 255


def stage_file(*, by: Principal, owner: EvaluationSet, name: str, body: bytes) -> StagedFile:
    """Keep a file that can be read, in the place of the one before."""
    require(may_edit(by, owner.prompt))
    if len(body) > MAX_BYTES:
        raise wrong("file", f"The file has more than {MAX_BYTES:,} bytes; they are the most.", "body_too_large")
    if len(name) > MAX_NAME or not name.isprintable():
        raise wrong("file", f"A file’s name is one line of at most {MAX_NAME} characters.")
    try:
        read_named(name, body)
    except DomainError as refusal:
        raise wrong("file", f"{shorten(name, 60)}: {refusal.detail}", refusal.code) from None
    with refusals(), transaction.atomic():
        fields = {"name": name, "body": body, "at": Now()}
        staged, _ = StagedFile.objects.update_or_create(set=owner, user=by.user, defaults=fields)
    return staged


def own_file(by: Principal, owner: EvaluationSet) -> StagedFile | None:
    """The person's file for this set, while it is kept."""
    return StagedFile.objects.filter(set=owner, user=by.user, at__gt=Now() - KEPT).first()


def take_file(
    *, by: Principal, owner: EvaluationSet, staged: StagedFile, mapping: Mapping[str, str], message: str = ""
) -> Imported:
    """Save what the file brings as the set's next revision, and keep the file no longer."""
    require(may_edit(by, owner.prompt))
    read = read_named(staged.name, bytes(staged.body), mapping)
    if not read.cases and not read.criteria:
        raise DomainError("bad_value", "Nothing of this file can be taken. Say what its columns are, or mend the file.")
    with refusals(), transaction.atomic():
        if not StagedFile.objects.filter(pk=staged.pk, at=staged.at).delete()[0]:
            raise DomainError("not_found", "This file was saved already, or another took its place. Look at it again.")
        import_cases(by=by, owner=owner, read=read, message=message)
    return read


def throw_away_file(*, by: Principal, owner: EvaluationSet) -> None:
    require(may_edit(by, owner.prompt))
    StagedFile.objects.filter(set=owner, user=by.user).delete()


def forget_old_files() -> int:
    return StagedFile.objects.filter(at__lte=Now() - KEPT).delete()[0]
