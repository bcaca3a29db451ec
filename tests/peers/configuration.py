"""Judges configurations by the JSON Schema on standard input, with a YAML reader of its own.

Input: {"schema": ..., "cases": [{"text": YAML, "valid": true or false}, ...]}. Ends with 1 and says
why when the schema is no schema, or judges a case otherwise than expected.
"""

import json
import sys

import yaml
from jsonschema import Draft202012Validator


class Loader(yaml.SafeLoader):
    """YAML 1.1 without its dates: `2026-01-31` stays text."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

asked = json.load(sys.stdin)
Draft202012Validator.check_schema(asked["schema"])
validator = Draft202012Validator(asked["schema"])
wrong = []
for case in asked["cases"]:
    errors = [error.message for error in validator.iter_errors(yaml.load(case["text"], Loader))]
    if (not errors) != case["valid"]:
        wrong.append(f"{'refused' if errors else 'taken'}: {case['text']}\n  {errors[:3]}")
if wrong:
    sys.exit("\n".join(wrong))
