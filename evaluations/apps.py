from django.apps import AppConfig


class EvaluationsConfig(AppConfig):
    """The laboratory: sets, runs and verdicts. Until it has them, a required evaluation is failed, never skipped."""

    name = "evaluations"
    verbose_name = "Evaluations"
