"""From a stored connection to one that can be called: with its key unsealed, or with the local model's own."""

from collections.abc import Mapping
from typing import Any

from evaluations import local_model
from evaluations.models import ModelConnection
from evaluations.prices import Pricing
from evaluations.providers import CallFailed, Connection, Failure, Kind, Secret
from promptforge.lib.sealing import Unsealable, unseal

LONGEST_CALL = 120.0  # seconds; a lease on a cell is longer


def opened(
    row: ModelConnection, *, parameters: Mapping[str, Any] | None = None, timeout: float = LONGEST_CALL
) -> Connection:
    """What `complete` takes. Raises `CallFailed` where the key cannot be read or the local model cannot be had.

    `parameters` of a prompt version or a run stand before the connection's own. Open it where it is used: a connection
    is not an argument of a task.
    """
    asked = {**row.parameter_values, **(parameters or {})}
    if row.kind == ModelConnection.Kind.LOCAL:
        return _local(row, asked, timeout)
    try:
        key = unseal(bytes(row.key), row.place) if row.key is not None else ""
    except Unsealable as unsealable:
        raise CallFailed(Failure.BAD_KEY, f"{unsealable} Set the connection's key anew.") from None
    return Connection(Kind(row.kind), row.base_url, row.model, Secret(key), asked, timeout)


def pricing(row: ModelConnection) -> Pricing:
    """What settles the price of its calls."""
    return Pricing(Kind(row.kind), row.base_url, row.model, row.price_values)


def _local(row: ModelConnection, asked: Mapping[str, Any], timeout: float) -> Connection:
    try:
        where = local_model.serving()
    except local_model.Unavailable as unavailable:
        raise CallFailed(Failure.UNREACHABLE, str(unavailable)) from None
    base_url = f"http://127.0.0.1:{where.port}/v1"
    return Connection(Kind.LOCAL, base_url, row.model, Secret(where.key), asked, timeout, own_port=where.port)
