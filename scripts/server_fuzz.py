"""Calls of a server that are generated from its OpenAPI document by schemathesis."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings


@dataclass
class Fuzzed:
    """What the calls of a server have shown."""

    calls: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    """The number of responses by status."""
    faults: list[str] = field(default_factory=list)
    """Statuses of 500 and more, and responses that the document does not describe."""


def fuzz(url: str, *, examples: int, number: int = 1) -> Fuzzed:
    """Call each operation of a server with valid and with wrong parameters.

    Args:
        url: the address of the server.
        examples: the number of calls for each operation and for each kind, valid or wrong.
        number: the seed.
    """
    found = Fuzzed()
    for operation, mode in _list_operations(url):
        _fuzz_operation(operation, mode, url, examples, number, found)
    return found


def _list_operations(url: str) -> Iterator[tuple[Any, Any]]:
    import schemathesis
    from schemathesis.generation import GenerationMode

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.POSITIVE or operation.query or operation.body:
                yield operation, mode


def _fuzz_operation(operation: Any, mode: Any, url: str, examples: int, number: int, found: Fuzzed) -> None:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    wanted = [
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    def check(case: Any) -> None:
        response = case.call(base_url=url, timeout=60)
        found.calls += 1
        found.statuses[response.status_code] = found.statuses.get(response.status_code, 0) + 1
        try:
            case.validate_response(response, checks=wanted)
        except Exception as error:
            found.faults.append(f"{operation.label}: {error}")

    run = given(case=operation.as_strategy(generation_mode=mode))(check)
    run = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(run)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed(number)(run)()
