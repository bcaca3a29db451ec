"""schema.py SCHEMA: whether every document of a JSON list on standard input is what the schema allows.

Prints every fault; ends with 1 when there is one. The judge is the `jsonschema` package of PyPI.
"""

import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
faults = 0
for number, document in enumerate(json.load(sys.stdin)):
    for fault in validator.iter_errors(document):
        faults += 1
        print(f"document {number}, {fault.json_path}: {fault.message[:500]}")
sys.exit(1 if faults else 0)
