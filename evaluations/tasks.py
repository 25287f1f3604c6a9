"""What works on runs. The task may run twice, and finds its work in rows."""

from celery import shared_task, signals

from evaluations.running import stopping
from events.fence import is_fenced
from events.relay import wake

signals.worker_shutting_down.connect(stopping.stop, weak=False)


@shared_task  # type: ignore[untyped-decorator]
def work() -> None:
    """Take a turn at what is due; with work left, the next turn waits behind what other tasks have to do."""
    from evaluations.running.engine import work as take_a_turn

    if take_a_turn():
        wake("evaluations.tasks.work")


@shared_task  # type: ignore[untyped-decorator]
def start_what_is_demanded() -> None:
    """Start the runs that open promotions wait for."""
    from evaluations.actions.gate import start_what_is_demanded as start

    if not is_fenced():
        start()


@shared_task  # type: ignore[untyped-decorator]
def forget_old_answers() -> None:
    """Delete from the cache what is too old to serve, files that nobody saved into a set, and tries of drafts."""
    from evaluations.actions.staging import forget_old_files
    from evaluations.actions.trials import forget_old_trials
    from evaluations.running.caching import forget_old

    forget_old()
    forget_old_files()
    forget_old_trials()


@shared_task  # type: ignore[untyped-decorator]
def watch() -> None:
    """Take references of what went live, begin the runs that are due, and judge those that ended."""
    from evaluations.watching import sweep

    sweep()


@shared_task  # type: ignore[untyped-decorator]
def go_on_with_demo() -> None:
    """Play what is due of a demo's evaluations."""
    from evaluations.demo.making import go_on

    if not is_fenced():
        go_on()
