"""A ring is a sorted set: it is compared with a dictionary that is sorted each time."""

from hypothesis import given
from hypothesis import strategies as st

from fairque.testing.fairness.ring import TwoEndedRing

members = st.sampled_from(["a", "b", "~", "é", "\uffff", "\U0001f600"])
scores = st.integers(-2, 2)
steps = st.lists(st.tuples(members, st.none() | scores) | st.tuples(scores, st.integers(0, 3)), max_size=120)


@given(steps)
def test_a_ring_keeps_the_order_of_a_sorted_set(moves: list[tuple[str, int | None] | tuple[int, int]]) -> None:
    ring, plain = TwoEndedRing(), dict[str, float]()

    def ordered() -> list[tuple[float, str]]:
        return sorted(((score, member) for member, score in plain.items()), key=lambda e: (e[0], e[1].encode()))

    for one, other in moves:
        if isinstance(one, str) and other is None:
            ring.discard(one)
            plain.pop(one, None)
        elif isinstance(one, str):
            assert other is not None
            ring.put(one, other)
            plain[one] = other
        else:
            assert other is not None
            expected = [entry for entry in ordered() if entry[0] <= one][:other]
            assert ring.take(one, other) == expected
            for _, member in expected:
                del plain[member]
        assert ring.items() == [(member, score) for score, member in ordered()]
        assert ring.head() == min(ordered(), default=None)
        assert ring.largest() == max(plain.values(), default=None)
        assert len(ring) == len(plain)


def test_a_ring_drops_stale_entries() -> None:
    ring = TwoEndedRing()
    for score in range(10_000):
        ring.put("a", score)
        ring.put(f"b{score}", score)
        ring.discard(f"b{score}")
    assert len(ring._min_heap) + len(ring._max_heap) < 200
