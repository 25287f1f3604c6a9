"""Each rule and each trigger, broken alone, makes a named test fail because its attack then succeeds.

A test that fails for another reason (a fixture that breaks, a look for the trigger itself) proves nothing here.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from promptforge.lib import guards
from tests.plugin import ROOT

SHIPPED = guards.shipped_sql()
SUCCEEDED, WRONG = "ATTACK SUCCEEDED", "WRONG RESULT"


class Entry(NamedTuple):
    """The test that notices, and what it says when it does."""

    test: str
    sign: str = SUCCEEDED


ACCOUNTS, EVENTS, FROZEN = "test_accounts.py::", "test_events.py::", "test_frozen.py::"
PROMOTIONS = "test_promotions.py::"
REVIEWS = "test_reviews.py::"
CHECKS = "test_checks.py::"
POLICIES = "test_policies.py::"
HEADS = "test_heads.py::"
RELEASES = "test_releases.py::"
ROLLBACKS = "test_rollbacks.py::"
BREAK_GLASS = "test_break_glass.py::"
VERSIONS, BYPASSES = "test_versions.py::", "test_bypasses.py::"
GATE, DRIFT = "test_gate.py::", "test_drift.py::"
OBSERVATIONS, EVALUATIONS = "test_observations.py::", "test_evaluations.py::"
SPENDING = "test_spending.py::"

RULES = {
    "read_committed": Entry(BYPASSES + "test_nothing_is_decided_on_a_snapshot[release]"),
    "one_project": Entry(RELEASES + "test_one_transaction_changes_one_project"),
    "serving_forward": Entry(EVENTS + "test_a_generation_only_advances_by_its_own_transaction"),
    "seal_of_project": Entry(EVENTS + "test_an_event_is_sealed_in_its_own_project_s_chain"),
    "importing_closed": Entry(RELEASES + "test_importing_is_not_opened_again"),
    "membership_of_person": Entry(ACCOUNTS + "test_a_service_account_is_no_member"),
    "last_admin": Entry(ACCOUNTS + "test_the_last_admin_stays_one[raw delete]"),
    "role_group_follows_membership": Entry(ACCOUNTS + "test_nobody_enters_a_role_s_group_past_the_membership[insert]"),
    "grant_short": Entry(ACCOUNTS + "test_a_grant_is_short[None]"),
    "grant_right": Entry(ACCOUNTS + "test_only_an_admin_grants[ada]"),
    "key_kept": Entry(ACCOUNTS + "test_a_key_says_for_ever_what_it_said"),
    "key_ends_once": Entry(ACCOUNTS + "test_a_key_ends_once[unrevoke]"),
    "next_number_starts": Entry(VERSIONS + "test_a_prompt_starts_at_number_one"),
    "prompt_kept": Entry(VERSIONS + "test_a_prompt_keeps_what_callers_rely_on[name-other]"),
    "next_number_counts": Entry(VERSIONS + "test_the_counter_is_not_moved_by_hand[99]"),
    "version_number_next": Entry(VERSIONS + "test_a_version_takes_the_next_number[3]"),
    "version_type": Entry(VERSIONS + "test_a_version_has_its_prompt_s_type"),
    "version_includes": Entry(VERSIONS + "test_a_version_includes_its_own_project_only"),
    "version_canonical": Entry(VERSIONS + "test_json_hides_nothing_by_escaping_it[on-config]"),
    "version_dated_by_import": Entry(VERSIONS + "test_an_import_is_not_dated_ahead"),
    "channel_policy_newest": Entry(POLICIES + "test_a_channel_points_at_its_newest_policy"),
    "policy_revision_next": Entry(POLICIES + "test_policies_are_numbered_without_a_gap[3]"),
    "policy_four_eyes": Entry(POLICIES + "test_another_person_who_may_configure_approves_it[cleo]"),
    "freeze_right": Entry(POLICIES + "test_a_freeze_is_set_and_lifted_by_who_may"),
    "freeze_lift_right": Entry(POLICIES + "test_a_freeze_is_set_and_lifted_by_who_may"),
    "webhook_stays": Entry(EVENTS + "test_a_webhook_endpoint_stays_where_it_is[project_id = 77]"),
    "delivery_of_project": Entry(EVENTS + "test_an_event_goes_to_endpoints_of_its_own_project"),
    "event_data_object": Entry(EVENTS + "test_what_an_event_tells_is_an_object[[]]"),
    "freeze_lifted_once": Entry(POLICIES + "test_a_freeze_is_lifted_and_not_changed[ends_at]"),
    "head_starts_empty": Entry(HEADS + "test_no_head_stands_between_two_projects"),
    "head_follows_ledger": Entry(HEADS + "test_a_head_is_not_moved_back_along_its_ledger"),
    "version_told": Entry(VERSIONS + "test_a_version_comes_with_its_event"),
    "version_still_importing": Entry(VERSIONS + "test_an_import_of_a_version_loses_against_the_closing"),
    "release_told": Entry(RELEASES + "test_a_release_comes_with_its_event"),
    "import_still_open": Entry(RELEASES + "test_an_import_loses_against_the_closing"),
    "promotion_on_the_present": Entry(PROMOTIONS + "test_a_promotion_is_opened_on_the_present"),
    "promotion_closes_once": Entry(PROMOTIONS + "test_an_open_promotion_is_not_changed"),
    "promotion_applied_by_release": Entry(PROMOTIONS + "test_a_promotion_is_applied_by_its_release_alone"),
    "promotion_closed": Entry(REVIEWS + "test_a_closed_promotion_takes_no_review"),
    "review_right": Entry(REVIEWS + "test_only_who_may_review_decides[noor]"),
    "review_diff": Entry(REVIEWS + "test_another_diff_is_not_approved"),
    "four_eyes": Entry(REVIEWS + "test_whoever_opened_does_not_approve"),
    "dismissal_right": Entry(REVIEWS + "test_only_who_may_release_dismisses[ada]"),
    "check_of_this_promotion": Entry(CHECKS + "test_a_check_speaks_of_its_promotion[version]"),
    "check_has_owner": Entry(CHECKS + "test_nobody_stores_a_check_that_nothing_owns"),
    "check_hidden_text": Entry(CHECKS + "test_nobody_stores_that_hidden_text_is_not_there[override-content]"),
    "check_secrets": Entry(CHECKS + "test_nobody_stores_that_a_key_is_not_there[config]"),
    "check_variables": Entry(CHECKS + "test_nobody_stores_that_callers_do_not_break"),
    "schedule_of_open": Entry(PROMOTIONS + "test_only_an_open_promotion_is_scheduled"),
    "ratified_by_another": Entry(BREAK_GLASS + "test_another_person_who_may_release_ratifies[breaker]"),
    "promotion_open": Entry(REVIEWS + "test_a_promotion_expires"),
    "promotion_base": Entry(PROMOTIONS + "test_the_live_version_has_not_moved_since"),
    "promotion_policy": Entry(PROMOTIONS + "test_a_policy_swapped_in_the_same_transaction_helps_nobody"),
    "promotion_objection": Entry(REVIEWS + "test_a_request_for_changes_stands[comment]"),
    "promotion_approvals": Entry(REVIEWS + "test_nothing_goes_live_without_an_approval"),
    "promotion_groups": Entry(REVIEWS + "test_every_review_group_approves[groups0]"),
    "promotion_checks": Entry(CHECKS + "test_a_required_check_has_passed_freshly[failed]"),
    "release_of_its_prompt": Entry(RELEASES + "test_another_prompt_s_version_is_not_released"),
    "stale_head": Entry(RELEASES + "test_a_release_takes_the_next_revision[3]"),
    "kind_not_available": Entry(RELEASES + "test_releases_in_steps_are_not_available[canary_start]"),
    "release_without_promotion": Entry(ROLLBACKS + "test_only_a_promote_carries_out_a_promotion[rollback]"),
    "import_open": Entry(RELEASES + "test_importing_ends_with_the_first_release_of_its_own"),
    "import_right": Entry(RELEASES + "test_history_is_brought_along_by_who_may[outsider]"),
    "import_in_order": Entry(RELEASES + "test_imports_bring_rising_dates[at2]"),
    "release_dated_here": Entry(RELEASES + "test_a_release_is_dated_by_the_database"),
    "archived": Entry(RELEASES + "test_an_archived_prompt_is_released_no_further"),
    "already_live": Entry(RELEASES + "test_what_is_live_is_not_promoted_again"),
    "freeze": Entry(RELEASES + "test_a_freeze_stops_every_forward_move_and_no_rollback"),
    "release_right": Entry(RELEASES + "test_releasing_takes_the_right[superuser]"),
    "promotion_matches": Entry(PROMOTIONS + "test_an_approved_version_is_not_swapped"),
    "promotion_required": Entry(PROMOTIONS + "test_a_protected_channel_takes_no_direct_release"),
    "rollback_reason": Entry(ROLLBACKS + "test_a_rollback_takes_a_reason[]"),
    "rollback_right": Entry(ROLLBACKS + "test_a_rollback_takes_the_right[noor]"),
    "rollback_target_never_live": Entry(ROLLBACKS + "test_the_target_is_another_version"),
    "rollback_target_withdrawn": Entry(ROLLBACKS + "test_what_was_rolled_back_does_not_return_by_a_rollback"),
    "break_glass_reason": Entry(BREAK_GLASS + "test_breaking_glass_takes_a_long_reason[too short]"),
    "break_glass_right": Entry(BREAK_GLASS + "test_breaking_glass_takes_a_grant_that_holds[grant]"),
    "break_glass_moves": Entry(BREAK_GLASS + "test_breaking_glass_moves_something"),
    "observation_of_its_project": Entry(OBSERVATIONS + "test_an_observation_names_its_own_project_s_things[version]"),
    "feedback_of_its_observation": Entry(OBSERVATIONS + "test_feedback_is_about_its_own_project[foreign]"),
    "set_of_project": Entry(EVALUATIONS + "test_a_set_is_for_a_prompt_of_its_project"),
    "set_kept": Entry(EVALUATIONS + "test_a_set_stays_with_its_prompt"),
    "set_revision_counts": Entry(EVALUATIONS + "test_a_set_points_at_its_newest_revision"),
    "set_revision_next": Entry(EVALUATIONS + "test_revisions_are_numbered_without_a_gap[3]"),
    "set_revision_right": Entry(EVALUATIONS + "test_a_set_is_edited_by_who_may_edit[noor]"),
    "case_kept": Entry(EVALUATIONS + "test_a_case_is_not_changed[expected]"),
    "case_of_new_revision": Entry(EVALUATIONS + "test_a_case_enters_with_its_revision_alone"),
    "run_of_project": Entry(EVALUATIONS + "test_a_set_of_one_prompt_judges_no_other"),
    "run_starts_empty": Entry(EVALUATIONS + "test_a_run_starts_empty[forged0]"),
    "run_kept": Entry(EVALUATIONS + "test_a_run_stays_what_it_was[plan]"),
    "run_calls_count": Entry(EVALUATIONS + "test_calls_are_counted_and_not_taken_back"),
    "run_ends_whole": Entry(EVALUATIONS + "test_a_run_ends_when_all_cells_have"),
    "run_passes_by_its_cells": Entry(EVALUATIONS + "test_a_run_passes_by_its_cells[worse]"),
    "run_tells_its_cells": Entry(EVALUATIONS + "test_a_verdict_tells_what_its_cells_say"),
    "cell_of_run": Entry(EVALUATIONS + "test_a_cell_belongs_to_its_run[ended]"),
    "cell_starts_empty": Entry(EVALUATIONS + "test_a_cell_begins_without_an_answer"),
    "cell_kept": Entry(EVALUATIONS + "test_what_was_answered_stays[score]"),
    "spending_counts": Entry(SPENDING + "test_a_day_s_calls_are_not_taken_back[calls]"),
    "spending_within_budget": Entry(SPENDING + "test_a_budget_holds_against_raw_sql[updated-calls]"),
    "cell_in_order": Entry(EVALUATIONS + "test_a_cell_is_taken_before_it_is_answered[forged0]"),
    "evaluation_has_rule": Entry(GATE + "test_a_demanded_evaluation_without_a_rule_is_failed"),
    "evaluation_passed": Entry(GATE + "test_nothing_goes_live_unevaluated"),
    "rule_of_project": Entry(GATE + "test_a_rule_joins_things_of_one_project[prompt]"),
    "rule_right": Entry(GATE + "test_a_rule_is_made_by_who_may[noor]"),
    "rule_kept": Entry(GATE + "test_a_rule_is_not_weakened[forged0]"),
    "rule_removal_right": Entry(GATE + "test_who_may_not_change_the_channel_asks_for_no_removal[ada]"),
    "rule_removed_by_two": Entry(GATE + "test_a_rule_of_a_protected_channel_takes_two_to_remove[alone]"),
    "watch_of_rule": Entry(DRIFT + "test_a_reference_is_of_exactly_what_is_watched[connection]"),
    "watch_kept": Entry(DRIFT + "test_a_watch_stays_with_its_prompt"),
    "watch_freezes_by_right": Entry(DRIFT + "test_a_drift_freezes_in_nobody_s_name_who_may_not[ada]"),
    "night_of_watch": Entry(DRIFT + "test_a_night_is_a_run_against_the_watch_s_reference[reference]"),
    "night_judged_once": Entry(DRIFT + "test_a_night_is_judged_once[forged0]"),
    "finding_of_night": Entry(DRIFT + "test_a_finding_tells_what_a_night_came_to[other watch]"),
    "drift_is_confirmed": Entry(DRIFT + "test_no_drift_is_found_unconfirmed[suspicion]"),
}

# Triggers that refuse by a rule of their function, or derive what the test misses; the walls follow below.
TRIGGERS = {
    "event_insert": Entry(EVENTS + "test_an_event_is_dated_by_the_database", WRONG),
    "webhook_update": Entry(EVENTS + "test_a_webhook_endpoint_stays_where_it_is[project_id = 77]"),
    "delivery_write": Entry(EVENTS + "test_an_event_goes_to_endpoints_of_its_own_project"),
    "event_seal": Entry(EVENTS + "test_every_event_is_sealed_by_its_commit", WRONG),
    "seal_insert": Entry(EVENTS + "test_the_first_seal_has_the_first_place", WRONG),
    "serving_update": Entry(EVENTS + "test_a_generation_only_advances_by_its_own_transaction"),
    "project_insert": Entry(ACCOUNTS + "test_a_new_project_has_its_serving_row", WRONG),
    "project_update": Entry(RELEASES + "test_importing_is_not_opened_again"),
    "membership_write": Entry(ACCOUNTS + "test_a_service_account_is_no_member"),
    "membership_groups": Entry(ACCOUNTS + "test_groups_follow_the_membership_through_every_door[sql]", WRONG),
    "membership_leave": Entry(ACCOUNTS + "test_the_last_admin_stays_one[update]"),
    "role_group_member": Entry(ACCOUNTS + "test_nobody_enters_a_role_s_group_past_the_membership[update]"),
    "grant_insert": Entry(ACCOUNTS + "test_a_grant_is_short[None]"),
    "key_update": Entry(ACCOUNTS + "test_a_key_says_for_ever_what_it_said"),
    "key_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[key]", WRONG),
    "account_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[account]", WRONG),
    "project_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[project]", WRONG),
    "membership_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[leaver]", WRONG),
    "prompt_insert": Entry(VERSIONS + "test_a_new_prompt_has_an_empty_head_on_every_channel", WRONG),
    "prompt_update": Entry(VERSIONS + "test_a_prompt_keeps_what_callers_rely_on[name-other]"),
    "version_insert": Entry(VERSIONS + "test_only_imports_bring_dates"),
    "version_counted": Entry(VERSIONS + "test_the_counter_follows_each_version", WRONG),
    "channel_insert": Entry(HEADS + "test_a_new_channel_gives_every_prompt_an_empty_head", WRONG),
    "channel_update": Entry(POLICIES + "test_a_channel_points_at_its_newest_policy"),
    "policy_insert": Entry(POLICIES + "test_another_person_who_may_configure_approves_it[cleo]"),
    "policy_pointed": Entry(POLICIES + "test_the_channel_follows_its_newest_policy", WRONG),
    "freeze_insert": Entry(POLICIES + "test_a_freeze_is_set_and_lifted_by_who_may"),
    "freeze_update": Entry(POLICIES + "test_a_freeze_is_lifted_and_not_changed[ends_at]"),
    "release_applied": Entry(HEADS + "test_the_head_follows_its_ledger", WRONG),
    "head_insert": Entry(HEADS + "test_no_head_stands_between_two_projects"),
    "head_update": Entry(HEADS + "test_a_head_is_not_moved_back_along_its_ledger"),
    "prompt_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[prompt]", WRONG),
    "channel_publish": Entry(EVENTS + "test_each_change_advances_the_generation_once_and_says_what[channel]", WRONG),
    "version_publish": Entry(VERSIONS + "test_a_version_comes_with_its_event"),
    "release_publish": Entry(RELEASES + "test_a_release_comes_with_its_event"),
    "release_insert": Entry(RELEASES + "test_a_release_is_dated_by_the_database"),
    "ratification_insert": Entry(BREAK_GLASS + "test_another_person_who_may_release_ratifies[breaker]"),
    "promotion_insert": Entry(PROMOTIONS + "test_a_promotion_is_opened_on_the_present"),
    "promotion_update": Entry(PROMOTIONS + "test_an_open_promotion_is_not_changed"),
    "review_insert": Entry(REVIEWS + "test_whoever_opened_does_not_approve"),
    "dismissal_insert": Entry(REVIEWS + "test_only_who_may_release_dismisses[ada]"),
    "check_insert": Entry(CHECKS + "test_nobody_stores_a_check_that_nothing_owns"),
    "schedule_insert": Entry(PROMOTIONS + "test_only_an_open_promotion_is_scheduled"),
    "observation_insert": Entry(OBSERVATIONS + "test_an_observation_names_its_own_project_s_things[prompt]"),
    "feedback_insert": Entry(OBSERVATIONS + "test_feedback_is_about_its_own_project[absent]"),
    "set_insert": Entry(EVALUATIONS + "test_a_set_is_for_a_prompt_of_its_project"),
    "set_update": Entry(EVALUATIONS + "test_a_set_stays_with_its_prompt"),
    "set_revision_insert": Entry(EVALUATIONS + "test_a_first_revision_too_takes_the_right_and_is_followed"),
    "set_revised": Entry(EVALUATIONS + "test_a_first_revision_too_takes_the_right_and_is_followed", WRONG),
    "case_write": Entry(EVALUATIONS + "test_a_case_leaves_with_a_revision_alone"),
    "run_insert": Entry(EVALUATIONS + "test_a_set_of_one_prompt_judges_no_other"),
    "run_update": Entry(EVALUATIONS + "test_calls_are_counted_and_not_taken_back"),
    "spending_write": Entry(SPENDING + "test_a_budget_holds_against_raw_sql[updated-usd]"),
    "cell_insert": Entry(EVALUATIONS + "test_a_cell_begins_without_an_answer"),
    "cell_update": Entry(EVALUATIONS + "test_what_was_answered_stays[score]"),
    "release_measured": Entry(GATE + "test_only_a_pass_passes[FAIL]"),
    "rule_insert": Entry(GATE + "test_a_rule_is_made_by_who_may[ada]"),
    "rule_update": Entry(GATE + "test_a_rule_is_not_weakened[forged1]"),
    "watch_write": Entry(DRIFT + "test_a_drift_freezes_in_nobody_s_name_who_may_not[noor]"),
    "night_write": Entry(DRIFT + "test_a_night_is_judged_when_its_run_ended"),
    "finding_insert": Entry(DRIFT + "test_no_drift_is_found_unconfirmed[confirmation]"),
}

# Walls: one attack a kind, aimed at each table alone.
WALLS = {
    "_frozen": FROZEN + "test_a_row_is_not_updated[{table}]",
    "_kept": FROZEN + "test_a_row_is_not_deleted[{table}]",
    "_not_truncated": FROZEN + "test_a_table_is_not_truncated[{table}]",
}
# One of each sort for every run; the others take their turn in the full one.
SAMPLE = ("four_eyes", "promotion_checks", "release_told", "release_frozen", "head_update", "event_seal")

_FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION .*?\$guard\$.*?\$guard\$;", re.DOTALL)


class Sabotage(NamedTuple):
    name: str
    sql: str
    entry: Entry


def entry_of(trigger: guards.Trigger) -> Entry | None:
    for ending, test in WALLS.items():
        if trigger.name.endswith(ending):
            return Entry(test.format(table=trigger.table))
    return TRIGGERS.get(trigger.name)


def without(rule: str) -> str:
    """The one function that has this rule, without it."""
    kept = set(_FUNCTION.findall(SHIPPED))
    return "\n".join(text for text in _FUNCTION.findall(guards.without_rule(SHIPPED, rule)) if text not in kept)


def sabotages() -> list[Sabotage]:
    rules = [Sabotage(rule, without(rule), entry) for rule, entry in RULES.items()]
    triggers = [
        Sabotage(trigger.name, f"DROP TRIGGER {trigger.name} ON public.{trigger.table}", entry)
        for trigger in guards.triggers(SHIPPED)
        if (entry := entry_of(trigger))
    ]
    return rules + triggers


def batches(size: int) -> list[list[Sabotage]]:
    """Groups for one process each, in which no test occurs twice."""
    found: list[list[Sabotage]] = []
    for sabotage in sabotages():
        for group in found:
            if len(group) < size and sabotage.entry.test not in {other.entry.test for other in group}:
                group.append(sabotage)
                break
        else:
            found.append([sabotage])
    return found


def unnoticed(group: list[Sabotage], directory: Path) -> list[str]:
    """Those sabotages whose test did not fail as it should, with what it said."""
    tests = [f"tests/guards/{sabotage.entry.test}" for sabotage in group]
    file = directory / "sabotages.json"
    file.write_text(json.dumps({test: sabotage.sql for test, sabotage in zip(tests, group, strict=True)}))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.guards.sabotage_plugin", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["SABOTAGES"] = str(file)
    done = subprocess.run([*command, *tests], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    answers_file = file.with_suffix(".answers")
    assert answers_file.exists(), done.stdout + done.stderr
    answers = json.loads(answers_file.read_text())
    return [
        f"{sabotage.name}: {test}: {answers.get(test, done.stdout)[-1500:]}"
        for test, sabotage in zip(tests, group, strict=True)
        if not answers.get(test, "").startswith("call failed") or sabotage.entry.sign not in answers[test]
    ]


def test_every_rule_and_every_trigger_has_its_sabotage() -> None:
    assert sorted(RULES) == sorted(guards.rules(SHIPPED))
    assert [trigger.name for trigger in guards.triggers(SHIPPED) if entry_of(trigger) is None] == []
    assert set(TRIGGERS) <= {trigger.name for trigger in guards.triggers(SHIPPED)}
    assert [sabotage.name for sabotage in sabotages() if not sabotage.sql] == []


def test_a_sample_of_broken_guards_is_noticed(tmp_path: Path) -> None:
    assert unnoticed([sabotage for sabotage in sabotages() if sabotage.name in SAMPLE], tmp_path) == []


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", batches(25), ids=lambda group: group[0].name)
def test_every_broken_guard_is_noticed(group: list[Sabotage], tmp_path: Path) -> None:
    assert unnoticed(group, tmp_path) == []
