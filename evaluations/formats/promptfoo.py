"""promptfoo's configs (and OpenAI's export of hosted evals, which are the same) as cases and criteria.

Prompts and providers stay behind: prompts have an importer of their own, and connections are set up here. What names a
file, an address or code is told line by line and left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

from evaluations.formats.assertions import ELSEWHERE, NotTaken, checked, criterion_of, has_logic, text_of
from evaluations.formats.lined_yaml import Lined, read_yaml
from evaluations.formats.records import MAX_CASES, MAX_LABEL, Imported
from promptforge.lib.errors import DomainError, shorten
from promptforge.lib.json import kind_of
from prompts.templating.grammar import VARIABLE_NAME

# Where our writer keeps what promptfoo has no word for.
OURS = "promptforge"
_CODE_OPTIONS = ("transform", "transformVars", "postprocess")
_UNTAKEN = (
    "prompts",
    "providers",
    "targets",
    "scenarios",
    "redteam",
    "extensions",
    "outputPath",
    "derivedMetrics",
    "env",
)
_UNTAKEN_OF_TEST = ("provider", "providers", "providerOutput", "assertScoringFunction", "prompts")


def is_config(value: Any) -> bool:
    return isinstance(value, dict) and bool({"tests", "defaultTest", "scenarios"} & value.keys())


def read_promptfoo(body: bytes) -> Imported:
    """The cases of `tests` and `scenarios`, and the criteria of `defaultTest`. DomainError when it is no config."""
    config = read_yaml(body)
    if isinstance(config, list):
        config = Lined(tests=config)
    if not is_config(config):
        raise DomainError("bad_value", "The file is no promptfoo config: it has none of tests, defaultTest, scenarios.")
    return _Config(config).read()


class _Config:
    """One config on its way: what is common to all tests, and what was read so far."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.out = Imported(description=text_of(config.get("description") or "")[:1_000])
        templates = config.get("assertionTemplates")
        self.templates = templates if isinstance(templates, dict) else {}
        self.common: Mapping[str, Any] = {}

    def read(self) -> Imported:
        for field in _UNTAKEN:
            if field in self.config and field != "scenarios":
                self.out.note(_line(self.config[field]), f"{field} was not taken: only tests and criteria are.")
        self._default()
        for test in self._tests(self.config.get("tests"), "tests"):
            self._test(test, {})
        for test, variables in self._scenarios():
            self._test(test, variables)
        return self.out

    def _default(self) -> None:
        common = self.config.get("defaultTest")
        if common is None:
            return
        if not isinstance(common, dict):
            self.out.problem(None, f"defaultTest is read from elsewhere ({shorten(common, 60)}) and was not taken.")
            return
        self.common = common
        self._options(common, "defaultTest")
        self.out.criteria = self._criteria(common, "defaultTest") + list(self._kept(common, "defaultTest"))

    def _tests(self, given: Any, where: str) -> Iterator[Mapping[str, Any]]:
        if given is None:
            return
        for number, test in enumerate(given if isinstance(given, list) else [given], start=1):
            if isinstance(test, dict) and set(test) & {"vars", "assert", "description", "options", "metadata"}:
                yield test
            elif test is not None:
                path = test.get("path", "") if isinstance(test, dict) else test
                shown = shorten(path, 60) if isinstance(path, str) and path else kind_of(test)
                self.out.problem(
                    _line(test), f"{where}, entry {number} is read from elsewhere ({shown}); it was left out."
                )

    def _scenarios(self) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        for scenario in _list(self.config.get("scenarios")):
            if not isinstance(scenario, dict):
                self.out.problem(None, f"A scenario is read from elsewhere ({shorten(scenario, 60)}); it was left out.")
                continue
            configs = [item for item in _list(scenario.get("config")) if isinstance(item, dict)]
            tests = list(self._tests(scenario.get("tests"), "scenarios"))
            for config in configs or [{}]:
                for test in tests or [{"vars": {}}]:
                    merged = {**config, **test, "assert": [*_list(config.get("assert")), *_list(test.get("assert"))]}
                    line = Lined(merged)
                    line.line = _line(test) or _line(config) or 0
                    variables = config.get("vars")
                    yield line, variables if isinstance(variables, dict) else {}

    def _test(self, test: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        line, told = _line(test), text_of(test.get("description") or "")
        where = f"Test {shorten(told, 40)}" if told else "A test"
        self._options(test, where)
        given = [self.common.get("vars"), more, test.get("vars")]
        if strange := next((each for each in given if each is not None and not isinstance(each, dict)), None):
            self.out.problem(
                line, f"{where}: its vars are read from elsewhere ({shorten(strange, 60)}); it was left out."
            )
            return
        variables: dict[str, Any] = {}
        for each in given:
            variables |= each or {}
        ours = _ours(test)
        variables |= _dict(ours.get("variables"))
        for name, value in variables.items():
            why = self._unusable(name, value, ours)
            if why:
                self.out.problem(line, f"{where}: {why} It was left out.")
                return
        criteria = self._criteria(test, where) + list(self._kept(test, where))
        case: dict[str, Any] = {
            "key": text_of(ours.get("key", " ".join(told.split())))[:MAX_LABEL],
            "criteria": criteria,
            **{field: ours[field] for field in ("messages", "expected", "tags", "group", "critical") if field in ours},
        }
        rows = self._rows(test, variables, where)
        for row in rows:
            if not self.out.add({**case, "variables": row}, line, f"{where}, ") and self.out.is_full:
                return

    def _unusable(self, name: str, value: Any, ours: Mapping[str, Any]) -> str:
        if not VARIABLE_NAME.fullmatch(name):
            return f"{shorten(name, 40)} is no name of a variable: a letter, then letters, digits and _."
        if name in _dict(ours.get("variables")):
            return ""
        texts = value if isinstance(value, list) else [value]
        if elsewhere := next((text for text in texts if isinstance(text, str) and ELSEWHERE.match(text)), None):
            return f"{name} is read from elsewhere ({shorten(elsewhere, 60)})."
        if any(has_logic(text) for text in texts):
            self.out.note(None, f"{name} holds Nunjucks; it was taken as plain characters.")
        return ""

    def _rows(self, test: Mapping[str, Any], variables: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
        """promptfoo runs a test once for each combination of the values that are lists."""
        options = {**_dict(self.common.get("options")), **_dict(test.get("options"))}
        lists = {name: value for name, value in variables.items() if isinstance(value, list) and value}
        if not lists or options.get("disableVarExpansion"):
            return [dict(variables)]
        count = 1
        for value in lists.values():
            count *= len(value)
        self.out.note(_line(test), f"{where} has lists of values: it became {min(count, MAX_CASES):,} cases.")
        if count > MAX_CASES:
            self.out.problem(_line(test), f"{where} has {count:,} combinations; the first {MAX_CASES:,} were taken.")
        return [
            {**variables, **dict(zip(lists, row, strict=True))} for row in islice(product(*lists.values()), MAX_CASES)
        ]

    def _options(self, test: Mapping[str, Any], where: str) -> None:
        options = _dict(test.get("options"))
        for field in _CODE_OPTIONS:
            if options.get(field):
                self.out.problem(
                    _line(test),
                    f"{where}: options.{field} is code and was not taken; criteria see the answer as it is.",
                )
        for field in ("prefix", "suffix"):
            if options.get(field):
                self.out.problem(_line(test), f"{where}: options.{field} was not taken; write it into the prompt.")
        for field in _UNTAKEN_OF_TEST:
            if test.get(field):
                self.out.note(_line(test), f"{where}: {field} was not taken.")

    def _criteria(self, test: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
        """A test's assertions; those under a threshold of the test's become one set that has it."""
        taken = [
            criterion
            for given in _list(test.get("assert"))
            for criterion in self._criterion(given, _line(given) or _line(test), where)
        ]
        threshold = test.get("threshold")
        if threshold is None or not taken:
            return taken
        try:
            return [checked({"type": "assert-set", "value": taken, "threshold": threshold}, "threshold")]
        except NotTaken as why:
            self.out.problem(_line(test), f"{where}: {why}")
            return taken

    def _criterion(self, given: Any, line: int | None, where: str) -> Iterator[dict[str, Any]]:
        def note(sentence: str) -> None:
            self.out.note(line, f"{where}: {sentence}")

        if isinstance(given, dict) and given.get("type") == "assert-set":
            yield from self._set(given, line, where)
            return
        self.out.met += 1
        try:
            found = criterion_of(given if isinstance(given, dict) else {}, note, self.templates)
        except NotTaken as why:
            self.out.problem(line, f"{where}: {why}")
            return
        self.out.taken += 1
        yield found

    def _kept(self, test: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
        """Criteria of ours that promptfoo has no word for, as our writer keeps them."""
        for raw in _list(_ours(test).get("criteria")):
            self.out.met += 1
            try:
                yield checked(raw, "criterion")
                self.out.taken += 1
            except NotTaken as why:
                self.out.problem(_line(test), f"{where}: {why}")

    def _set(self, given: Mapping[str, Any], line: int | None, where: str) -> Iterator[dict[str, Any]]:
        before = self.out.met - self.out.taken
        members = [c for each in _list(given.get("assert")) for c in self._criterion(each, _line(each) or line, where)]
        if given.get("threshold") is not None and self.out.met - self.out.taken > before:
            self.out.taken -= len(members)
            self.out.problem(
                line, f"{where}: the assert-set was left out; without those parts its threshold means less."
            )
            return
        raw = {"type": "assert-set", "value": members, "threshold": given.get("threshold")}
        raw |= {"weight": given.get("weight", 1)}
        if isinstance(given.get("metric"), str):
            raw |= {"name": given["metric"][:100]}
        try:
            yield checked(raw, "assert-set")
        except NotTaken as why:
            self.out.problem(line, f"{where}: {why}")


def _ours(test: Mapping[str, Any]) -> dict[str, Any]:
    return _dict(_dict(test.get("metadata")).get(OURS))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _line(value: Any) -> int | None:
    return value.line or None if isinstance(value, Lined) else None
