"""An answer to "may this happen?": yes, or no with a code and a sentence that a person can act on."""

from dataclasses import dataclass

from promptforge.lib.errors import DomainError, Fault


@dataclass(frozen=True)
class Verdict:
    """Allowed when `code` is None; otherwise `code` and `sentence` say why not."""

    code: str | None = None
    sentence: str = ""

    @property
    def allowed(self) -> bool:
        return self.code is None


ALLOWED = Verdict()


def denied(code: str, sentence: str) -> Verdict:
    return Verdict(code, sentence)


def require(*verdicts: Verdict) -> None:
    """Raise the first refusal; the others stand beside it, so that everything missing is told at once."""
    refusals = [v for v in verdicts if not v.allowed]
    if not refusals:
        return
    first = refusals[0]
    assert first.code is not None
    faults = [Fault("", v.code, v.sentence) for v in refusals if v.code] if len(refusals) > 1 else []
    raise DomainError(first.code, first.sentence, faults)
