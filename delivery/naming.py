"""The one query that finds what the rows of a call name; every lane asks it on a connection of its own."""

from collections.abc import Iterable
from typing import Any

from delivery.intake import Known, Version, Wanted

STATEMENT = """
    SELECT 'version', v.id, p.id, p.name, v.number
    FROM public.prompts_promptversion v JOIN public.prompts_prompt p ON p.id = v.prompt_id
    WHERE p.project_id = %(project)s AND v.id = ANY (%(versions)s::bigint[])
    UNION ALL
    SELECT 'number', v.id, p.id, p.name, wanted.number
    FROM unnest(%(names)s::text[], %(numbers)s::integer[]) AS wanted (name, number)
    JOIN public.prompts_prompt p
        ON p.project_id = %(project)s AND lower(p.name) = lower(wanted.name) AND p.name = wanted.name
    LEFT JOIN public.prompts_promptversion v ON v.prompt_id = p.id AND v.number = wanted.number
    UNION ALL
    SELECT 'channel', c.id, NULL, c.name, NULL
    FROM public.prompts_channel c WHERE c.project_id = %(project)s
"""


def parameters(project: int, wanted: Wanted) -> dict[str, Any]:
    names, numbers = zip(*wanted.numbers, strict=True) if wanted.numbers else ((), ())
    return {
        "project": project,
        "versions": list(wanted.versions),
        "names": list(names),
        "numbers": list(numbers),
    }


def known_of(rows: Iterable[tuple[Any, ...]]) -> Known:
    """What the rows of `STATEMENT` say."""
    known = Known({}, {}, set(), {})
    for kind, pk, prompt, name, number in rows:
        if kind == "version":
            known.versions[pk] = Version(pk, prompt, name)
        elif kind == "channel":
            known.channels[name] = pk
        else:
            known.names.add(name)
            if pk is not None:
                known.numbers[name, number] = Version(pk, prompt, name)
    return known
