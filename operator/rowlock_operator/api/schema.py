"""From our models to the structural OpenAPI v3 schema that a CustomResourceDefinition wants."""

from typing import Any

from rowlock_operator.api.model import ApiModel

Schema = dict[str, Any]

# what a structural schema may not hold; CEL rules say it instead
_DROPPED = ("title", "$defs", "const", "propertyNames")


def structural_schema(model: type[ApiModel]) -> Schema:
    """The model with references inlined, `X | None` as plain X (the API server drops nulls), defaults and
    rules kept.
    """
    drawn = model.model_json_schema(by_alias=True)
    return _structural(drawn, drawn.get("$defs", {}))


def _structural(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _inlined(node, definitions)
    made: Schema = {key: value for key, value in node.items() if key not in _DROPPED}
    if "description" in made:
        made["description"] = " ".join(made["description"].split())  # a docstring's line ends mean nothing
    if made.get("default", 0) is None:
        del made["default"]  # None is our word for "absent"; in a CRD absent is absent
    if "const" in node:
        made["enum"] = [node["const"]]
    if "x-advice" in made:
        # "should match '^[a-z]...'" tells nobody what to change; a rule carries a sentence.
        expression = f"self.matches(r'{made.pop('pattern')}')"
        made["x-kubernetes-validations"] = [{"rule": expression, "message": made.pop("x-advice")}]
    if made.get("x-kubernetes-int-or-string"):
        return made
    if "properties" in made:
        made["properties"] = {
            name: _property(child, definitions, required=name in made.get("required", ()))
            for name, child in made["properties"].items()
        }
    if isinstance(made.get("additionalProperties"), dict):
        made["additionalProperties"] = _structural(made["additionalProperties"], definitions)
    elif "additionalProperties" in made:
        del made["additionalProperties"]
    if "items" in made:
        made["items"] = _structural(made["items"], definitions)
    return made


def _property(node: Schema, definitions: dict[str, Schema], *, required: bool) -> Schema:
    """A field; an object that may be absent and needs nothing gets its own fields' defaults as its default.

    They are written out, since the API server judges CEL rules on the default as it stands (seen on 1.37).
    """
    made = _structural(node, definitions)
    if "$ref" in node and not required and "properties" in made and "required" not in made:
        made["default"] = {
            name: child["default"] for name, child in made["properties"].items() if "default" in child
        }
    return made


def _inlined(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Resolves `$ref` and the `anyOf` of an optional; what stands beside them (description, default) wins."""
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**target, **beside}, definitions)
    if "anyOf" in node:
        branches = [branch for branch in node["anyOf"] if branch != {"type": "null"}]
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        if len(branches) == 1:
            return _inlined({**branches[0], **beside}, definitions)
        if not node.get("x-kubernetes-int-or-string"):
            raise TypeError(f"a structural schema knows no union of types: {node}")
    return node
