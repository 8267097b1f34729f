"""As much of JSON Schema (2020-12) as docs/roster.schema.json and docs/session-api.openapi.json use; a keyword that is not
known here is a mistake."""
import re

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
         "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "$ref", "$defs", "title", "description", "type", "enum", "pattern", "maxLength", "minimum", "maximum",
         "required", "properties", "additionalProperties", "items", "minItems", "maxItems",
         "anyOf"}


class Schema:
    def __init__(self, root):
        self.root = root

    def definition(self, ref):
        at = self.root
        for part in ref.removeprefix("#/").split("/"):
            at = at[part]
        return at

    def wrong(self, value, rule=None, where="$"):
        """What is wrong with the value, one line each; nothing when it is valid."""
        rule = self.root if rule is None else rule
        if set(rule) - KNOWN:
            return [f"{where}: the schema uses {set(rule) - KNOWN}"]
        if "$ref" in rule:
            return self.wrong(value, self.definition(rule["$ref"]), where)
        if "enum" in rule and value not in rule["enum"]:
            return [f"{where}: {value!r} is none of {rule['enum']}"]
        if "anyOf" in rule:
            found = [self.wrong(value, one, where) for one in rule["anyOf"]]
            return [] if [] in found else [line for lines in found for line in lines]
        types = rule.get("type", list(TYPES))
        types = [types] if isinstance(types, str) else types
        if not any(isinstance(value, TYPES[t]) and isinstance(value, bool) == (t == "boolean") for t in types):
            return [f"{where}: {value!r} is no {types}"]
        if isinstance(value, str):
            return self.wrong_text(value, rule, where)
        if isinstance(value, int | float):
            fits = rule.get("minimum", value) <= value <= rule.get("maximum", value)
            return [] if fits else [f"{where}: {value} is out of range"]
        if isinstance(value, list):
            return self.wrong_list(value, rule, where)
        return self.wrong_object(value, rule, where) if isinstance(value, dict) else []

    def wrong_text(self, value, rule, where):
        if "pattern" in rule and not re.search(rule["pattern"], value):
            return [f"{where}: {value!r} does not match {rule['pattern']}"]
        return [f"{where}: {value!r} is too long"] if len(value) > rule.get("maxLength", len(value)) else []

    def wrong_list(self, value, rule, where):
        if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
            return [f"{where}: {len(value)} items"]
        return [line for i, item in enumerate(value) for line in self.wrong(item, rule.get("items", {}), f"{where}[{i}]")]

    def wrong_object(self, value, rule, where):
        found = [f"{where}: '{key}' is missing" for key in rule.get("required", []) if key not in value]
        known, more = rule.get("properties", {}), rule.get("additionalProperties", {})
        for key, item in value.items():
            if key not in known and more is False:
                found.append(f"{where}: '{key}' is not in the schema")
            else:
                found += self.wrong(item, known.get(key, more), f"{where}.{key}")
        return found
