"""The steps of a translation, one by one, for callers that search segments in their own order.

`Translator.nbest` does all steps in one call. A server searches the segments of many requests in turn instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from nmt.translation.protection import Task, finish, prepare
from nmt.translation.request import Request, Segment, Translation
from nmt.translation.segments import join_segments
from nmt.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A request, and the segments that must be searched for it.

    >>> plan = make_plan(translator, Request("A man."))  # doctest: +SKIP
    >>> plan.finish(translator.translate_segments(plan.segments))[0].text  # doctest: +SKIP
    'Ein Mann.'
    """

    request: Request
    translator: Translator
    task: Task | None
    """The form of a request with markup or copied things. None for plain text."""
    requests: list[Request]
    """The plain requests that are translated in place of the request."""
    lines: list[list[Segment]]
    """The segments of each of `requests`."""

    @cached_property
    def segments(self) -> list[Segment]:
        """The segments, each once."""
        return list(dict.fromkeys(segment for line in self.lines for segment in line))

    def finish(self, found: Mapping[Segment, list[Translation]]) -> list[Translation]:
        """Return the translations of the request, the best first.

        Args:
            found: the translations of each segment, as `Translator.translate_segments` returns them.
        """
        segmenter = self.translator.segmenter
        joined = [
            join_segments(line, [found[segment] for segment in line], segmenter.separator(request))
            for line, request in zip(self.lines, self.requests, strict=True)
        ]
        if self.task is None:
            return self.translator.add_words(self.request, joined[0])
        return finish(self.task, joined, segmenter, self.translator.target_language(self.request.to))


def make_plan(translator: Translator, request: Request) -> Plan:
    """Divide a request into segments.

    Raises:
        ConfigError: as for `Translator.nbest`.
    """
    task = prepare(request, "the text", translator.segmenter)
    requests = [request] if task is None else list(task.requests)
    lines = [translator.segmenter.split(one, "the text") for one in requests]
    return Plan(request=request, translator=translator, task=task, requests=requests, lines=lines)
