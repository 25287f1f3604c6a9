"""Alerts and docs speak of metrics and labels that exist."""

import re
from typing import Any

import yaml

from promptforge.lib import metrics, readiness
from tests.docs.test_docs import read, section

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def existing() -> dict[str, tuple[str, set[str]]]:
    """Each series name with its metric's name in the docs and its labels."""
    found = {}
    scraped = [*metrics._OURS.collect(), *metrics._AtScrape("1", [("database", True)]).collect()]
    labels = {m._name: set(m._labelnames) for m in vars(metrics).values() if hasattr(m, "_labelnames")}
    for metric in scraped:
        known = labels.get(metric.name) or {name for sample in metric.samples for name in sample.labels} - {"le"}
        told = f"{metric.name}_total" if metric.type == "counter" else metric.name
        for suffix in _SUFFIXES[metric.type]:
            found[metric.name + suffix] = (told, known | ({"le"} if suffix == "_bucket" else set()))
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(read("deploy/alerts.yml"))["groups"]
    assert group["name"] == "promptforge"
    return list(group["rules"])


def test_each_alert_asks_for_what_exists() -> None:
    assert len(rules()) == 5
    values = {
        "route": metrics.ROUTES,
        "status": {str(status) for status in metrics.STATUSES},
        "outcome": metrics.OUTCOMES,
        "check": {check.name for check in readiness.checks()},
    }
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        asked = re.findall(r"\b(promptforge_\w+)(?:{(.*?)})?", rule["expr"])
        assert asked
        for name, selected in asked:
            known = existing()[name][1]
            for label, value in re.findall(r'(\w+)="([^"]*)"', selected):
                assert label in known
                assert value in values[label]
        for grouped in re.findall(r"by \((\w+)\)", rule["expr"]):
            assert any(grouped in existing()[name][1] for name, _ in asked)
            assert grouped == "le" or f"$labels.{grouped} " in rule["annotations"]["summary"]


def test_every_metric_and_every_alert_is_told() -> None:
    told = section(read("docs/operations.md"), "## Watch it")
    names = set(re.findall(r"`(promptforge_\w+)`", told))
    assert names == {metric for metric, _ in existing().values()}
    assert set(re.findall(r"`(PromptForge\w+)`", told)) == {rule["alert"] for rule in rules()}
    assert all(f"`{route}`" in told for route in metrics.ROUTES)
