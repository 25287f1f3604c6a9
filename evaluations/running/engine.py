"""The loop that works on runs and tries: it takes calls, makes them in threads, and writes down what came back.

Rows are the queue. Threads touch no database, and no transaction is open while a call is. Whoever dies here loses only
the calls on their way: their cells are due again when the lease has run out.
"""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from evaluations.actions.runs import pause_run
from evaluations.models import EvaluationRun
from evaluations.running.calls import Call, Outcome, perform
from evaluations.running.containing import LOGGED, contained
from evaluations.running.deciding import advance, give_up
from evaluations.running.facts import Facts, read_run
from evaluations.running.settling import leave_unscored, release, score_waiting, serve, settle
from evaluations.running.stopping import is_stopping
from evaluations.running.taking import take
from evaluations.running.trying import TrialCall, fail_trial, give_up_trial, release_trial, settle_trial, take_trials
from events.fence import is_fenced
from promptforge.lib.only_one import only_one

THREADS = 200
TURN = 20.0  # seconds after which a worker begins nothing more, so that other tasks get their turn
GRACE = 6.0  # seconds that calls on their way are waited for when the worker is told to end
_LOCK = 20555
PAUSE = 0.2  # seconds between two looks at the database while calls are under way


class Engine:
    """One worker at work; `only` narrows it to one run."""

    def __init__(self, only: int | None = None) -> None:
        self.only = only
        self.flying: dict[Future[Outcome], Call] = {}
        self.trying: dict[Future[Outcome], TrialCall] = {}
        self._facts: dict[int, Facts] = {}
        self._of_cell: dict[int, Facts] = {}
        self._began: dict[int, float] = {}
        self._first: dict[tuple[int, str | None], float] = {}

    def work(self, longest: float = TURN) -> bool:
        """Work until nothing is due or the turn is over; returns whether something was left."""
        ends = time.monotonic() + longest
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="evaluation")
        try:
            while True:
                over = is_stopping() or time.monotonic() > ends
                moved = False if over else self._begin(pool)
                if self.flying and over and not is_stopping():
                    self._begin_trials(pool)  # no person waits until a turn's last calls are back
                if not self.flying and not self.trying:
                    if over or not moved:
                        return over
                    continue
                self._collect(PAUSE)
                if is_stopping():
                    self._end_soon()
                    return True
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor) -> bool:
        """Start what may be started; whether anything moved."""
        if is_fenced():
            return False
        moved = self._begin_trials(pool)
        # A run that could fill all threads leaves what comes free to who has fewer calls on their way or waited longer.
        for run_id in sorted(self._open_runs(), key=lambda each: (self._flying_of(each), self._began.get(each, 0.0))):
            with contained(f"run {run_id}", partial(_pause_faulty, run_id)):
                moved |= self._step(run_id, pool)
        return moved

    def _step(self, run_id: int, pool: ThreadPoolExecutor) -> bool:
        """Start what may be started of one run; whether anything moved."""
        facts = self._facts_of(run_id)
        stepped = bool(score_waiting(facts))
        # While calls are on their way the look is not over: there is nothing to ask the database.
        stepped |= not self._flying_of(run_id) and advance(facts)
        taken = take(facts, THREADS - self._under_way)
        for call in taken.calls:
            self._began[run_id] = time.monotonic()
            self._of_cell[call.cell_id] = facts
            self._first.setdefault((call.cell_id, call.judging), time.monotonic())
            self.flying[pool.submit(perform, call)] = call
        for call, completion in taken.served:
            with contained(f"cell {call.cell_id}", partial(leave_unscored, call)):
                serve(facts, call, completion)
        if taken.pause:
            pause_run(run_id, taken.pause)
        gave_up = bool(taken.spent) and not self._flying_of(run_id) and give_up(run_id, taken.spent)
        return stepped or gave_up or bool(taken.calls or taken.served)

    @property
    def _under_way(self) -> int:
        return len(self.flying) + len(self.trying)

    def _begin_trials(self, pool: ThreadPoolExecutor) -> bool:
        if self.only is not None or is_fenced():
            return False
        calls = take_trials(THREADS - self._under_way)
        for call in calls:
            self.trying[pool.submit(perform, call)] = call
        return bool(calls)

    def _collect(self, seconds: float) -> None:
        done, _ = wait([*self.flying, *self.trying], timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            if future in self.trying:
                trial = self.trying.pop(future)
                with contained(f"try {trial.answer_id}", partial(fail_trial, trial.answer_id)):
                    settle_trial(trial, future.result())
                continue
            call = self.flying.pop(future)
            since_first = time.monotonic() - self._first[call.cell_id, call.judging]
            with contained(f"cell {call.cell_id}", partial(leave_unscored, call)):
                settle(self._of_cell[call.cell_id], call, future.result(), since_first)

    def _end_soon(self) -> None:
        """Keep what comes in the next seconds; what was not begun is free at once, the rest when its lease is over."""
        idle = [future for future in self.flying if future.cancel()]
        release([self.flying.pop(future) for future in idle])
        for future in [future for future in self.trying if future.cancel()]:
            release_trial(self.trying.pop(future))
        ends = time.monotonic() + GRACE
        while self._under_way and (left := ends - time.monotonic()) > 0:
            self._collect(min(left, PAUSE))
        for call in self.trying.values():
            give_up_trial(call)

    def _open_runs(self) -> list[int]:
        states = [EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING]
        runs = EvaluationRun.objects.filter(status__in=states)
        if self.only is not None:
            runs = runs.filter(pk=self.only)
        return list(runs.order_by("id").values_list("pk", flat=True))

    def _facts_of(self, run_id: int) -> Facts:
        if run_id not in self._facts:
            self._facts[run_id] = Facts(read_run(run_id))
        return self._facts[run_id]

    def _flying_of(self, run_id: int) -> int:
        return sum(self._of_cell[call.cell_id].run_id == run_id for call in self.flying.values())


def _pause_faulty(run_id: int, fault: str) -> None:
    pause_run(
        run_id,
        f"This run could not be worked on: {fault}. {LOGGED} "
        "Resume the run when that is mended, or cancel it and start another.",
    )


def work(longest: float = TURN) -> bool:
    """Work on what is due, unless another worker does; returns whether the turn ended with work left.

    One loop fills every connection's room, and the other workers stay free for what else there is to do.
    """
    with only_one(_LOCK) as mine:
        return mine and Engine().work(longest)
