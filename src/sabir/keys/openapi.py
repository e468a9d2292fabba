"""The OpenAPI 3.1 document of the directory."""

from __future__ import annotations

from typing import Any

import msgspec

from sabir.core.model.keys import MAX_AT_ONCE


def document(root: str, version: str) -> bytes:
    """Return the document as JSON."""
    device = _parameter("device", "path", {"type": "integer", "minimum": 1, "maximum": 2147483647})
    name = _parameter("name", "path", {"type": "string"}, "An account, with or without the domain")
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Key directory", "version": version},
        "security": [{"basic": []}],
        "paths": {
            f"{root}/devices/{{device}}/keys": {
                "parameters": [device],
                "put": {
                    "summary": "Publish keys of a device of one's own; what is left out stays",
                    "requestBody": {"required": True, "content": _json("Keys")},
                    "responses": _responses("Standing", 400, 401, 409, 429),
                },
                "get": {
                    "summary": "Say what a device of one's own has here",
                    "responses": _responses("Standing", 401, 404),
                },
                "delete": {
                    "summary": "Forget a device of one's own",
                    "responses": {"204": {"description": "Done"}, **_problems(401, 404)},
                },
            },
            f"{root}/keys/{{name}}": {
                "parameters": [name],
                "post": {
                    "summary": "Hand out what is needed to begin sessions with all devices of somebody",
                    "responses": _responses("Bundles", 401, 404, 429),
                },
            },
            f"{root}/keys/{{name}}/{{device}}": {
                "parameters": [name, device],
                "post": {
                    "summary": "The same for one device",
                    "responses": _responses("Bundles", 401, 404, 429),
                },
            },
            f"{root}/changes": {
                "parameters": [_parameter("since", "query", {"type": "integer", "default": 0})],
                "get": {
                    "summary": "Whose devices or identity keys changed, of one's contacts and oneself",
                    "responses": _responses("Changes", 401),
                },
            },
        },
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
            "schemas": _schemas(),
        },
    }
    return msgspec.json.encode(described)


def _schemas() -> dict[str, Any]:
    number, text, flag = {"type": "integer"}, {"type": "string"}, {"type": "boolean"}
    encoded = {"type": "string", "contentEncoding": "base64"}
    several = {"type": "array", "items": _ref("PreKey"), "maxItems": MAX_AT_ONCE}
    return {
        "PreKey": _object(keyId=number, publicKey=encoded),
        "SignedPreKey": _object(keyId=number, publicKey=encoded, signature=encoded),
        "Keys": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "identityKey": encoded,
                "registrationId": number,
                "signedPreKey": _ref("SignedPreKey"),
                "pqLastResortPreKey": _ref("SignedPreKey"),
                "preKeys": several,
                "pqPreKeys": {**several, "items": _ref("SignedPreKey")},
            },
        },
        "Standing": _object(
            deviceId=number,
            registrationId=number,
            identityKey=encoded,
            count=number,
            pqCount=number,
            low=flag,
            signedPreKeyId=number,
            signedPreKeyAtMs=number,
            pqLastResortPreKeyId=number,
            pqLastResortPreKeyAtMs=number,
            rotateAtMs=number,
        ),
        "Bundle": {
            "type": "object",
            "required": ["deviceId", "registrationId", "identityKey", "signedPreKey", "pqPreKey"],
            "properties": {
                "deviceId": number,
                "registrationId": number,
                "identityKey": encoded,
                "signedPreKey": _ref("SignedPreKey"),
                "pqPreKey": _ref("SignedPreKey"),
                "preKey": _ref("PreKey"),
            },
        },
        "Bundles": _object(name=text, devices={"type": "array", "items": _ref("Bundle")}),
        "Changes": _object(next=number, changed={"type": "array", "items": text}),
        "Problem": _object(error=text),
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(name)}}


def _parameter(name: str, place: str, schema: dict[str, Any], what: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": what}


def _responses(name: str, *problems: int) -> dict[str, Any]:
    return {"200": {"description": "Done", "content": _json(name)}, **_problems(*problems)}


def _problems(*statuses: int) -> dict[str, Any]:
    return {str(status): {"description": "Refused", "content": _json("Problem")} for status in statuses}
