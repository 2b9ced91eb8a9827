"""The OpenAPI document, which is built from the table of routes and from the records."""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from nmt import __version__
from nmt.server.records import get_docs, is_optional, make_schema
from nmt.server.routes import Route

_MEANINGS = {
    200: "The answer.",
    201: "It was stored.",
    204: "Done. The response is empty.",
    400: "The request is wrong. The message says why.",
    403: "The key is missing or not valid, or its quota is used up.",
    404: "It does not exist.",
    408: "The request was not sent in time.",
    413: "The body is too large.",
    415: "The media type is not supported.",
    429: "The client has asked for too much, or too much text is waiting. Retry-After says when to try again.",
    456: "The quota is used up.",
    503: "The server is shutting down.",
    504: "The translation took too long.",
}
_DESCRIPTION = (
    "Machine translation by nmt. The server speaks its own API under /v1, and the APIs of LibreTranslate, DeepL and "
    "OPUS-CAT, so that their clients can use it."
)
_TAGS = {
    "nmt": "nmt's own API: everything that a request can ask for.",
    "LibreTranslate": "The API of LibreTranslate 1.9.",
    "DeepL": "A part of DeepL's API.",
    "OPUS-CAT": "The local API of OPUS-CAT MT Engine.",
    "server": "Health, readiness, metrics.",
}


def describe(routes: Sequence[Route], prefix: str = "") -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of routes.

    Args:
        routes: the routes.
        prefix: the path under which a proxy publishes the server.
    """
    components: dict[str, Any] = {
        "Error": _make_error("error"),
        "DeepLError": _make_error("message"),
    }
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in route.methods:
            paths.setdefault(route.path, {})[method.lower()] = _describe_route(route, method, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "nmt", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "security": [{}, {"bearer": []}, {"DeepL": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "DeepL": {
                    "type": "apiKey", "in": "header", "name": "Authorization", "description": "DeepL-Auth-Key KEY"
                },
            },
        },
    }  # fmt: skip


def _make_error(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def _describe_route(route: Route, method: str, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name_operation(route, method),
        "summary": route.summary,
        "tags": [route.api],
        "responses": _describe_responses(route, components),
    }
    if route.free:
        operation["security"] = []
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    if route.parameters and (method in ("GET", "DELETE") or route.query):
        parameters += _describe_query(route.parameters, components)
    elif route.parameters:
        schema = make_schema(route.parameters, components)
        content = {"application/json": {"schema": schema}}
        if route.file:
            content = {"multipart/form-data": {"schema": _add_file(schema)}}
        elif route.forms:
            content["application/x-www-form-urlencoded"] = {"schema": schema}
        operation["requestBody"] = {"required": True, "content": content}
    if route.items:
        schema = {"type": "array", "items": make_schema(route.items, components)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _name_operation(route: Route, method: str) -> str:
    words = route.path.replace("{", "").replace("}", "").replace("-", "_").strip("/").replace("/", "_")
    return f"{method.lower()}_{words.replace('.', '_') or 'root'}"


def _add_file(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form with a file."""
    binary = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {"allOf": [schema, {"type": "object", "properties": {"file": binary}, "required": ["file"]}]}


def _describe_query(kind: type, components: dict[str, Any]) -> list[dict[str, Any]]:
    hints, docs = typing.get_type_hints(kind, include_extras=True), get_docs(kind)
    return [
        {
            "name": field.name,
            "in": "query",
            "required": not is_optional(field),
            "description": docs.get(field.name, "").replace("`", ""),
            "schema": _remove_null(make_schema(hints[field.name], components)),
        }
        for field in sorted(dataclasses.fields(kind), key=is_optional)
    ]


def _remove_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter of a query, which cannot be null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if not choices:
        return schema
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _describe_responses(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": _MEANINGS[route.status]}
    if route.answer is not None:
        success["content"] = {"application/json": {"schema": make_schema(route.answer, components)}}
    elif route.media:
        success["content"] = {route.media: {"schema": {} if route.media.endswith("json") else {"type": "string"}}}
    responses = {str(route.status): success}
    name = "DeepLError" if route.api == "DeepL" else "Error"
    errors = dict.fromkeys((*route.errors, *((408,) if 400 in route.errors else ())))
    for status in errors:
        schema = {"$ref": f"#/components/schemas/{name}"}
        responses[str(status)] = {
            "description": _MEANINGS[status],
            "content": {"application/json": {"schema": schema}},
        }
    return responses
