"""Holds events, one a line, to the schemas of OCSF 1.8. Ends with 1 if one does not keep to its class."""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

CLASSES = {6003: "api_activity", 2004: "detection_finding"}


def main(path):
    schemas = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    validators, counts, wrong = {}, {}, 0
    with open(path, encoding="utf-8") as events:
        for number, line in enumerate(events, 1):
            event = json.loads(line)
            profiles = tuple(event["metadata"].get("profiles", ()))
            key = (event["class_uid"], profiles)
            if key not in validators:
                schema = schemas.get_class_schema(CLASSES[key[0]], profiles=list(profiles))
                validators[key] = Draft202012Validator(schema)
            counts[key[0]] = counts.get(key[0], 0) + 1
            for error in validators[key].iter_errors(event):
                wrong += 1
                print(f"line {number}: {'/'.join(map(str, error.path))}: {error.message}")
                break
            if wrong > 20:
                break
    for class_uid in CLASSES:
        print(f"{counts.get(class_uid, 0)} events of class {class_uid} {CLASSES[class_uid]}")
    if wrong or set(counts) != set(CLASSES):
        print(f"{wrong} do not keep to their schema")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
