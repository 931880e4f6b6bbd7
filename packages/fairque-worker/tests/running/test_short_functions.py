"""Which functions are usually short: a pure decision about their earlier runs."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from fairque.worker.running.short_functions import ShortFunctions

SHORT, LONG = 50.0, 5_000.0


def short_one() -> ShortFunctions:
    functions = ShortFunctions()
    assert functions.measures("f")
    functions.note("f", SHORT, 10.0, in_lane=False)
    assert functions.is_short("f")
    return functions


def test_a_function_that_has_never_run_is_not_short() -> None:
    assert not ShortFunctions().is_short("f")


def test_a_function_whose_first_measured_run_is_short_is_short() -> None:
    short_one()


def test_a_run_that_waited_does_not_make_a_function_short_however_soon_it_ended() -> None:
    functions = ShortFunctions()
    functions.measures("f")
    functions.note("f", 250.0, 240.0, in_lane=False)
    assert not functions.is_short("f")


def test_a_run_that_was_not_measured_does_not_make_a_function_short() -> None:
    functions = ShortFunctions()
    functions.measures("f")
    functions.note("f", SHORT, None, in_lane=False)
    assert not functions.is_short("f")


def test_one_run_that_the_system_interrupts_changes_nothing() -> None:
    functions = short_one()
    functions.note("f", 1_000_000.0, 999_000.0, in_lane=True)
    assert functions.is_short("f")


def test_a_function_whose_runs_become_long_is_long() -> None:
    functions = short_one()
    for _ in range(8):
        functions.note("f", LONG, None, in_lane=True)
    assert not functions.is_short("f")


def test_a_function_whose_runs_begin_to_wait_is_long() -> None:
    functions = short_one()
    for _ in range(4):
        functions.note("f", 250.0, 240.0, in_lane=True)
    assert not functions.is_short("f")


def test_runs_in_threads_do_not_make_a_short_function_long_since_they_waited_for_each_other() -> None:
    functions = short_one()
    for _ in range(100):
        functions.note("f", LONG, None, in_lane=False)
    assert functions.is_short("f")


def test_of_a_long_function_one_run_in_32_is_measured_and_can_make_it_short_again() -> None:
    functions = short_one()
    functions.mark_long("f")
    assert not functions.is_short("f")
    assert [functions.measures("f") for _ in range(64)].count(True) == 2
    functions.note("f", SHORT, 10.0, in_lane=False)
    assert functions.is_short("f")


def test_functions_do_not_affect_each_other() -> None:
    functions = short_one()
    functions.measures("g")
    functions.note("g", LONG, LONG, in_lane=False)
    assert functions.is_short("f")
    assert not functions.is_short("g")


@given(st.lists(st.floats(0, 90), min_size=1), st.floats(0, 90))
def test_a_function_whose_runs_are_all_short_stays_short(runs: list[float], waited: float) -> None:
    functions = short_one()
    for ran in runs:
        functions.note("f", ran, min(ran, waited), in_lane=True)
        assert functions.is_short("f")


class Paces(RuleBasedStateMachine):
    """Whatever runs and in which order: at any time short runs make a function short, and long ones make it long."""

    def __init__(self) -> None:
        super().__init__()
        self.functions = ShortFunctions()

    def run_once(self, ran: float, waited: float) -> None:
        was_short, measured = self.functions.is_short("f"), self.functions.measures("f")
        self.functions.note("f", ran, waited if measured else None, in_lane=was_short)
        if not was_short and self.functions.is_short("f"):
            assert measured
            assert ran < 500
            assert waited < 100

    @rule(ran=st.floats(0, 1e7), share=st.floats(0, 1))
    def runs(self, ran: float, share: float) -> None:
        self.run_once(ran, ran * share)

    @rule()
    def holds_others_up(self) -> None:
        self.functions.mark_long("f")
        assert not self.functions.is_short("f")

    @rule()
    def becomes_short(self) -> None:
        for _ in range(32):
            self.run_once(SHORT, 0.0)
        assert self.functions.is_short("f")

    @rule()
    def becomes_long(self) -> None:
        for _ in range(20):
            self.run_once(LONG, 0.0)
        assert not self.functions.is_short("f")


TestPaces = Paces.TestCase
TestPaces.settings = hypothesis_settings(max_examples=50, deadline=None)
