"""Several faults that hit one request, composed in one documented order.

1. `slow`: the waits add up.
2. `reset`, `refuse`: the connection goes away; nothing else happens.
3. Error statuses and `proxy_page`: the first one of the script is the answer.
4. `embedding_changed`, `reply`: the model's side.
5. Whole bodies: `wrong_content_type`, `broken_json`, `empty_body`.
6. Streams, from the model outwards: `duplicate_chunk`, `corrupt_chunk`, `error_event`, `stall`, `trickle`,
   `truncate_stream` and `broken_json`, `break_stream` and `empty_body`. What ends the stream first wins.

Within one step the order of the script holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from simllm.faults.base import Cut, Page, Part
from simllm.faults.fault import Fault


class Meeting:
    """The faults of one request; none is fine. The hooks are those of `Effect`."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self._effects = sorted((fault.effect for fault in self.faults), key=lambda effect: effect.rank)

    @property
    def kinds(self) -> list[str]:
        """The kinds, in the order of the script."""
        return [fault.kind for fault in self.faults]

    @property
    def reply(self) -> Fault | None:
        """The scripted reply, if there is one."""
        return next((fault for fault in self.faults if fault.kind == "reply"), None)

    def wait_ms(self) -> float:
        """Real milliseconds before anything else."""
        return sum(effect.wait_ms() for effect in self._effects)

    def cut(self) -> Cut | None:
        """Whether the connection goes away."""
        return next((cut for effect in self._effects if (cut := effect.cut())), None)

    def refusal(self, model: str | None) -> Page | None:
        """The error that is the answer."""
        return next((page for effect in self._effects if (page := effect.refusal(model))), None)

    def request(self, data: dict[str, Any]) -> dict[str, Any]:
        """The request as the model gets to see it."""
        for effect in self._effects:
            data = effect.request(data)
        return data

    def page(self, page: Page) -> Page:
        """The whole reply as it leaves."""
        for effect in self._effects:
            page = effect.page(page)
        return page

    def body(self, body: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        """The reply's JSON, given the client's request."""
        for effect in self._effects:
            body = effect.body(body, data)
        return body

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The stream as it leaves."""
        for effect in self._effects:
            parts = effect.stream(parts)
        return iter(parts)
