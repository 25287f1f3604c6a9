"""The fence of a restore: a restored past sends, schedules and spends nothing until a person says that it may."""

from django.db.models.functions import Now

from events.models import RestoreFence

# Run by the owner of the tables, in the transaction that restores. A new epoch is the one way in which a serving row
# may leave its order (`serving_forward`); transaction 0 is none, so that numbers of the former cluster mean nothing.
RAISE = (
    "UPDATE public.events_serving SET epoch = gen_random_uuid(), transaction = 0; "
    "INSERT INTO public.events_restorefence (archive_digest) VALUES ('{digest}');"
)


def raise_sql(archive_digest: str) -> str:
    """The SQL that gives every project a new epoch and fences the database; the digest is 64 hexadecimal digits."""
    return RAISE.format(digest=bytes.fromhex(archive_digest).hex())


def is_fenced() -> bool:
    """Whether a restore waits to be confirmed: who would send, schedule or spend asks first, and does nothing then."""
    return RestoreFence.objects.filter(confirmed_at=None).exists()


def confirm() -> int:
    """Lift the fence, as the owner of the tables; returns how many restores had waited."""
    return RestoreFence.objects.using("owner").filter(confirmed_at=None).update(confirmed_at=Now())
