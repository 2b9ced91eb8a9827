"""A queue that is fair between clients, and between the requests of a client."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items in lanes, one lane for each request. Clients take turns, and so do the lanes of a client.

    >>> lanes = Lanes[str]()
    >>> lanes.append("ann", 1, ["a", "b", "c"]); lanes.append("bob", 2, ["x"])
    >>> [lanes.pop() for _ in range(4)]
    ['a', 'x', 'b', 'c']
    """

    def __init__(self) -> None:
        self._clients: OrderedDict[Hashable, OrderedDict[Hashable, deque[T]]] = OrderedDict()

    def append(self, client: Hashable, request: Hashable, items: Iterable[T], *, first: bool = False) -> None:
        """Append items to the lane of a request, or insert them before its other items."""
        lane = self._clients.setdefault(client, OrderedDict()).setdefault(request, deque())
        if first:
            lane.extendleft(reversed(list(items)))
        else:
            lane.extend(items)
        if not lane:
            self._remove(client, request)

    def pop(self, allow: Callable[[T], bool] = lambda _: True) -> T | None:
        """Remove the next item and return it. Return None if there is none.

        Args:
            allow: whether the first item of a lane can be taken now. Other lanes are not held up by one that waits.
        """
        for client, lanes in self._clients.items():
            for request, lane in lanes.items():
                if allow(lane[0]):
                    item = lane.popleft()
                    lanes.move_to_end(request)
                    self._clients.move_to_end(client)
                    if not lane:
                        self._remove(client, request)
                    return item
        return None

    def _remove(self, client: Hashable, request: Hashable) -> None:
        del self._clients[client][request]
        if not self._clients[client]:
            del self._clients[client]
