"""From a stored connection to one that can be called: with its key unsealed, or with the local model's own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evaluations import local_model
from evaluations.models import ModelConnection
from evaluations.prices import Pricing
from evaluations.providers import CallFailed, Connection, Failure, Kind, Secret
from evaluations.sampling import parameters_of
from promptforge.lib.sealing import Unsealable, unseal


class NotThere(CallFailed):
    """The local model cannot be had on this machine."""


def opened(row: ModelConnection, *, parameters: Mapping[str, Any], timeout: float) -> Connection:
    """The connection as it is now, for one call of its own; `parameters` stand before what means the same of its own.

    Open it where it is used: a connection is not an argument of a task. Raises `CallFailed` as `key_of` and `reached`.
    """
    asked = parameters_of(parameters, row.parameter_values)
    return reached(Connection(Kind(row.kind), row.base_url, row.model, key_of(row), asked, timeout))


def key_of(row: ModelConnection) -> Secret:
    """Its key, which is empty where it needs none. Raises `CallFailed` when it cannot be read any more."""
    if row.key is None:
        return Secret("")
    try:
        return Secret(unseal(bytes(row.key), row.place))
    except Unsealable as error:
        raise CallFailed(Failure.BAD_KEY, f"{error} Give the connection {row} its key again.") from None


def reached(connection: Connection) -> Connection:
    """The connection with an address that answers: the local model is started when it does not run, or `NotThere`."""
    if connection.kind is not Kind.LOCAL:
        return connection
    try:
        serving = local_model.serving(connection.model)
    except local_model.Unavailable as error:
        raise NotThere(Failure.UNREACHABLE, str(error)) from None
    url = f"http://127.0.0.1:{serving.port}/v1"
    return replace(connection, base_url=url, api_key=Secret(serving.key), own_port=serving.port)


def pricing(row: ModelConnection) -> Pricing:
    """What settles the price of its calls."""
    return Pricing(Kind(row.kind), row.base_url, row.model, row.price_values)
