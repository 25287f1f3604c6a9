"""What evaluations say of promotions, as the guards judge it: for a page of promotions in a fixed number of queries."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# For each promotion and each rule that stands for it: what the newest evidence comes to, that run, and the newest that
# is under way. The functions are those that the guard of releases asks.
_EVIDENCE = """
    SELECT p.id, u.id AS rule_id, s.name AS set_name,
        public.promptforge_rule_outcome(u.id, p.version_id, p.base_version_id,
            public.promptforge_now() - make_interval(days => y.evidence_ttl_days)) AS outcome,
        newest.id AS run_id, coalesce(newest.verdict::jsonb ->> 'sentence', '') AS sentence,
        coalesce(newest.outcome, '') AS run_outcome,
        going.id AS going_id, going.status AS going, coalesce(going.pause_reason, '') AS pause_reason,
        EXISTS (SELECT FROM public.promptforge_evidence(u.id, p.version_id, p.base_version_id) e
            WHERE e.outcome = 'FAIL') AS failed_before,
        coalesce(public.promptforge_vouched(p.id, y.required_approvals), false) AS vouched,
        coalesce(f.why, '') AS refused, given_up.times, given_up.newest_at, coalesce(given_up.newest_by, '')
    FROM public.prompts_promotion p
    JOIN public.prompts_channelpolicy y ON y.id = p.policy_id
    CROSS JOIN LATERAL public.promptforge_rules(p.channel_id, p.prompt_id) u
    JOIN public.evaluations_evaluationset s ON s.id = u.set_id
    LEFT JOIN LATERAL (
        SELECT * FROM public.promptforge_evidence(u.id, p.version_id, p.base_version_id) e ORDER BY e.id DESC LIMIT 1
    ) newest ON true
    LEFT JOIN LATERAL (
        SELECT r.id, r.status, r.pause_reason FROM public.evaluations_evaluationrun r
        JOIN public.evaluations_setrevision v ON v.id = r.set_revision_id
        WHERE r.purpose = 'comparison'
          AND r.candidate_id = p.version_id AND r.baseline_id IS NOT DISTINCT FROM p.base_version_id
          AND v.set_id = s.id AND v.number = s.revision
          AND r.connection_id = u.connection_id
          AND coalesce(r.judge_id, u.judge_id, u.connection_id) = coalesce(u.judge_id, u.connection_id)
          AND r.status IN ('queued', 'running', 'paused') ORDER BY r.id DESC LIMIT 1
    ) going ON true
    LEFT JOIN public.evaluations_gaterefusal f
        ON f.promotion_id = p.id AND f.rule_id = u.id AND f.set_revision = s.revision
    CROSS JOIN LATERAL (
        SELECT count(*) AS times, max(told.at) AS newest_at,
            (array_agg(coalesce(nullif(who.name, ''), who.email) ORDER BY told.id DESC))[1] AS newest_by
        FROM public.promptforge_runs_of(u.id, p.version_id, p.base_version_id) r
        JOIN public.events_event told ON told.project_id = r.project_id AND told.kind = 'run.cancelled'
            AND told.subject_kind = 'run' AND told.subject_id = r.id
        JOIN public.accounts_user who ON who.id = told.actor_id
        WHERE r.status = 'cancelled'
          AND EXISTS (SELECT FROM public.evaluations_cell c WHERE c.run_id = r.id AND c.state = 'done')
    ) given_up
    WHERE p.id = ANY (%s) ORDER BY p.id, u.id
"""


@dataclass(frozen=True)
class Evidence:
    """What there is for one rule: `outcome` is what it comes to, EXPIRED included, `run_outcome` what its run said.

    `going` is the status of a run under way, `refused` says why none is started by itself, `cancelled` counts the runs
    that were ended before their verdict when answers were scored already. The columns of `_EVIDENCE`.
    """

    rule_id: int
    set_name: str
    outcome: str | None
    run_id: int | None
    sentence: str
    run_outcome: str
    going_id: int | None
    going: str | None
    pause_reason: str
    failed_before: bool
    vouched: bool
    refused: str
    cancelled: int
    cancelled_at: datetime | None
    cancelled_by: str


def of_promotions(ids: Collection[int]) -> dict[int, list[Evidence]]:
    """The evidence for each rule of each of these promotions."""
    found: dict[int, list[Evidence]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_EVIDENCE, [list(ids)])
        for promotion, *columns in cursor.fetchall():
            found[promotion].append(Evidence(*columns))
    return found
