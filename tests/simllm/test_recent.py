"""A server remembers many clients, and not for ever."""

from __future__ import annotations

from simllm.faults import Fault, FaultBoard
from simllm.journal import Entry, Journal
from simllm.prefix_cache import PrefixCache
from simllm.recent import CLIENTS, Recent


def test_the_least_recently_used_key_goes_first() -> None:
    kept: Recent[list[int]] = Recent(list, limit=2)
    kept["a"].append(1)
    kept["b"].append(2)
    assert kept.find("a") == [1]  # a look counts as use
    kept["c"] = [3]
    assert ("a" in kept, "b" in kept, kept.find("b"), len(kept)) == (True, False, None, 2)
    kept.drop("a")
    kept.drop("a")
    assert kept["a"] == []


def test_nothing_grows_with_the_number_of_keys() -> None:
    journal, faults, prefixes = Journal(), FaultBoard([Fault("slow")]), PrefixCache()
    for number in range(CLIENTS + 50):
        key = f"key-{number}"
        journal.add(key, Entry(time=0.0, path="/v1/models"))
        faults.take(key, "/v1/models", stream=False)
        prefixes.cached_tokens(key, "sim-small", [1, 2, 3])
    for owner in (journal, faults, prefixes):
        sizes = [len(value) for value in vars(owner).values() if isinstance(value, Recent)]
        assert sizes and set(sizes) == {CLIENTS}
    assert journal.of("key-0") == [] and len(journal.of(key)) == 1
    assert [fault.kind for fault in faults.pending("key-0")] == ["slow"]  # as if it had never been here
