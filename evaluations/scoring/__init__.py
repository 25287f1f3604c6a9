"""Criteria and scorers: a literal table of everything an answer can be asked for. No framework, no network, no model.

criteria = read_criteria([{"type": "contains", "value": "refund"}], "/criteria")
score(criteria[0], Answer("You get a refund."), expected=None, variables={})
"""

from evaluations.scoring.criteria import Answer, Criterion, Kind, Score
from evaluations.scoring.reading import as_json, judged, read_criteria
from evaluations.scoring.table import CRITERIA, Total, score, sentence, total

__all__ = [
    "CRITERIA",
    "Answer",
    "Criterion",
    "Kind",
    "Score",
    "Total",
    "as_json",
    "judged",
    "read_criteria",
    "score",
    "sentence",
    "total",
]
